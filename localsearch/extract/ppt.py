"""PPT: the text of each slide of PowerPoint 97 to 2003, its number as the page.

Reference: [MS-PPT]. Slides are found as PowerPoint finds them, by the persist directory (2.1.2), so that their order is
the order of the show and what earlier saves left in the file is not read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from localsearch.extract.builder import Builder
from localsearch.extract.compound import compound
from localsearch.extract.decode import clean
from localsearch.extract.embedded import objects
from localsearch.extract.limits import failure
from localsearch.extract.packages import LARGEST_PART, own_title, properties
from localsearch.extract.source import Source
from localsearch.types import Extract, Place

_DOCUMENT, _SLIDE, _NOTES, _MASTER = 1000, 1006, 1008, 1016
_SLIDE_ATOM, _SLIDE_LIST, _SLIDE_PERSIST = 1007, 4080, 1011
_USER_EDIT, _DIRECTORY, _PLACEHOLDER = 4085, 6002, 3011
_TEXT_HEADER, _TEXT_CHARS, _TEXT_BYTES, _OUTLINE_REFERENCE = 3999, 4000, 4008, 3998
_STRING, _COMMENT, _PROGRAM_DATA = 4026, 12000, 5003
_SHAPE, _TEXT_BOX = 0xF004, 0xF00D
_OPTIONS = (0xF00B, 0xF121, 0xF122)
_TITLES = (0, 6)
_WORD_ART, _DESCRIPTION = 0x00C0, 0x0381
_ENCRYPTED = 0xF3D1C4DF
_OBJECT = 0x1011
_DEEPEST = 100
_PIECE = 512
_HEAD = struct.Struct("<HHI")
_KIND = struct.Struct("<H")


class _Record(NamedTuple):
    kind: int
    instance: int
    container: bool
    start: int
    end: int


@dataclass(slots=True)
class _Listed:
    """A slide, master or notes page as the document lists it, with the outline's texts: type and text of each."""

    persist: int
    id: int
    outline: list[tuple[int, str]] = field(default_factory=list)


def read_ppt(source: Source) -> list[Extract]:
    """Title, text, notes and comments of every slide; what masters show on all slides once, at the end."""
    stream, user = _streams(source.data)
    show = _Show(stream, user)
    builder = Builder(source.limits.text)
    for number, listed in enumerate(show.lists.get(0, []), 1):
        _add_slide(builder, show, listed, Place(page=number))
    builder.leave_headings()
    shown: dict[str, None] = {}
    for listed in show.lists.get(1, []):
        for _, text in show.texts(listed, placeholders=False):
            shown.setdefault(text)
    for text in shown:
        builder.add(text)
    title, metadata = properties(source.data, "ppt")
    inside = objects(source, show.objects(), show.notes)
    builder.notes += show.notes
    if builder.empty and not any(extract.text for extract in inside):
        raise failure("no-text", "its slides hold no text: pictures or embedded objects only, or nothing")
    metadata["slides"] = len(show.lists.get(0, []))
    return [builder.extract("ppt", title=own_title(title), metadata=metadata), *inside]


def _streams(data: bytes) -> tuple[bytes, bytes]:
    """The stream of the document, and the one that tells where its last save begins."""
    try:
        file = compound(data)
        if file.exists("EncryptedSummary") or file.exists("EncryptedPackage"):
            raise failure("encrypted", "it asks for a password")
        if not file.exists("PowerPoint Document"):
            old = file.exists("PP40") or file.exists("PowerPoint")
            reason = "it was written by PowerPoint 95 or before" if old else "it holds no presentation"
            raise failure("unsupported", reason)
        user = file.openstream("Current User").read() if file.exists("Current User") else b""
        return file.openstream("PowerPoint Document").read(), user
    except (OSError, struct.error, IndexError, ValueError) as error:
        raise failure("damaged", f"could not be read: {error}") from None


def _add_slide(builder: Builder, show: _Show, listed: _Listed, place: Place) -> None:
    builder.leave_headings()
    texts = show.texts(listed)
    title = next((text for kind, text in texts if kind in _TITLES), "")
    pieces = [text for kind, text in texts if text != title or kind not in _TITLES]
    notes = show.notes_of(listed)
    if notes:
        pieces += ["Notes:", *notes]
    pieces += show.comments(listed)
    if title.strip():
        builder.heading(1, title, place)
    builder.add("\n\n".join(pieces), place=place)


