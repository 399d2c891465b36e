"""EPUB: chapters in reading order, each an HTML page of the package."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from localsearch.extract.builder import Builder
from localsearch.extract.decode import decode
from localsearch.extract.fields import front_matter
from localsearch.extract.html import chapter_title, read_markup
from localsearch.extract.limits import failure
from localsearch.extract.packages import open_package, part
from localsearch.extract.source import Source
from localsearch.types import Extract, Place

_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/xml")
_FIELDS = {
    "creator": "author",
    "date": "created",
    "language": "language",
    "subject": "tags",
    "publisher": "publisher",
}


def read_epub(source: Source) -> list[Extract]:
    """The book's chapters in order, each block with the chapter's title."""
    package = open_package(source.data)
    try:
        if "META-INF/encryption.xml" in package.namelist() and "META-INF/rights.xml" in package.namelist():
            raise failure("encrypted", "it is protected by digital rights management")
        folder, manual = _manual(package)
    except (KeyError, ElementTree.ParseError, zipfile.BadZipFile) as error:
        raise failure("damaged", f"it has no readable table of its parts: {error}") from None
    builder = Builder(source.limits.text)
    for name in _spine(manual):
        _add_chapter(builder, package, posixpath.normpath(posixpath.join(folder, name)), source)
    if builder.empty:
        raise failure("no-text", "its chapters hold no text")
    title, metadata = _metadata(manual)
    return [builder.extract("epub", title=title, metadata=metadata)]


def _manual(package: zipfile.ZipFile) -> tuple[str, ElementTree.Element]:
    """The package document, which lists the parts, and the folder it is in."""
    container = ElementTree.fromstring(part(package, "META-INF/container.xml", 1_000_000))
    path = next(root.get("full-path", "") for root in container.iter() if root.tag.endswith("}rootfile"))
    return posixpath.dirname(path), ElementTree.fromstring(part(package, path, 16_000_000))


def _spine(manual: ElementTree.Element) -> Iterator[str]:
    items = {
        item.get("id"): (unquote(item.get("href", "")), item.get("media-type"))
        for item in manual.iter()
        if item.tag.rpartition("}")[2] == "item"
    }
    for reference in manual.iter():
        if reference.tag.rpartition("}")[2] == "itemref" and reference.get("idref") in items:
            name, kind = items[reference.get("idref")]
            if kind in _PAGES:
                yield name


def _add_chapter(builder: Builder, package: zipfile.ZipFile, name: str, source: Source) -> None:
    try:
        data = part(package, name)
    except (KeyError, zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError):
        builder.notes.append(f"{name} could not be read")
        return
    source.budget.take(len(data))
    text = decode(data)[0]
    builder.leave_headings()
    read_markup(text, builder, Place(chapter=chapter_title(text) or posixpath.basename(name)))


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
