"""DOCX: text in the order of the document, with its headings, lists, tables, notes, comments and text boxes.

References: ECMA-376 part 1, 17 (WordprocessingML). Deleted and moved-away text is left
out; inserted and hidden text is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from localsearch.errors import ExtractionError
from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean, decode
from localsearch.extract.drawing import COMPATIBILITY, MATH, A, alternative, graphics, inline, replacements
from localsearch.extract.embedded import embedded
from localsearch.extract.limits import failure
from localsearch.extract.numbering import BULLET, Numbering
from localsearch.extract.opc import RELATION_ID, Element, Package
from localsearch.extract.packages import OLE, own_title, properties_of
from localsearch.extract.source import Source
from localsearch.extract.symbols import symbol
from localsearch.extract.wordstyles import Styles
from localsearch.types import Extract

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
VML = "{urn:schemas-microsoft-com:vml}"
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}"
_SHAPE = "{http://schemas.microsoft.com/office/word/2010/wordprocessingShape}"
_P, _R, _T, _TBL, _TR, _TC, _P_PR = (f"{W}{name}" for name in ["p", "r", "t", "tbl", "tr", "tc", "pPr"])
_M_T, _M_NUM, _ALTERNATE = f"{MATH}t", f"{MATH}num", f"{COMPATIBILITY}AlternateContent"
_TEXT_BOX, _RUBY_TEXT = f"{W}txbxContent", f"{W}rt"
_VALUE, _ID, _AUTHOR = f"{W}val", f"{W}id", f"{W}author"
_LEFT_OUT = frozenset(
    f"{W}{name}"
    for names in (
        "del moveFrom pPr rPr tblPr tblGrid trPr tcPr sectPr sdtPr sdtEndPr instrText delText delInstrText proofErr",
        "bookmarkStart bookmarkEnd smartTagPr customXmlPr rubyPr",
    )
    for name in names.split()
)
_SIGNS = {
    f"{W}tab": "\t",
    f"{W}ptab": "\t",
    f"{W}br": "\n",
    f"{W}cr": "\n",
    f"{W}noBreakHyphen": "-",
}
_WRAPPERS = frozenset(
    f"{W}{name}" for name in ["sdt", "sdtContent", "customXml", "smartTag", "ins", "moveTo"]
)


def read_docx(source: Source) -> list[Extract]:
    """A document's blocks in order, notes and comments after their paragraph; headers and footers once, at the end."""
    if source.data.startswith(OLE):
        raise failure("encrypted", "it asks for a password")
    package = Package(source.data)
    builder = Builder(source.limits.text)
    main = package.main("word/document.xml")
    reader = _Reader(source, package, main, builder)
    body = package.tree(main)
    reader.story(main, body)
    reader.left_comments()
    builder.leave_headings()
    for part in dict.fromkeys(package.related(main, "header") + package.related(main, "footer")):
        root = package.optional(part)
        if root is not None:
            reader.story(part, root)
    inside = embedded(source, package)
    builder.notes += package.notes
    if builder.empty and not any(extract.text for extract in inside):
        raise failure("no-text", "it holds no text of its own: pictures or embedded objects only, or nothing")
    title, metadata = properties_of(package.read, "docProps/core.xml")
    return [builder.extract("docx", title=own_title(title), metadata=metadata), *inside]


