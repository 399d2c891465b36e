"""What an XLSX package says beside the values of its cells: formats, comments, drawings, headers of printed pages.

References: ECMA-376 part 1, 18 (SpreadsheetML); [MS-XLSX] 2.6 for threaded comments. Sheets are scanned in
pieces, so that a large one is never whole in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from localsearch.errors import ExtractionError
from localsearch.extract.drawing import graphics, paragraphs, replacements
from localsearch.extract.numberformat import BUILT_IN
from localsearch.extract.opc import RELATION_ID, Element, Package, parse

S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}"
_PLAIN = ("general", "@", "")
_CELL = re.compile(rb'<(?:\w+:)?c\s(?:r="([A-Z]{1,3})(\d{1,7})")?(?: s="(\d+)")?([^>]*)')
"""A cell's column, row and style where they stand as most programs write them, and its other attributes."""
_ROW = re.compile(rb"<(?:\w+:)?row\s([^>]*)")
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{1,3})(\d{1,7})["']""")
_ROW_NUMBER = re.compile(rb"""\br\s*=\s*["'](\d{1,7})["']""")
_STYLE = re.compile(rb"""\bs\s*=\s*["'](\d+)["']""")
_DATA_BEGINS = re.compile(rb"<(?:\w+:)?sheetData\b[^>]*>")
_DATA_ENDS = re.compile(rb"</(?:\w+:)?sheetData\s*>")
_HEADER_CODE = re.compile(r'&(?:"[^"]*"|K[0-9A-F]{6}|K\d\d[+-]\d{3}|\d+|[LCRPNDTFAGZBIUSXYEOH])', re.I)
_AROUND_SAYS = re.compile(rb"Header|Footer|dataValidation|<!|\0")
"""What is read of the XML around cells; other encodings than UTF-8 and declarations are parsed in any case."""
_STYLES_ROOT = re.compile(rb"<styleSheet\b[^>]*[^/]>")
_STYLES_KEPT = re.compile(rb"<(numFmts|cellXfs)\b[^>]*[^/]>.*?</\1>", re.S)
_PIECE = 4_000_000


@dataclass(slots=True)
class Sheet:
    """One sheet as the workbook lists it."""

    name: str
    part: str
    rows: int = 0
    columns: int = 0
    cells: int = 0
    formats: dict[tuple[int, int], str] = field(default_factory=dict)
    around: bytes = b""
    """The sheet's XML without its cells."""


