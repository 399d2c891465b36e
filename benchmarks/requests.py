"""What one request costs the server, beside another state of the project.

    python -m benchmarks.requests [--before TREE] [--rounds 60] [--batch 100] [--out JSON]

Each tree indexes the same few files by words and serves them; both servers are up at once. Batches of requests go to
one and then to the other, so that what else the machine does falls on both. Three kinds: a search that the cache
answers and `/health`, on a connection that is kept, and `/health` on a new connection each time. `us` is the median of
the rounds' medians, from sending to the whole answer; `processor_us` is what all threads of the server used for each
request (Linux). Ratios are now over before. TREE is a working tree with its own .venv.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.load import interpreter, server
from benchmarks.machine import ROOT

DOCUMENTS = 40
WARM = 300
_LENGTH = re.compile(rb"content-length: (\d+)")
_QUESTION = b'{"query": "bread and butter", "mode": "lexical", "limit": 5}'


@dataclass(frozen=True, slots=True)
class Kind:
    """Requests of one kind: what is sent, and whether each has a connection of its own."""

    line: bytes
    body: bytes = b""
    anew: bool = False

    def message(self, port: int) -> bytes:
        head = b"%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % (self.line, port)
        if self.body:
            head += b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(self.body)
        return head + b"\r\n" + self.body


KINDS = {
    "cached search": Kind(b"POST /search", _QUESTION),
    "health": Kind(b"GET /health"),
    "health, new connection": Kind(b"GET /health", anew=True),
}


class Client:
    """Asks one server, and measures."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._process = _listener(port)

    @cached_property
    def _kept(self) -> socket.socket:
        """Made for the first request: the server ends a connection on which none comes, while another still starts."""
        return socket.create_connection(("127.0.0.1", self._port), 10)

    def batch(self, kind: Kind, count: int) -> tuple[float, float]:
        """Median microseconds of a request, and processor microseconds of the server for one."""
        message = kind.message(self._port)
        took: list[float] = []
        used = _processor_ns(self._process)
        for _ in range(count):
            began = time.perf_counter()
            if kind.anew:
                with socket.create_connection(("127.0.0.1", self._port), 10) as connection:
                    _exchange(connection, message)
            else:
                _exchange(self._kept, message)
            took.append(time.perf_counter() - began)
        used = _processor_ns(self._process) - used
        return statistics.median(took) * 1e6, used / count / 1000

    def close(self) -> None:
        if "_kept" in self.__dict__:
            self._kept.close()


def _exchange(connection: socket.socket, message: bytes) -> None:
    """Send a request and take its whole answer. Raises ConnectionError for any other status than 200."""
    connection.sendall(message)
    got = connection.recv(65536)
    while True:
        head, found, body = got.partition(b"\r\n\r\n")
        length = _LENGTH.search(head) if found else None
        if length and len(body) >= int(length[1]):
            break
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("The server hung up")
        got += more
    if not got.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(head.partition(b"\r\n")[0].decode())


def _listener(port: int) -> int:
    """The process that listens on a port of this machine; 0 where the system does not tell."""
    import psutil

    for found in psutil.net_connections("tcp"):
        if found.status == psutil.CONN_LISTEN and found.laddr.port == port:
            return found.pid or 0
    return 0


def _processor_ns(process: int) -> int:
    """Nanoseconds that the threads of a process have run; 0 where the system does not tell."""
    tasks = Path(f"/proc/{process}/task")
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())
    except OSError:
        return 0


@contextmanager
def serving(tree: Path) -> Iterator[Client]:
    """A client of this tree's server over a small index."""
    with tempfile.TemporaryDirectory() as folder:
        home, texts = Path(folder) / "home", Path(folder) / "texts"
        texts.mkdir()
        for number in range(DOCUMENTS):
            text = (
                f"Recipe {number}\n\nBread and butter, oven {number}; knead the dough, wait, and bake it.\n"
            )
            (texts / f"{number}.txt").write_text(text, "utf-8")
        command = [interpreter(tree), "-m", "localsearch", "--home", str(home), "--offline"]
        subprocess.run([*command, "index", str(texts)], cwd=tree, check=True, capture_output=True)
        with server(home, tree) as port:
            client = Client(port)
            try:
                yield client
            finally:
                client.close()


def measure(before: Path | None, rounds: int, batch: int) -> dict[str, Any]:
    """For each kind: microseconds and processor microseconds by tree, and their ratios."""
    trees = {"now": ROOT, **({"before": before} if before else {})}
    with ExitStack() as stack:
        clients = {name: stack.enter_context(serving(tree)) for name, tree in trees.items()}
        for client in clients.values():
            for kind in KINDS.values():
                client.batch(kind, WARM)
        found: dict[str, dict[str, list[tuple[float, float]]]] = {
            title: {name: [] for name in clients} for title in KINDS
        }
        for number in range(rounds):
            for title, kind in KINDS.items():
                for name in list(clients)[:: 1 if number % 2 else -1]:
                    found[title][name].append(clients[name].batch(kind, batch))
    return {title: _summary(rows) for title, rows in found.items()}


def _summary(rows: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for column, unit in enumerate(("us", "processor_us")):
        of = {name: [row[column] for row in found] for name, found in rows.items()}
        figures[unit] = {name: round(statistics.median(values), 1) for name, values in of.items()}
        if "before" in of and min(of["before"]) > 0:
            pairs = zip(of["now"], of["before"], strict=True)
            figures[f"{unit}_ratio"] = round(statistics.median(now / before for now, before in pairs), 3)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.requests",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--before", type=Path, metavar="TREE")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--out", type=Path, metavar="JSON")
    arguments = parser.parse_args()
    report = measure(arguments.before, arguments.rounds, arguments.batch)
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
