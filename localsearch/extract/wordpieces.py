"""Where the text of Word 97 files lies.

Reference: [MS-DOC] 2.4.1 (retrieving text), 2.9.38 (Clx).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from localsearch.extract.compound import Container

IDENTITY, _TABLE_1 = 0xA5EC, 0x0200
SHORTEST = 0x200
"""Bytes of the header, which every such stream begins with."""
_CLX = 0x1A2
_COMPRESSED = 0x40000000


def table_of(stream: bytes, file: Container) -> bytes:
    """The stream in which the tables of a document stand."""
    name = "1Table" if struct.unpack_from("<H", stream, 10)[0] & _TABLE_1 else "0Table"
    table: bytes = file.openstream(name).read()
    return table


def pieces(stream: bytes, file: Container) -> Iterator[tuple[int, int, int, int]]:
    """First and last letter of each piece of text, where it begins in the stream, and the bytes of a letter."""
    if len(stream) < _CLX + 8 or struct.unpack_from("<H", stream)[0] != IDENTITY:
        return
    at, length = struct.unpack_from("<II", stream, _CLX)
    table = table_of(stream, file)[at : at + length]
    at = 0
    while table[at : at + 1] == b"\1":
        at += 3 + struct.unpack_from("<H", table, at + 1)[0]
    count = (struct.unpack_from("<I", table, at + 1)[0] - 4) // 12
    places = struct.unpack_from(f"<{count + 1}I", table, at + 5)
    for index in range(count):
        begins = struct.unpack_from("<I", table, at + 5 + 4 * (count + 1) + 8 * index + 2)[0]
        narrow = bool(begins & _COMPRESSED)
        begins, width = ((begins & ~_COMPRESSED) // 2, 1) if narrow else (begins, 2)
        first, last = places[index : index + 2]
        if first < last and begins + width * (last - first) <= len(stream):
            yield first, last, begins, width
