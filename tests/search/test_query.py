"""One question in one shape: what is out of range is refused, and equal questions have one key."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localsearch.errors import QueryError
from localsearch.search import SearchOptions, SearchQuery


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "foo"},
        {"limit": 0},
        {"limit": -1},
        {"offset": -1},
        {"min_relevance": 1.01},
        {"min_relevance": -0.01},
        {"min_relevance": float("nan")},
        {"budget_ms": 0},
        {"budget_ms": -5.0},
        {"budget_ms": float("nan")},
    ],
)
def test_a_value_out_of_range_is_refused_with_what_it_may_be(options: dict[str, Any]) -> None:
    with pytest.raises(QueryError) as refused:
        SearchQuery("kiln", **options)
    assert refused.value.hint


def test_the_options_of_the_engine_are_the_fields_of_a_query() -> None:
    assert get_type_hints(SearchOptions).keys() == {field.name for field in fields(SearchQuery)} - {"query"}


def test_what_changes_no_answer_changes_no_key() -> None:
    query = SearchQuery("neap  tides", filters={"a": 1, "b": 2})
    same = (
        SearchQuery(" neap tides ", filters={"b": 2, "a": 1}),
        replace(query, cache=False),
        replace(query, budget_ms=100.0),
    )
    assert {query.key, *(one.key for one in same)} == {query.key}
    assert SearchQuery("x", filters="").key == SearchQuery("x").key
    assert (replace(query, cache=False).cacheable, replace(query, budget_ms=9.0).cacheable) == (False, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("query", "spring tides"),
        ("limit", 6),
        ("offset", 1),
        ("mode", "lexical"),
        ("rerank", True),
        ("collection", "notes"),
        ("filters", "type:pdf"),
        ("explain", True),
        ("facets", True),
        ("plain", True),
        ("min_relevance", 0.5),
        ("like", "a.md"),
    ],
)
def test_every_other_option_has_a_key_of_its_own(field: str, value: Any) -> None:
    query = SearchQuery("neap tides")
    assert replace(query, **{field: value}).key != query.key


@given(
    st.builds(
        SearchQuery,
        query=st.text(),
        limit=st.integers(1, 1000),
        offset=st.integers(0, 1000),
        mode=st.sampled_from(["hybrid", "lexical", "semantic"]),
        filters=st.none() | st.text() | st.dictionaries(st.text(), st.integers()),
        min_relevance=st.floats(0, 1),
    )
)
def test_a_query_comes_back_from_the_log_as_it_was(query: SearchQuery) -> None:
    written = msgspec.json.encode(query.canonical)
    assert SearchQuery.of(msgspec.json.decode(written)) == query.canonical
    assert query.canonical.key == query.key
