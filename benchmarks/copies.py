"""Readers by copies: how long what was written takes to be answered by every reader, and questions a second of several.

    python -m benchmarks.copies --home HOME [--documents 5000] [--every 1] [--seconds 8] [--rounds 3] [--out FILE]

A copy of HOME is served by one process that takes documents in batches; `ship --every` publishes it in a folder that the
readers follow. Lag is from the answer to a batch until a reader, asked again and again, answers /ready with that state
or a later one. Then the primary alone, and three readers behind the nginx of deploy/scale (without TLS), are asked
distinct questions by as many clients, in turn, the first to be asked changing with each round. `cpu_ms` is the processor
time of a question in the servers and nginx together, `cores_used` how many cores they kept busy: the clients, one more
process on the same machine, use the rest. At last one reader is killed while questions come in through nginx. One JSON
object on stdout; `--out FILE` keeps it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import numpy as np

from benchmarks import machine
from benchmarks.front import PLAIN, UNLIMITED, free_port, nginx
from benchmarks.load import _port, distinct, questions
from benchmarks.workers import cpu_s, pss_mb

_READERS = 3
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
    parser.add_argument(
        "--every", type=float, default=1.0, help="seconds between two shipments, and two looks"
    )
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
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
        front = free_port()
        _answer_to(home, front)
        port, pid = stack.enter_context(served(home, "--workers", "1"))
        stack.enter_context(running(home, "ship", str(target), "--every", str(arguments.every)))
        readers = []
        for number in range(_READERS):
            reader = folder / f"reader{number}"
            reader.mkdir()
            _answer_to(reader, front, f"follow_s = {arguments.every}\n")
            readers.append(stack.enter_context(served(reader, "--follow", str(target))))
        ports, pids = [at for at, _ in readers], [one for _, one in readers]
        lags, took = asyncio.run(lag(port, ports, texts, arguments.documents))
        _settled(port, ports)
        before = stack.enter_context(nginx(front, port, ports, {**PLAIN, **UNLIMITED}))
        return {
            "machine": machine.describe(),
            "documents": arguments.documents,
            "readers": _READERS,
            "every_s": arguments.every,
            "batch": _BATCH,
            "written_per_s": round(arguments.documents / took, 1),
            "snapshot_mb": round(sum(path.stat().st_size for path in home.rglob("*.db")) / 1e6, 1),
            "lag_s": _percentiles(lags),
            "reader_pss_mb": [round(pss_mb(one), 1) for one in pids],
            **in_turn(
                {"primary": (port, [pid]), "behind_nginx": (front, [*pids, before.pid])}, home, arguments
            ),
            "killed": killed(front, pids[0], home, arguments),
        }


def in_turn(
    asked: Mapping[str, tuple[int, list[int]]], home: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Distinct questions to each port, in turn: of each the median round, and the ratio of each round."""
    for port, _ in asked.values():  # the first questions load the model
        asyncio.run(distinct(port, home, 3.0, arguments.clients, 100))
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in asked}
    for number in range(arguments.rounds):
        for name in sorted(asked, reverse=bool(number % 2)):
            port, pids = asked[name]
            before = sum(map(cpu_s, pids))
            told = asyncio.run(distinct(port, home, arguments.seconds, arguments.clients, number))
            used = sum(map(cpu_s, pids)) - before
            told["cpu_ms"] = round(used * 1000 / max(1, told["requests"]), 2)
            told["cores_used"] = round(used / arguments.seconds, 2)
            rounds[name].append(told)
    first, second = asked
    found: dict[str, Any] = {
        name: sorted(runs, key=lambda run: float(run["requests_per_s"]))[len(runs) // 2]
        for name, runs in rounds.items()
    }
    ratios = [
        round(b["requests_per_s"] / a["requests_per_s"], 2)
        for a, b in zip(rounds[first], rounds[second], strict=True)
    ]
    return {**found, "ratios": ratios}


def killed(front: int, pid: int, home: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Distinct questions through nginx while one reader is killed halfway."""
    halfway = threading.Timer(arguments.seconds / 2, os.kill, (pid, signal.SIGKILL))
    halfway.start()
    told = asyncio.run(distinct(front, home, arguments.seconds, arguments.clients, 50))
    halfway.join()
    return told


def _answer_to(home: Path, front: int, more: str = "") -> None:
    """Have the server of this folder answer to the name that nginx passes on."""
    file = home / "settings.toml"
    if file.exists():
        raise SystemExit(f"{file} is there: take an index without settings of its own.")
    file.write_text(f'[server]\nhosts = ["127.0.0.1:{front}"]\n{more}', "utf-8")


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
