"""What kreuzberg is not to see of Word 97 files: deleted text, and letters beyond 65,536, which it drops.

Reference: [MS-DOC] 2.4.1 (retrieving text).
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator

from localsearch.extract.compound import compound
from localsearch.extract.worddeleted import without_deleted
from localsearch.extract.wordpieces import IDENTITY, SHORTEST, pieces

_LEADS, _TRAILS = range(0xD800, 0xDC00), range(0xDC00, 0xE000)
_SHIFT = 0x0800
"""From surrogates to the private letters U+E000 to U+E7FF, which stand for nothing that can be read."""
_MASKED = re.compile("([\ue000-\ue3ff])([\ue400-\ue7ff])")


def masked(data: bytes) -> bytes:
    """The file without deleted text, with private letters for surrogates unless it has private ones of its own."""
    file = compound(data)
    original: bytes = file.openstream("WordDocument").read()
    if len(original) < SHORTEST or struct.unpack_from("<H", original)[0] != IDENTITY:
        return data
    stream = without_deleted(original, file)
    wide = [(begins, last - first) for first, last, begins, width in pieces(stream, file) if width == 2]
    changed = bytearray(stream)
    for begins, length in wide:
        units = struct.unpack_from(f"<{length}H", stream, begins)
        if any(0xE000 <= unit < 0xE800 for unit in units):
            changed = bytearray(stream)
            break
        if any(0xD800 <= unit < 0xE000 for unit in units):
            struct.pack_into(f"<{length}H", changed, begins, *_moved(units))
    return data if changed == original else _with_stream(data, bytes(changed))


def unmasked(text: str) -> str:
    """Text with the letters that stand behind pairs of private ones."""
    return _MASKED.sub(_letter, text)


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
