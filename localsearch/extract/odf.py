"""OpenDocument text and presentations, in packages and flat: all text in order, with headings, lists, tables and notes.

Reference: OpenDocument 1.3 part 3. An element that is not known is read through, so that its text is not lost.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Any

from localsearch.errors import ExtractionError
from localsearch.extract.builder import NOWHERE, Builder
from localsearch.extract.decode import clean
from localsearch.extract.limits import failure
from localsearch.extract.opc import Element, Package, parse
from localsearch.extract.packages import OLE, own_title, properties_of
from localsearch.extract.source import Source
from localsearch.types import Extract, Place

OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
PRESENTATION = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
_FORM = "{urn:oasis:names:tc:opendocument:xmlns:form:1.0}"
_SVG = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_META = "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}"
_MATH = "{http://www.w3.org/1998/Math/MathML}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_P, _H, _S, _SPAN, _COUNT = f"{TEXT}p", f"{TEXT}h", f"{TEXT}s", f"{TEXT}span", f"{TEXT}c"
_SIGNS = {f"{TEXT}tab": "\t", f"{TEXT}line-break": "\n"}
_LEFT_OUT = frozenset(
    f"{space}{name}"
    for space, names in (
        (TEXT, "tracked-changes script sequence-decls variable-decls dde-connection-decls note-citation"),
        (
            TEXT,
            "table-of-content-source alphabetical-index-source illustration-index-source table-index-source",
        ),
        (TEXT, "object-index-source user-index-source bibliography-source"),
        (OFFICE, "scripts event-listeners binary-data font-face-decls automatic-styles"),
        (_DC, "creator date"),
        (_META, "date-string creator-initials"),
        (_MATH, "annotation"),
    )
    for name in names.split()
)
_HEADERS = frozenset(
    f"{STYLE}{side}{which}" for side in ("header", "footer") for which in ("", "-left", "-first")
)
_APART = frozenset([f"{TEXT}note", f"{OFFICE}annotation", f"{TEXT}ruby-text", f"{TEXT}p", f"{TEXT}h"])
_PARAGRAPHS = frozenset([_P, _H, f"{TEXT}ruby-text"])
_BARE_SHAPE = re.compile(rb"<draw:custom-shape\b[^>]*><text:p/></draw:custom-shape>")
_STYLES_ROOT = re.compile(rb"<office:document-styles\b[^>]*>")
_BLANKS = re.compile("[ \\t\\r\\n]+")
_MANY_SPACES = 1000
LONGEST_HEADING = 1000
"""Characters beyond which a paragraph in the style of a heading is none."""


def read_odt(source: Source) -> list[Extract]:
    """A text's blocks in order, notes and comments after their paragraph; page headers and footers once, at the end."""
    document = Document(source)
    builder = Builder(source.limits.text)
    reader = Reader(document, builder)
    reader.titles = _title_styles(document.content)
    reader.story(document.body)
    builder.leave_headings()
    headers(document, reader)
    return [
        finish(document, builder, "odt", "it holds no text of its own: pictures or objects only, or nothing")
    ]


def read_odp(source: Source) -> list[Extract]:
    """Each slide's text, notes included, its number as the page; what its masters show on all once, at the end."""
    document = Document(source)
    builder = Builder(source.limits.text)
    for number, page in enumerate(document.body.iter(f"{DRAW}page"), 1):
        builder.leave_headings()
        Reader(document, builder, Place(page=number)).story(page)
    builder.leave_headings()
    reader = Reader(document, builder)
    for kind in ("header-decl", "footer-decl"):
        for element in document.body.iter(f"{PRESENTATION}{kind}"):
            builder.add(clean(element.text or ""))
    for root in document.styles():
        for master in root.iter(f"{STYLE}master-page"):
            for shape in master:
                if shape.get(f"{PRESENTATION}class") is None and shape.tag != f"{PRESENTATION}notes":
                    reader.once(shape)
    return [finish(document, builder, "odp", "its slides hold no text")]


def headers(document: Document, reader: Reader) -> None:
    """Headers and footers of printed pages, each text once."""
    for root in document.styles():
        for element in root.iter():
            if element.tag in _HEADERS:
                reader.once(element)


def finish(document: Document, builder: Builder, kind: str, nothing: str, titled: bool = True) -> Extract:
    """The extract with the document's properties; its first heading is no title unless `titled`."""
    builder.notes += document.notes
    if builder.empty:
        raise failure("no-text", nothing)
    title, metadata = document.properties()
    return builder.extract(kind, title=own_title(title) or ("" if titled else None), metadata=metadata)


