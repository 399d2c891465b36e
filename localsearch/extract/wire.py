"""What goes between the pool and a worker: frames of MessagePack, each with its length before it.

A file goes to the worker as an open descriptor, never as a path that it would have to be allowed to open.
"""

from __future__ import annotations

import resource
import socket
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from localsearch.platform.group import LOOK_S, GroupWatch
from localsearch.types import Block, BlockKind, Chunk, Extract, Place

_LENGTH = struct.Struct("<I")
LARGEST = 1 << 30
"""Bytes of the longest frame that is believed."""
_TOGETHER = 100_000
MOST_NOTES = 100_000
"""Notes of one document that are believed."""
MOST_EXTRACTS = 1_000_000
"""Documents of one file that are believed; extract.max_members is far below."""

MOST_REPEATED = 8
"""Times that the chunks of a text may have its length together; those of `chunk` have it about twice at most."""

PLACE_FIELDS = tuple(Place.__dataclass_fields__)


class Page(msgspec.Struct, array_like=True):
    """A page to draw, so many pixels wide, with the passage and the words whose places are asked for."""

    number: int
    width: int
    passage: str = ""
    words: str = ""


class Job(msgspec.Struct, array_like=True):
    """Read the file behind the descriptor sent along; its name tells the type where its bytes do not.

    With a `page` that page is drawn instead.
    """

    name: str
    member: str = ""
    page: Page | None = None


class Found(msgspec.Struct, array_like=True):
    """One Extract. A block is (start, end, kind, index into places), a chunk (start, end, index into places)."""

    text: str
    type: str
    title: str
    blocks: list[tuple[int, int, BlockKind, int]]
    places: list[
        tuple[
            int | None,
            int | None,
            tuple[str, ...],
            str | None,
            int | None,
            int | None,
            str | None,
            str | None,
        ]
    ]
    metadata: dict[str, Any]
    member: str
    notes: tuple[str, ...]
    scans: bool = False
    chunks: list[tuple[int, int, int]] | None = None


class Reply(msgspec.Struct, array_like=True):
    """What came of a job, before `count` frames of Found; or, as the first frame, what confinement is in force."""

    count: int = 0
    rule: str = ""
    reason: str = ""
    hint: str = ""
    confinement: dict[str, str] = {}
    leaving: bool = False


def pack(extract: Extract) -> Found:
    """An Extract as it goes over the wire, each place once."""
    places: dict[Place, int] = {}
    blocks = [(b.start, b.end, b.kind, places.setdefault(b.place, len(places))) for b in extract.blocks]
    chunks = extract.chunks and [
        (chunk.start, chunk.end, places.setdefault(chunk.place, len(places))) for chunk in extract.chunks
    ]
    rows = [tuple(getattr(place, name) for name in PLACE_FIELDS) for place in places]
    return Found(extract.text, extract.type, extract.title, blocks, rows, dict(extract.metadata), extract.member,
                 extract.notes, extract.scans, None if extract.chunks is None else list(chunks or ()))  # fmt: skip


def unpack(frame: bytearray) -> Extract:
    """The Extract that was packed into a frame. Raises msgspec.DecodeError for what no reader of ours sends."""
    found = msgspec.msgpack.decode(frame, type=Found)
    if len(found.notes) > MOST_NOTES:
        raise msgspec.ValidationError("too many notes")
    places = [Place(*row) for row in found.places]
    blocks = tuple(_blocks(found, places))
    chunks = None if found.chunks is None else tuple(_chunks(found, places))
    return Extract(found.text, found.type, found.title, blocks, found.metadata, found.member, found.notes,
                   found.scans, chunks)  # fmt: skip


def _blocks(found: Found, places: list[Place]) -> Iterator[Block]:
    """The blocks, in order, apart, inside the text, each at a place that was sent."""
    before = 0
    for start, end, kind, at in found.blocks:
        if not before <= start <= end <= len(found.text) or not 0 <= at < len(places):
            raise msgspec.ValidationError("blocks that are none of this text")
        before = end
        yield Block(start, end, kind, places[at])


def _chunks(found: Found, places: list[Place]) -> Iterator[Chunk]:
    """The chunks, each beginning after the one before it, inside the text, at a place that was sent."""
    before, room = -1, MOST_REPEATED * len(found.text)
    for start, end, at in found.chunks or ():
        room -= end - start
        if room < 0:
            raise msgspec.ValidationError("chunks that repeat the text over and over")
        if not before < start < end <= len(found.text) or not 0 <= at < len(places):
            raise msgspec.ValidationError("chunks that are none of this text")
        before = start
        yield Chunk(start, end, places[at])


def send(connection: socket.socket, *messages: object) -> None:
    """One frame for each, short ones together: each time that the other side wakes up costs as much as a short file."""
    waiting = b""
    for message in messages:
        body = msgspec.msgpack.encode(message)
        waiting += _LENGTH.pack(len(body)) + body
        if len(waiting) > _TOGETHER:
            connection.sendall(waiting)
            waiting = b""
    connection.sendall(waiting)


def receive(
    connection: socket.socket, deadline: float | None = None, watch: GroupWatch | None = None
) -> bytearray:
    """The next frame; EOFError when the other side is gone, TimeoutError when time.monotonic() passes the deadline.

    With `watch` whoever sends is looked at meanwhile, which may raise Exceeded; it needs a deadline.
    """
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size, deadline, watch))
    if length > LARGEST:
        raise EOFError(f"a frame of {length} bytes")
    return _exactly(connection, length, deadline, watch)


def _exactly(
    connection: socket.socket, length: int, deadline: float | None, watch: GroupWatch | None
) -> bytearray:
    data = bytearray(length)
    view = memoryview(data)
    at = 0
    while at < length:
        left = None if deadline is None else max(0.001, deadline - time.monotonic())
        if left is not None:
            connection.settimeout(min(left, LOOK_S) if watch else left)
        if watch:
            watch.look()
        try:
            count = connection.recv_into(view[at:])
        except TimeoutError:
            if watch is None or left is None or left <= LOOK_S:
                raise
            continue
        if not count:
            raise EOFError("the other side has closed")
        at += count
    return data


def resident_bytes(usage: resource.struct_rusage) -> int:
    """The most memory that a process had, in bytes: macOS counts in them, other systems in kilobytes."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
