"""uvicorn's HTTP protocol with limits on time and size, against clients that dribble.

A connection that has not sent its headers in time, has sent too many, or does not read its answer, is closed; so are
those beyond the most that are kept. Reading a body has its own limit (bodies.py).
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from localsearch.server.problems import answer, bad_request, busy
from localsearch.settings import LimitSettings

MOST_HEADER_BYTES = 64 * 1024


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    limits = LimitSettings()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._late: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._refuse(busy("too_many_connections", "Too many connections are open.", 1))
            return
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._header_bytes = 0
        self._await_headers()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None
        if self.transport.is_closing():
            return
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stuck is None:
            self._stuck = self.loop.call_later(self.limits.write_s, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stuck:
            self._stuck.cancel()
            self._stuck = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._refuse(bad_request(msg, "This server speaks HTTP/1.1."))

    def _await_headers(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(self.limits.header_s, self._too_late)

    def _too_late(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.close()

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MOST_HEADER_BYTES and not self.transport.is_closing():
            self._refuse(
                bad_request("The headers are too long.", f"They may have {MOST_HEADER_BYTES} bytes.")
            )

    def _refuse(self, error: Exception) -> None:
        """Answer without a request, and hang up."""
        status, headers, body = answer(error)
        lines = [b"HTTP/1.1 %d %s" % (status, b"Refused")]
        headers = [*headers, (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
        lines += [name + b": " + value for name, value in headers]
        self.transport.write(b"\r\n".join([*lines, b"", b""]) + body)
        self.transport.close()

    def _cancel_timers(self) -> None:
        for timer in (self._late, self._stuck):
            if timer:
                timer.cancel()
        self._late = self._stuck = None


def limited(limits: LimitSettings) -> type[LimitedProtocol]:
    """The protocol with these limits."""
    return type("LimitedProtocol", (LimitedProtocol,), {"limits": limits})
