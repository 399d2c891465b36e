"""Values from outside: whatever comes, what leaves `checked` can be stored, shown and sent."""

from __future__ import annotations

import json
import math
import sqlite3
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localsearch.checked import (
    DEPTH,
    EARLIEST_NS,
    LATEST_NS,
    LONGEST_VALUE,
    VALUES,
    Metadata,
    clean,
    count,
    moment,
    nanoseconds,
    seconds,
    timestamp,
)

ANY_TEXT = st.text(st.characters(), max_size=20) | st.text(
    st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF), max_size=5
)
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**62, max_value=2**80)
    | st.floats()
    | ANY_TEXT
    | st.dates()
    | st.datetimes()
    | st.binary(max_size=5)
)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(ANY_TEXT | st.integers(), VALUE, max_size=5))
def test_metadata_can_be_stored_found_and_sent(given_: dict[Any, Any]) -> None:
    kept = Metadata(given_).values
    stored = json.dumps(kept, allow_nan=False, ensure_ascii=False)
    with sqlite3.connect(":memory:") as connection:
        (back,) = connection.execute("SELECT json(?)", (stored,)).fetchone()
    assert json.loads(back) == kept
    assert msgspec.json.decode(msgspec.json.encode(kept)) == kept
    assert Metadata(kept).values == kept


@given(st.one_of(st.floats(), st.integers(), ANY_TEXT, st.datetimes(), VALUE))
def test_every_timestamp_is_a_moment_of_the_calendar(value: Any) -> None:
    found = timestamp(value)
    if found is not None:
        shown = moment(found)
        assert shown is not None
        assert 1 <= shown.year <= 9999


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1970-01-02", 86400.0),
        ("2024-05-17T10:30:00+02:00", 1715934600.0),
        (0, 0.0),
        (253402300799, 253402300799.0),
        (253402300800, None),
        (-62135596801, None),
        (1e300, None),
        (-1e18, None),
        (2**70, None),
        pytest.param(10**400, None, id="401 digits"),
        (math.nan, None),
        (math.inf, None),
        (True, None),
        ("9999-12-31T23:59:59-12:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("0000-00-00", None),
        ([1], None),
        ({"a": 1}, None),
        (None, None),
        pytest.param("9" * 1_000_000, None, id="a million digits"),
        (datetime(2020, 1, 1, tzinfo=UTC), 1577836800.0),
    ],
)
def test_timestamps(value: Any, expected: float | None) -> None:
    assert timestamp(value) == expected


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (2**63, 2**63),
        (2**64, "18446744073709551616"),
        (-(2**63) - 1, "-9223372036854775809"),
        pytest.param(10**5000, None, id="5001 digits"),
        (math.nan, None),
        (-math.inf, None),
        (1e308, 1e308),
        ("\ud800x", "\ufffdx"),
        ((1, 2), [1, 2]),
        (date(2024, 5, 1), "2024-05-01"),
        (b"raw", "b'raw'"),
    ],
)
def test_values_of_metadata(value: Any, kept: Any) -> None:
    assert Metadata({"name": value}).values == {"name": kept}


def nested(levels: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(levels):
        made = [made]
    return made


def test_depth_width_and_length_are_bounded_and_told() -> None:
    deep = Metadata({"deep": nested(900)})
    assert json.dumps(deep.values).count("[") == DEPTH
    assert deep.notes == (f"metadata: what is nested more than {DEPTH} deep was left out",)
    wide = Metadata({f"k{number}": number for number in range(100_000)})
    assert len(wide.values) == VALUES
    assert wide.notes == ("metadata: only the first 10,000 values were kept",)
    long = Metadata({"text": "x" * (LONGEST_VALUE + 1)})
    assert len(long.values["text"]) == LONGEST_VALUE
    assert long.notes == ("metadata: texts longer than 100,000 characters were cut",)
    assert Metadata({"title": "plain", "n": 1}).notes == ()


def test_numbers_at_the_ends_of_64_bits() -> None:
    year_2300 = 10_413_792_000 * 10**9
    assert [nanoseconds(value) for value in (0, year_2300, -year_2300)] == [0, LATEST_NS, EARLIEST_NS]
    assert [count(value) for value in (-1, 5, 2**70)] == [0, 5, 2**63 - 1]
    assert seconds(253402300799) == 253402300799.0


@given(ANY_TEXT)
def test_clean_text_is_utf8_of_the_same_length(text: str) -> None:
    assert len(clean(text)) == len(text)
    assert clean(text).encode().decode() == clean(text)
