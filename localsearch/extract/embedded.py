"""Files that stand in an Office document as objects: other documents, and whatever was dropped into it.

References: ECMA-376 part 1, 15.2.10 and 15.2.11; [MS-OLEDS] 2.3.6 for Ole10Native.
"""

from __future__ import annotations

import posixpath
import struct
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from localsearch.errors import ExtractionError
from localsearch.extract.compound import compound
from localsearch.extract.opc import Package
from localsearch.extract.packages import OLE
from localsearch.extract.source import Source, read_member, unread
from localsearch.extract.storage import as_file
from localsearch.types import Extract, Place

if TYPE_CHECKING:
    import olefile

_NATIVE = "\x01Ole10Native"
_WHOLE = ("Package", "CONTENTS")
"""Streams that hold a file as it is: an Office document, a PDF."""


def embedded(source: Source, package: Package) -> list[Extract]:
    """The documents in a package's objects; those that only keep a chart's numbers are left out, others are told."""
    charts = {
        relation.target.lower()
        for name in package.names()
        if "/charts/" in name and name.endswith(".xml")
        for relation in package.relations(name).values()
    }
    parts = (
        (part, lambda part=part: _object(posixpath.basename(part), package.read(part)))
        for part in package.names()
        if "/embeddings/" in part.lower() and part.lower() not in charts
    )
    return _read(source, parts, package.notes)


def embedded_in_ole(source: Source, notes: list[str]) -> list[Extract]:
    """The documents in storages of a Word or Excel file of before 2007 ([MS-DOC] 2.1.10, [MS-XLS] 2.1.7.6)."""
    file = compound(source.data)
    storages = [
        path
        for path in file.listdir(streams=False, storages=True)
        if (len(path) == 2 and path[0] == "ObjectPool") or (len(path) == 1 and path[0].startswith("MBD"))
    ]
    parts = (
        (name, lambda name=name, path=path: _stored(file, path, name) or (name, as_file(file, path)))
        for path, name in ((path, f"object {number}") for number, path in enumerate(storages, 1))
    )
    return _read(source, parts, notes)


def objects(source: Source, stored: Iterable[bytes], notes: list[str]) -> list[Extract]:
    """The documents in objects that are containers of their own, as PowerPoint keeps them; programs are left out."""
    kept = (data for data in stored if not _is_program(data))
    parts = (
        (name, lambda name=name, data=data: _object(name, data))
        for name, data in ((f"object {number}", data) for number, data in enumerate(kept, 1))
    )
    return _read(source, parts, notes)


def _is_program(data: bytes) -> bool:
    """Whether a container holds macros alone ([MS-OVBA] 2.2.1)."""
    try:
        return data.startswith(OLE) and bool(compound(data).exists("VBA"))
    except (OSError, ValueError):
        return False


_Opened = Callable[[], tuple[str, bytes]]


def _read(source: Source, parts: Iterable[tuple[str, _Opened]], notes: list[str]) -> list[Extract]:
    found: list[Extract] = []
    others = 0
    for part, opened in parts:
        try:
            name, data = opened()
            source.budget.take(len(data))
        except (OSError, ValueError) as error:
            notes.append(f"{part} could not be read: {error}")
            continue
        except ExtractionError as error:
            found.append(unread(part, error))
            break
        inside = read_member(source, data, name, Place(part=name))
        if inside and not inside[0].text and inside[0].type in ("unsupported", "binary", "no-text", "empty"):
            others += 1
        else:
            found += inside
    if others:
        notes.append(f"{others} embedded object{'s' if others > 1 else ''} without text that can be read")
    return found


def _object(name: str, data: bytes) -> tuple[str, bytes]:
    """Name and bytes of the file in an OLE object; the object itself where it is a document or of unknown make."""
    try:
        stored = _stored(compound(data), [], name) if data.startswith(OLE) else None
    except (OSError, ValueError):
        stored = None
    return stored or (name, data)


def _stored(file: olefile.OleFileIO, storage: list[str], name: str) -> tuple[str, bytes] | None:
    """Name and bytes of the file that a storage keeps whole; None for a document in streams of its own."""
    try:
        for stream in _WHOLE:
            if file.exists([*storage, stream]):
                return posixpath.splitext(name)[0], file.openstream([*storage, stream]).read()
        if file.exists([*storage, _NATIVE]):
            return _native(file.openstream([*storage, _NATIVE]).read())
    except (OSError, struct.error, IndexError, ValueError):
        pass
    return None


def _native(stream: bytes) -> tuple[str, bytes]:
    """Label and contents of a file that was dropped into a document."""
    label, _, rest = stream[6:].partition(b"\0")
    _, _, rest = rest.partition(b"\0")
    length = struct.unpack_from("<I", rest, 4)[0]
    at = 8 + length
    size = struct.unpack_from("<I", rest, at)[0]
    return label.decode("cp1252", "replace") or "object", rest[at + 4 : at + 4 + size]
