"""Load on the real server: requests a second and latency of two mixes, and of searches while documents are indexed.

    python -m benchmarks.load --home HOME [--seconds 60] [--clients 8] [--mix distinct|cached|both] [--indexing 5000]
                              [--workers 1]

`distinct` asks what was never asked before: a run of words out of a random passage of the index. `cached` draws from
200 such questions, the n-th of them with weight 1/n, as people do. Clients are kept-alive connections that ask again as
soon as they are answered. The server is a process of its own, on a free port of the loopback interface; nothing else is
ever contacted. One JSON object on stdout; `--out FILE` keeps it.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import ROOT
from localsearch.engine import Engine
from localsearch.settings import load

POOL = 200
MOST_SECONDS = 300.0
MOST_CLIENTS = 64
_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(slots=True)
class Tally:
    """What came back: milliseconds of each answer by the moment it came, and how many of each status."""

    at: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    cached: int = 0

    def add(self, at: float, seconds: float, status: int, body: bytes) -> None:
        self.at.append(at)
        self.milliseconds.append(seconds * 1000)
        self.statuses[status] += 1
        self.cached += b'"cached":true' in body

    def summary(self, seconds: float) -> dict[str, Any]:
        p50, p95, p99 = (
            np.percentile(self.milliseconds, [50, 95, 99]) if self.milliseconds else (0.0, 0.0, 0.0)
        )
        return {
            "requests": len(self.milliseconds),
            "requests_per_s": round(len(self.milliseconds) / seconds, 1),
            "p50_ms": round(float(p50), 2),
            "p95_ms": round(float(p95), 2),
            "p99_ms": round(float(p99), 2),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "cached_share": round(self.cached / max(1, len(self.milliseconds)), 4),
        }


class Connection:
    """One kept-alive connection that speaks just enough HTTP, so that the load costs the machine little."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._head = f"Host: {host}:{port}\r\nContent-Type: application/json\r\n".encode()

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def post(self, path: str, value: Any) -> tuple[int, bytes]:
        """Status and body of one POST."""
        body = json.dumps(value, ensure_ascii=False).encode()
        return await self._send(b"POST %s HTTP/1.1\r\n" % path.encode(), body)

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of one GET."""
        return await self._send(b"GET %s HTTP/1.1\r\n" % path.encode(), b"")

    async def _send(self, line: bytes, body: bytes) -> tuple[int, bytes]:
        self._writer.write(line + self._head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("The server hung up") from error
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
        return int(head[9:12]), await self._reader.readexactly(length)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


def questions(home: Path, seed: int, count: int) -> Iterator[str]:
    """Distinct questions: 3 to 8 successive words of random passages of the index."""
    with Engine.open(home, read_only=True) as engine:
        passages = _passages(engine, seed, count)
    chance = random.Random(seed)
    asked: set[str] = set()
    for words in itertools.cycle(passages):
        length = min(chance.randint(3, 8), len(words))
        start = chance.randint(0, len(words) - length)
        question = " ".join(words[start : start + length])
        if question not in asked:
            asked.add(question)
            yield question


def _passages(engine: Engine, seed: int, count: int) -> list[list[str]]:
    ids = np.flatnonzero(engine.corpus.owners())
    chosen = np.random.default_rng(seed).choice(ids, min(count, len(ids)), replace=False)
    rows = engine.corpus.chunk_rows(int(i) for i in chosen)
    found = [_WORD.findall(row.text) for row in rows.values()]
    return [words for words in found if len(words) >= 8]


async def drive(port: int, clients: int, seconds: float, ask: Callable[[], str], tally: Tally) -> None:
    """Let every client ask, one question after the other, until the time is over."""
    until = time.perf_counter() + seconds

    async def client() -> None:
        connection = Connection("127.0.0.1", port)
        await connection.open()
        while (began := time.perf_counter()) < until:
            status, body = await connection.post("/search", {"query": ask(), "limit": 5, "filters": None})
            now = time.perf_counter()
            tally.add(now, now - began, status, body)
        await connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))


def interpreter(tree: Path) -> str:
    """The Python of a working tree: its own .venv, or for this one what runs now."""
    own = tree / ".venv" / "bin" / "python"
    return sys.executable if tree == ROOT or not own.exists() else str(own.absolute())


@contextmanager
def server(home: Path, tree: Path = ROOT, workers: int = 1) -> Iterator[int]:
    """The real server of a tree, of so many processes; its port. Should it end early, what it said last is told."""
    with process(home, tree, workers) as (port, _):
        yield port


@contextmanager
def process(home: Path, tree: Path = ROOT, workers: int = 1) -> Iterator[tuple[int, int]]:
    """As `server`; its port and the id of the process that was started."""
    command = [
        interpreter(tree),
        "-m",
        "localsearch",
        "--home",
        str(home.absolute()),
        "--offline",
        "serve",
        "--port",
        "0",
    ]
    if (tree / "localsearch" / "server" / "workers").exists():  # a former state has one process
        command += ["--workers", str(workers)]
    with tempfile.NamedTemporaryFile("ab") as file:
        said, popen = Path(file.name), subprocess.Popen(command, stderr=file, cwd=tree)
        try:
            yield _port(popen, said), popen.pid
            if popen.poll() is not None:
                raise SystemExit(f"The server ended with {popen.returncode}:\n{_last(said)}")
        except OSError as error:
            raise SystemExit(f"{error}; the server ended with {popen.poll()}:\n{_last(said)}") from error
        finally:
            popen.terminate()
            popen.wait(60)


def _port(process: subprocess.Popen[bytes], said: Path) -> int:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", said.read_text("utf-8", "replace")):
            return int(found[1])
        time.sleep(0.05)
    raise SystemExit(f"The server did not start:\n{_last(said)}")


def _last(said: Path) -> str:
    return "\n".join(said.read_text("utf-8", "replace").splitlines()[-20:])


async def distinct(port: int, home: Path, seconds: float, clients: int, seed: int) -> dict[str, Any]:
    """Questions that were never asked before."""
    asked, tally = questions(home, seed, 20_000), Tally()
    await drive(port, clients, seconds, lambda: next(asked), tally)
    return tally.summary(seconds)


async def cached(port: int, home: Path, seconds: float, clients: int, seed: int) -> dict[str, Any]:
    """A pool of questions, some asked far more often than others."""
    pool = list(itertools.islice(questions(home, seed + 1, 2000), POOL))
    drawn = random.Random(seed).choices(pool, [1 / (rank + 1) for rank in range(POOL)], k=1_000_000)
    asked, tally = itertools.cycle(drawn), Tally()
    await drive(port, clients, seconds, lambda: next(asked), tally)
    return tally.summary(seconds)


async def while_indexing(
    port: int, home: Path, seconds: float, clients: int, seed: int, files: int
) -> dict[str, Any]:
    """Distinct questions while new files are indexed: how long that took, and what searches were like meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="localsearch-load-"))
    try:
        _write_files(home, folder, seed, files)
        asked, tally = questions(home, seed + 2, 20_000), Tally()
        load_task = asyncio.create_task(drive(port, clients, seconds, lambda: next(asked), tally))
        index_seconds, result = await _index(port, folder, seconds)
        await load_task
        return tally.summary(seconds) | {"index_s": round(index_seconds, 1), "index": result}
    finally:
        shutil.rmtree(folder)


