"""OpenDocument presentations, and flat OpenDocument of any sort: pages of paragraphs in one XML file."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from localsearch.extract.builder import Builder
from localsearch.extract.limits import failure
from localsearch.extract.packages import open_package, own_title, part, properties
from localsearch.extract.source import Source
from localsearch.types import Extract, Place

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_PRESENTATION = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"


def read_odp(source: Source) -> list[Extract]:
    """Each slide's text, notes included, its number as the page."""
    package = open_package(source.data)
    try:
        content = part(package, "content.xml")
    except KeyError:
        raise failure("damaged", "it has no content.xml") from None
    except RuntimeError:
        raise failure("encrypted", "it asks for a password") from None
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        encrypted = b"encryption-data" in part(package, "META-INF/manifest.xml")
        rule, reason = (
            ("encrypted", "it asks for a password") if encrypted else ("damaged", f"no valid XML: {error}")
        )
        raise failure(rule, reason) from None
    builder = Builder(source.limits.text)
    for number, page in enumerate(root.iter(f"{_DRAW}page"), 1):
        _add_slide(builder, page, Place(page=number))
    if builder.empty:
        raise failure("no-text", "its slides hold no text")
    title, metadata = properties(source.data, "odp")
    return [builder.extract("odp", title=own_title(title), metadata=metadata)]


def _add_slide(builder: Builder, page: ElementTree.Element, place: Place) -> None:
    builder.leave_headings()
    for frame in page:
        is_title = frame.get(f"{_PRESENTATION}class") == "title"
        for text in _paragraphs(frame):
            if is_title:
                builder.heading(1, text, place)
            else:
                builder.add(text, place=place, joint="\n")


def _paragraphs(element: ElementTree.Element) -> Iterator[str]:
    for found in element.iter():
        if found.tag in (f"{_TEXT}p", f"{_TEXT}h"):
            text = "".join(_inline(found))
            if text.strip():
                yield text


def _inline(element: ElementTree.Element) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if child.tag == f"{_TEXT}s":
            yield " "
        elif child.tag in (f"{_TEXT}tab", f"{_TEXT}line-break"):
            yield "\t" if child.tag.endswith("tab") else "\n"
        else:
            yield from _inline(child)
        yield child.tail or ""
