"""One process against several, in one run: questions a second, latency and memory of the real server.

    python -m benchmarks.workers --home HOME [--workers 2] [--clients 32] [--seconds 8] [--rounds 3] [--out FILE]

Both are started anew for each round, in turn, on the same index; the median of the rounds is told, and of each round
the ratio. Memory is the proportional set size (PSS) of all processes of the server, its supervisor too, after the load:
what is mapped by several is counted once. `cpu_ms` is the processor time of a distinct question: on a machine that does
other things too it says more than the ratio, which then favours many processes. The clients are one process that shares the machine with the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.load import MOST_CLIENTS, cached, distinct, process

_WARM_S = 3.0


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="an index with passages to ask about")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    report = compare(
        arguments.home, arguments.workers, arguments.clients, arguments.seconds, arguments.rounds
    )
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", "utf-8")
    return 0


def compare(home: Path, workers: int, clients: int, seconds: float, rounds: int) -> dict[str, Any]:
    """Medians of one process and of several, and the ratios of each round."""
    clients = min(clients, MOST_CLIENTS)
    one: list[dict[str, Any]] = []
    several: list[dict[str, Any]] = []
    for number in range(rounds):
        one.append(_measure(home, 1, clients, seconds, number))
        several.append(_measure(home, workers, clients, seconds, number))
    names = ("distinct", "cached")
    return {
        "clients": clients,
        "seconds": seconds,
        "rounds": rounds,
        "workers": workers,
        "one": _median(one),
        "several": _median(several),
        "ratios": {
            name: [
                round(b[name]["requests_per_s"] / a[name]["requests_per_s"], 2) for a, b in zip(one, several)
            ]
            for name in names
        },
        "memory_ratio": round(statistics.median(b["pss_mb"] / a["pss_mb"] for a, b in zip(one, several)), 2),
    }


def _measure(home: Path, workers: int, clients: int, seconds: float, seed: int) -> dict[str, Any]:
    with process(home, workers=workers) as (port, pid):
        asyncio.run(distinct(port, home, _WARM_S, clients, seed + 100))
        time.sleep(1.0)
        before = cpu_s(pid)
        asked = asyncio.run(distinct(port, home, seconds, clients, seed))
        asked["cpu_ms"] = round((cpu_s(pid) - before) * 1000 / max(1, asked["requests"]), 2)
        figures = {
            "distinct": asked,
            "cached": asyncio.run(cached(port, home, seconds, clients, seed)),
        }
        return {**figures, "pss_mb": round(pss_mb(pid), 1)}


def _median(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    told = ("requests_per_s", "p50_ms", "p99_ms")
    figures: dict[str, Any] = {
        name: {figure: statistics.median(run[name][figure] for run in runs) for figure in told}
        for name in ("distinct", "cached")
    }
    refused = sum(
        count
        for run in runs
        for name in figures
        for status, count in run[name]["statuses"].items()
        if status != "200"
    )
    figures["distinct"]["cpu_ms"] = statistics.median(run["distinct"]["cpu_ms"] for run in runs)
    return {**figures, "not_200": refused, "pss_mb": statistics.median(run["pss_mb"] for run in runs)}


def cpu_s(pid: int) -> float:
    """Processor seconds of a process and of all below it that live. Linux only."""
    ticks = 0
    for one in (pid, *_below(pid)):
        fields = Path(f"/proc/{one}/stat").read_text("utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def pss_mb(pid: int) -> float:
    """Proportional set size of a process and of all below it, in megabytes. Linux only."""
    return sum(_pss(one) for one in (pid, *_below(pid))) / 1000


def _pss(pid: int) -> int:
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))


def _below(pid: int) -> list[int]:
    found = []
    for tasks in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (tasks / "children").read_text("ascii").split()):
            found += [child, *_below(child)]
    return found


if __name__ == "__main__":
    raise SystemExit(main())
