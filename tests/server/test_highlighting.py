"""Colours of code: kinds in order, offsets true, and nothing for what is no known language."""

from __future__ import annotations

import pytest

from localsearch.server.highlighting import MOST, highlighted

PYTHON = 'class Tap:\n    # drips\n    def turn(self):\n        return "on" * 3\n'


def test_kinds_of_python() -> None:
    found = [(PYTHON[start:stop], kind) for start, stop, kind in highlighted(PYTHON, "/a/tap.PY")]
    assert found == [
        ("class", "keyword"),
        ("Tap", "name"),
        ("# drips", "comment"),
        ("def", "keyword"),
        ("turn", "name"),
        ("return", "keyword"),
        ('"on"', "string"),
        ("3", "number"),
    ]


@pytest.mark.parametrize(
    "name", ["tap.py", "tap.js", "tap.c", "tap.rs", "tap.sh", "tap.sql", "tap.yaml", "tap.css"]
)
def test_spans_are_in_order_and_within_the_text(name: str) -> None:
    text = PYTHON + '\n\U0001f600 = "ü" /* x */ -- y\n'
    at = 0
    for start, stop, _ in highlighted(text, name):
        assert at <= start < stop <= len(text)
        at = stop


def test_no_more_than_a_preview_shows_is_looked_at_and_no_other_file() -> None:
    assert max(stop for _, stop, _ in highlighted("x = 1\n" * MOST, "a.py")) <= MOST
    assert highlighted(PYTHON, "notes.txt") == highlighted(PYTHON, "Makefile") == []
