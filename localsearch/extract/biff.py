"""What an Excel 97 to 2003 workbook says beside the values of its cells: formats, comments, text boxes, headers.

Reference: [MS-XLS]. Only BIFF8 is walked; workbooks of Excel 95 and before have their values alone.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from localsearch.extract.compound import compound
from localsearch.extract.decode import clean
from localsearch.extract.numberformat import BUILT_IN

_BOF, _EOF, _SHEET, _CONTINUE, _FORMAT, _STYLE = 0x0809, 0x000A, 0x0085, 0x003C, 0x041E, 0x00E0
_NUMBER, _RK, _MANY_RK, _FORMULA = 0x0203, 0x027E, 0x00BD, 0x0006
_HEADERS = (0x0014, 0x0015)
_NOTE, _OBJECT, _TEXT, _SERIES_TEXT = 0x001C, 0x005D, 0x01B6, 0x100D
_BIFF8 = 0x0600
_HEADER_CODE = re.compile(r'&(?:"[^"]*"|\d+|[LCRPNDTFAGZBIUSXYEOH])', re.I)


@dataclass(slots=True)
class OldSheet:
    """One sheet: format codes by row and column, and its texts with the row where one belongs to it."""

    formats: dict[tuple[int, int], str] = field(default_factory=dict)
    texts: list[tuple[str, int | None]] = field(default_factory=list)


def read_old_sheets(data: bytes) -> dict[str, OldSheet]:
    """Sheets of a workbook by name; none where it is no BIFF8."""
    file = compound(data)
    if not file.exists("Workbook"):
        return {}
    stream = file.openstream("Workbook").read()
    if len(stream) < 8 or struct.unpack_from("<HHH", stream)[::2] != (_BOF, _BIFF8):
        return {}
    codes: dict[int, str] = dict(BUILT_IN)
    styles: list[int] = []
    starts: dict[str, int] = {}
    for kind, body in _records(stream, 0):
        if kind == _FORMAT and len(body) > 5:
            codes[struct.unpack_from("<H", body)[0]] = _string(body[2:], 2)
        elif kind == _STYLE and len(body) > 4:
            styles.append(struct.unpack_from("<H", body, 2)[0])
        elif kind == _SHEET and len(body) > 8:
            starts[_string(body[6:], 1)] = struct.unpack_from("<I", body)[0]
    shown = {
        index: code for index, id in enumerate(styles) if (code := codes.get(id, "")) and code != "General"
    }
    return {name: _sheet(stream, start, shown) for name, start in starts.items()}


def _sheet(stream: bytes, start: int, codes: dict[int, str]) -> OldSheet:
    sheet = OldSheet()
    boxes: dict[int, str] = {}
    notes: list[tuple[int, int, int, str]] = []
    object, awaited = 0, 0
    for kind, body in _records(stream, start):
        if kind in (_NUMBER, _RK, _FORMULA) and len(body) >= 6:
            row, column, style = struct.unpack_from("<HHH", body)
            if style in codes:
                sheet.formats[row + 1, column + 1] = codes[style]
        elif kind == _MANY_RK and len(body) >= 12:
            _add_many(sheet, body, codes)
        elif kind == _OBJECT and len(body) >= 8:
            object = struct.unpack_from("<H", body, 6)[0]
        elif kind == _TEXT and len(body) >= 12:
            awaited = struct.unpack_from("<H", body, 10)[0]
        elif kind == _CONTINUE and awaited and body:
            piece = body[1:].decode("utf-16-le" if body[0] & 1 else "latin-1", "replace")[:awaited]
            boxes[object] = boxes.get(object, "") + piece
            awaited -= len(piece)
        elif kind == _NOTE and len(body) >= 9:
            row, column, _, id = struct.unpack_from("<HHHH", body)
            notes.append((row + 1, column, id, _string(body[8:], 2)))
        elif kind in _HEADERS and len(body) > 3:
            text = _HEADER_CODE.sub(" ", _string(body, 2).replace("&&", "\0")).replace("\0", "&")
            sheet.texts.append((" ".join(text.split()), None))
        elif kind == _SERIES_TEXT and len(body) > 4:
            sheet.texts.append((_string(body[2:], 1), None))
    _add_texts(sheet, boxes, notes)
    return sheet


def _add_many(sheet: OldSheet, body: bytes, codes: dict[int, str]) -> None:
    """Formats of a run of numbers in one row."""
    row, first = struct.unpack_from("<HH", body)
    for index in range((len(body) - 6) // 6):
        style = struct.unpack_from("<H", body, 4 + 6 * index)[0]
        if style in codes:
            sheet.formats[row + 1, first + index + 1] = codes[style]


def _add_texts(sheet: OldSheet, boxes: dict[int, str], notes: list[tuple[int, int, int, str]]) -> None:
    """Comments with their cells, then the text of other boxes."""
    for row, column, id, author in notes:
        text = clean(boxes.pop(id, "")).removeprefix(f"{author}:").strip()
        by = f" by {author}" if author else ""
        if text:
            sheet.texts.append((f"Comment on {column_letters(column + 1)}{row}{by}: {text}", row))
    sheet.texts += [(clean(text), None) for text in boxes.values()]


def column_letters(number: int) -> str:
    """The letters of a column from its number: 1 is A, 28 is AB."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _records(stream: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Records of a substream and of those inside it, such as charts, up to its end."""
    depth, at = 0, start
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        depth += (kind == _BOF) - (kind == _EOF)
        if depth <= 0:
            return
        yield kind, stream[at + 4 : at + 4 + size]
        at += 4 + size


def _string(body: bytes, width: int) -> str:
    """A string of one or two bytes to a character, its length in `width` bytes before it (2.5.293)."""
    count = int.from_bytes(body[:width], "little")
    if len(body) <= width:
        return ""
    wide = body[width] & 1
    text = body[width + 1 :]
    return text[: 2 * count].decode("utf-16-le", "replace") if wide else text[:count].decode("latin-1")
