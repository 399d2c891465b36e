"""What counts as a number, as a value and as text."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

from localsearch import numbers
from localsearch.indexing.prepare import timestamp
from localsearch.numbers import is_integer64, is_number, read_number


@pytest.mark.parametrize("value", [0, -3, 2.5, 10**400, 2**63])
def test_finite_numbers_are_numbers(value: object) -> None:
    assert is_number(value)


@pytest.mark.parametrize("value", [True, False, None, "1", float("nan"), float("inf"), 1j])
def test_flags_text_and_what_is_not_finite_are_no_numbers(value: object) -> None:
    assert not is_number(value)


def test_integers_of_64_bits_end_where_sqlite_ends() -> None:
    assert is_integer64(2**63 - 1)
    assert is_integer64(-(2**63))
    assert not is_integer64(2**63)
    assert not is_integer64(True)
    assert not is_integer64(1.0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024", 2024),
        ("-7", -7),
        ("+7", 7),
        ("2.50", 2.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        (str(2**63 - 1), 2**63 - 1),
        (str(2**63), 2.0**63),
    ],
)
def test_a_written_number_is_read(text: str, value: float) -> None:
    found = read_number(text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    "text", ["", ".", "-", "1_000", " 1", "0x10", "1e999", "nan", "inf", "٣", "1,5", "1.2.3"]
)
def test_other_text_is_no_number(text: str) -> None:
    assert read_number(text) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, True])
def test_a_date_that_is_no_finite_number_is_none(value: Any) -> None:
    assert timestamp(value) is None


def test_the_examples_hold() -> None:
    outcome = doctest.testmod(numbers)
    assert (outcome.failed, outcome.attempted) == (0, 1)
