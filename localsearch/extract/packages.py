"""What Office and OpenDocument packages keep beside the text: who made them, and when."""

from __future__ import annotations

import contextlib
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree

from localsearch.extract.compound import compound
from localsearch.extract.decode import clean
from localsearch.extract.fields import front_matter
from localsearch.extract.limits import failure
from localsearch.extract.zipped import Zipped

LARGEST_PART = 64_000_000
"""Bytes of the largest part of a package that is parsed in memory."""
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""First bytes of an OLE container: a file from before Office 2007, or an encrypted one since."""
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
_SUMMARY = "\x05SummaryInformation"
_SUMMARY_FIELDS = {"title": 2, "author": 4, "created": 12, "modified": 13, "tags": 5, "subject": 3}
"""Numbers of properties in that stream ([MS-OLEPS] 3.1)."""
_SHORT, _STRINGS, _WIDE, _TIME = 2, (8, 30), 31, 64
"""Types of properties ([MS-OLEPS] 2.15)."""
_JUNK_TITLE = re.compile(
    r"untitled.*|document\d*|slide ?1?|powerpoint[- ]pr.*|presentation\d*"
    r"|.*\.(?:docx?|tex|dvi|indd|pptx?|xlsx?|rtf|odt|qxp)",
    re.I,
)
_CODE_PAGES = {
    65001: "utf-8",
    10000: "mac_roman",
    10006: "mac_greek",
    10007: "mac_cyrillic",
    10029: "mac_latin2",
    10079: "mac_iceland",
    10081: "mac_turkish",
    936: "gb18030",
    20127: "ascii",
    28591: "latin-1",
}


def open_package(data: bytes) -> Zipped:
    """The package; ExtractionError when it is no zip file."""
    try:
        return Zipped(data)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise failure("damaged", f"could not be unpacked: {error}") from None


def part(package: Zipped, name: str, limit: int = LARGEST_PART) -> bytes:
    """One part of a package, up to a limit; KeyError when it is not there."""
    data = package.read(name, limit + 1)
    if len(data) > limit:
        raise failure("bomb", f"its part {name} unpacks to more than {limit / 1e6:.0f} MB")
    return data


def properties(data: bytes, kind: str) -> tuple[str, dict[str, Any]]:
    """Title and metadata of an Office Open XML, OpenDocument or OLE file; what is damaged is left out."""
    if kind in ("xls", "doc", "ppt"):
        return _gathered(lambda: _ole(data))
    package = open_package(data)
    names = package.names()
    found = next((name for name in ("docProps/core.xml", "meta.xml") if name in names), "")
    return properties_of(lambda name: part(package, name, 1_000_000), found) if found else ("", {})


def properties_of(read: Callable[[str], bytes], name: str) -> tuple[str, dict[str, Any]]:
    """Title and metadata in one part of a package, which `read` gives; nothing where it is missing or damaged."""
    return _gathered(lambda: _xml(read(name)))


def _gathered(read: Callable[[], Iterator[tuple[str, Any]]]) -> tuple[str, dict[str, Any]]:
    try:
        found: dict[str, Any] = {}
        for field, value in read():
            found.setdefault(field, value)
    except Exception:  # properties are an extra; whatever is wrong with them, the text stands
        return "", {}
    if "language" in found:
        found["language"] = str(found["language"]).split("-")[0].lower()
    return str(found.pop("title", "")), front_matter(found)


def _xml(data: bytes) -> Iterator[tuple[str, str]]:
    for element in ElementTree.fromstring(data).iter():
        field = _FIELDS.get(element.tag.rpartition("}")[2])
        if field and element.text:
            yield field, element.text


def _ole(data: bytes) -> Iterator[tuple[str, Any]]:
    file = compound(data)
    if not file.exists(_SUMMARY):
        return
    own = dict(_property_set(file.openstream(_SUMMARY).read()))
    page = own.get(1) or 1252
    for field, id in _SUMMARY_FIELDS.items():
        if value := own.get(id):
            yield field, _in_code_page(value, int(page)) if isinstance(value, bytes) else value


def _property_set(stream: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers, strings as bytes, and times of a property set's first section ([MS-OLEPS] 2.21) by their identifiers.

    olefile parses every property there, which takes half of the time for a short document.
    """
    section = stream[struct.unpack_from("<I", stream, 44)[0] :]
    count = min(struct.unpack_from("<I", section, 4)[0], (len(section) - 8) // 8)
    for id, at in struct.iter_unpack("<II", section[8 : 8 + 8 * count]):
        kind = int.from_bytes(section[at : at + 4], "little")
        first = int.from_bytes(section[at + 4 : at + 8], "little")
        if kind == _SHORT:
            yield id, first & 0xFFFF
        elif kind in _STRINGS:
            yield id, section[at + 8 : at + 8 + first]
        elif kind == _WIDE:
            yield id, section[at + 8 : at + 8 + 2 * first].decode("utf-16-le", "replace").partition("\0")[0]
        elif kind == _TIME:
            ticks = int.from_bytes(section[at + 4 : at + 12], "little")
            with contextlib.suppress(OverflowError):
                yield id, datetime(1601, 1, 1) + timedelta(microseconds=ticks // 10)


def _in_code_page(value: bytes, page: int) -> str:
    """A string of a property set in the code page that the set names ([MS-OLEPS] 2.18.1); it may be Macintosh's."""
    if page & 0xFFFF == 1200:
        return value.decode("utf-16-le", "replace").rstrip("\0")
    name = _CODE_PAGES.get(page & 0xFFFF, f"cp{page & 0xFFFF}")
    try:
        text = value.decode(name, "replace")
    except LookupError:
        text = value.decode("cp1252", "replace")
    return text.replace("\0", "")


def asks_for_password(data: bytes) -> bool:
    """Whether an Excel 97 workbook has a FILEPASS record ([MS-XLS] 2.4.117) after its first record."""
    try:
        file = compound(data)
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


def own_title(title: object) -> str:
    """A document's own title, unless a program made it up."""
    text = (
        " ".join(clean(str(title or "")).split())
        .removeprefix("Microsoft Word - ")
        .removeprefix("Microsoft PowerPoint - ")
    )
    junk = _JUNK_TITLE.fullmatch(text) or not any(map(str.isalnum, text))
    return "" if junk else text[:300]