class Document:
    """The XML of a file, whether it is a package or one flat file."""

    def __init__(self, source: Source) -> None:
        self.notes: list[str] = []
        self._package: Package | None = None
        if source.data.startswith(OLE):
            raise failure("encrypted", "it asks for a password")
        if source.data.startswith(b"PK"):
            self._package = Package(source.data)
            self.notes = self._package.notes
            self.content = self._content(self._package)
        else:
            self.content, error = parse(source.data, source.name)
            if error:
                self.notes.append(f"no well-formed XML ({error}); it was read up to there")
        found = self.content.find(f"{OFFICE}body")
        self.body = self.content if found is None else found

    def _content(self, package: Package) -> Element:
        if "content.xml" not in package:
            raise failure("damaged", "it has no content.xml")
        try:
            return package.tree("content.xml", _without_formats)
        except ExtractionError:
            if b"encryption-data" in self.part("META-INF/manifest.xml"):
                raise failure("encrypted", "it asks for a password") from None
            raise

    def part(self, name: str) -> bytes:
        """A part's bytes, none where it is missing or damaged."""
        try:
            return self._package.read(name) if self._package is not None else b""
        except (KeyError, ExtractionError):
            return b""

    def styles(self) -> list[Element]:
        """Where the masters of pages are defined."""
        if self._package is None:
            return [self.content]
        root = self._package.optional("styles.xml", _masters) if "styles.xml" in self._package else None
        return [] if root is None else [root]

    def inner(self, name: str) -> Element | None:
        """The content of an object that stands in the document, such as a chart or a formula."""
        part = posixpath.normpath(name) + "/content.xml"
        return self._package.optional(part) if self._package is not None and part in self._package else None

    def properties(self) -> tuple[str, dict[str, Any]]:
        if self._package is None:
            return (self.content.findtext(f"{OFFICE}meta/{_DC}title") or ""), {}
        return properties_of(self._package.read, "meta.xml")


class Reader:
    """Walks a story; notes, comments and drawings wait for the end of the paragraph or table they stand in."""

    def __init__(self, document: Document, builder: Builder, place: Place = NOWHERE) -> None:
        self._document, self._builder, self._place = document, builder, place
        self._joint = "\n\n" if place is NOWHERE else "\n"
        self._after: list[Callable[[], None]] = []
        self._told: set[str] = set()
        self.titles: set[str] = set()

    def story(self, root: Element) -> None:
        """Everything below an element; what is nested too deeply is said."""
        try:
            self.blocks(root)
            self._finish()
        except RecursionError:
            self._builder.notes.append("it is nested too deeply; it was read up to there")

    def once(self, root: Element) -> None:
        """A header or the like, unless the same was told before."""
        text = "".join(root.itertext()).strip()
        if text not in self._told:
            self._told.add(text)
            self.story(root)

    def blocks(self, element: Element, mark: str = "") -> None:
        """Paragraphs, lists, tables and shapes, and whatever holds them; `mark` is "-" in lists, "title" in titles."""
        for child in element:
            self.block(child, mark)
            if mark == "-" and child.tag in (_P, _H):
                mark = ""

    def block(self, element: Element, mark: str = "") -> None:
        tag = element.tag
        if tag in _PARAGRAPHS:
            self._paragraph(element, mark)
        elif tag in (f"{TEXT}list-item", f"{TEXT}list-header"):
            self.blocks(element, "-")
        elif tag == f"{TABLE}table":
            self._table(element)
        elif tag == f"{OFFICE}annotation":
            self._comment(element)
        elif tag.startswith(_FORM):
            self._control(element)
        elif tag in (f"{DRAW}object", f"{_MATH}math"):
            self._object(element)
        elif tag in (f"{_SVG}title", f"{_SVG}desc"):
            self._add(element.text or "")
        elif tag not in _LEFT_OUT:
            self.blocks(element, "title" if element.get(f"{PRESENTATION}class") == "title" else mark)

    def _paragraph(self, element: Element, mark: str) -> None:
        text = self._text(element)
        level = element.get(f"{TEXT}outline-level", "1") if element.tag == _H else ""
        if mark == "title" or element.get(f"{TEXT}style-name", "") in self.titles:
            level = level or "1"
        if level and text.strip() and len(text) < LONGEST_HEADING:
            self._builder.heading(int(level) if level.isdigit() else 1, text.strip(), self._place)
        elif mark == "-":
            item = f"- {text.strip()}" if text.strip() else ""
            self._builder.add(item, "list", self._place, joint="\n")
        else:
            self._add(text)
        self._finish()

    def _add(self, text: str) -> None:
        self._builder.add(clean(text), place=self._place, joint=self._joint)

    def _text(self, element: Element) -> str:
        parts: list[str] = []
        self._inline(element, parts)
        return clean("".join(parts))

    def _finish(self) -> None:
        waiting, self._after = self._after, []
        for read in waiting:
            read()

    def _inline(self, element: Element, parts: list[str]) -> None:
        parts.append(_squeezed(element.text))
        for child in element:
            tag = child.tag
            if tag == _S:
                count = child.get(_COUNT, "1")
                parts.append(" " * min(int(count) if count.isdigit() else 1, _MANY_SPACES))
            elif tag in _SIGNS:
                parts.append(_SIGNS[tag])
            elif tag == _SPAN:
                self._inline(child, parts)
            else:
                self._special(child, parts)
            if child.tail:
                parts.append(_squeezed(child.tail))

    def _special(self, child: Element, parts: list[str]) -> None:
        """Notes, shapes and the like wait for the end of the paragraph; fields, links and marks are read through."""
        tag = child.tag
        if tag in _APART or tag.startswith((DRAW, TABLE)):
            self._after.append(lambda: self.block(child))
        elif (
            tag not in _LEFT_OUT and child.text != "<number>"
        ):  # what a master shows in place of a page number
            self._inline(child, parts)

    def _comment(self, element: Element) -> None:
        author = (element.findtext(f"{_DC}creator") or "").strip()
        self._add(f"Comment by {author}:" if author else "Comment:")
        self.blocks(element)

    def _control(self, element: Element) -> None:
        """A form's control: its label and what was entered."""
        for name in ("label", "current-value", "value"):
            text = element.get(f"{_FORM}{name}", "").strip()
            if text and (name != "value" or not element.get(f"{_FORM}current-value")):
                self._add(text)
        self.blocks(element)

    def _object(self, element: Element) -> None:
        """A formula, or a chart or another document inside: titles, labels and the table of a chart."""
        root = element if element.tag == f"{_MATH}math" else self._document.inner(element.get(_HREF, ""))
        if root is None:
            self.blocks(element)
            return
        formula = root if root.tag == f"{_MATH}math" else root.find(f".//{_MATH}math")
        if formula is not None:
            self._add(" ".join(" ".join(_tokens(formula)).split()))
        else:
            self.blocks(root)

    def _table(self, table: Element) -> None:
        for name in (f"{TABLE}title", f"{TABLE}desc"):
            self._add(table.findtext(name) or "")
        lines = []
        for row in _rows(table):
            cells = [" ".join(self.cell(cell).split()) for cell in row if cell.tag in _CELLS]
            lines.append(" | ".join(cell for cell in cells if cell))
        self._builder.add("\n".join(line for line in lines if line), "table", self._place)
        self._finish()

    def cell(self, cell: Element, beside: bool = True) -> str:
        """A cell's text, lists and tables inside it too; shapes and notes wait for the table's end, if wanted."""
        parts: list[str] = []
        for child in cell:
            if child.tag in (_P, _H):
                self._inline(child, parts)
            elif child.tag in _APART or child.tag.startswith(DRAW):
                if beside:
                    self._special(child, parts)
            elif child.tag not in _LEFT_OUT:
                parts.append(self.cell(child))
            parts.append(" ")
        return clean("".join(parts))


