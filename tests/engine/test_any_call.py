"""Whatever a program hands to any method of an index: an answer, or an error of ours that says what to do.

The methods and their arguments are read from the class itself, so that a new one is tried without a word here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rounds
from hypothesis import strategies as st

from localsearch.engine import Engine
from localsearch.errors import LocalSearchError, StorageError
from localsearch.search import SearchOptions, SearchQuery
from localsearch.settings import load
from localsearch.types import Part, Record, Scope

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 3, 10**30, 2**63, -(2**63) - 1, 0.5, -0.0, 1e300, float("nan"), float("inf"),
    "", " ", "a", "bread", "foo", "default", "lexical", "\ud800", "a\0b", "a\nb", "\x1b[2J", "x" * 20_000, "~nobody-of-that-name/x",
    "type:x", "after:", "(", "9" * 5_000, b"bread", b"", [], ["a"], [""], [None], [5], ["\ud800"], (), (1, 2), ("a", "b"), {}, {"a": 1},
    {"$and": []}, {"$or": [{"type": {"$in": [None]}}]}, {"a": {"$gt": float("nan")}}, {1: 2}, {"$or": [{1: 2}]}, {"\ud800": "\ud800"}, set(), {"a"}, object(), Ellipsis,
    Path("nothing"), Path("."), Path("a\0b"), datetime(1, 1, 1), range(3), Exception("x"), Scope(), Scope(("",), ("",)), Part(),
    Record("x", "y"), Record("", ""), [Record("x", "y")], [Record("x", "y", metadata={"a": float("nan")})], SearchQuery(), SearchQuery("bread"),
]  # fmt: skip
SKIPPED = {"open", "close", "watch", "start_background", "take", "cached"}
"""What makes an index, ends it, changes its settings, starts threads that go on, or takes a query that is checked already;
they have tests of their own."""
METHODS = {
    name: method
    for name, method in inspect.getmembers(Engine, inspect.isfunction)
    if not name.startswith("_") and name not in SKIPPED
}
SENSIBLE: dict[str, Any] = {
    "query": "bread", "id": "a", "records": [Record("Milk.", "m")], "name": "a", "names": ["a"], "prefix": "b", "texts": ["bread"],
    "path": "nothing", "paths": "nothing", "targets": ["m"], "target": "out", "source": "in", "relevant": True, "first": "a", "second": "b",
}  # fmt: skip


def _values(method: str) -> dict[str, Any]:
    """Arguments of a method, by name; what reports or cancels is a function of the caller's own."""
    if method == "search":
        return dict.fromkeys(["query", *get_type_hints(SearchOptions)])
    return {name: one for name, one in inspect.signature(METHODS[method]).parameters.items()
            if name not in ("self", "report", "cancelled")}  # fmt: skip


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A method, and arguments of which one or two are odd."""
    method = draw(st.sampled_from(sorted(METHODS)))
    names = _values(method)
    odd = draw(st.lists(st.sampled_from(sorted(names)), min_size=1, max_size=2, unique=True)) if names else []
    given = {name: value for name, value in SENSIBLE.items() if name in names}
    return method, given | {name: draw(st.sampled_from(ODD)) for name in odd}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    settings = load(tmp_path / "home", environ={"LOCALSEARCH_MODELS": str(tmp_path / "none")}, offline=True)
    with Engine.open(settings=settings) as engine:
        engine.add([Record("Bread and butter.", "a")])
        yield engine


@rounds(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(call=calls())
def test_any_call_is_answered_or_refused(engine: Engine, call: tuple[str, dict[str, Any]]) -> None:
    method, arguments = call
    if engine.corpus.find("default", "a") is None:  # an earlier call deleted it
        engine.add([Record("Bread and butter.", "a")])
    try:
        getattr(engine, method)(**arguments)
    except LocalSearchError as error:
        assert error.message
        assert error.hint, error.message
    engine.search("butter", mode="lexical")  # still answers


@rounds(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.dictionaries(
        st.sampled_from([f.name for f in fields(SearchQuery)]), st.sampled_from(ODD), max_size=3
    )
)
def test_any_query_is_answered_or_refused(engine: Engine, values: dict[str, Any]) -> None:
    try:
        engine.answer(SearchQuery(**{"query": "bread"} | values))
    except LocalSearchError as error:
        assert error.hint


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_of_a_closed_index_says_so(tmp_path: Path, method: str) -> None:
    with Engine.open(tmp_path / "home") as engine:
        engine.add([Record("Bread and butter.", "a")])
    names = _values(method)
    with pytest.raises(StorageError, match="is closed"):
        getattr(engine, method)(**{name: value for name, value in SENSIBLE.items() if name in names})
