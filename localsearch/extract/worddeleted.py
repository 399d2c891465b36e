"""Text of Word 97 files that a change not yet accepted deletes: it is no part of the document as it stands.

Reference: [MS-DOC] 2.8.5 (PlcBteChpx), 2.9.33 (ChpxFkp), 2.6.1 (sprmCFRMarkDel).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from localsearch.extract.compound import Container
from localsearch.extract.wordpieces import pieces, table_of

_RUNS = 0xFA
"""Where the header tells the place of the table of pages with the properties of runs of letters."""
_PAGE = 512
_DELETED = 0x0800
_OPERANDS = (1, 1, 2, 4, 2, 2, 0, 3)
"""Bytes of a property's operand by the three highest bits of its number; 0: told by the first of them."""
_SET = (1, 0x81)
"""What switches a property on: by itself, and by the contrary of the style, which never has this one."""
_KEPT = frozenset(b"\r\x07\x0c")
"""Ends of paragraphs, cells and sections, which hold the rest together."""
_NOTHING = 1
"""What is written over a letter: the sign of a picture, which is no text."""


def without_deleted(stream: bytes, file: Container) -> bytes:
    """The document's stream with its deleted letters overwritten."""
    runs = list(_deleted(stream, file))
    if not runs:
        return stream
    changed = bytearray(stream)
    for first, last, begins, width in pieces(stream, file):
        ends = begins + width * (last - first)
        for low, high in runs:
            for at in range(max(low, begins), min(high, ends), width):
                if changed[at] not in _KEPT or (width == 2 and changed[at + 1]):
                    changed[at : at + width] = _NOTHING.to_bytes(width, "little")
    return bytes(changed)


def _deleted(stream: bytes, file: Container) -> Iterator[tuple[int, int]]:
    """Begin and end of each deleted run in the stream."""
    at, length = struct.unpack_from("<II", stream, _RUNS)
    table = table_of(stream, file)[at : at + length]
    count = (len(table) - 4) // 8
    if count <= 0:
        return
    for number in struct.unpack_from(f"<{count}I", table, 4 * (count + 1)):
        page = stream[_PAGE * (number & 0x3FFFFF) :][:_PAGE]
        if len(page) < _PAGE or b"\x00\x08" not in page:
            continue
        runs = min(page[-1], 101)
        places = struct.unpack_from(f"<{runs + 1}I", page)
        for index in range(runs):
            offset = 2 * page[4 * (runs + 1) + index]
            if offset and _marks_deleted(page[offset + 1 : offset + 1 + page[offset]]):
                yield places[index], places[index + 1]


def _marks_deleted(properties: bytes) -> bool:
    """Whether the last word of a run's properties on it is that it is deleted."""
    at, found = 0, False
    while at + 3 <= len(properties):
        number = struct.unpack_from("<H", properties, at)[0]
        if number == _DELETED:
            found = properties[at + 2] in _SET
        at += 2 + (_OPERANDS[number >> 13] or properties[at + 2] + 1)
    return found