_CELLS = (f"{TABLE}table-cell", f"{TABLE}covered-table-cell")


def _rows(table: Element) -> Iterator[Element]:
    """Rows of a table, those of its groups and its head too."""
    for child in table:
        if child.tag == f"{TABLE}table-row":
            yield child
        elif child.tag in (f"{TABLE}table-header-rows", f"{TABLE}table-rows", f"{TABLE}table-row-group"):
            yield from _rows(child)


def _without_formats(content: bytes) -> bytes:
    """A content part without its fonts and formats, which are most of it in short documents; titles' styles stay."""
    head, begins, rest = content.partition(b"<office:automatic-styles>")
    formats, ends, body = rest.partition(b"</office:automatic-styles>")
    if not ends or b'"Title"' in formats:
        return _without_outlines(content)
    return head + begins + ends + _without_outlines(body)


def _masters(styles: bytes) -> bytes:
    """A part of styles without all but its masters of pages, which alone hold text."""
    root = _STYLES_ROOT.search(styles)
    masters = styles.find(b"<office:master-styles")
    if root is None or masters < root.end():
        return styles
    return styles[: root.end()] + _BARE_SHAPE.sub(b"", _without_outlines(styles[masters:]))


def _without_outlines(shapes: bytes) -> bytes:
    """XML without the formulas that draw custom shapes, often most of a presentation's masters."""
    first, *others = shapes.split(b"<draw:enhanced-geometry")
    kept = [first]
    for geometry in others:
        _, ends, after = geometry.partition(b"</draw:enhanced-geometry>")
        kept.append(after if ends else b"<draw:enhanced-geometry" + geometry)
    return b"".join(kept)


def _squeezed(text: str | None) -> str:
    """White space as the format defines it: any run of it is one space; further spaces have elements of their own."""
    return _BLANKS.sub(" ", text) if text else ""


def _tokens(formula: Element) -> Iterator[str]:
    for element in formula.iter():
        if element.tag in (f"{_MATH}mi", f"{_MATH}mn", f"{_MATH}mo", f"{_MATH}mtext"):
            yield element.text or ""


def _title_styles(content: Element) -> set[str]:
    """Names of the styles that set a document's title."""
    found = {"Title"}
    for style in content.iter(f"{STYLE}style"):
        if style.get(f"{STYLE}parent-style-name") == "Title":
            found.add(style.get(f"{STYLE}name", ""))
    return found