def _write_files(home: Path, folder: Path, seed: int, files: int) -> None:
    with Engine.open(home, read_only=True) as engine:
        passages = _passages(engine, seed + 3, files * 2)
    chance = random.Random(seed)
    for number in range(files):
        words = chance.choice(passages) + chance.choice(passages)
        chance.shuffle(words)
        (folder / f"{number}.txt").write_text(f"Note {number}\n\n{' '.join(words)}\n", "utf-8")


async def _index(port: int, folder: Path, seconds: float) -> tuple[float, dict[str, Any]]:
    connection = Connection("127.0.0.1", port)
    await connection.open()
    began = time.perf_counter()
    status, body = await connection.post("/index", {"paths": [str(folder)], "collection": "load"})
    if status != 202:
        raise SystemExit(f"POST /index answered {status}: {body.decode()}")
    job = json.loads(body)["job"]
    while job["state"] in ("queued", "running") and time.perf_counter() - began < 2 * seconds + 60:
        await asyncio.sleep(0.25)
        job = json.loads((await connection.get(f"/jobs/{job['id']}"))[1])
    await connection.close()
    return time.perf_counter() - began, {"state": job["state"], **(job["result"] or {})}


async def run(arguments: argparse.Namespace, port: int) -> dict[str, Any]:
    """The mixes that were asked for, one after the other."""
    home, seconds = arguments.home, min(arguments.seconds, MOST_SECONDS)
    clients = min(arguments.clients, MOST_CLIENTS)
    report: dict[str, Any] = {"clients": clients, "seconds": seconds}
    # The first questions load the model; they are not what is measured.
    await distinct(port, home, 2.0, clients, arguments.seed + 100)
    if arguments.mix in ("distinct", "both"):
        report["distinct"] = await distinct(port, home, seconds, clients, arguments.seed)
    if arguments.mix in ("cached", "both"):
        report["cached"] = await cached(port, home, seconds, clients, arguments.seed)
    if arguments.indexing:
        report["while_indexing"] = await while_indexing(
            port, home, seconds, clients, arguments.seed, arguments.indexing
        )
    return report


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="an index with passages to ask about")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--mix", choices=("distinct", "cached", "both"), default="both")
    parser.add_argument(
        "--indexing", type=int, default=0, metavar="FILES", help="index this many files meanwhile"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes of the server")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    state = load(arguments.home)
    with Engine.open(settings=state, read_only=True) as engine:
        status = engine.status()
    with server(arguments.home, workers=arguments.workers) as port:
        report = asyncio.run(run(arguments, port))
    report |= {"workers": arguments.workers, "passages": status.chunks, "embedded": status.embedded_chunks}
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
