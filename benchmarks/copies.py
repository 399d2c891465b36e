"""Readers by copies: how long what was written takes to be answered by every reader, and questions a second of several.

    python -m benchmarks.copies --home HOME [--documents 5000] [--readers 3] [--every 1] [--seconds 8] [--out FILE]

A copy of HOME is served by one process that takes documents in batches; `ship --every` publishes it in a folder that the
readers follow. Lag is from the answer to a batch until a reader, asked again and again, answers /ready with that state
or a later one. Then the primary alone, and then all readers at once, are asked distinct questions by as many clients in
all. Everything shares one machine, the clients too. One JSON object on stdout; `--out FILE` keeps it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import numpy as np

from benchmarks.load import Tally, _port, distinct, drive, questions
from benchmarks.workers import pss_mb

_BATCH = 50
_POLL_S = 0.02
_OPENER = build_opener(ProxyHandler({}))


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="an index with passages; it stays as it is")
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--readers", type=int, default=3)
    parser.add_argument(
        "--every", type=float, default=1.0, help="seconds between two shipments, and two looks"
    )
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    text = json.dumps(measure(arguments), indent=1)
    print(text)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", "utf-8")
    return 0


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures, in a folder of their own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="localsearch-copies-")))
        home, target = folder / "home", folder / "shipped"
        shutil.copytree(arguments.home, home)
        texts = list(itertools.islice(questions(home, 7, arguments.documents), arguments.documents))
        port, _ = stack.enter_context(served(home, "--workers", "1"))
        stack.enter_context(running(home, "ship", str(target), "--every", str(arguments.every)))
        readers = []
        for number in range(arguments.readers):
            reader = folder / f"reader{number}"
            reader.mkdir()
            (reader / "settings.toml").write_text(f"[server]\nfollow_s = {arguments.every}\n")
            readers.append(stack.enter_context(served(reader, "--follow", str(target))))
        ports = [at for at, _ in readers]
        lags, took = asyncio.run(lag(port, ports, texts, arguments.documents))
        _settled(port, ports)
        asyncio.run(distinct(port, home, 2.0, arguments.clients, 100))  # loads what the first questions load
        return {
            "documents": arguments.documents,
            "readers": arguments.readers,
            "every_s": arguments.every,
            "batch": _BATCH,
            "written_per_s": round(arguments.documents / took, 1),
            "snapshot_mb": round(sum(path.stat().st_size for path in home.rglob("*.db")) / 1e6, 1),
            "lag_s": _percentiles(lags),
            "primary": asyncio.run(distinct(port, home, arguments.seconds, arguments.clients, 1)),
            "all_readers": asyncio.run(spread(ports, home, arguments)),
            "reader_pss_mb": [round(pss_mb(pid), 1) for _, pid in readers],
        }


@contextmanager
def served(home: Path, *words: str) -> Iterator[tuple[int, int]]:
    """A server; its port and process id."""
    with (
        tempfile.NamedTemporaryFile("ab") as file,
        running(home, "serve", "--port", "0", *words, log=file) as popen,
    ):
        yield _port(popen, Path(file.name)), popen.pid


@contextmanager
def running(home: Path, *words: str, log: Any = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
    """A command of localsearch, ended with the block."""
    command = [sys.executable, "-m", "localsearch", "--home", str(home), "--offline", *words]
    popen = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=dict(os.environ))
    try:
        yield popen
    finally:
        popen.terminate()
        popen.wait(60)


async def lag(port: int, ports: list[int], texts: list[str], documents: int) -> tuple[list[float], float]:
    """Seconds from the answer to each batch until each reader has it, and of all writing. Readers are asked meanwhile."""
    waiting: list[tuple[int, float]] = []
    written = threading.Event()
    lags: list[list[float]] = [[] for _ in ports]

    def watch(reader: int, found: list[float]) -> None:
        done = 0
        while not (written.is_set() and done == len(waiting)):
            number = _number(_get(reader, "/ready")["state"])
            now = time.perf_counter()
            while done < len(waiting) and waiting[done][0] <= number:
                found.append(now - waiting[done][1])
                done += 1
            time.sleep(_POLL_S)

    threads = [threading.Thread(target=watch, args=pair) for pair in zip(ports, lags, strict=True)]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    for start in range(0, documents, _BATCH):
        batch = [
            {"id": f"copies-{start + at}", "text": text}
            for at, text in enumerate(texts[start : start + _BATCH])
        ]
        state = await asyncio.to_thread(_post, port, {"documents": batch})
        waiting.append((_number(state), time.perf_counter()))
        await asyncio.sleep(0.1)
    took = time.perf_counter() - began
    written.set()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    return [one for found in lags for one in found], took


async def spread(ports: list[int], home: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Distinct questions to all readers at once."""
    asked, tallies = questions(home, 2, 20_000), [Tally() for _ in ports]
    each = max(1, arguments.clients // len(ports))
    await asyncio.gather(*(drive(port, each, 2.0, lambda: next(asked), Tally()) for port in ports))
    await asyncio.gather(
        *(
            drive(port, each, arguments.seconds, lambda: next(asked), tally)
            for port, tally in zip(ports, tallies, strict=True)
        )
    )
    total = Tally()
    total.milliseconds = [one for tally in tallies for one in tally.milliseconds]
    total.statuses = sum((tally.statuses for tally in tallies), Counter())
    return total.summary(arguments.seconds)


def _settled(port: int, ports: list[int]) -> None:
    """Wait until everything is embedded, and has come to the readers."""
    until = time.monotonic() + 600
    while time.monotonic() < until:
        now = _get(port, "/ready")
        if now["semantic_coverage"] == 1.0 and all(
            _number(_get(one, "/ready")["state"]) >= _number(now["state"]) for one in ports
        ):
            return
        time.sleep(0.5)
    raise SystemExit("The readers did not come to the primary's state.")


def _get(port: int, path: str) -> dict[str, Any]:
    with _OPENER.open(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _post(port: int, value: Any) -> str:
    data, headers = json.dumps(value).encode(), {"Content-Type": "application/json"}
    request = Request(f"http://127.0.0.1:{port}/documents", data, headers)
    with _OPENER.open(request, timeout=60) as answer:
        state: str = answer.headers["X-Localsearch-State"]
        return state


def _number(state: str) -> int:
    return int(state.rpartition(".")[2])


def _percentiles(values: list[float]) -> dict[str, float]:
    names = ("p50", "p90", "p99", "max")
    return {
        name: round(float(one), 3)
        for name, one in zip(names, np.percentile(values, [50, 90, 99, 100]), strict=True)
    }


if __name__ == "__main__":
    raise SystemExit(main())