class Workbook:
    """The sheets of a package with what stands around their cells."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self.main = package.main("xl/workbook.xml")
        self._persons: dict[str, str] | None = None
        self._codes: dict[bytes, str] | None = None

    def sheets(self) -> list[Sheet]:
        """All sheets in the order of their tabs, hidden ones too."""
        relations = self.package.relations(self.main)
        found = []
        for sheet in self.package.tree(self.main).iter(f"{S}sheet"):
            relation = relations.get(sheet.get(f"{RELATION_ID}id", ""))
            found.append(Sheet(sheet.get("name", ""), relation.target if relation else ""))
        return found

    def scan(self, sheet: Sheet) -> None:
        """Find the extent of a sheet, the formats of its cells, and what stands around them."""
        if sheet.part not in self.package:
            return
        codes = self._number_formats()
        inside = False
        for piece in self.package.pieces(sheet.part, _PIECE):
            if not inside and (begins := _DATA_BEGINS.search(piece)):
                sheet.around += piece[: begins.start()]
                piece, inside = piece[begins.end() :], True
            elif not inside:
                sheet.around += piece
                continue
            if ends := _DATA_ENDS.search(piece):
                sheet.around += piece[ends.end() :]
                piece, inside = piece[: ends.start()], False
            _scan_cells(sheet, piece, codes)

    def texts(self, sheet: Sheet) -> Iterator[tuple[str, int | None]]:
        """What a sheet shows beside its cells, with the row where it belongs to one."""
        yield from self._comments(sheet)
        for part in self.package.related(sheet.part, "drawing"):
            drawn = self.package.optional(part)
            if drawn is not None:
                yield from ((text, None) for text in self._drawn(part, drawn))
        for part in self.package.related(sheet.part, "vmlDrawing"):
            yield from ((text, None) for text in self._controls(part))
        root = self._around(sheet)
        for element in root.iter() if root is not None else ():
            word = element.tag.rpartition("}")[2]
            if word in _HEADERS and element.text:
                text = " ".join(
                    _HEADER_CODE.sub(" ", element.text.replace("&&", "\0")).replace("\0", "&").split()
                )
                yield text, None
            elif word == "dataValidation":
                yield from ((element.get(name, ""), None) for name in ("promptTitle", "prompt"))

    def _around(self, sheet: Sheet) -> Element | None:
        """What stands around a sheet's cells as XML; None where nothing of it is text."""
        try:
            return parse(sheet.around, sheet.part)[0] if _AROUND_SAYS.search(sheet.around) else None
        except ExtractionError as error:
            self.package.notes.append(f"what stands around the cells of {sheet.name} was not read: {error}")
            return None

    def _comments(self, sheet: Sheet) -> Iterator[tuple[str, int | None]]:
        threaded: set[str] = set()
        for part in self.package.related(sheet.part, "threadedComment"):
            root = self.package.optional(part)
            for comment in root if root is not None else ():
                place = comment.get("ref", "")
                threaded.add(place)
                text = "".join(t.text or "" for t in comment if t.tag.endswith("}text"))
                yield _comment(place, self._person(comment.get("personId", "")), text)
        for part in self.package.related(sheet.part, "comments"):
            root = self.package.optional(part)
            if root is None:
                continue
            authors = [author.text or "" for author in root.iter(f"{S}author")]
            for comment in root.iter(f"{S}comment"):
                place, index = comment.get("ref", ""), comment.get("authorId", "")
                author = authors[int(index)] if index.isdigit() and int(index) < len(authors) else ""
                if place not in threaded:
                    yield _comment(place, author, rich_text(comment))

    def _person(self, id: str) -> str:
        if self._persons is None:
            roots = [self.package.optional(part) for part in self.package.related(self.main, "person")]
            self._persons = {
                p.get("id", ""): p.get("displayName", "") for root in roots if root is not None for p in root
            }
        return self._persons.get(id, "")

    def _drawn(self, part: str, root: Element) -> Iterator[str]:
        """Text boxes, charts and SmartArt of a sheet, and what describes its pictures."""
        yield from paragraphs(root)
        for properties in root.iter(f"{DRAWING}cNvPr"):
            yield from replacements(properties)
        yield from graphics(self.package, part, root)

    def _controls(self, part: str) -> Iterator[str]:
        """Text of buttons, boxes and labels drawn in VML; the boxes of comments are left out."""
        try:
            data = self.package.read(part)
            if data.count(b"ObjectType=") == data.count(b'ObjectType="Note"'):
                return
            root, _ = parse(data.replace(b"<br>", b"<br/>"), part)
        except (KeyError, ExtractionError):
            return
        for shape in root:
            client = next((child for child in shape if child.tag.endswith("}ClientData")), None)
            if client is None or client.get("ObjectType") == "Note":
                continue
            for box in shape:
                if box.tag.endswith("}textbox"):
                    yield " ".join("".join(box.itertext()).split())

    def _number_formats(self) -> dict[bytes, str]:
        """Format codes that change what is shown, by the number of the cell style as it stands in a sheet."""
        if self._codes is None:
            parts = self.package.related(self.main, "styles")
            root = self.package.optional(parts[0], _formats) if parts else None
            self._codes = dict(_codes_of(root)) if root is not None else {}
        return self._codes


_SPOKEN = (f"{S}rPh", f"{S}phoneticPr")
_HEADERS = frozenset(f"{which}{side}" for which in ("odd", "even", "first") for side in ("Header", "Footer"))


def _formats(styles: bytes) -> bytes:
    """A part of styles without all but the formats of numbers and what refers to them."""
    root = _STYLES_ROOT.search(styles)
    kept = [found.group() for found in _STYLES_KEPT.finditer(styles)]
    if root is None or b"<cellXfs" not in styles or not kept or b"<!" in styles:
        return styles
    return styles[: root.end()] + b"".join(kept) + b"</styleSheet>"


