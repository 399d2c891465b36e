"""Rows of tables as lines of text, each cell with the name of its column where there is a head."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from localsearch.extract.numberformat import shown

ROWS = 50
"""Rows kept in one block; chunks count their rows on from its first."""
WIDEST = 64
"""Columns of the widest table whose cells are told with the names in its head."""


def one_line(cell: object) -> str:
    """A value as a person reads it, on one line; dates as ISO 8601."""
    if isinstance(cell, str):
        return " ".join(cell.split())
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ", "seconds")
    return cell.isoformat() if isinstance(cell, date) else " ".join(str(cell).split())


@lru_cache(20_000, typed=True)
def formatted(cell: Hashable, code: str) -> str:
    """A number as its format shows it, the raw one in brackets where it reads otherwise; dates the other way round."""
    raw = one_line(cell)
    seen = shown(cell, code)
    if not seen or seen == raw:
        return raw
    return f"{raw} ({seen})" if isinstance(cell, (date, datetime, time, timedelta)) else f"{seen} ({raw})"


def labelled(rows: Iterable[tuple[int, Sequence[str]]]) -> Iterator[tuple[int, str]]:
    """Each row on one line, "" for an empty one; below a head as "name: value | name: value"."""
    head: Sequence[str] | None = None
    for number, row in rows:
        filled = [cell for cell in row if cell]
        if head is None and filled:
            head = row if _is_head(row) else ()
            yield number, " | ".join(filled)
        elif head:
            yield number, " | ".join(_cell(head, index, cell) for index, cell in enumerate(row) if cell)
        else:
            yield number, " | ".join(filled)


def _is_head(row: Sequence[str]) -> bool:
    """Whether a first row names the columns: several short, different words and no numbers."""
    names = [cell for cell in row if cell]
    if not 2 <= len(names) <= WIDEST or len(names) < 0.8 * len(row) or len(set(names)) < len(names):
        return False
    return all(len(name) <= 60 and any(map(str.isalpha, name)) and not name[0].isdigit() for name in names)


def _cell(head: Sequence[str], index: int, cell: str) -> str:
    name = head[index] if index < len(head) else ""
    return f"{name}: {cell}" if name else cell


def runs(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """Rows that follow one another without a gap, up to ROWS at a time, with the number of the first."""
    run: list[str] = []
    start = 1
    for number, line in lines:
        if run and (not line or len(run) == ROWS or number != start + len(run)):
            yield start, run
            run = []
        if line:
            start = start if run else number
            run.append(line)
    if run:
        yield start, run
