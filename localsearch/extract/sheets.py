"""Spreadsheets: values by calamine, as their formats show them, with comments, drawings and headers."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from localsearch.errors import ExtractionError
from localsearch.extract.biff import OldSheet, read_old_sheets
from localsearch.extract.builder import Builder
from localsearch.extract.compound import compound
from localsearch.extract.decode import clean
from localsearch.extract.embedded import embedded, embedded_in_ole
from localsearch.extract.limits import failure
from localsearch.extract.opc import Package
from localsearch.extract.packages import OLE, asks_for_password, own_title, properties, properties_of
from localsearch.extract.rows import formatted, labelled, one_line, runs
from localsearch.extract.source import Source
from localsearch.extract.storage import as_file
from localsearch.extract.workbook import Sheet, Workbook, sparse_rows
from localsearch.types import Extract, Place

DENSE = 100_000
"""Cells, empty ones counted, up to which a sheet is read as one rectangle however few are filled."""
SPARSE = 10
"""Times that a larger rectangle may exceed the filled cells before these are read one by one."""
LARGEST_STRINGS = 300_000_000
"""Bytes of shared strings beyond which they are left out: a workbook of such a size is made to harm."""

Row = tuple[int, Sequence[str]]
_MADE_UP = re.compile(
    r"(?:sheet|tabelle|feuil|feuille|hoja|foglio|planilha|plan|blad|ark|arkusz|munka|list|лист|taul|sayfa)\d*",
    re.I,
)
"""Names that programs give to new sheets, in the languages of most users."""


def read_xlsx(source: Source) -> list[Extract]:
    """Every sheet of a workbook, its name as heading; cells with the name of their column where there is a head."""
    if source.data.startswith(OLE):
        raise failure("encrypted", "it asks for a password")
    package = Package(source.data)
    if package.main("xl/workbook.xml").lower().endswith(".bin"):
        return _read_by_calamine(source, "xlsx", {})
    workbook = Workbook(package)
    builder = _Sheets(source.limits.text)
    book = _opened(source.data, workbook)
    for sheet in workbook.sheets():
        builder.begin(sheet.name)
        workbook.scan(sheet)
        builder.rows(_rows(book, workbook, sheet, builder.notes))
        for text, row in workbook.texts(sheet):
            builder.beside(text, row)
    inside = embedded(source, package)
    builder.notes += package.notes
    title, metadata = properties_of(package.read, "docProps/core.xml")
    return [builder.finish("xlsx", title, metadata, any(extract.text for extract in inside)), *inside]


def read_xls(source: Source) -> list[Extract]:
    """Every sheet of an Excel 97 workbook; of older ones the values alone."""
    try:
        beside = read_old_sheets(source.data)
    except Exception:  # what stands beside the values is an extra; calamine tells what is wrong with the file
        beside = {}
    return _read_by_calamine(source, "xls", beside)


def _read_by_calamine(source: Source, kind: str, beside: Mapping[str, OldSheet]) -> list[Extract]:
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    builder = _Sheets(source.limits.text)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(_without_objects(source.data, kind)))
    except PasswordError:
        raise failure("encrypted", "it asks for a password") from None
    except CalamineError as error:
        if kind == "xls" and asks_for_password(source.data):
            raise failure("encrypted", "it asks for a password") from None
        raise failure("damaged", f"could not be read: {error}") from None
    for name in book.sheet_names:
        builder.begin(name)
        own = beside.get(name, OldSheet())
        builder.rows(_dense(book, name, own.formats, builder.notes))
        for text, row in own.texts:
            builder.beside(text, row)
    inside = embedded_in_ole(source, builder.notes) if source.data.startswith(OLE) else []
    title, metadata = properties(source.data, kind)
    return [builder.finish(kind, title, metadata, any(extract.text for extract in inside)), *inside]


def _without_objects(data: bytes, kind: str) -> bytes:
    """An Excel 97 file without the workbooks among its objects, which calamine may take for the file's own."""
    try:
        file = compound(data) if kind == "xls" and data.startswith(OLE) else None
        inner = file is not None and any(
            len(path) > 1 and path[-1] in ("Workbook", "Book") for path in file.listdir()
        )
        return as_file(file, [], flat=True) if file is not None and inner else data
    except (OSError, ValueError):
        return data


class _Sheets(Builder):
    """A builder that knows which sheet it is in, and whether any holds more than its name."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._name = ""
        self._names: list[str] = []
        self._filled = False

    def begin(self, name: str) -> None:
        self.leave_headings()
        self._name = name
        self._names.append(name)
        self.heading(1, clean(name), Place(sheet=name))

    def rows(self, rows: Iterable[Row]) -> None:
        for start, lines in runs(labelled(rows)):
            self.add(clean("\n".join(lines)), "table", Place(sheet=self._name, row=start))
            self._filled = True
            if self.full:
                break

    def beside(self, text: str, row: int | None) -> None:
        if text.strip():
            self.add(clean(text), place=Place(sheet=self._name, row=row))
            self._filled = True

    def finish(self, kind: str, title: str, metadata: Mapping[str, Any], holds_more: bool = False) -> Extract:
        """The extract; ExtractionError for empty sheets whose names a program made up, with nothing else inside."""
        if not self._filled and not holds_more and all(_MADE_UP.fullmatch(name) for name in self._names):
            raise failure("no-text", "its sheets hold no cells with content")
        return self.extract(kind, title=own_title(title) or None, metadata=metadata)


def _opened(data: bytes, workbook: Workbook) -> Any:
    """The workbook in calamine; None where it does not open there, or is too large to be opened."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    strings = workbook.package.related(workbook.main, "sharedStrings")
    if any(workbook.package.size(part) > LARGEST_STRINGS for part in strings):
        return None
    try:
        return CalamineWorkbook.from_filelike(io.BytesIO(data))
    except PasswordError:
        raise failure("encrypted", "it asks for a password") from None
    except CalamineError:
        return None


def _rows(book: Any, workbook: Workbook, sheet: Sheet, notes: list[str]) -> Iterator[Row]:
    area = sheet.rows * sheet.columns
    if book is not None and (area <= DENSE or area <= SPARSE * sheet.cells):
        yield from _dense(book, sheet.name, sheet.formats, notes)
        return
    try:
        for row, cells in sparse_rows(workbook, sheet):
            width = max(cells, default=0)
            yield row, [_shown(cells.get(c, ""), sheet.formats.get((row, c))) for c in range(1, width + 1)]
    except KeyError:
        notes.append(f"the sheet {sheet.name} is missing")
    except ExtractionError as error:
        notes.append(f"the sheet {sheet.name} was not read: {error.message}")


def _dense(book: Any, name: str, formats: Mapping[tuple[int, int], str], notes: list[str]) -> Iterator[Row]:
    """Rows of a sheet as calamine gives them, from the first row and the first column that is filled."""
    from python_calamine import CalamineError, WorksheetNotFound

    try:
        sheet = book.get_sheet_by_name(name)
    except WorksheetNotFound:
        return
    except CalamineError as error:
        notes.append(f"the sheet {name} was not read: {error}")
        return
    first = sheet.start[1] + 1 if sheet.start else 1
    for row, cells in enumerate(sheet.iter_rows(), 1):
        if formats:
            yield row, [_shown(cell, formats.get((row, column))) for column, cell in enumerate(cells, first)]
        else:
            yield row, [one_line(cell) if cell != "" else "" for cell in cells]


def _shown(cell: object, code: str | None) -> str:
    return one_line(cell) if code is None else formatted(cell, code)