def _codes_of(styles: Element) -> Iterator[tuple[bytes, str]]:
    codes = dict(BUILT_IN)
    for found in styles.iter(f"{S}numFmt"):
        if found.get("numFmtId", "").isdigit():
            codes[int(found.get("numFmtId", ""))] = found.get("formatCode", "")
    cells = styles.find(f"{S}cellXfs")
    for index, style in enumerate(cells if cells is not None else ()):
        number = style.get("numFmtId", "0")
        code = codes.get(int(number), "") if number.isdigit() else ""
        if code.lower() not in _PLAIN:
            yield str(index).encode(), code


def _scan_cells(sheet: Sheet, piece: bytes, codes: dict[bytes, str]) -> None:
    """Extent and formats from the cells of a piece of a sheet; a cell without a place follows the one before."""
    for letters, digits, style, attributes in _CELL.findall(piece):
        sheet.cells += 1
        if not letters and (place := _PLACE.search(attributes)):
            letters, digits = place.groups()
        if not letters:
            continue
        column, row = column_number(letters), int(digits)
        sheet.rows, sheet.columns = max(sheet.rows, row), max(sheet.columns, column)
        if not style and (found := _STYLE.search(attributes)):
            style = found.group(1)
        if style in codes:
            sheet.formats[row, column] = codes[style]
    for attributes in _ROW.findall(piece):
        number = _ROW_NUMBER.search(attributes)
        if number is not None:
            sheet.rows = max(sheet.rows, int(number.group(1)))


@lru_cache(maxsize=16_384)
def column_number(letters: bytes) -> int:
    """The number of a column from its letters: A is 1, XFD is 16384."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def rich_text(element: Element) -> str:
    """Text of runs, without what only tells how to pronounce it."""
    parts = [element.text or ""] if element.tag == f"{S}t" else []
    parts += [rich_text(child) for child in element if child.tag not in _SPOKEN]
    return "".join(parts)


def _comment(place: str, author: str, text: str) -> tuple[str, int | None]:
    by = f" by {author}" if author else ""
    text = text.removeprefix(f"{author}:").strip() if author else text.strip()
    row = "".join(filter(str.isdigit, place))
    return (f"Comment on {place}{by}: {text}" if text else ""), int(row) if row else None


def sparse_rows(workbook: Workbook, sheet: Sheet) -> Iterator[tuple[int, dict[int, object]]]:
    """Row numbers of a sheet, and values by column, of the cells it holds alone, however far apart they are."""
    package = workbook.package
    strings: list[str] | None = None
    row = 0
    for element in package.tree(sheet.part).iter(f"{S}row"):
        number = element.get("r", "")
        row = int(number) if number.isdigit() else row + 1
        found: dict[int, object] = {}
        column = 0
        for cell in element.iter(f"{S}c"):
            letters = cell.get("r", "").rstrip("0123456789")
            column = (
                column_number(letters.encode()) if letters.isalpha() and letters.isascii() else column + 1
            )
            kind, value = cell.get("t", "n"), cell.findtext(f"{S}v", "")
            if kind == "s" and strings is None:
                strings = _shared_strings(workbook)
            found[column] = _value(kind, value, cell, strings or [])
        yield row, found


def _value(kind: str, value: str, cell: Element, strings: list[str]) -> object:
    if kind == "s":
        return strings[int(value)] if value.isdigit() and int(value) < len(strings) else ""
    if kind == "inlineStr":
        return "".join(rich_text(found) for found in cell.findall(f"{S}is"))
    if kind == "b":
        return value == "1"
    try:
        return float(value) if kind == "n" and value else value
    except ValueError:
        return value


def _shared_strings(workbook: Workbook) -> list[str]:
    parts = workbook.package.related(workbook.main, "sharedStrings")
    root = workbook.package.optional(parts[0]) if parts else None
    return [rich_text(found) for found in root.findall(f"{S}si")] if root is not None else []
