"""What Office and OpenDocument packages keep beside the text: who made them, and when."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from localsearch.extract.fields import front_matter
from localsearch.extract.limits import failure

LARGEST_PART = 64_000_000
"""Bytes of the largest part of a package that is parsed in memory."""
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
"""What unpacking a damaged part may raise."""
_FIELDS = {
    "title": "title",
    "creator": "author",
    "initial-creator": "author",
    "created": "created",
    "creation-date": "created",
    "modified": "modified",
    "date": "modified",
    "keywords": "tags",
    "keyword": "tags",
    "subject": "subject",
    "language": "language",
}


def open_package(data: bytes) -> zipfile.ZipFile:
    """The package; ExtractionError when it is no zip file."""
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise failure("damaged", f"could not be unpacked: {error}") from None


def part(package: zipfile.ZipFile, name: str, limit: int = LARGEST_PART) -> bytes:
    """One part of a package, up to a limit; KeyError when it is not there."""
    with package.open(name) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise failure("bomb", f"its part {name} unpacks to more than {limit / 1e6:.0f} MB")
    return data


def properties(data: bytes, kind: str) -> tuple[str, dict[str, Any]]:
    """Title and metadata of an Office Open XML, OpenDocument or OLE file; what is damaged is left out."""
    try:
        found = dict(_ole(data) if kind in ("xls", "doc", "ppt") else _xml(data))
    except Exception:  # properties are an extra; whatever is wrong with them, the text stands
        return "", {}
    return str(found.pop("title", "")), front_matter(found)


def _xml(data: bytes) -> Iterator[tuple[str, str]]:
    package = open_package(data)
    for name in ("docProps/core.xml", "meta.xml"):
        if name in package.namelist():
            for element in ElementTree.fromstring(part(package, name, 1_000_000)).iter():
                field = _FIELDS.get(element.tag.rpartition("}")[2])
                if field and element.text:
                    yield field, element.text


def _ole(data: bytes) -> Iterator[tuple[str, Any]]:
    import olefile

    with olefile.OleFileIO(io.BytesIO(data)) as file:
        own = file.get_metadata()
    for field, value in (
        ("title", own.title),
        ("author", own.author),
        ("created", own.create_time),
        ("modified", own.last_saved_time),
        ("tags", own.keywords),
        ("subject", own.subject),
    ):
        if value:
            yield field, value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def asks_for_password(data: bytes) -> bool:
    """Whether an Excel 97 workbook has a FILEPASS record ([MS-XLS] 2.4.117) after its first record."""
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(data)) as file:
            name = next(name for name in ("Workbook", "Book") if file.exists(name))
            head = file.openstream(name).read(512)
    except (StopIteration, OSError, ValueError):
        return False
    at = 0
    while at + 4 <= len(head):
        record, length = struct.unpack_from("<HH", head, at)
        if record == 0x002F:
            return True
        at += 4 + length
    return False
