"""OpenDocument spreadsheets: cells as shown beside their values, with notes, shapes and the headers of printed pages.

Reference: OpenDocument 1.3 part 3, 9 (tables). Repeated rows and columns are counted, never written out, so that a
value in the last corner costs no more than one in the first.
"""

from __future__ import annotations

from collections.abc import Iterator

from localsearch.extract.builder import Builder
from localsearch.extract.odf import DRAW, OFFICE, TABLE, Document, Reader, finish, headers
from localsearch.extract.opc import Element
from localsearch.extract.rows import labelled, runs
from localsearch.extract.source import Source
from localsearch.types import Extract, Place

MOST_REPEATED = 1000
"""Times that one filled row or cell is told when it is repeated."""
_ROW, _CELL, _COVERED = f"{TABLE}table-row", f"{TABLE}table-cell", f"{TABLE}covered-table-cell"
_NAME, _ROWS, _COLUMNS = f"{TABLE}name", f"{TABLE}number-rows-repeated", f"{TABLE}number-columns-repeated"
_VALUE, _DATE = f"{OFFICE}value", f"{OFFICE}date-value"


def read_ods(source: Source) -> list[Extract]:
    """Every sheet, its name as heading; cells with the name of their column where there is a head."""
    document = Document(source)
    builder = Builder(source.limits.text)
    for table in document.body.iter(f"{TABLE}table"):
        if table.get(_NAME) is not None:
            _add_table(builder, document, table)
    builder.leave_headings()
    headers(document, Reader(document, builder))
    return [finish(document, builder, "ods", "its sheets hold no cells with content", titled=False)]


def _add_table(builder: Builder, document: Document, table: Element) -> None:
    name = table.get(_NAME, "")
    builder.leave_headings()
    builder.heading(1, name, Place(sheet=name))
    beside: list[tuple[int, Element]] = []
    reader = Reader(document, builder, Place(sheet=name))
    for start, lines in runs(labelled(_rows(table, reader, beside))):
        builder.add("\n".join(lines), "table", Place(sheet=name, row=start))
    for row, element in beside:
        Reader(document, builder, Place(sheet=name, row=row)).block(element)
    for shapes in table.findall(f"{TABLE}shapes"):
        reader.story(shapes)
    for forms in table.findall(f"{OFFICE}forms"):
        reader.story(forms)


def _rows(
    table: Element, reader: Reader, beside: list[tuple[int, Element]]
) -> Iterator[tuple[int, list[str]]]:
    """Numbers and cells of the rows that hold something; what stands in cells beside text goes to `beside`."""
    number = 1
    for row in table.iter(_ROW):
        repeated = _count(row, _ROWS)
        cells: list[str] = []
        empty = 0
        for cell in row:
            if cell.tag not in (_CELL, _COVERED):
                continue
            text = _cell(cell, reader)
            beside += [(number, child) for child in cell if _is_beside(child)]
            if not text:
                empty += _count(cell, _COLUMNS)
                continue
            cells += [""] * min(empty, 16_384 - len(cells)) + [text] * min(
                _count(cell, _COLUMNS), MOST_REPEATED
            )
            empty = 0
        if cells:
            for offset in range(min(repeated, MOST_REPEATED)):
                yield number + offset, cells
        number += repeated


def _is_beside(child: Element) -> bool:
    return child.tag == f"{OFFICE}annotation" or child.tag.startswith(DRAW)


def _cell(cell: Element, reader: Reader) -> str:
    """A cell as shown, with its value in brackets where that reads otherwise; a date first as ISO 8601."""
    shown = " ".join(reader.cell(cell, beside=False).split()) if len(cell) else ""
    if date := cell.get(_DATE):
        raw = date.removesuffix("T00:00:00").replace("T", " ")
        return raw if shown in ("", raw) else f"{raw} ({shown})"
    raw = cell.get(_VALUE, "")
    if raw.endswith(".0"):
        raw = raw[:-2]
    if not raw or shown == raw:
        return shown
    return f"{shown} ({raw})" if shown else raw


def _count(element: Element, name: str) -> int:
    text = element.get(name, "1")
    return max(int(text), 1) if text.isdigit() else 1
