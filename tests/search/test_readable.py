"""Snippets as a person reads them, with the marks on the same words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localsearch.search.readable import readable

CASES = [
    ("markdown", "## In the fridge - **Grey liquid** on top. - Pour `it` off.", "In the fridge · Grey liquid on top. · Pour it off."),
    ("markdown", "Faults | Sign | Cause | |---|---| | smells | too [much](x.md) |", "Faults · Sign · Cause · smells · too much"),
    ("markdown", "2 * 3 * 4 and snake_case_name stay", "2 * 3 * 4 and snake_case_name stay"),
    ("html", "<p>Fish &amp; <b>chips</b></p>", "Fish & chips"),
    ("eml", "From: Ann <ann@a.example> <p>Hello</p>", "From: Ann <ann@a.example> Hello"),
    ("tex", r"\section{Growth} Put \emph{a sum} $P$ at 5\% & more", "Growth Put a sum P at 5% more"),
    ("csv", "a: 1 | b: 2", "a: 1 · b: 2"),
    ("code", "# x = a | b ** c", "# x = a | b ** c"),
    ("text", "## as it stands", "## as it stands"),
    ("markdown", "# Bread\u2029A loaf.\u2029## Feeding\u2029Weigh it,\u2029then wait\u2029and stir", "Bread · A loaf. Feeding · Weigh it, then wait and stir"),
    ("markdown", "Signs\u2029- **Grey** on top\u2029| a | b |", "Signs · Grey on top · a · b"),
    ("markdown", "…| kitchen | recipes | garden |…", "…kitchen · recipes · garden…"),
    ("markdown", "| kitchen | recipes", "kitchen · recipes"),
    ("text", "Doors ----- A brush helps.\u2029Chimney", "Doors · A brush helps. Chimney"),
    ("markdown", "Two feeds put it right. -…", "Two feeds put it right.…"),
    ("code", "x = 1\u2029def f", "x = 1 def f"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "raw", "shown"), CASES)
def test_markup_is_taken_out(kind: str, raw: str, shown: str) -> None:
    assert readable(raw, (), kind)[0] == shown


@pytest.mark.parametrize(("kind", "raw", "shown"), CASES)
def test_marks_stay_on_their_words(kind: str, raw: str, shown: str) -> None:
    for word in ("liquid", "Cause", "much", "chips", "Hello", "sum", "more", "stands"):
        if word in raw:
            start = raw.index(word)
            text, marks = readable(raw, ((start, start + len(word)),), kind)
            assert [text[a:b] for a, b in marks] == [word]


@given(
    st.text(alphabet="ab *_`#|-[](){}\\<>&;$~.\n", max_size=60),
    st.sampled_from(["markdown", "html", "tex", "rst", "csv", "text"]),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_marks_are_in_the_text_and_in_order(raw: str, kind: str, cuts: list[int]) -> None:
    edges = sorted({min(cut, len(raw)) for cut in cuts})
    text, marks = readable(raw, tuple(zip(edges[::2], edges[1::2])), kind)
    flat = [edge for pair in marks for edge in pair]
    assert flat == sorted(flat)
    assert all(0 <= edge <= len(text) for edge in flat)
