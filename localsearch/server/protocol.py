"""uvicorn's HTTP protocol with limits on time, size and number, against clients that dribble, flood or do not read.

A connection that has not sent its headers in time, has sent too many, lingers after its answer or does not take it, is
closed. Of requests that are sent without waiting for answers, few are looked at before the first is answered. Reading
a body has its own limits (bodies.py).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from localsearch.platform.peers import Address
from localsearch.server.connections import Connection, Connections, Doing
from localsearch.server.cycle import Deadline
from localsearch.server.local_users import LocalUsers
from localsearch.server.problems import answer, bad_request, busy
from localsearch.settings import LimitSettings

MOST_HEADER_BYTES = 64 * 1024
MOST_UNPARSED_BYTES = 1 << 20
"""Bytes that may wait for earlier requests to be answered; reading stops at the first, what is on its way may come."""
SLICE = 64
"""Bytes from which the end of a head ends what the parser is given at once: some four requests at most."""
TURN_S = 0.005
"""Seconds between two batches of requests that were sent ahead, whoever sent them; a batch takes a fifth of that."""
SLOWEST = 16 * 1024
"""Bytes of an answer that a client has to take in a second."""
DRAINED = 48 * 1024
"""Bytes that have at least been taken when a transport with asyncio's marks, 64 and 16 KiB, asks for more."""
_END = b"\r\n\r\n"
_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: closing drops what was not sent."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all connections of a server have in common; `ahead` are those with requests that wait for answers before."""

    limits: LimitSettings
    connections: Connections
    users: LocalUsers
    ahead: set[Connection] = field(default_factory=set)


