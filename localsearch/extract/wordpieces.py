"""Where the text of Word 97 files lies; and letters beyond the 65,536 of one unit, which kreuzberg leaves out.

Reference: [MS-DOC] 2.4.1 (retrieving text), 2.9.38 (Clx).
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator

from localsearch.extract.compound import Container, compound

IDENTITY, _TABLE_1 = 0xA5EC, 0x0200
_CLX = 0x1A2
_COMPRESSED = 0x40000000
_LEADS, _TRAILS = range(0xD800, 0xDC00), range(0xDC00, 0xE000)
_SHIFT = 0x0800
"""From surrogates to the private letters U+E000 to U+E7FF, which stand for nothing that can be read."""
_MASKED = re.compile("([\ue000-\ue3ff])([\ue400-\ue7ff])")


def masked(data: bytes) -> bytes:
    """The file with private letters in place of surrogates; as it is where it has none, or private ones of its own."""
    file = compound(data)
    stream: bytes = file.openstream("WordDocument").read()
    wide = [(begins, last - first) for first, last, begins, width in pieces(stream, file) if width == 2]
    changed = bytearray(stream)
    for begins, length in wide:
        units = struct.unpack_from(f"<{length}H", stream, begins)
        if any(0xE000 <= unit < 0xE800 for unit in units):
            return data
        if any(0xD800 <= unit < 0xE000 for unit in units):
            struct.pack_into(f"<{length}H", changed, begins, *_moved(units))
    return data if changed == stream else _with_stream(data, bytes(changed))


def unmasked(text: str) -> str:
    """Text with the letters that stand behind pairs of private ones."""
    return _MASKED.sub(_letter, text)


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


def _moved(units: tuple[int, ...]) -> Iterator[int]:
    for index, unit in enumerate(units):
        lead = unit in _LEADS and index + 1 < len(units) and units[index + 1] in _TRAILS
        trail = unit in _TRAILS and index > 0 and units[index - 1] in _LEADS
        yield unit + _SHIFT if lead or trail else unit


def _with_stream(data: bytes, stream: bytes) -> bytes:
    import olefile

    buffer = io.BytesIO(data)
    with olefile.OleFileIO(buffer, write_mode=True) as file:
        file.write_stream("WordDocument", stream)
        return buffer.getvalue()


def _letter(match: re.Match[str]) -> str:
    lead, trail = (ord(unit) - _SHIFT for unit in match.groups())
    return chr(0x10000 + (lead - 0xD800 << 10) + trail - 0xDC00)
