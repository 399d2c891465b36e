"""Notes, comments, headers and text boxes of Word 97 files: kreuzberg reads the running text alone.

Reference: [MS-DOC] 2.3 (document parts), 2.5.4 (FibRgLw97), 2.9.20 (ATRDPre10).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from localsearch.extract.compound import Container, compound
from localsearch.extract.decode import clean
from localsearch.extract.worddeleted import without_deleted
from localsearch.extract.wordpieces import IDENTITY, SHORTEST, pieces, table_of

_LENGTHS = struct.Struct("<8I")
_COMMENTS, _COMMENTERS = 0xBA, 0x1BA
"""Where the header tells the places of the marks of comments and of the names of those who wrote them."""
_MARK = 30
_FIELD = re.compile("\x13[^\x13\x14\x15]*(?:\x14([^\x13\x14\x15]*))?\x15")
_BREAKS = str.maketrans({"\r": "\n", "\x0b": "\n", "\x0c": "\n", "\x07": "\t", "\x1e": "-", "\x1f": None})
_DEEPEST = 10


class _Stories(NamedTuple):
    """Letters in the parts of a document, in the order in which they are kept."""

    text: int
    footnotes: int
    headers: int
    macros: int
    comments: int
    endnotes: int
    boxes: int
    header_boxes: int


def stories(data: bytes) -> Iterator[str]:
    """Paragraphs of notes, comments, text boxes and headers of a Word 97 file, in this order."""
    file = compound(data)
    stream: bytes = file.openstream("WordDocument").read()
    if len(stream) < SHORTEST or struct.unpack_from("<H", stream)[0] != IDENTITY:
        return
    lengths = _Stories(*_LENGTHS.unpack_from(stream, 76))
    if not any(lengths[1:]):
        return
    stream = without_deleted(stream, file)
    starts = dict(zip(_Stories._fields, _running(lengths), strict=True))

    def text(part: str) -> str:
        return _between(stream, file, starts[part], starts[part] + getattr(lengths, part))

    for part in ("footnotes", "endnotes"):
        yield from _paragraphs(text(part))
    if lengths.comments:
        authors = list(_authors(stream, file))
        for number, comment in enumerate(text("comments").split("\5")[1:]):
            said = "\n".join(_paragraphs(comment))
            if said:
                yield f"Comment by {authors[number]}: {said}" if number < len(authors) else f"Comment: {said}"
    for part in ("boxes", "headers", "header_boxes"):
        yield from _paragraphs(text(part))


def _running(lengths: _Stories) -> Iterator[int]:
    at = 0
    for length in lengths:
        yield at
        at += length


def _between(stream: bytes, file: Container, start: int, end: int) -> str:
    """The letters from one place to another, as they are stored."""
    found: list[str] = []
    for first, last, begins, width in pieces(stream, file) if start < end else ():
        low, high = max(first, start), min(last, end)
        if low < high:
            part = stream[begins + width * (low - first) : begins + width * (high - first)]
            found.append(part.decode("cp1252" if width == 1 else "utf-16-le", "replace"))
    return "".join(found)


def _paragraphs(text: str) -> Iterator[str]:
    """Text as shown, of fields the result."""
    for _ in range(_DEEPEST):
        text, changed = _FIELD.subn(lambda field: field[1] or "", text)
        if not changed:
            break
    for line in clean(text.translate(_BREAKS)).split("\n"):
        if line.strip():
            yield line.strip()


def _authors(stream: bytes, file: Container) -> Iterator[str]:
    """Who wrote each comment, by the table of names, else by initials."""
    table = table_of(stream, file)
    names = list(_names(_part(stream, table, _COMMENTERS)))
    marks = _part(stream, table, _COMMENTS)
    count = (len(marks) - 4) // (4 + _MARK)
    for index in range(count):
        mark = marks[4 * (count + 1) + _MARK * index :][:_MARK]
        length, which = struct.unpack_from("<H", mark)[0], struct.unpack_from("<H", mark, 20)[0]
        initials = mark[2 : 2 + 2 * min(length, 9)].decode("utf-16-le", "replace")
        yield names[which] if which < len(names) else initials


def _part(stream: bytes, table: bytes, place: int) -> bytes:
    at, length = struct.unpack_from("<II", stream, place)
    return table[at : at + length]


def _names(data: bytes) -> Iterator[str]:
    at = 0
    while at + 2 <= len(data):
        length = 2 * struct.unpack_from("<H", data, at)[0]
        yield data[at + 2 : at + 2 + length].decode("utf-16-le", "replace")
        at += 2 + length
