"""PPTX: each slide's text, notes and comments, its number in the order of the show as the page.

References: ECMA-376 part 1, 19 (PresentationML); [MS-PPTX] 2.6 for comments since 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localsearch.errors import ExtractionError
from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean
from localsearch.extract.drawing import COMPATIBILITY, A, alternative, graphics, paragraphs, replacements
from localsearch.extract.embedded import embedded
from localsearch.extract.limits import failure
from localsearch.extract.opc import RELATION_ID, Element, Package
from localsearch.extract.packages import OLE, own_title, properties_of
from localsearch.extract.source import Source
from localsearch.types import Extract, Place

P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_ALTERNATE = f"{COMPATIBILITY}AlternateContent"
_TITLES = ("title", "ctrTitle")
_AROUND_NOTES = ("sldImg", "sldNum", "hdr", "ftr", "dt")
"""Placeholders of a notes page that repeat what stands elsewhere."""


def read_pptx(source: Source) -> list[Extract]:
    """Every slide, hidden ones too; what its masters show on all of them once, at the end, without a page."""
    if source.data.startswith(OLE):
        raise failure("encrypted", "it asks for a password")
    package = Package(source.data)
    builder = Builder(source.limits.text)
    main = package.main("ppt/presentation.xml")
    slides = _slides(package, main)
    authors = _authors(package, main)
    for number, name in enumerate(slides, 1):
        root = package.optional(name) if name else None
        if root is None:
            builder.notes.append(f"slide {number} could not be read")
            continue
        try:
            _add_slide(builder, package, name, root, authors, Place(page=number))
        except RecursionError:
            builder.notes.append(f"slide {number} is nested too deeply")
    builder.leave_headings()
    for text in _behind(package, slides):
        builder.add(text, joint="\n")
    inside = embedded(source, package)
    builder.notes += package.notes
    if builder.empty and not any(extract.text for extract in inside):
        raise failure("no-text", "its slides hold no text: pictures or embedded objects only, or nothing")
    title, metadata = properties_of(package.read, "docProps/core.xml")
    metadata["slides"] = len(slides)
    return [builder.extract("pptx", title=own_title(title), metadata=metadata), *inside]


def _slides(package: Package, main: str) -> list[str]:
    """Parts of the slides in the order of the show, "" for one that is missing."""
    relations = package.relations(main)
    listed = package.tree(main, _without_styles).iter(f"{P}sldId")
    found = [relations.get(slide.get(f"{RELATION_ID}id", "")) for slide in listed]
    return [relation.target if relation and not relation.external else "" for relation in found]


def _without_styles(presentation: bytes) -> bytes:
    """A presentation's main part without the styles of its text, which are most of it."""
    head, _, rest = presentation.partition(b"<p:defaultTextStyle>")
    _, ends, tail = rest.partition(b"</p:defaultTextStyle>")
    return head + tail if ends else presentation


def _add_slide(
    builder: Builder, package: Package, name: str, root: Element, authors: dict[str, str], place: Place
) -> None:
    """The title as heading, then one block: shapes in their order, notes, comments."""
    builder.leave_headings()
    pieces: list[str] = []
    title = ""
    for shape in _shapes(root):
        if not title and _placeholder(shape) in _TITLES:
            title = "\n".join(_texts(package, name, shape))
        else:
            pieces += _shape(package, name, shape)
    notes = [text for part in package.related(name, "notesSlide") for text in _notes(package, part)]
    if notes:
        pieces += ["Notes:", "\n".join(notes)]
    pieces += _comments(package, name, authors)
    if title.strip():
        builder.heading(1, clean(title), place)
    builder.add(clean("\n\n".join(pieces)), place=place)


def _shapes(element: Element) -> Iterator[Element]:
    """Shapes, tables, pictures and lines in the order of the file, those of groups among them."""
    for child in element:
        tag = child.tag
        if tag == _ALTERNATE:
            yield from _shapes(alternative(child))
        elif tag in (f"{P}sp", f"{P}pic", f"{P}graphicFrame", f"{P}cxnSp"):
            yield child
        elif tag in (f"{P}cSld", f"{P}spTree", f"{P}grpSp"):
            if tag == f"{P}grpSp":
                yield from child.findall(f"{P}nvGrpSpPr")
            yield from _shapes(child)


def _shape(package: Package, holder: str, shape: Element) -> Iterator[str]:
    """A shape's text, then what describes it."""
    text = "\n".join(_texts(package, holder, shape))
    if text.strip():
        yield text
    for properties in shape.iter(f"{P}cNvPr"):
        for description in replacements(properties):
            if description not in text:
                yield description


def _texts(package: Package, holder: str, shape: Element) -> Iterator[str]:
    table = shape.find(f".//{A}tbl")
    if table is None:
        yield from paragraphs(shape)
        yield from graphics(package, holder, shape)
        return
    for row in table.iter(f"{A}tr"):
        cells = (" ".join(" ".join(paragraphs(cell)).split()) for cell in row.iter(f"{A}tc"))
        yield " | ".join(cell for cell in cells if cell)


def _placeholder(shape: Element) -> str:
    """The type of a placeholder; "" for a shape that is none."""
    found = shape.find(f"*/{P}nvPr/{P}ph")
    return "" if found is None else found.get("type", "obj")


def _notes(package: Package, part: str) -> Iterator[str]:
    root = package.optional(part)
    for shape in _shapes(root) if root is not None else ():
        if _placeholder(shape) not in _AROUND_NOTES:
            yield from _shape(package, part, shape)


def _comments(package: Package, name: str, authors: dict[str, str]) -> Iterator[str]:
    """Comments of a slide with their answers: in p:text until 2019, in DrawingML paragraphs since."""
    for part in package.related(name, "comments"):
        root = package.optional(part)
        for found in root.iter() if root is not None else ():
            word = found.tag.rpartition("}")[2]
            if word not in ("cm", "reply"):
                continue
            body = next((child for child in found if child.tag.endswith("}txBody")), None)
            text = found.findtext(f"{P}text", "") if body is None else "\n".join(paragraphs(body))
            author = authors.get(found.get("authorId", ""), "")
            if text.strip():
                yield f"Comment by {author}: {text}" if author else f"Comment: {text}"


def _authors(package: Package, main: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind in ("commentAuthors", "authors"):
        for part in package.related(main, kind):
            root = package.optional(part)
            for author in root if root is not None else ():
                found[author.get("id", "")] = author.get("name", "").strip()
    return found


def _behind(package: Package, slides: list[str]) -> list[str]:
    """Text of shapes on layouts and masters in use that are no placeholders, each once."""
    layouts = dict.fromkeys(part for slide in slides for part in package.related(slide, "slideLayout"))
    masters = dict.fromkeys(part for layout in layouts for part in package.related(layout, "slideMaster"))
    found: dict[str, Any] = {}
    for part in [*masters, *layouts]:
        if _all_placeholders(package, part):
            continue
        root = package.optional(part)
        for shape in _shapes(root) if root is not None else ():
            if not _placeholder(shape):
                found |= dict.fromkeys(clean(text) for text in _shape(package, part, shape))
    return list(found)


def _all_placeholders(package: Package, part: str) -> bool:
    """Whether a part plainly holds no shapes of its own, told without parsing it."""
    try:
        data = package.read(part)
    except (KeyError, ExtractionError):
        return False
    shapes = data.count(b"<p:sp>") + data.count(b"<p:pic>") + data.count(b"<p:graphicFrame")
    return 0 < shapes <= data.count(b"<p:ph")
