"""Reading what a client sends, within limits of size and time.

`read_body` belongs to the event loop; decoding is plain functions for any thread. It knows no route and no service.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from localsearch.server.problems import HttpError, bad_request, busy
from localsearch.server.responses import Receive

MOST_PARAMETERS = 50

_NO_TEXT = re.compile(r"`str` matching regex '\\+S'")
"""How msgspec says that a text has nothing but white space."""
SMALL = 64 * 1024
"""Bytes of a body that are read without asking for room: connections bound how many there are."""


class ByteBudget:
    """Room for the bodies of all clients together. Belongs to the event loop.

    Who finds no room waits its turn, and meanwhile nothing is read from it.
    """

    def __init__(self, most: int) -> None:
        self._most, self._free = most, most
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def held(self) -> int:
        """Bytes that are spoken for."""
        return self._most - self._free

    def small_or_room(
        self, declared: int | None, most: int, seconds: float
    ) -> AbstractAsyncContextManager[None]:
        """`room` for a body of at most `most` bytes; a small one needs none, and too large a one is not read."""
        size = most if declared is None else declared
        return nullcontext() if size <= SMALL or size > most else self.room(size, seconds)

    @asynccontextmanager
    async def room(self, size: int, seconds: float) -> AsyncIterator[None]:
        """Hold `size` bytes. Raises 503 when there is no room for them within `seconds`."""
        size = min(size, self._most)
        await self._acquire(size, seconds)
        try:
            yield
        finally:
            self._free += size
            self._wake()

    async def _acquire(self, size: int, seconds: float) -> None:
        if size <= self._free and not self._waiting:
            self._free -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._free += size
            with suppress(ValueError):
                self._waiting.remove((size, turn))
            self._wake()
            if isinstance(error, TimeoutError):
                raise _no_room() from None
            raise

    def _wake(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= size
                turn.set_result(None)


def _no_room() -> HttpError:
    error = busy("bodies_full", "Too much is being sent at once.", 5)
    error.headers.append((b"connection", b"close"))
    return error


class ClientGone(Exception):
    """The client left before the end of its request; there is nobody to answer."""


async def read_body(
    receive: Receive, declared: int | None, most: int, seconds: float, *, received: bool = False
) -> bytes:
    """The whole body. Raises 413 beyond `most` bytes and 408 when it takes longer than `seconds`.

    One that is `received` already needs no clock.
    """
    if declared is not None and declared > most:
        raise _too_large(most)
    if received:
        return await _read(receive, most)
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, most)
    except TimeoutError:
        raise HttpError(
            408,
            "too_slow",
            f"The body did not arrive within {seconds:g} seconds.",
            hint="Send it again.",
            close=True,
        ) from None


async def _read(receive: Receive, most: int) -> bytes:
    parts = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts += message.get("body", b"")
        if len(parts) > most:
            raise _too_large(most)
        if not message.get("more_body"):
            return bytes(parts)


def _too_large(most: int) -> HttpError:
    return HttpError(
        413,
        "too_large",
        f"The body may be at most {most // 1024} kB.",
        hint="Send less at a time; server.limits.documents_mb in settings.toml bounds what sends documents.",
        close=True,
    )


def decode_body(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    """The body as the operation's type. Raises 400 saying what does not fit and where."""
    if not body:
        raise bad_request("The body is empty; JSON is expected.")
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            if "Expected `int`, got `float`" not in str(error):
                raise
            return msgspec.convert(_whole(msgspec.json.decode(body)), decoder.type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(_NO_TEXT.sub("text that is not empty", str(error))) from None
    except RecursionError:
        raise bad_request("The body nests too deep.") from None


def _whole(value: Any) -> Any:
    """Numbers such as 5.0 as 5: to JSON they are the same."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def decode_query(kind: type[msgspec.Struct] | None, query_string: bytes) -> Any:
    """The query string as the operation's type. Raises 400 for what is unknown, missing, doubled or unfit."""
    pairs = _pairs(query_string)
    if kind is None:
        if pairs:
            raise bad_request(f"There is no parameter `{pairs[0][0]}` here.")
        return None
    values = dict(pairs)
    if len(values) < len(pairs):
        raise bad_request("A parameter is given twice.")
    try:
        found = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise bad_request(str(error).replace("Object", "The query string").replace("$.", "")) from None
    if nulled := [name for name in values if getattr(found, name) is None]:
        # What may be left out may not be the word "null".
        raise bad_request(f"`{nulled[0]}` has no such value as {values[nulled[0]]}.")
    return found


def _pairs(query_string: bytes) -> list[tuple[str, str]]:
    if not query_string:
        return []
    try:
        return parse_qsl(
            query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        raise bad_request(f"More than {MOST_PARAMETERS} parameters.") from None
