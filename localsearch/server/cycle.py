"""Writing a whole answer at once on uvicorn's connection, and one timer for the life of a connection.

uvicorn writes the head of an answer and its body one after the other, looks at each header by itself, and makes a timer
for every answer. For an answer of some kilobytes that is most of what it costs. Belongs to the event loop.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from localsearch.server.problems import Headers

CLOSE = (b"connection", b"close")
_ONE_WRITE = 256 * 1024
"""Bytes of a body up to which it is copied behind its head."""
_SLACK_S = 0.001
"""Seconds that a timer of the event loop may come early."""


async def send_whole(cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> None:
    """What `RequestResponseCycle.send` does for an answer that is all there: `headers` tell its length."""
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    if cycle.response_started:
        raise RuntimeError("A second answer to one request.")
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    cycle.keep_alive = cycle.keep_alive and CLOSE not in headers
    head = _head(status, [*cycle.default_headers, *headers], cycle.keep_alive)
    if cycle.scope["method"] == "HEAD":
        body = b""
    if len(body) <= _ONE_WRITE:
        cycle.transport.write(head + body)
    else:
        # Not writelines, which asks nobody to pause in Python 3.12.0 to 3.12.8 and 3.13.0 to 3.13.1 (CVE-2024-12254).
        cycle.transport.write(head)
        cycle.transport.write(body)
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


def _head(status: int, headers: Headers, keep_alive: bool) -> bytes:
    """Status line and headers. Raises ValueError for a value that would be more than one line."""
    lines = [name + b": " + value for name, value in headers]
    if not keep_alive and CLOSE not in headers:
        lines.append(b"connection: close")
    block = b"\r\n".join(lines)
    breaks = len(lines) - 1
    if block.count(b"\n") != breaks or block.count(b"\r") != breaks or b"\0" in block:
        raise ValueError("A header with a line break.")
    return STATUS_LINE[status] + block + b"\r\n\r\n"


class Deadline:
    """Acts once a moment has come. The moment may be moved at every request: that makes no timer.

    The timer that there is comes after `hop` seconds at the latest, sees whether it is time, and is else set anew.
    """

    __slots__ = ("_act", "_at", "_due", "_hop", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, hop: float, act: Callable[[], None]) -> None:
        self._loop, self._hop, self._act = loop, hop, act
        self._due = self._at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Act in so many seconds, and not when it was set to act before."""
        self._due = self._loop.time() + seconds
        if self._due < self._at:
            self._start()

    def clear(self) -> None:
        """Act never, until it is set again."""
        self._due = math.inf

    def end(self) -> None:
        """Act never, and leave no timer."""
        self.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._at = None, math.inf

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at = min(self._due, self._loop.time() + self._hop)
        self._timer = self._loop.call_at(self._at, self._look)

    def _look(self) -> None:
        self._timer, self._at = None, math.inf
        if self._due == math.inf:
            return
        if self._loop.time() < self._due - _SLACK_S:
            self._start()
            return
        self.clear()
        self._act()
