"""Where words may stand in a text: told alike by the kernels and by Python, and never of too little."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localsearch.text import Analyzer, candidates
from localsearch.text.candidates import _FOREIGN, holding_plain
from localsearch.text.pieces import any_word


@pytest.fixture(scope="module", params=["kernels", "python"])
def analyzer(request: pytest.FixtureRequest) -> Iterator[Analyzer]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "python":
            patch.setattr(candidates, "_compiled", lambda: None)
        elif candidates._compiled() is None:
            pytest.skip("the kernels were not built on this machine")
        yield Analyzer()


ENGLISH = st.text(
    ":;\u00ad\u200b‐abeiydltsngsk?-',.’_#+ABCD019 \n\u00a0éß²İK‑я京“—·™", min_size=1, max_size=40
)


HOSTILE = st.text(
    "abBsS019 .,'’-_:;·\u2011\u00ad\u200b\u00a0\u2009ßÆæÞþéÜIİıſK²½ªﬁĲŉŋœ™№℃Ⅷ①㎏αΒЖ漢かカｶﾞ한ก\u0301\u0308/($€§→°ⅷ℀😀🇦🇧µʾɔ\n\t\x1c\x85+#",
    max_size=24,
)
"""Letters that are written as two, have no single small form or are joined, signs of every kind, many scripts."""


@settings(max_examples=150, deadline=None)
@given(ENGLISH | HOSTILE)
@example("_#")
@example(
    "dying vying tied lies skies possibility 1,000-a'b 300,000-euro l'eau O'Neill a-b1 x-ray2 i18n-X 1,000,000 don't _foo_bar a.b's C++ readFile HTTPServer"
)
def test_no_term_of_an_english_text_is_missed(analyzer: Analyzer, text: str) -> None:
    tokens = analyzer.tokens_with_offsets(text, "en")
    for term in {token.term for token in tokens}:
        assert analyzer.find(text, frozenset({term}), "en") == [t for t in tokens if t.term == term]


STEMS = ["", *map("".join, product("abdilty", repeat=1)), *map("".join, product("abdilty", repeat=3))]
ENDINGS = [
    "s", "es", "ies", "ied", "ed", "eed", "ing", "ying", "edly", "ingly", "y", "ly", "li", "bly", "ably", "bility",
    "ational", "ization", "izer", "ator", "alism", "iveness", "fulness", "ousness", "ogist", "ogy", "lessly", "icate",
    "ative", "alize", "icity", "ical", "ness", "ance", "able", "ible", "ement", "ions", "ism", "e", "l", "ll", "ally",
]  # fmt: skip


def test_english_words_begin_as_their_terms_say(analyzer: Analyzer) -> None:
    words = [stem + ending for stem in STEMS for ending in ENDINGS]
    assert [word for word in words if not _found_by_its_term(analyzer, word)] == []


def test_words_of_real_texts_begin_as_their_terms_say(
    analyzer: Analyzer, shared_bench: Callable[[str], Path]
) -> None:
    words = set[str]()
    for name in ("nfcorpus", "nq-utd", "cranfield"):
        for line in (shared_bench(name) / "corpus.jsonl").read_text("utf-8").splitlines():
            words.update(re.findall("[a-z]+", json.loads(line)["text"].lower()))
    assert len(words) > 30_000
    assert [word for word in words if not _found_by_its_term(analyzer, word)] == []


def _found_by_its_term(analyzer: Analyzer, word: str) -> bool:
    [term] = analyzer.terms(word, "en")
    return analyzer.find(word, frozenset({term}), "en") == [(term, 0, len(word))]


def test_only_what_no_word_has_in_it_is_passed_over(analyzer: Analyzer) -> None:
    passed = [sign for sign in map(chr, range(128, sys.maxunicode + 1)) if not _FOREIGN.match(sign)]
    assert 1_000 < len(passed) < 4_000
    assert [sign for sign in passed if any_word().findall(f"a{sign}b") != ["a", "b"]] == []
    assert [sign for sign in passed if sign.lower() != sign] == []


@settings(max_examples=150, deadline=None)
@given(ENGLISH | HOSTILE)
@example("0ß")
@example("aĲ")
@example("aAAb")
@example("B0.Ba")
@example("rock'n'roll e-mail readFile RTFWord those os\x1cpath.os x\x0bos")
def test_places_of_plain_forms_are_those_of_the_words(analyzer: Analyzer, text: str) -> None:
    for form in analyzer.words(text):
        assert analyzer.find_plain(text, frozenset({form})), form
        assert all(place[0] == form for place in analyzer.find_plain(text, frozenset({form})))


SCRIPTS = [*range(0x80, 0x3400), *range(0xA000, 0xAC00), *range(0xD7B0, 0x10000), *range(0x1F000, 0x1FB00)]


def test_no_character_hides_the_words_it_is_in(analyzer: Analyzer) -> None:
    missed = list[str]()
    for character in map(chr, SCRIPTS):
        text = f"{character} a{character}b{character}1"
        tokens = analyzer.tokens_with_offsets(text, "en")
        terms = {token.term for token in tokens}
        missed += [term for term in terms if not analyzer.find(text, frozenset({term}), "en")]
        missed += [form for form in analyzer.words(text) if not analyzer.find_plain(text, frozenset({form}))]
    assert missed == []


def test_most_texts_without_a_word_are_passed_over(
    analyzer: Analyzer, shared_bench: Callable[[str], Path]
) -> None:
    lines = (shared_bench("germanquad") / "corpus.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    wanted = [frozenset({word}) for word in ("wolf", "1648", "erbe", "usa", "grad", "rom")]
    held = [(text, word) for text in texts for word in wanted if holding_plain(text, word)]
    truly = [(text, word) for text, word in held if analyzer.find_plain(text, word)]
    assert 50 < len(truly) <= len(held) < 0.2 * len(texts) * len(wanted)


def test_as_many_stretches_as_there_are() -> None:
    text = "one two " * 5_000
    stretches = candidates.holding(text, frozenset({"two"})) or []
    assert [text[start:end] for start, end in stretches] == ["two"] * 5_000