class _Show:
    """The records of a presentation by way of its persist directory."""

    def __init__(self, data: bytes, user: bytes) -> None:
        self._data = data
        self.notes: list[str] = []
        self._directory: dict[int, int] = {}
        self.lists: dict[int, list[_Listed]] = {}
        document = self._document(user)
        for record in self._inside(document):
            if record.kind == _SLIDE_LIST:
                self.lists.setdefault(record.instance, []).extend(self._listed(record))
        self._notes_by_id = {listed.id: listed for listed in self.lists.get(2, [])}

    def texts(self, listed: _Listed, placeholders: bool = True) -> list[tuple[int, str]]:
        """Type and text of each shape in order; outline texts that no shape refers to come last."""
        record = self._persisted(listed.persist)
        if record is None:
            self.notes.append(f"a slide's drawing (object {listed.persist}) is missing")
            return listed.outline
        used: set[int] = set()
        found: list[tuple[int, str]] = []
        for shape in self._below(record, _SHAPE):
            if placeholders or not any(self._below(shape, _PLACEHOLDER)):
                found += self._shape(shape, listed, used)
        rest = [text for index, text in enumerate(listed.outline) if index not in used]
        return found + (rest if placeholders else [])

    def notes_of(self, listed: _Listed) -> list[str]:
        """Text of a slide's notes page."""
        record = self._persisted(listed.persist)
        atom = next((r for r in self._inside(record) if r.kind == _SLIDE_ATOM), None) if record else None
        if atom is None or atom.end - atom.start < 20:
            return []
        page = self._notes_by_id.get(struct.unpack_from("<I", self._data, atom.start + 16)[0])
        return [text for _, text in self.texts(page)] if page else []

    def comments(self, listed: _Listed) -> list[str]:
        """Comments on a slide with their authors ([MS-PPT] 2.5.22)."""
        record = self._persisted(listed.persist)
        found: list[str] = []
        for comment in self._below(record, _COMMENT) if record else ():
            parts = {
                r.instance: clean(self._wide(r.start, r.end))
                for r in self._inside(comment)
                if r.kind == _STRING
            }
            if parts.get(1, "").strip():
                author = parts.get(0, "").strip()
                found.append(f"Comment by {author}: {parts[1]}" if author else f"Comment: {parts[1]}")
        return found

    def objects(self) -> Iterator[bytes]:
        """The containers of embedded objects ([MS-PPT] 2.10.34), damaged ones as far as they unpack."""
        for id in sorted(self._directory):
            record = self._persisted(id)
            if record is None or record.kind != _OBJECT:
                continue
            data = self._data[record.start : record.end]
            if record.instance == 1:
                data = _inflated(data[4:], min(int.from_bytes(data[:4], "little"), LARGEST_PART))
            yield data

    def _document(self, user: bytes) -> _Record:
        """The document's container, by the chain of saves; without one, the last that stands in the stream."""
        if len(user) >= 20:
            token, offset = struct.unpack_from("<II", user, 12)
            if token == _ENCRYPTED:
                raise failure("encrypted", "it asks for a password")
            found = self._persisted(self._follow(offset))
            if found is not None and found.kind == _DOCUMENT:
                return found
        top = list(self._records(0, len(self._data)))
        edits = [record for record in top if record.kind == _USER_EDIT]
        if edits:
            found = self._persisted(self._follow(edits[-1].start - 8))
            if found is not None and found.kind == _DOCUMENT:
                return found
        raise failure("damaged", "its list of slides could not be found")

    def _follow(self, offset: int) -> int:
        """Read the persist directories of all saves, newest first; the document's id."""
        document, seen = 0, set()
        while offset and offset not in seen:
            seen.add(offset)
            edit = self._record(offset)
            if edit is None or edit.kind != _USER_EDIT or edit.end - edit.start < 20:
                break
            last, directory, id = struct.unpack_from("<III", self._data, edit.start + 8)
            if edit.end - edit.start >= 32:
                raise failure("encrypted", "it asks for a password")
            document = document or id
            self._read_directory(directory)
            offset = last
        return document

    def _read_directory(self, offset: int) -> None:
        record = self._record(offset)
        if record is None or record.kind != _DIRECTORY:
            return
        at = record.start
        while at + 4 <= record.end:
            head = struct.unpack_from("<I", self._data, at)[0]
            first, count = head & 0xFFFFF, head >> 20
            count = min(count, (record.end - at - 4) // 4)
            for index, place in enumerate(struct.unpack_from(f"<{count}I", self._data, at + 4)):
                self._directory.setdefault(first + index, place)
            at += 4 + 4 * max(count, 0)

    def _listed(self, record: _Record) -> Iterator[_Listed]:
        current: _Listed | None = None
        kind = -1
        for atom in self._inside(record):
            if atom.kind == _SLIDE_PERSIST and atom.end - atom.start >= 16:
                if current is not None:
                    yield current
                persist, _, _, id = struct.unpack_from("<IIII", self._data, atom.start)
                current = _Listed(persist, id)
            elif atom.kind == _TEXT_HEADER:
                kind = self._number(atom)
            elif atom.kind in (_TEXT_CHARS, _TEXT_BYTES) and current is not None:
                current.outline.append((kind, self._text(atom)))
        if current is not None:
            yield current

    def _shape(self, shape: _Record, listed: _Listed, used: set[int]) -> Iterator[tuple[int, str]]:
        for record in self._inside(shape):
            if record.kind == _TEXT_BOX:
                yield from self._box(record, listed, used)
            elif record.kind in _OPTIONS:
                yield from ((-1, text) for text in self._described(record))

    def _box(self, box: _Record, listed: _Listed, used: set[int]) -> Iterator[tuple[int, str]]:
        kind = -1
        for atom in self._inside(box):
            if atom.kind == _TEXT_HEADER:
                kind = self._number(atom)
            elif atom.kind == _OUTLINE_REFERENCE:
                index = self._number(atom)
                if index < len(listed.outline) and index not in used:
                    used.add(index)
                    yield listed.outline[index]
            elif atom.kind in (_TEXT_CHARS, _TEXT_BYTES):
                text = self._text(atom)
                if text.strip(" *\n"):
                    yield kind, text

    def _described(self, options: _Record) -> Iterator[str]:
        """Text of WordArt and alternative text among a shape's properties ([MS-ODRAW] 2.2.9)."""
        at = options.start + 6 * options.instance
        for index in range(options.instance):
            place = options.start + 6 * index
            if place + 6 > options.end:
                return
            id, size = struct.unpack_from("<HI", self._data, place)
            if not id & 0x8000:
                continue
            if id & 0x3FFF in (_WORD_ART, _DESCRIPTION) and at + size <= options.end:
                text = clean(self._wide(at, at + size).partition("\0")[0])
                if text.strip():
                    yield text
            at += size

    def _text(self, atom: _Record) -> str:
        if atom.kind == _TEXT_CHARS:
            text = self._wide(atom.start, atom.end)
        else:
            text = self._data[atom.start : atom.end].decode("latin-1")
        return clean(text.replace("\x0b", "\n"))

    def _wide(self, start: int, end: int) -> str:
        return self._data[start:end].decode("utf-16-le", "replace")

    def _number(self, atom: _Record) -> int:
        return int.from_bytes(self._data[atom.start : min(atom.start + 4, atom.end)], "little")

    def _persisted(self, id: int) -> _Record | None:
        offset = self._directory.get(id)
        return None if offset is None else self._record(offset)

    def _below(self, record: _Record, kind: int, depth: int = 0) -> Iterator[_Record]:
        """Records of one kind at any depth below a container, none inside another of its kind.

        A container in whose bytes the number of the kind does not stand is not walked.
        """
        if self._data.find(_KIND.pack(kind), record.start, record.end) < 0:
            return
        for found in self._inside(record):
            if found.kind == kind:
                yield found
            elif (found.container or found.kind == _PROGRAM_DATA) and depth < _DEEPEST:
                yield from self._below(found, kind, depth + 1)

    def _inside(self, record: _Record) -> Iterator[_Record]:
        return self._records(record.start, record.end)

    def _records(self, start: int, end: int) -> Iterator[_Record]:
        data, whole, read = self._data, len(self._data), _HEAD.unpack_from
        last = min(end, whole) - 8
        while 0 <= start <= last:
            head, kind, size = read(data, start)
            begins = start + 8
            start = min(begins + size, whole)
            yield _Record(kind, head >> 4, head & 0xF == 0xF, begins, start)

    def _record(self, offset: int) -> _Record | None:
        if offset < 0 or offset + 8 > len(self._data):
            return None
        head, kind, size = _HEAD.unpack_from(self._data, offset)
        end = min(offset + 8 + size, len(self._data))
        return _Record(kind, head >> 4, head & 0xF == 0xF, offset + 8, end)


def _inflated(data: bytes, size: int) -> bytes:
    """What a zlib stream unpacks to, as far as it does; its sum is not checked, as whole objects have wrong ones."""
    inflater, out = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
    try:
        for at in range(2, len(data), _PIECE):
            out += inflater.decompress(data[at : at + _PIECE], size - len(out))
            if len(out) >= size:
                break
    except zlib.error:
        pass
    return bytes(out)
