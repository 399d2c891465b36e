"""Snippets: the right window, and highlights that stand on the words."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localsearch.snippets import LENGTH, snippet
from localsearch.text import Analyzer

FILLER = "Nothing of interest is said in this sentence about the weather. " * 12
ANSWER = "The certificate is renewed by running certbot twice a year."


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer()


def cut(*args: Any, **options: Any) -> tuple[str, tuple[tuple[int, int], ...]]:
    excerpt = snippet(*args, **options)
    return excerpt.text, excerpt.highlights


def highlighted(text: str, places: tuple[tuple[int, int], ...]) -> list[str]:
    return [text[start:end] for start, end in places]


def test_a_short_passage_is_shown_whole(analyzer: Analyzer) -> None:
    text, places = cut("Renewing the  certificates\nis easy.", {"renew", "certif"}, analyzer, language="en")
    assert text == "Renewing the certificates is easy."
    assert highlighted(text, places) == ["Renewing", "certificates"]


def test_the_window_holds_the_answer_and_starts_with_its_sentence(analyzer: Analyzer) -> None:
    passage = FILLER + ANSWER + " " + FILLER
    text, places = cut(passage, {"certif", "renew", "certbot"}, analyzer, language="en")
    assert ANSWER in text
    assert text.startswith("…")
    assert text.endswith("…")
    assert highlighted(text, places) == ["certificate", "renewed", "certbot"]
    assert len(text) <= LENGTH + 2


def test_different_words_beat_repeated_ones(analyzer: Analyzer) -> None:
    passage = "weather weather weather weather. " + FILLER.replace("weather", "climate") + ANSWER
    text, places = cut(passage, {"weather", "certif", "renew"}, analyzer, language="en")
    assert highlighted(text, places) == ["certificate", "renewed"]


def test_without_a_match_the_start_is_shown(analyzer: Analyzer) -> None:
    text, places = cut(ANSWER + " " + FILLER, {"zebra"}, analyzer)
    assert text.startswith(ANSWER)
    assert text.endswith("…")
    assert places == ()


def test_chinese_is_cut_anywhere_and_pairs_merge(analyzer: Analyzer) -> None:
    passage = "天气很好。" * 100 + "黑豹队的防守只丢了三分。" + "天气很好。" * 100
    text, places = cut(passage, {"黑豹", "豹队", "防守"}, analyzer, language="zh", length=40)
    assert highlighted(text, places) == ["黑豹队", "防守"]
    assert len(text) <= 42


@given(st.text(max_size=600), st.integers(20, 200))
def test_highlights_stay_inside_and_lengths_hold(passage: str, length: int) -> None:
    analyzer = Analyzer()
    wanted = set(analyzer.terms(passage)[::7])
    text, places = cut(passage, wanted, analyzer, length=length)
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert all(left[1] <= right[0] for left, right in pairwise(places))
    assert all(set(analyzer.terms(text[start:end])) for start, end in places)
