"""EPUB: chapters in reading order, each an HTML page of the package."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree

from localsearch.errors import ExtractionError
from localsearch.extract.builder import Builder
from localsearch.extract.decode import decode
from localsearch.extract.fields import front_matter
from localsearch.extract.html import chapter_title, declared_charset, read_markup
from localsearch.extract.limits import failure
from localsearch.extract.packages import open_package, part
from localsearch.extract.source import Source
from localsearch.extract.versions import add_extract
from localsearch.extract.zipped import Zipped
from localsearch.types import Extract, Place

_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "image/svg+xml")
_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""Ways to disguise fonts, which protect no text."""
_FIELDS = {
    "creator": "author",
    "date": "created",
    "language": "language",
    "subject": "tags",
    "publisher": "publisher",
}


class _Page(NamedTuple):
    """A part of the book as its table of parts names it."""

    name: str
    kind: str


def read_epub(source: Source) -> list[Extract]:
    """The book's chapters in order, then its pages that are reached by links, each block with its chapter's title."""
    package = open_package(source.data)
    try:
        folder, manual = _manual(package)
        locked = _locked(package)
    except (KeyError, StopIteration, ElementTree.ParseError, zipfile.BadZipFile) as error:
        raise failure("damaged", f"it has no readable table of its parts: {error}") from None
    builder = Builder(source.limits.text)
    protected = 0
    for page in _pages(manual):
        name = posixpath.normpath(posixpath.join(folder, page.name))
        if name in locked:
            protected += 1
        else:
            _add_chapter(builder, package, page._replace(name=name), source)
    if protected and builder.empty:
        raise failure("encrypted", "it is protected by digital rights management")
    if protected:
        builder.notes.append(f"{protected} chapters are protected by digital rights management")
    if builder.empty:
        raise failure("no-text", "its chapters hold no text")
    title, metadata = _metadata(manual)
    return [builder.extract("epub", title=title, metadata=metadata)]


def _locked(package: Zipped) -> set[str]:
    """Names of the parts that are encrypted, fonts in disguise aside."""
    if "META-INF/encryption.xml" not in package.names():
        return set()
    names: set[str] = set()
    for data in ElementTree.fromstring(part(package, "META-INF/encryption.xml", 16_000_000)):
        found = {element.tag.rpartition("}")[2]: element for element in data.iter()}
        method = found["EncryptionMethod"].get("Algorithm", "") if "EncryptionMethod" in found else ""
        if "CipherReference" in found and method not in _FONTS:
            names.add(posixpath.normpath(unquote(found["CipherReference"].get("URI", ""))))
    return names


def _manual(package: Zipped) -> tuple[str, ElementTree.Element]:
    """The package document, which lists the parts, and the folder it is in."""
    container = ElementTree.fromstring(part(package, "META-INF/container.xml", 1_000_000))
    path = next(root.get("full-path", "") for root in container.iter() if root.tag.endswith("}rootfile"))
    return posixpath.dirname(path), ElementTree.fromstring(part(package, path, 16_000_000))


def _pages(manual: ElementTree.Element) -> Iterator[_Page]:
    """Pages in reading order, then those outside it; the table of contents only where it is a page to read."""
    items = {item.get("id"): item for item in manual.iter() if item.tag.rpartition("}")[2] == "item"}
    wanted = [
        items.pop(reference.get("idref"))
        for reference in manual.iter()
        if reference.tag.rpartition("}")[2] == "itemref" and reference.get("idref") in items
    ]
    later = (
        item
        for item in items.values()
        if item.get("media-type") in _PAGES[:3] and "nav" not in item.get("properties", "").split()
    )
    for item in (*wanted, *later):
        yield _Page(unquote(item.get("href", "")), item.get("media-type", ""))


def _add_chapter(builder: Builder, package: Zipped, page: _Page, source: Source) -> None:
    if page.kind.startswith(("image/", "audio/", "video/")) and page.kind not in _PAGES:
        builder.notes.append(f"{page.name} is a picture or a recording")
        return
    try:
        data = part(package, page.name)
    except (
        KeyError,
        zipfile.BadZipFile,
        OSError,
        RuntimeError,
        NotImplementedError,
        EOFError,
        ExtractionError,
    ):
        builder.notes.append(f"{page.name} could not be read")
        return
    source.budget.take(len(data))
    builder.leave_headings()
    if page.kind in _PAGES or b"<html" in data[:2000].lower():
        text = decode(data, declared_charset(data))[0]
        read_markup(
            text, builder, Place(chapter=chapter_title(text) or posixpath.basename(page.name)), whole=True
        )
    else:
        _add_other(builder, data, page.name, source)


def _add_other(builder: Builder, data: bytes, name: str, source: Source) -> None:
    """A chapter that is no page of HTML, by the reader of its type."""
    try:
        found = source.read(source.inside(data, posixpath.basename(name)))
    except ExtractionError as error:
        builder.notes.append(f"{name}: {error.message}")
        return
    for extract in found:
        chapter = extract.title or posixpath.basename(name)
        placed = tuple(
            replace(block, place=replace(block.place, chapter=chapter)) for block in extract.blocks
        )
        add_extract(builder, replace(extract, blocks=placed), Place())


def _metadata(manual: ElementTree.Element) -> tuple[str, dict[str, Any]]:
    title, found = "", dict[str, Any]()
    for element in manual.iter():
        name = element.tag.rpartition("}")[2]
        text = (element.text or "").strip()
        if name == "title" and text and not title:
            title = text
        elif name in _FIELDS and text:
            found.setdefault(_FIELDS[name], []).append(text)
    single = {key: value if key in ("tags", "author") else value[0] for key, value in found.items()}
    return title, front_matter(single)