class _Flow(FlowControl):
    """uvicorn's, which does not read on while something waits to be parsed."""

    def __init__(self, transport: asyncio.Transport, waiting: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting():
            super().resume_reading()


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    shared: Shared

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = self.shared.limits
        self.since = self.loop.time()
        self._deadline = Deadline(self.loop, self.limits.header_s, self._hang_up)
        self._heading = False
        self._stuck: asyncio.TimerHandle | None = None
        self._turn: asyncio.TimerHandle | None = None
        self._drained = self._unsent = 0
        self._header_bytes = 0
        self._unparsed = b""
        self._answering: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """uvicorn's, for TCP: the addresses are asked of the transport, and flow is controlled once."""
        self.connections.add(self)
        self.transport, self.scheme = transport, "http"
        self.flow = _Flow(transport, lambda: bool(self._unparsed))
        self.client, self.server = _address(transport, "peername"), _address(transport, "sockname")
        self._peer = self.shared.users.peer(self.client, self.server)
        if not self.shared.connections.admit(self):
            self._refuse(_full())
            return
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self.shared.connections.remove(self)
        self.shared.ahead.discard(self)
        self._unparsed = b""
        self._deadline.end()
        self._cancel("_stuck", "_turn")
        if self._answering is not None:  # uvicorn tells the last request alone that its client has gone
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    @property
    def owner(self) -> Hashable:
        return self._peer.owner

    def doing(self) -> Doing:
        """What this connection does now."""
        if self.cycle is None:
            return Doing.NOTHING_YET
        if self.flow.write_paused:
            return Doing.TAKING
        if self.cycle.response_complete:
            return Doing.RESTING
        return Doing.SENDING if self.cycle.more_body else Doing.BEING_ANSWERED

    def displace(self) -> None:
        """Make room for another; one that was never answered is told why."""
        if self.cycle is None and not self.transport.is_closing():
            self._refuse(_full())
        else:
            self._abort()

    def data_received(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self._unparsed = self._unparsed + data if self._unparsed else data
            self._parse()

    def _parse(self) -> None:
        """Give the parser what has come, head by head, until a request has to wait for the answer before it."""
        data, at = self._unparsed, 0
        while at < len(data) and not self.pipeline and not self.transport.is_closing():
            found = data.find(_END, at + SLICE)
            end = len(data) if found < 0 else found + len(_END)
            super().data_received(data[at:end])
            at = end
        self._unparsed = b"" if self.transport.is_closing() else data[at:]
        if self._unparsed:
            self.shared.ahead.add(self)
        else:
            self.shared.ahead.discard(self)
        if len(self._unparsed) > MOST_UNPARSED_BYTES:
            self.transport.abort()
        elif self._unparsed:
            self.flow.pause_reading()

    def on_message_begin(self) -> None:
        self._header_bytes = 0
        self._await_headers()
        super().on_message_begin()
        self.scope["localsearch.peer"] = self._peer  # type: ignore[typeddict-unknown-key]

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._heading = False
        self._deadline.clear()
        if self.transport.is_closing():
            return
        self.since = self.loop.time()
        if not self.url.startswith(b"/"):
            host = self.url.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]
            self.scope["localsearch.target_host"] = host  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        if not self.pipeline:
            self._answering = self.cycle

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        cycle.scope["localsearch.cycle"] = cycle  # type: ignore[typeddict-unknown-key]
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """uvicorn's, without its timer for each answer."""
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._answering, app = self.pipeline.pop()
                self._start_asgi_task(self._answering, app)
            else:
                self._linger(self.limits.idle_s)
        self.since = self.loop.time()
        if self.cycle.response_complete and (self.cycle.more_body or self.transport.is_closing()):
            self._linger(self.limits.header_s)
        if self._unparsed and not self.pipeline and self._turn is None:
            wait = TURN_S * len(self.shared.ahead)
            self._turn = self.loop.call_later(wait, self._take_turn)

    def _take_turn(self) -> None:
        """Go on with requests that were sent ahead: of all who do that, one batch at a time, others between."""
        self._turn = None
        self._parse()
        self.flow.resume_reading()

    def on_message_complete(self) -> None:
        self.scope["localsearch.received"] = True  # type: ignore[typeddict-unknown-key]
        super().on_message_complete()
        if self.cycle.response_complete:
            self._linger(self.limits.idle_s)

    def _linger(self, seconds: float) -> None:
        """Wait so long for the next request; once that has begun, its own time holds."""
        if not self._heading:
            self._deadline.set(seconds)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stuck is None:
            self._drained, self._unsent = 0, self.transport.get_write_buffer_size()
            self.since = self.loop.time()
            self._stuck = self.loop.call_later(self.limits.write_s, self._look_whether_stuck)

    def resume_writing(self) -> None:
        self._drained += DRAINED
        super().resume_writing()

    def _look_whether_stuck(self) -> None:
        """A client may be slow, not too slow: what it takes now and then does not keep a place."""
        self._stuck = None
        if not self.flow.write_paused:
            return
        taken = self._drained + max(0, self._unsent - self.transport.get_write_buffer_size())
        if taken < SLOWEST * self.limits.write_s:
            self._abort()
        else:
            self.pause_writing()

    def send_400_response(self, msg: str) -> None:
        self._refuse(bad_request(msg, "This server speaks HTTP/1.1."))

    def _await_headers(self) -> None:
        if not self._heading:
            self._heading = True
            self._deadline.set(self.limits.header_s)

    def _hang_up(self) -> None:
        """End the connection; at once when what was sent is not even taken, or closing would wait for that."""
        if self.transport.get_write_buffer_size():
            self._abort()
        else:
            self.transport.close()

    def _abort(self) -> None:
        """End it with a reset: the kernel would keep megabytes that nobody takes, and go on offering them."""
        found = self.transport.get_extra_info("socket")
        if found is not None:
            with suppress(OSError):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()

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

    def _cancel(self, *timers: str) -> None:
        for name in timers:
            timer: asyncio.TimerHandle | None = getattr(self, name)
            if timer:
                timer.cancel()
                setattr(self, name, None)


def _address(transport: asyncio.Transport, end: str) -> Address | None:
    """Host and port of one end of a connection; None where it has been cut already."""
    found = transport.get_extra_info(end)
    return (str(found[0]), int(found[1])) if found else None


def _full() -> Exception:
    return busy("too_many_connections", "Too many connections are open.", 1)


def limited(limits: LimitSettings, users: LocalUsers) -> type[LimitedProtocol]:
    """The protocol with these limits."""
    shared = Shared(limits, Connections(limits.connections), users)
    return type("LimitedProtocol", (LimitedProtocol,), {"shared": shared})
