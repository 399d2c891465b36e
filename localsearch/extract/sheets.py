"""Tables: spreadsheets by calamine, CSV and TSV by the standard library; each row with its number."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

from localsearch.extract.builder import Builder
from localsearch.extract.decode import decode
from localsearch.extract.limits import failure
from localsearch.extract.packages import OLE, asks_for_password, own_title, properties
from localsearch.extract.plain import read_text
from localsearch.extract.source import Source
from localsearch.types import Extract, Place

ROWS = 50
"""Rows kept in one block; passages count their rows on from its first."""
WIDEST = 64
"""Columns of the widest table whose cells are told with the names in its head."""
LONGEST_CELL = 10_000
"""Characters kept of one cell."""


def read_sheets(source: Source, kind: str) -> list[Extract]:
    """Every sheet of a workbook, its name as heading; cells with the name of their column where there is a head."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    if kind in ("xlsx", "ods") and source.data.startswith(OLE):
        raise failure("encrypted", "it asks for a password")
    builder = Builder(source.limits.text)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(source.data))
        for name in book.sheet_names:
            _add_sheet(builder, book, name)
    except PasswordError:
        raise failure("encrypted", "it asks for a password") from None
    except CalamineError as error:
        if kind == "xls" and asks_for_password(source.data):
            raise failure("encrypted", "it asks for a password") from None
        raise failure("damaged", f"could not be read: {error}") from None
    if builder.empty:
        raise failure("no-text", "its sheets hold no cells with content")
    title, metadata = properties(source.data, kind)
    return [builder.extract(kind, title=own_title(title) or None, metadata=metadata)]


def _add_sheet(builder: Builder, book: Any, name: str) -> None:
    sheet = book.get_sheet_by_name(name)
    rows = ([_shown(cell) for cell in row] for row in sheet.iter_rows())
    place = Place(sheet=name)
    builder.leave_headings()
    marked = False
    for start, lines in _runs(_labelled(rows)):
        if not marked:
            builder.heading(1, name, place)
            marked = True
        row = Place(sheet=name, row=start)
        builder.add("\n".join(lines), "table", row)


def read_csv(source: Source, kind: str) -> list[Extract]:
    """A table of separated values, the separator guessed among the usual ones; plain text if it is no table."""
    text, _ = decode(source.data)
    csv.field_size_limit(10_000_000)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, kind))
    builder = Builder(source.limits.text)
    rows = ([_shown(cell) for cell in row] for row in _tolerant(reader))
    for start, lines in _runs(_labelled(rows)):
        builder.add("\n".join(lines), "table", Place(row=start), joint="\n")
        if builder.full:
            break
    if builder.empty:
        return [replace(read_text(source.data, source.name, source.limits.text), type=kind)]
    return [builder.extract(kind)]


def _delimiter(text: str, kind: str) -> str:
    if kind == "tsv":
        return "\t"
    lines = [line for line in text[:20_000].split("\n")[:50] if line.strip()]
    counts = {mark: sum(1 for line in lines if mark in line) * 1000 + sum(map(str.count, lines, [mark] * len(lines)))
              for mark in ",;\t|"}  # fmt: skip
    return max(counts, key=lambda mark: counts[mark])


def _tolerant(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """Rows up to the first that is no CSV."""
    try:
        yield from reader
    except csv.Error:
        return


def _shown(cell: object) -> str:
    """A cell as a person reads it, on one line."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()
    if isinstance(cell, (date, datetime)):
        return cell.isoformat(" ") if isinstance(cell, datetime) else cell.isoformat()
    return " ".join(str(cell)[:LONGEST_CELL].split())


def _labelled(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Each row on one line, "" for an empty one; below a head as "name: value | name: value"."""
    head: Sequence[str] | None = None
    for row in rows:
        filled = [cell for cell in row if cell]
        if head is None and filled:
            head = row if _is_head(row) else ()
            yield " | ".join(filled)
        elif head:
            yield " | ".join(_cell(head, index, cell) for index, cell in enumerate(row) if cell)
        else:
            yield " | ".join(filled)


def _is_head(row: Sequence[str]) -> bool:
    """Whether a first row names the columns: several short, different words and no numbers."""
    names = [cell for cell in row if cell]
    if not 2 <= len(names) <= WIDEST or len(names) < 0.8 * len(row) or len(set(names)) < len(names):
        return False
    return all(len(name) <= 60 and any(map(str.isalpha, name)) and not name[0].isdigit() for name in names)


def _cell(head: Sequence[str], index: int, cell: str) -> str:
    name = head[index] if index < len(head) else ""
    return f"{name}: {cell}" if name else cell


def _runs(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Rows that follow one another without a gap, up to ROWS at a time, with the number of the first."""
    run: list[str] = []
    start = 1
    for number, line in enumerate(lines, 1):
        if run and (not line or len(run) == ROWS):
            yield start, run
            run = []
        if line:
            start = start if run else number
            run.append(line)
    if run:
        yield start, run
