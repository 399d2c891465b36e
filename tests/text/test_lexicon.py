"""What C of our own takes from a text is what Python does, word by word, whatever it remembers."""

from __future__ import annotations

import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localsearch.lexical.fields import fields
from localsearch.lexical.stream import streams
from localsearch.text import Analyzer, lexicon, worth_suggesting
from localsearch.text.analyzer import MOST_LEXICONS
from localsearch.types import IndexedChunk

ANALYZERS = [Analyzer("en"), Analyzer("de"), Analyzer("ru"), Analyzer("en", stemming=False)]
SCRIPTS = (
    "abcXYZ", "éßÄÆøœŁıİſ", "0123456789", "²³½①Ⅷ", "-.'’‑‐,;:·_+#$ \n\t\u00a0\u2028", "~=<>≠−", "日本語",
    "αΣςΏ", "ДйЁ", "\u0301", "😀🇩🇪", "§€№℃™", "\u202f\u2009‘‧", "\ud800",
    "\ufc5e\ufdfaǄﬁͺ℀", "\0\x1c\x85\ufffd\uffff",
)  # fmt: skip
MIXED = st.lists(st.sampled_from(SCRIPTS).flatmap(st.sampled_from), max_size=40).map("".join)
PLAIN = st.text("aB1._-,'’ :+#$\n0", max_size=40)

needs_kernels = pytest.mark.skipif(not lexicon.available(), reason="the kernels were not built")


def by_python(chunk: IndexedChunk, analyzer: Analyzer) -> tuple[list[str], list[str], set[str]]:
    held = streams(chunk, analyzer)
    return held.terms, held.plain, set(worth_suggesting(held.words))


@needs_kernels
@settings(max_examples=400, deadline=None)
@given(PLAIN | MIXED, MIXED, st.sampled_from(["en", "de", "fr", "ru", "zz", ""]), st.sampled_from(ANALYZERS))
@example("C++, C#, a++b, x+ y# 1,234,567 12,3456abc 1,234,56", "", "en", ANALYZERS[0])
@example("a--b -rf --no-embed −18 -3.5 .NET ..x a.b. .gitignore.", "", "de", ANALYZERS[0])
@example("1 234 1\u202f234 1'234 1’234 2,3,7,8-TCDD foo:bar a;b 1;2 $5 €5 5€", "", "fr", ANALYZERS[1])
@example(
    "9.4 1.234 1.234-beta a‐9.4 1.234,56 1,5 1,000.50 1,000,5 9.4# 1.2.3 3 4 1 2345 12 345 1'234 x1.5",
    "",
    "en",
    ANALYZERS[0],
)
@example("x" * 70 + " " + "readFile_v2." * 20, "Autor: Anna\nv1.2", "en", ANALYZERS[0])
@example("\ufc5e:\ufc5e 1:\ufc5e", "", "de", ANALYZERS[1])
def test_fields_are_those_of_python(text: str, about: str, language: str, analyzer: Analyzer) -> None:
    chunk = IndexedChunk(1, 1, "Title", "", text, "a/b-c.txt", language, about)
    terms, plain, words = by_python(chunk, analyzer)
    for _ in range(2):  # what was learnt a moment ago, then what is remembered
        made = fields(chunk, analyzer)
        assert made.text.split(" ") == terms
        assert made.plain.split() == plain
        assert sorted(made.words.split()) == sorted(words)


@needs_kernels
def test_text_that_needs_more_is_left_to_python() -> None:
    assert ANALYZERS[0].taken("日本語") is None
    assert ANALYZERS[0].taken("e\u0301tat") is None
    assert ANALYZERS[0].taken("😀") is None
    taken = ANALYZERS[0].taken("The cats’ 3 cats")
    assert taken is not None
    assert (taken.terms, taken.number) == ("the cat 3 cat", 4)
    assert sorted(taken.words.split()) == ["cats", "the"]


@needs_kernels
@pytest.mark.parametrize("text", ["", "_", "__ _", "_ word"])
def test_the_first_text_may_hold_words_without_terms(text: str) -> None:
    analyzer = Analyzer("en")
    taken = analyzer.taken(text)
    assert taken is not None
    assert taken.terms.split() == analyzer.terms(text)
    assert taken.number == len(analyzer.terms(text))


@needs_kernels
def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    analyzer = Analyzer("en")
    monkeypatch.setattr(lexicon, "LARGEST", 20_000)
    for start in range(0, 20_000, 100):
        text = " ".join(f"word{number} again" for number in range(start, start + 100))
        taken = analyzer.taken(text)
        assert taken is not None
        assert taken.terms.split() == analyzer.terms(text)


@needs_kernels
def test_threads_share_one_memory() -> None:
    analyzer, wrong = Analyzer("en"), []

    def run(seed: int) -> None:
        for number in range(300):
            text = f"Thread {seed} reads words{number % 37} and files-{seed}.{number}"
            taken = analyzer.taken(text)
            if taken is None or taken.terms.split() != analyzer.terms(text):
                wrong.append(text)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_kernels
def test_memories_of_words_are_bounded_however_many_languages_are_named() -> None:
    analyzer = Analyzer()
    codes = [a + b for a in "abcdefgh" for b in "abcdefghilmnorstuvy"]
    for code in codes * 2:
        taken = analyzer.taken("Die Häuser were running", code)
        assert taken is not None
        assert taken.terms.split() == analyzer.terms("Die Häuser were running", code)
    assert len(analyzer._lexicons) <= MOST_LEXICONS
