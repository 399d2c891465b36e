"""A filter as an engine's expression: it holds wherever the filter does, on either side of a "not"."""

from __future__ import annotations

import pytest

from localsearch import days
from localsearch.filters import Equals, Match, Not, Range, parse_filter, to_expression

LOOSE = "loose == true or "


@pytest.mark.parametrize(
    ("written", "expression"),
    [
        ("type:pdf", f'({LOOSE}type in ["pdf"])'),
        ("-type:pdf", f'({LOOSE}not (type in ["pdf"]))'),
        ("type:pdf language:de", f'(({LOOSE}type in ["pdf"]) and ({LOOSE}language in ["de"]))'),
        ("type:pdf OR size:>5", f'(({LOOSE}type in ["pdf"]) or ({LOOSE}size > 5))'),
        ("-(type:pdf language:de)", f'(({LOOSE}not (type in ["pdf"])) or ({LOOSE}not (language in ["de"])))'),
        ("size:7", f"({LOOSE}size in [7])"),
        ("size:>1mb", f"({LOOSE}size > 1000000)"),
        # What the fields cannot tell asks nothing beside another condition, and everything as an alternative.
        ("type:pdf kind:letter", f'({LOOSE}type in ["pdf"])'),
        ("type:pdf OR kind:letter", ""),
        ("kind:letter", ""),
        ("-kind:letter", ""),
        ("path:/reports/", ""),
        ("year:2021", ""),
    ],
)
def test_fields_that_an_engine_has_are_told(written: str, expression: str) -> None:
    assert to_expression(parse_filter(written)) == expression


def test_no_filter_asks_nothing() -> None:
    assert to_expression(None) == ""


@pytest.mark.parametrize(
    ("written", "expression"),
    [
        ("after:2021-01-01", f"({LOOSE}date >= {1609459200 - 86400})"),
        ("-after:2021-01-01", f"({LOOSE}not (date >= {1609459200 + 86400}))"),
        ("before:2021-01-01", f"({LOOSE}date < {1609459200 + 86400})"),
        ("-before:2021-01-01", f"({LOOSE}not (date < {1609459200 - 86400}))"),
    ],
)
def test_dates_have_a_day_to_spare(written: str, expression: str) -> None:
    """A document without a time zone may be a day off: the database tells, the engine lets it through."""
    with days.in_zone(days.zone("UTC")):
        assert to_expression(parse_filter(written)) == expression


def test_quotation_marks_are_part_of_a_value() -> None:
    """No value ends its own string."""
    value = 'x" or id > 0 or type == "'
    assert '"x\\" or id > 0 or type == \\""' in to_expression(Match("type", (value,)))


@pytest.mark.parametrize("value", [1e300, 2**70, 0.5, float("inf")])
def test_numbers_that_an_engine_cannot_compare_ask_nothing(value: float) -> None:
    assert to_expression(Range("size", ">", value)) == ""
    assert to_expression(Equals("size", (value,))) == ""


def test_exact_capitals_are_not_turned_away_by_lower_ones() -> None:
    """Rows hold lower case: whether "PDF" was meant exactly, the database tells."""
    assert to_expression(Equals("type", ("PDF",))) == f'({LOOSE}type in ["pdf"])'
    assert to_expression(Not(Equals("type", ("PDF",)))) == ""
