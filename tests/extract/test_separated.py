"""CSV and TSV: a stray quotation mark costs no row but its own."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localsearch.extract.kinds import looks_like_text
from localsearch.extract.limits import Limits
from localsearch.extract.read import read
from localsearch.extract.separated import rows_of

LIMITS = Limits(text=5_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)
PLAIN = st.lists(
    st.lists(st.text("ab ", min_size=1, max_size=5), min_size=3, max_size=3), min_size=2, max_size=20
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.text('ab ,"\n', max_size=8), min_size=2, max_size=4), min_size=1, max_size=15))
def test_what_the_standard_library_writes_loses_no_letter(table: list[list[str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(table)
    letters = "".join(
        sign for row in rows_of(buffer.getvalue(), ",") for cell in row for sign in cell if sign in "ab"
    )
    assert letters == "".join(sign for row in table for cell in row for sign in cell if sign in "ab")


@settings(max_examples=100, deadline=None)
@given(PLAIN, st.data())
def test_stray_marks_leave_all_other_rows_as_they_are(table: list[list[str]], data: st.DataObject) -> None:
    lines = [",".join(row) for row in table]
    spoiled = data.draw(st.sets(st.integers(0, len(lines) - 1), max_size=3))
    for number in spoiled:
        at = data.draw(st.integers(0, len(lines[number])))
        lines[number] = lines[number][:at] + '"' + lines[number][at:]
    found = list(rows_of("\n".join(lines) + "\n", ","))
    assert len(found) == len(table)
    assert all(found[number] == row for number, row in enumerate(table) if number not in spoiled)


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ","), ("a.tsv", "\t"), ("b.csv", ";")])
def test_rows_after_a_stray_mark_keep_their_numbers(name: str, mark: str) -> None:
    rows = [f"{number}{mark}bolt marker{number}{mark}7" for number in range(1, 2001)]
    rows[199] = f'200{mark}"quarter inch pipe{mark}7'
    rows[899] = f'900{mark}half inch" pipe{mark}7'
    (found,) = read("\n".join([f"no{mark}description{mark}stock", *rows]).encode(), name, LIMITS)
    lines = found.text.split("\n")
    assert len(lines) == 2001
    assert lines[1999] == "no: 1999 | description: bolt marker1999 | stock: 7"
    assert "quarter inch pipe" in lines[200]
    assert found.blocks[4].place.row == 201


def test_cells_of_many_lines_and_letters() -> None:
    story = "\n".join(f"line {number}{', with a comma' * (number % 3)}" for number in range(500))
    (found,) = read(f'id,article\n1,"{story}"\n2,next\n'.encode(), "a.csv", LIMITS)
    assert "line 497, with a comma, with a comma line 498 line 499, with a comma\n" in found.text
    assert found.text.endswith("id: 2 | article: next")
    (long,) = read(("id,article\n1," + "word " * 100_000 + "end\n").encode(), "a.csv", LIMITS)
    assert long.text.endswith("word end")


def test_many_marks_that_close_nothing_take_no_time_that_grows_with_their_square() -> None:
    rows = [f'{number},"open,7' for number in range(20_000)]
    found = list(rows_of("\n".join(rows), ","))
    assert len(found) == 20_000
    assert found[-1] == ["19999", "open", "7"]


def test_a_zero_byte_does_not_make_a_table_binary() -> None:
    (found,) = read("a,b\n1,café before\n2,x\x00y\n3,after\n".encode(), "a.csv", LIMITS)
    assert found.text == "a | b\na: 1 | b: café before\na: 2 | b: xy\na: 3 | b: after"
    assert not looks_like_text(bytes(range(256)) * 4)