class _Reader:
    """Walks the stories of a document: body, notes, comments, headers."""

    def __init__(self, source: Source, package: Package, main: str, builder: Builder) -> None:
        self._source, self._package, self._main, self._builder = source, package, main, builder
        self._part = main
        self._styles: Styles | None = None
        self._numbering: Numbering | None = None
        self._notes: dict[str, dict[str, Element]] = {}
        self._seen: set[tuple[str, str]] = set()
        self._after: list[Callable[[], None]] = []
        self._told: set[str] = set()

    def story(self, part: str, root: Element) -> None:
        """Everything in one part, the rest of the document standing where its nesting is too deep."""
        before, self._part = self._part, part
        try:
            self.blocks(root)
            self._finish()
        except RecursionError:
            self._builder.notes.append(f"{part} is nested too deeply; it was read up to there")
        self._part = before

    def left_comments(self) -> None:
        """Comments that no place in the text refers to."""
        for id in self._entries("comments"):
            self._note("comments", id)
        self._finish()

    def blocks(self, element: Element) -> None:
        """Paragraphs, tables and what wraps them."""
        for child in element:
            tag = child.tag
            if tag == _P:
                self._paragraph(child)
            elif tag == _TBL:
                self._table(child)
            elif tag == _ALTERNATE:
                self.blocks(alternative(child))
            elif tag == f"{W}altChunk":
                self._chunk(child.get(f"{RELATION_ID}id", ""))
            elif tag in (f"{MATH}oMathPara", _R):
                self._paragraph(child)
            elif tag not in _LEFT_OUT:
                self.blocks(child)

    def _paragraph(self, element: Element) -> None:
        text = self._text(element)
        properties = element.find(_P_PR)
        level, label = self._level(properties), self._label(properties)
        if level and text.strip() and len(text) < 1000:
            shown = text.strip() if label in ("", BULLET) else f"{label} {text.strip()}"
            self._builder.heading(level, text.strip(), show=shown)
        elif label:
            self._builder.add(f"{label} {text.strip()}" if text.strip() else "", "list", joint="\n")
        else:
            self._builder.add(text)
        self._finish()

    def _text(self, element: Element) -> str:
        parts: list[str] = []
        self._inline(element, parts)
        return clean("".join(parts))

    def _finish(self) -> None:
        """Read what waits for the end of the paragraph or table that refers to it."""
        waiting, self._after = self._after, []
        for read in waiting:
            read()

    def _level(self, properties: Element | None) -> int:
        """Level of a heading, 0 for none."""
        if properties is None:
            return 0
        outline = _value(properties.find(f"{W}outlineLvl"))
        if outline.isdigit():
            return int(outline) + 1 if int(outline) < 9 else 0
        style = _value(properties.find(f"{W}pStyle"))
        return self._styles_part().level(style) if style else 0

    def _label(self, properties: Element | None) -> str:
        """What stands before an item of a list, its number or a bullet; "" for other paragraphs."""
        if properties is None:
            return ""
        number = properties.find(f"{W}numPr")
        own = None if number is None else number.find(f"{W}numId")
        level = "" if number is None else _value(number.find(f"{W}ilvl"))
        style = _value(properties.find(f"{W}pStyle"))
        id, of_style, named = self._styles_part().numbering(style) if style else ("", "", "")
        if own is not None:
            id, of_style = _value(own), level or "0"
        if not id or id == "0":
            return ""
        if self._numbering is None:
            parts = self._package.related(self._main, "numbering")
            self._numbering = Numbering(_decoded(self._package.optional_bytes(parts[0])) if parts else "")
        label = self._numbering.label(id, level or of_style, named)
        return label or (BULLET if own is not None else "")

    def _styles_part(self) -> Styles:
        if self._styles is None:
            parts = self._package.related(self._main, "styles")
            self._styles = Styles(_decoded(self._package.optional_bytes(parts[0])) if parts else "")
        return self._styles

    def _inline(self, element: Element, parts: list[str]) -> None:
        for child in element:
            tag = child.tag
            if tag in (_T, _M_T):
                parts.append(child.text or "")
            elif tag in _WRAPPERS:
                self._inline(child, parts)
            elif tag in _SIGNS:
                parts.append(_SIGNS[tag])
            elif tag not in _LEFT_OUT:
                self._special(tag, child, parts)

    def _special(self, tag: str, child: Element, parts: list[str]) -> None:
        """What stands in a run beside its text."""
        if tag == f"{W}sym":
            parts.append(symbol(child.get(f"{W}font", ""), child.get(f"{W}char", "")))
        elif tag in _REFERENCES:
            kind, id = _REFERENCES[tag], child.get(_ID, "")
            self._after.append(lambda: self._note(kind, id))
        elif tag in (f"{W}drawing", f"{W}pict", f"{W}object"):
            self._after.append(lambda: self._drawing(child))
        elif tag == _ALTERNATE:
            self._inline(alternative(child), parts)
        elif tag == f"{W}fldChar":
            parts.append(_chosen(child))
        elif tag == _RUBY_TEXT:
            self._after.append(lambda: self._builder.add(self._text(child)))
        elif tag in (_P, _TBL):
            self._after.append(lambda: self.blocks([child]))  # type: ignore[arg-type]
        else:
            self._inline(child, parts)
            if tag == _M_NUM:
                parts.append("/")

    def _note(self, kind: str, id: str) -> None:
        """A footnote, endnote or comment, the first time it is referred to."""
        entry = self._entries(kind).get(id)
        if entry is None or (kind, id) in self._seen:
            return
        self._seen.add((kind, id))
        if kind == "comments":
            author = entry.get(_AUTHOR, "").strip()
            self._builder.add(f"Comment by {author}:" if author else "Comment:")
        before, self._part = self._part, self._package.related(self._main, kind)[0]
        self.blocks(entry)
        self._part = before

    def _entries(self, kind: str) -> dict[str, Element]:
        if kind not in self._notes:
            parts = self._package.related(self._main, kind)
            root = self._package.optional(parts[0]) if parts else None
            self._notes[kind] = {
                entry.get(_ID, ""): entry
                for entry in (root if root is not None else ())
                if entry.get(f"{W}type", "normal") == "normal"
            }
        return self._notes[kind]

    def _drawing(self, element: Element) -> None:
        """Alternative text, text boxes, charts and SmartArt of a picture or shape."""
        for found in _visible(element):
            tag = found.tag
            if tag == f"{_DRAWING}docPr" or tag.endswith("}cNvPr"):
                self._once(replacements(found))
            elif tag.startswith(VML):
                self._once(
                    text for name in ("alt", "string", "title") if (text := found.get(name, "").strip())
                )
            elif tag == _TEXT_BOX:
                self.blocks(found)
            elif tag == f"{A}p":
                self._once(iter([inline(found)]))
            elif tag.endswith("}graphicData"):
                self._once(graphics(self._package, self._part, found))

    def _once(self, texts: Iterator[str]) -> None:
        """Descriptions that stand in several places, or only repeat one, are told once."""
        for text in texts:
            if text not in self._told:
                self._told.add(text)
                self._builder.add(clean(text))

    def _table(self, table: Element) -> None:
        for name in ("tblCaption", "tblDescription"):
            self._once(iter([_value(table.find(f"{W}tblPr/{W}{name}"))]))
        rows = [list(_below(row, _TC)) for row in _below(table, _TR)]
        if len(rows) == 1 and len(rows[0]) == 1:
            self.blocks(rows[0][0])
            return
        lines = []
        for row in rows:
            cells = [" ".join(self._cell(cell).split()) for cell in row]
            lines.append(" | ".join(cell for cell in cells if cell))
        self._builder.add("\n".join(line for line in lines if line), "table")
        self._finish()

    def _cell(self, cell: Element) -> str:
        parts: list[str] = []
        for block in _blocks_of(cell):
            label = self._label(block.find(_P_PR))
            parts.append(f"{label} " if label not in ("", BULLET) else "")
            self._inline(block, parts)
            parts.append(" ")
        return clean("".join(parts))

    def _chunk(self, id: str) -> None:
        """A document of another type that the program puts in this place when it opens the file."""
        relation = self._package.relations(self._part).get(id)
        if relation is None or relation.external:
            return
        try:
            if self._source.depth >= self._source.limits.depth:
                raise failure("bomb", f"nested more than {self._source.limits.depth} deep")
            inner = self._source.inside(self._package.read(relation.target), relation.target)
            found = self._source.read(inner)
        except (KeyError, ExtractionError) as error:
            self._builder.notes.append(f"{relation.target} was not read: {error}")
            return
        for extract in found:
            for block in extract.blocks:
                self._builder.add(extract.text[block.start : block.end], block.kind)


