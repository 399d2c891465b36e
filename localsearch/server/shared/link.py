"""The private socket between the processes that read and the one that writes: requests one way, answers the other.

One connection carries one request. A message is its length in four bytes and MessagePack. What is sent has passed the
checks of the process that took it from a client: who asked is told, not asked again. The socket lies in a folder of
this user's alone; its first message has to hold the secret of the run.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path
from typing import Any

import msgspec

from localsearch.server.keys import Key
from localsearch.server.problems import Headers, HttpError, busy
from localsearch.server.responses import WHOLE, Receive, Send, while_there
from localsearch.server.shared.reports import Report

_LENGTH = struct.Struct("!I")
_REPORT_S = 10.0
"""Seconds that a report may take; its process reads keys in the same thread."""
_REPEATABLE = frozenset({"GET", "HEAD"})


class Request(msgspec.Struct, tag="request", frozen=True):
    """A request as its process has admitted it, in the words of ASGI's scope."""

    secret: bytes
    method: str
    path: str
    query_string: bytes
    headers: list[tuple[bytes, bytes]]
    client: tuple[str, int] | None
    key: Key | None
    content_type: bytes | None
    length: int | None
    id: str
    body: bytes


class Reported(msgspec.Struct, tag="report", frozen=True):
    """A report of what a process has counted."""

    secret: bytes
    report: Report


class Whole(msgspec.Struct, tag="whole", frozen=True):
    """A whole answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Begun(msgspec.Struct, tag="begun", frozen=True):
    """The head of an answer that comes in pieces."""

    status: int
    headers: list[tuple[bytes, bytes]]


class Piece(msgspec.Struct, tag="piece", frozen=True):
    """A part of its body; `more` says whether another follows."""

    body: bytes
    more: bool = False


class Told(msgspec.Struct, tag="told", frozen=True):
    """The answer to a report: questions to ask once, to warm the caches."""

    frequent: list[dict[str, Any]] = []


Message = Request | Reported | Whole | Begun | Piece | Told
_decoder = msgspec.msgpack.Decoder(Message)


def packed(message: Message) -> bytes:
    """A message as it is sent."""
    body = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(body)) + body


async def read(reader: asyncio.StreamReader) -> Message:
    """The next message. Raises IncompleteReadError when the other end is gone, DecodeError for none of ours."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    message: Message = _decoder.decode(await reader.readexactly(length))
    return message


class Link:
    """The way of one reading process to the writing one."""

    def __init__(self, path: Path, secret: bytes) -> None:
        self._path, self._secret = path, secret

    async def forward(
        self, scope: dict[str, Any], body: bytes, id: str, receive: Receive, send: Send
    ) -> None:
        """Have a request answered by the process that writes, and pass its answer on.

        One that may be repeated is asked anew where that process dies meanwhile. Any other is answered with 503,
        since nobody knows whether it was done.
        """
        request = packed(self._request(scope, body, id))
        tries = 2 if scope["method"] in _REPEATABLE else 1
        for left in reversed(range(tries)):
            begun = False

            async def sending(message: dict[str, Any]) -> None:
                nonlocal begun
                begun = True
                await send(message)

            try:
                await self._exchange(request, receive, sending)
                return
            except (OSError, asyncio.IncompleteReadError) as error:
                if begun:
                    raise
                if not left:
                    raise _broken() from error

    def report(self, report: Report) -> Told:
        """Tell what was counted; waits for the answer, so not for the event loop. Raises OSError."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_REPORT_S)
            connection.connect(str(self._path))
            connection.sendall(packed(Reported(self._secret, report)))
            (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
            told = _decoder.decode(_exactly(connection, length))
        if not isinstance(told, Told):
            raise ConnectionError("a report was answered with something else")
        return told

    def _request(self, scope: dict[str, Any], body: bytes, id: str) -> Request:
        return Request(
            secret=self._secret,
            method=scope["method"],
            path=scope["path"],
            query_string=scope["query_string"],
            headers=[(bytes(name), bytes(value)) for name, value in scope["headers"]],
            client=tuple(scope["client"]) if scope.get("client") else None,
            key=scope["localsearch.key"],
            content_type=scope["localsearch.content_type"],
            length=scope["localsearch.length"],
            id=id,
            body=body,
        )

    async def _exchange(self, request: bytes, receive: Receive, send: Send) -> None:
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            writer.write(request)
            await writer.drain()
            await while_there(receive, _passed_on(reader, send))
        finally:
            writer.close()


async def _passed_on(reader: asyncio.StreamReader, send: Send) -> None:
    while True:
        message = await read(reader)
        if isinstance(message, Whole):
            headers = list(message.headers)
            await send({"type": WHOLE, "status": message.status, "headers": headers, "body": message.body})
            return
        if isinstance(message, Begun):
            await send(
                {"type": "http.response.start", "status": message.status, "headers": list(message.headers)}
            )
        elif isinstance(message, Piece):
            await send({"type": "http.response.body", "body": message.body, "more_body": message.more})
            if not message.more:
                return
        else:
            raise ConnectionError("an answer holds something else")


def _exactly(connection: socket.socket, size: int) -> bytes:
    pieces = b""
    while len(pieces) < size:
        piece = connection.recv(size - len(pieces))
        if not piece:
            raise ConnectionError("the process that writes hung up")
        pieces += piece
    return pieces


def _broken() -> HttpError:
    return busy(
        "interrupted",
        "The process that writes ended before it answered.",
        1,
        hint="It is being started again. What was sent may or may not be done: look, or send it again.",
    )


class Framed:
    """ASGI's send, over a connection of the private socket."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.begun = False

    async def __call__(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind in (WHOLE, "http.response.start"):
            self.begun = True
            headers: Headers = [(bytes(name), bytes(value)) for name, value in message["headers"]]
        if kind == WHOLE:
            self._writer.write(packed(Whole(message["status"], headers, message["body"])))
            await self._writer.drain()
            return
        if kind == "http.response.start":
            self._writer.write(packed(Begun(message["status"], headers)))
            return
        self._writer.write(packed(Piece(message.get("body", b""), message.get("more_body", False))))
        await self._writer.drain()
