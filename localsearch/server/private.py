"""What the process that writes does for the others: it answers the requests that they hand on, and takes reports.

Belongs to the event loop. A request comes here admitted: host, key, rate and size were checked by who sends it.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import socket
import struct
import time
from contextlib import suppress
from typing import Any

import msgspec
from starlette.types import ASGIApp

from localsearch.server.bodies import ClientGone
from localsearch.server.headers import DATA_HEADERS
from localsearch.server.logs import request_id
from localsearch.server.problems import HttpError, answer
from localsearch.server.responses import Receive, send_bytes
from localsearch.server.service import Service
from localsearch.server.shared.link import Framed, Reported, Request, packed, read

log = logging.getLogger("localsearch.server")

_CREDENTIALS = struct.Struct("3i")
_END_S = 0.05
"""Seconds between two looks whether the others have ended."""
_MORE_S = 5.0
"""Seconds more than their requests may take that they are waited for."""


class PrivateServer:
    """Listens on the private socket from `start` to `stop`. `app` is the routes without the checks before them."""

    def __init__(self, app: ASGIApp, service: Service, listener: socket.socket) -> None:
        self._app: Any = app
        self._service, self._listener = service, listener
        assert service.plan
        self._secret = service.plan.secret
        self._server: asyncio.Server | None = None
        self._working: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._connected, sock=self._listener)

    async def stop(self) -> None:
        """Answer the others until they have ended, then what has come from them."""
        until = time.monotonic() + self._service.settings.server.limits.shutdown_s + _MORE_S
        while (self._working or self._others_live()) and time.monotonic() < until:
            await asyncio.sleep(_END_S)
        if self._server:
            self._server.close()

    def _others_live(self) -> bool:
        board = self._service.board
        return any(_lives(pid) for pid in (board.pids() if board else ()) if pid != os.getpid())

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._working.add(task)
        try:
            if not _is_own(writer):
                log.warning("another user's process was refused at the private socket")
                return
            message = await read(reader)
            if not isinstance(message, Request | Reported):
                return
            if not hmac.compare_digest(message.secret, self._secret):
                log.warning("a request without the secret was refused at the private socket")
                return
            if isinstance(message, Reported):
                told = await self._service.in_thread(self._service.take_report, message.report)
                writer.write(packed(told))
                await writer.drain()
                return
            await self._answer(message, reader, writer)
        except (OSError, asyncio.IncompleteReadError, msgspec.DecodeError, ClientGone) as error:
            log.debug("a request at the private socket ended: %r", error)
        finally:
            self._working.discard(task)
            writer.close()

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        send, token = Framed(writer), request_id.set(request.id)
        try:
            await self._app(_scope(request), _receiving(request.body, reader), send)
        except (OSError, ClientGone):
            raise
        except Exception as error:
            status, headers, body = answer(error, request.path)
            if status >= 500 and not isinstance(error, HttpError):
                log.error("%s", error, exc_info=error)
            if send.begun:
                return
            if isinstance(error, HttpError):
                self._service.metrics.refused(status, error.code)
            await send_bytes(send, status, [*headers, *DATA_HEADERS], body)
        finally:
            request_id.reset(token)


class _Admitted:
    """In place of who is at the other end: a request comes here only when its process has let that one ask this."""

    uid = os.geteuid()


_ADMITTED = _Admitted()


def _scope(request: Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": request.method,
        "path": request.path,
        "raw_path": request.path.encode("utf-8", "surrogateescape"),
        "root_path": "",
        "query_string": request.query_string,
        "headers": request.headers,
        "client": request.client,
        "server": None,
        "localsearch.started": time.perf_counter(),
        "localsearch.key": request.key,
        "localsearch.peer": _ADMITTED,
        "localsearch.content_type": request.content_type,
        "localsearch.length": request.length,
    }


def _receiving(body: bytes, reader: asyncio.StreamReader) -> Receive:
    """ASGI's receive: the whole body, then that the other end has gone, once it has."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop()
        with suppress(OSError):
            await reader.read(1)
        return {"type": "http.disconnect"}

    return receive


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _is_own(writer: asyncio.StreamWriter) -> bool:
    """Whether the other end is a process of this user, where the system tells (SO_PEERCRED, unix(7))."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    connection = writer.get_extra_info("socket")
    _, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return bool(uid == os.geteuid())
