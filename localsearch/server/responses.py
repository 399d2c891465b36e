"""Answers that are not simply JSON, and sending any answer over ASGI.

The types are made by handlers, in any thread; the functions belong to the event loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from localsearch.server.headers import DATA_HEADERS, PAGE_HEADERS
from localsearch.server.problems import Headers

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
InThread = Callable[..., Awaitable[Any]]
"""Runs a function with its arguments in a worker thread."""
WHOLE = "localsearch.answer"
"""The type of a message that is a whole answer: status, headers, body."""
FILE_PIECE = 256 * 1024
"""Bytes of a file that are read and sent at a time."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that is not simply JSON with the operation's usual status."""

    body: bytes | Struct
    status: int = 200
    headers: Headers = field(default_factory=list)
    type: bytes = b"application/json"
    page: bool = False


@dataclass(frozen=True, slots=True)
class FileResponse:
    """An open file to send, `size` bytes from where it stands; it is closed afterwards."""

    descriptor: int
    size: int
    headers: Headers
    status: int = 200


async def send_response(send: Send, reply: Response | FileResponse, in_thread: InThread) -> None:
    if isinstance(reply, FileResponse):
        await _send_file(send, reply, in_thread)
        return
    headers = PAGE_HEADERS if reply.page else DATA_HEADERS
    assert isinstance(reply.body, bytes)
    await send_bytes(
        send, reply.status, [(b"content-type", reply.type), *reply.headers, *headers], reply.body
    )


async def send_bytes(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """One whole answer, as one message; the middleware writes it at once, or as the two that ASGI has for it."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": WHOLE, "status": status, "headers": [*headers, length], "body": body})


async def _send_file(send: Send, reply: FileResponse, in_thread: InThread) -> None:
    try:
        length = (b"content-length", str(reply.size).encode())
        await send(
            {"type": "http.response.start", "status": reply.status, "headers": [*reply.headers, length]}
        )
        left = reply.size
        while left:
            piece = await in_thread(os.read, reply.descriptor, min(left, FILE_PIECE))
            if not piece:
                raise ConnectionError("The file became shorter while it was sent.")
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": bool(left)})
        if not reply.size:
            await send({"type": "http.response.body", "body": b""})
    finally:
        os.close(reply.descriptor)


async def while_there(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, but stop as soon as the client has left: sending to nobody raises no error."""
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
    finally:
        doing.cancel()
        leaving.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