_REFERENCES = {
    f"{W}footnoteReference": "footnotes",
    f"{W}endnoteReference": "endnotes",
    f"{W}commentReference": "comments",
    f"{W}commentRangeStart": "comments",
}


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return decode(data)[0]


def _visible(element: Element) -> Iterator[Element]:
    """Elements below, one branch of each alternative, nothing inside a text box, which is walked on its own."""
    waiting = element[::-1]
    while waiting:
        child = waiting.pop()
        if child.tag == _ALTERNATE:
            waiting += alternative(child)[::-1]
            continue
        yield child
        if child.tag != _TEXT_BOX:
            waiting += child[::-1]


def _below(element: Element, tag: str) -> Iterator[Element]:
    """Rows of a table or cells of a row, whatever wraps them; not those of a table inside."""
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag not in _LEFT_OUT and child.tag not in (_TBL, _TC):
            yield from _below(child, tag)


def _blocks_of(element: Element) -> Iterator[Element]:
    """Paragraphs of a cell, those of tables inside it too."""
    for child in element:
        if child.tag == _P:
            yield child
        elif child.tag == _ALTERNATE:
            yield from _blocks_of(alternative(child))
        elif child.tag not in _LEFT_OUT:
            yield from _blocks_of(child)


def _chosen(field: Element) -> str:
    """What an old form's list shows, which stands in no run."""
    choices = field.find(f"{W}ffData/{W}ddList")
    if choices is None:
        return ""
    entries = [_value(entry) for entry in choices.findall(f"{W}listEntry")]
    result = _value(choices.find(f"{W}result")) or _value(choices.find(f"{W}default")) or "0"
    return entries[int(result)] if result.isdigit() and int(result) < len(entries) else ""


def _value(element: Element | None) -> str:
    return "" if element is None else element.get(_VALUE, "")
