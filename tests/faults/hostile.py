"""Hostile clients: `python hostile.py PORT SECONDS [KIND...]`, every kind by default.

A process of its own, so that it costs the server and the honest client no turn but those it takes from them.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

JSON = "Content-Type: application/json\r\n"


class Clients:
    """Each method is one kind; it goes on until the end and swallows what the server does to it."""

    def __init__(self, port: int, seconds: float) -> None:
        self.port, self.end = port, time.monotonic() + seconds
        self.host = f"Host: 127.0.0.1:{port}\r\n"

    def connect(self, head: str = "", receive: int = 0) -> socket.socket:
        one = socket.socket()
        if receive:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        one.settimeout(2.0)
        one.connect(("127.0.0.1", self.port))
        if head:
            one.sendall(head.encode())
        return one

    def silent(self) -> None:
        """350 connections that say nothing, beside all the others more than there are places."""
        self._hold(lambda: self.connect(), 350)

    def headers_dribbled(self) -> None:
        self._hold(lambda: self.connect(f"GET /health HTTP/1.1\r\n{self.host}X: "), 40, b"a")

    def bodies_dribbled(self) -> None:
        head = f"POST /search HTTP/1.1\r\n{self.host}{JSON}Content-Length: 1000\r\n\r\n"
        self._hold(lambda: self.connect(head), 64, b" ")

    def bodies_after_the_answer(self) -> None:
        head = f"GET /health HTTP/1.1\r\n{self.host}Content-Length: 1000000\r\n\r\n"
        self._hold(lambda: self.connect(head), 64, b"a")

    def large_bodies(self) -> None:
        head = f"POST /documents HTTP/1.1\r\n{self.host}{JSON}Content-Length: 31000000\r\n\r\n"
        start = b'{"documents":[{"text":"' + b"a" * 1_000_000

        def opened() -> socket.socket:
            one = self.connect(head)
            one.setblocking(False)
            return one

        self._hold(opened, 40, start)

    def not_reading(self) -> None:
        head = f"GET /openapi.json HTTP/1.1\r\n{self.host}\r\n" * 100
        self._hold(lambda: self.connect(head, 4096), 32)

    def pipelining(self) -> None:
        one, request = self.connect(), f"GET /health HTTP/1.1\r\n{self.host}\r\n".encode() * 2000
        threading.Thread(target=self._drain, args=(one,), daemon=True).start()
        while time.monotonic() < self.end:
            one.sendall(request)

    def huge_filters(self) -> None:
        number, pad = 0, "z" * 4000
        while time.monotonic() < self.end:
            number += 1
            values = [f"{number}-{n}-{pad}" for n in range(290)]
            body = json.dumps({"query": "kiln", "mode": "lexical", "filters": {"x": {"$in": values}}})
            self._ask(f"POST /search HTTP/1.1\r\n{self.host}{JSON}Content-Length: {len(body)}\r\n\r\n{body}")
            time.sleep(0.2)

    def foreign_pages(self) -> None:
        while time.monotonic() < self.end:
            self._ask(f"GET /search?q=kiln HTTP/1.1\r\n{self.host}Sec-Fetch-Site: cross-site\r\n\r\n")
            time.sleep(0.05)

    def long_numbers(self) -> None:
        while time.monotonic() < self.end:
            self._ask(f"GET /jobs/{'7' * 5000} HTTP/1.1\r\n{self.host}\r\n")
            time.sleep(0.05)

    def _ask(self, request: str) -> None:
        with self.connect(request) as one:
            one.recv(65536)

    def _drain(self, one: socket.socket) -> None:
        with suppress(OSError):
            while one.recv(1 << 20):
                pass

    def _hold(self, opened: Callable[[], socket.socket], count: int, dribble: bytes = b"") -> None:
        """Keep so many, each opened again when it was closed."""
        held: list[socket.socket] = []
        while time.monotonic() < self.end:
            while len(held) < count:
                held.append(opened())
            for one in list(held):
                try:
                    if dribble:
                        one.send(dribble)
                    else:
                        one.send(b"", socket.MSG_DONTWAIT)
                except BlockingIOError:
                    continue
                except OSError:
                    one.close()
                    held.remove(one)
            time.sleep(0.5)


KINDS = [name for name in vars(Clients) if not name.startswith("_") and name != "connect"]


def main() -> None:
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    kinds = sys.argv[3:] or KINDS
    clients = Clients(port, seconds)

    def again(kind: str) -> None:
        while time.monotonic() < clients.end:
            try:
                getattr(clients, kind)()
            except OSError:
                time.sleep(0.05)

    threads = [threading.Thread(target=again, args=(kind,), daemon=True) for kind in kinds]
    for thread in threads:
        thread.start()
    time.sleep(seconds)


if __name__ == "__main__":
    main()
