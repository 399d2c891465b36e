"""One odd value costs its item: whatever a file, a folder or a program brings, the rest is indexed and found."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rounds
from hypothesis import strategies as st
from serving import ONE_READER

from localsearch.engine import Engine
from localsearch.errors import UsageError
from localsearch.indexing import indexer as indexing
from localsearch.settings import load
from localsearch.types import Answer, Record

YEAR_2300 = 10_413_792_000


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    settings = replace(load(tmp_path / "home", environ={}), models=tmp_path, extract=ONE_READER)
    with Engine.open(settings=settings) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "notes"
    made.mkdir()
    for number in range(5):
        (made / f"good{number}.md").write_text(
            f"# Bread {number}\n\nA bread recipe with flour, number {number}.\n"
        )
    return made


def found(engine: Engine, query: str = "bread") -> Answer:
    """An answer made of everything that reads dates and metadata: hits, facets, and what a server sends."""
    answer = engine.search(query, mode="lexical", limit=20, facets=True)
    json.dumps([dict(hit.metadata) for hit in answer], allow_nan=False)
    engine.search(f"{query} after:2020", mode="lexical")
    engine.search(f"{query} year:2020", mode="lexical")
    return answer


def dated(path: Path, seconds: int) -> None:
    os.utime(path, ns=(seconds * 10**9, seconds * 10**9), follow_symlinks=False)
    if os.lstat(path).st_mtime != seconds:
        pytest.skip("this file system cannot date a file so")


def test_a_file_dated_beyond_64_bits_is_indexed_with_a_note(engine: Engine, folder: Path) -> None:
    (folder / "x.md").write_text("bread of another century\n")
    dated(folder / "x.md", YEAR_2300)
    report = engine.index(folder, embed=False)
    assert (report.files.new, report.files.failed) == (6, 0)
    assert len(found(engine)) == 6
    (row,) = engine.why(folder / "x.md")
    assert row.state == "indexed"
    assert row.notes == ("its date of change lies outside the years 1677 to 2262; the nearest is kept",)
    again = engine.index(folder, embed=False)
    assert (again.files.new, again.files.changed, again.files.unchanged) == (0, 0, 6)


def test_links_sockets_and_folders_dated_so_are_left_out_like_any_other(engine: Engine, folder: Path) -> None:
    os.symlink("/nowhere", folder / "link")
    dated(folder / "link", YEAR_2300)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "s"))
        dated(folder / "s", YEAR_2300)
        (folder / ".git").mkdir()
        dated(folder / ".git", YEAR_2300)
        report = engine.index(folder, embed=False)
    assert (report.files.new, report.files.skipped) == (5, 3)
    assert dict(report.rules) == {"link": 1, "special": 1, "vcs": 1}


@pytest.mark.parametrize(
    "date",
    ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "99999-01-01", "1e300", "nan", "2024-13-45"],
)
@pytest.mark.parametrize("field", ["date", "created", "modified"])
def test_a_date_of_front_matter_that_no_calendar_has(
    engine: Engine, folder: Path, field: str, date: str
) -> None:
    (folder / "odd.md").write_text(f"---\ntitle: Odd\n{field}: {date}\n---\n\nbread with an odd date\n")
    assert engine.index(folder, embed=False).files.new == 6
    assert len(found(engine)) == 6


def test_a_note_tells_of_the_date_that_was_left_out(engine: Engine, folder: Path) -> None:
    (folder / "odd.md").write_text("---\ndate: 9999-12-31T23:59:59-12:00\n---\n\nbread with an odd date\n")
    engine.index(folder, embed=False)
    (row,) = engine.why(folder / "odd.md")
    assert row.notes == ("created: not a date of the years 1 to 9999, left out",)
    os.utime(folder / "odd.md", (1, 1))
    engine.index(folder, embed=False)
    assert engine.why(folder / "odd.md")[0].notes == row.notes


VALUES: list[Any] = [
    1e300, -1e18, float("nan"), float("inf"), 2**70, 10**5000, 253402300800, True, [1], {"a": 1}, [[["x"]]], None,
    "9999-12-31T23:59:59-12:00", "\ud800", "x" * 1_000_000, b"\xff", [{"a": [{}]}], {"\ud800": {"b": "\udfff"}}, 5,
]  # fmt: skip
FIELDS = [
    "created",
    "modified",
    "date",
    "tags",
    "title",
    "type",
    "language",
    "author",
    "path",
    "",
    'a"b',
    "$x",
]


@pytest.mark.parametrize("field", FIELDS)
def test_records_with_odd_metadata_are_stored_and_found(engine: Engine, field: str) -> None:
    for number, value in enumerate(VALUES):
        engine.add([Record("bread", f"id{number}", "", {field: value})])
    assert found(engine).total == len(VALUES)
    for number in range(len(VALUES)):
        shown = engine.get(f"id{number}")
        json.dumps({name: value for name, value in shown.items() if name != "indexed"}, allow_nan=False)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@rounds(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(st.characters(), max_size=5), ODD, max_size=6))
def test_any_metadata(engine: Engine, metadata: dict[str, Any]) -> None:
    engine.add([Record("bread", "one", "", metadata)])
    answer = found(engine)
    assert [hit.id for hit in answer] == ["one"]
    assert answer.notes == ()


@pytest.mark.parametrize("id", ["", "\ud800", "x" * 10_001])
def test_an_id_that_cannot_be_stored_is_refused(engine: Engine, id: str) -> None:
    with pytest.raises(UsageError, match="An id is text"):
        engine.add([Record("bread", id)])


def test_a_row_that_another_program_wrote_costs_its_hit_and_no_other(engine: Engine) -> None:
    engine.add([Record("bread one", "a"), Record("bread two", "b"), Record("bread three", "c")])
    for column, value in [
        ("metadata", "{"),
        ("tags", '[{"a": 1}]'),
        ("metadata", "[1]"),
        ("metadata", "[" * 5000),
    ]:
        with engine.db.write() as connection:
            connection.execute(f"UPDATE documents SET {column} = ? WHERE key = 'b'", (value,))
        engine.answers.clear()
        answer = engine.search("bread", mode="lexical", facets=True)
        assert {"a", "c"} <= {hit.id for hit in answer}
        if column == "metadata":
            assert [hit.id for hit in answer if hit.id == "b"] == []
            assert answer.notes == (
                "1 of the hits cannot be shown; `localsearch check` tells what is damaged.",
            )


def test_rows_with_dates_that_no_calendar_has_are_shown_without_them(engine: Engine) -> None:
    engine.add([Record("bread", "a")])
    with engine.db.write() as connection:
        connection.execute("UPDATE documents SET created = 1e300, modified = -9e99, indexed = 9e999")
    (hit,) = found(engine)
    assert "created" not in hit.metadata
    assert found(engine).facets is not None


def test_an_error_that_nobody_foresaw_is_that_files_failure(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cut = indexing.from_extract

    def breaking(extract: Any, key: str, *rest: Any) -> Any:
        if key.endswith("good3.md"):
            raise ZeroDivisionError("a mistake of ours")
        return cut(extract, key, *rest)

    monkeypatch.setattr(indexing, "from_extract", breaking)
    report = engine.index(folder, embed=False)
    assert (report.files.new, report.files.failed, dict(report.rules)) == (4, 1, {"internal": 1})
    (row,) = engine.why(folder / "good3.md")
    assert (row.state, row.rule) == ("failed", "internal")
    assert row.reason == "an unexpected ZeroDivisionError; the log has the details"
    assert "a mistake of ours" in caplog.text
    assert len(found(engine)) == 4
    monkeypatch.undo()
    assert engine.index(folder, embed=False, retry_failed=True).files.new == 1
    assert len(found(engine)) == 5
