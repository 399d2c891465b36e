"""Snippets: the right window, and highlights that stand on the words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localsearch.search.snippets import BLOCK, LENGTH, Excerpt, snippet
from localsearch.text import Analyzer, Token

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


SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])|\n{2,}")


def plainly(passage: str, terms: set[str], analyzer: Analyzer, language: str, length: int) -> Excerpt:
    """What `snippet` should give, said with all words of the passage and nothing clever."""
    tokens = [t for t in analyzer.tokens_with_offsets(passage, language) if t.term in terms]
    first, last = densest(tokens, length)
    start, end = bounds(passage, first, last, length)
    shown = {at for t in tokens if start <= t.start and t.end <= end for at in range(t.start, t.end)}
    marked = "".join("x" if at in shown else "-" for at in range(len(passage)))
    before, after = "…" if start else "", "…" if end < len(passage) else ""
    start = end - len(passage[start:end].lstrip())

    def moved(at: int) -> int:
        return len(before + re.sub(r"\s+", " ", passage[start:at]))

    places = tuple((moved(run.start()), moved(run.end())) for run in re.finditer("x+", marked))
    text = re.sub(r"\s+", collapsed, passage[start:end].rstrip())
    return Excerpt(before + text + after, places, first)


def collapsed(space: re.Match[str]) -> str:
    return BLOCK if space[0].count("\n") > 1 else " "


def densest(tokens: list[Token], length: int) -> tuple[int, int]:
    first, last, best = 0, 0, (0, 0)
    for high, token in enumerate(tokens):
        fitting = (low for low in range(high) if token.end - tokens[low].start <= length)
        held = tokens[next(fitting, high) : high + 1]
        value = len({t.term for t in held}), len(held)
        if value > best:
            first, last, best = held[0].start, token.end, value
    return first, last


def bounds(passage: str, first: int, last: int, length: int) -> tuple[int, int]:
    if len(passage) <= length:
        return 0, len(passage)
    slack = max(0, length - (last - first))
    earliest = max(0, first - slack)
    starts = [0] * (earliest == 0) + [m.end() for m in SENTENCE.finditer(passage, earliest, first)]
    start = starts[-1] if starts else word_start(passage, max(0, first - slack // 2))
    start = min(start, word_start(passage, len(passage) - length))
    end = min(len(passage), start + length)
    space = max(passage.rfind(blank, last, end) for blank in " \n")
    return start, space if end < len(passage) and space > max(last - 1, end - 40) else end


def word_start(passage: str, at: int) -> int:
    if not at or passage[at - 1].isspace():
        return at
    found = re.compile(r"\s+").search(passage, at, at + 40)
    return found.end() if found else at


@settings(max_examples=300, deadline=None)
@given(st.text("abiyl SsR.?!”)。'-,_1é’東京“\n\t", max_size=300), st.integers(20, 80), st.integers(1, 9))
@example('He ran." \n\n Who? (Yes.) readFile_v2 and os.path 東京。well-known runners ran', 30, 3)
def test_snippets_are_what_they_would_be_if_every_word_were_looked_at(
    passage: str, length: int, every: int
) -> None:
    analyzer = Analyzer()
    for language in ("en", "", "fr"):
        wanted = set(analyzer.terms(passage, language)[::every])
        expected = plainly(passage, wanted, analyzer, language, length)
        assert snippet(passage, wanted, analyzer, language=language, length=length) == expected


@pytest.mark.parametrize(("name", "language"), [("nq-utd", "en"), ("germanquad", "de"), ("xquad-zh", "zh")])
def test_so_are_those_of_real_texts(
    name: str, language: str, analyzer: Analyzer, shared_bench: Callable[[str], Path]
) -> None:
    chance = Random(name)
    lines = (shared_bench(name) / "corpus.jsonl").read_text("utf-8").splitlines()
    for line in chance.sample(lines, min(200, len(lines))):
        passage = json.loads(line)["text"]
        terms = analyzer.terms(passage, language)
        wanted = set(chance.sample(terms, min(6, len(terms))))
        expected = plainly(passage, wanted, analyzer, language, LENGTH)
        assert snippet(passage, wanted, analyzer, language=language) == expected
