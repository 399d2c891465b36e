"""What matches, in the order of dates, names or sizes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import settings_at

from localsearch.engine import Engine
from localsearch.errors import QueryError
from localsearch.search import sorting

FILES = {"delta.txt": (3, 1), "alpha.txt": (1, 3), "Bravo.txt": (2, 2), "other.txt": (9, 9)}
"""Days of the file's date, and how often it holds its word."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, (day, words) in FILES.items():
        word = "heron" if name != "other.txt" else "egret"
        (folder / name).write_text(f"A {word} stands. " * words)
        os.utime(folder / name, (1_700_000_000 + day * 86_400, 1_700_000_000 + day * 86_400))
    with Engine.open(settings=settings_at(tmp_path / "home")) as one:
        one.index(folder, embed=False)
        yield one


def order(engine: Engine, sort: str, **more: object) -> list[str]:
    answer = engine.search("heron", mode="lexical", sort=sort, **more)  # type: ignore[arg-type]
    return [Path(hit.path or "").name for hit in answer]


def test_what_matches_is_sorted(engine: Engine) -> None:
    assert order(engine, "date") == ["delta.txt", "Bravo.txt", "alpha.txt"]
    assert order(engine, "name") == ["alpha.txt", "Bravo.txt", "delta.txt"]
    assert order(engine, "size") == ["alpha.txt", "Bravo.txt", "delta.txt"]
    assert set(order(engine, "relevance")) == {"alpha.txt", "Bravo.txt", "delta.txt"}


def test_pages_go_through_the_whole_order(engine: Engine) -> None:
    pages = [order(engine, "date", limit=1, offset=at) for at in range(4)]
    assert pages == [["delta.txt"], ["Bravo.txt"], ["alpha.txt"], []]
    assert engine.search("heron", mode="lexical", sort="date", limit=1).total == 3


def test_more_than_can_be_sorted_is_told(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "MOST_SORTED", 2)
    answer = engine.search("heron", mode="lexical", sort="size")
    assert (len(answer), answer.total) == (2, 3)
    assert "The 2 most relevant are sorted by size." in answer.notes


def test_an_order_that_is_none_is_refused(engine: Engine) -> None:
    with pytest.raises(QueryError, match="no order 'colour'"):
        order(engine, "colour")
