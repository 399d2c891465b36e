"""CSV and TSV: each row with its number; a stray quotation mark costs no row but its own."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from localsearch.extract.builder import Builder
from localsearch.extract.decode import decode
from localsearch.extract.plain import read_text
from localsearch.extract.rows import labelled, one_line, runs
from localsearch.extract.source import Source
from localsearch.types import Extract, Place

MOST_LINES = 10_000
"""Lines that one row may span."""
WASTED = 1_000_000
"""Lines read for nothing behind stray marks before further rows are taken to end with their line."""
_END = "\0end"


def read_csv(source: Source, kind: str) -> list[Extract]:
    """A table of separated values, the separator guessed among the usual ones; plain text if it is no table."""
    text, _ = decode(source.data)
    csv.field_size_limit(max(len(text) + 1, 131_072))
    builder = Builder(source.limits.text)
    rows = ([one_line(cell) for cell in row] for row in rows_of(text, delimiter(text, kind)))
    for start, lines in runs(labelled(enumerate(rows, 1))):
        builder.add("\n".join(lines), "table", Place(row=start), joint="\n")
        if builder.full:
            break
    if builder.empty:
        return [replace(read_text(source.data, source.name, source.limits.text), type=kind)]
    return [builder.extract(kind)]


def delimiter(text: str, kind: str) -> str:
    """The sign between cells: a tab in TSV, else the usual one that most of the first lines hold."""
    if kind == "tsv":
        return "\t"
    lines = [line for line in text[:20_000].split("\n")[:50] if line.strip()]
    counts = {mark: sum(1 for line in lines if mark in line) * 1000 + sum(map(str.count, lines, [mark] * len(lines)))
              for mark in ",;\t|"}  # fmt: skip
    return max(counts, key=lambda mark: counts[mark])


def rows_of(text: str, mark: str) -> Iterator[list[str]]:
    """Rows of a table. A quoted cell may hold line ends, unless what it spans reads as rows of their own."""
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    usual = Counter(line.count(mark) for line in lines[:50] if line.strip()).most_common(1)
    marks = usual[0][0] if usual else 0
    at, wasted = 0, 0
    while at < len(lines):
        line = lines[at]
        if '"' not in line:
            yield line.split(mark) if line else []
            at += 1
            continue
        row, used = _quoted(lines, at, mark, MOST_LINES if wasted < WASTED else 1)
        if used != 1 and (not used or _are_rows(lines[at : at + used], mark, marks)):
            wasted += used or min(MOST_LINES, len(lines) - at)
            row, used = [cell.removeprefix('"') for cell in line.split(mark)], 1
        yield row
        at += used


def _quoted(lines: list[str], at: int, mark: str, most: int) -> tuple[list[str], int]:
    """The row that begins at a line, and the lines it spans: 0 when its quotation is never closed."""
    taken = 0

    def following() -> Iterator[str]:
        nonlocal taken
        for line in lines[at : at + most]:
            taken += 1
            yield line + "\n"
        taken += 1
        yield _END

    try:
        row = next(csv.reader(following(), delimiter=mark))
    except csv.Error:
        return [], 0
    return ([], 0) if row and row[-1].endswith(_END) else (row, taken)


def _are_rows(lines: list[str], mark: str, marks: int) -> bool:
    """Whether lines that one cell spans are rows: nearly all hold as many separators as a row does."""
    filled = [line.count(mark) for line in lines if line.strip()]
    return marks > 0 and filled.count(marks) >= 0.8 * len(filled)
