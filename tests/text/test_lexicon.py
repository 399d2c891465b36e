"""What C of our own takes from a text is what Python does, word by word, whatever it remembers."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localsearch.lexical.fields import Fields, fields, fields_of
from localsearch.lexical.stream import FILLER, streams
from localsearch.text import Analyzer, lexicon, worth_suggesting
from localsearch.text.analyzer import MOST_LEXICONS
from localsearch.text.lexicon import Taken
from localsearch.types import IndexedChunk

ANALYZERS = [Analyzer("en"), Analyzer("de"), Analyzer("ru"), Analyzer("en", stemming=False)]
SCRIPTS = (
    "abcXYZ", "éßÄÆøœŁıİſ", "0123456789", "²³½①Ⅷ", "-.'’‑‐,;:·_+#$ \n\t\u00a0\u2028", "~=<>≠−", "日本語",
    "αΣςΏ", "ДйЁ", "\u0301", "😀🇩🇪", "§€№℃™", "\u202f\u2009‘‧", "\ud800",
    "\ufc5e\ufdfaǄﬁͺ℀", "\0\x1c\x85\ufffd\uffff", "אב\"״׳", "ابج،٣٤", "हक०", "-\n", "\r", "‐−",
)  # fmt: skip
MIXED = st.lists(st.sampled_from(SCRIPTS).flatmap(st.sampled_from), max_size=40).map("".join)
PLAIN = st.text("aB1._-,'’ :+#$\n0", max_size=40)
ACROSS = st.text("aZ_012.,'’‘-−‐:;·\u202f /\"א٣²\r\n\t$€", max_size=30)
NUMBERS = st.text("0123.,'  \u2009-:/a٣", max_size=24)
TEXTS = PLAIN | MIXED | ACROSS | NUMBERS

needs_kernels = pytest.mark.skipif(not lexicon.available(), reason="the kernels were not built")


def check(made: Fields, chunk: IndexedChunk, analyzer: Analyzer) -> None:
    held = streams(chunk, analyzer)
    assert made.text == " ".join(held.terms)
    assert made.plain == " ".join(held.plain)
    assert sorted(made.words.split(" ")) == sorted(worth_suggesting(held.words) or [""])


def taken_from(analyzer: Analyzer, text: str, language: str = "") -> Taken | None:
    return analyzer.taken([(text, "")], language)[0]


@needs_kernels
@settings(max_examples=400, deadline=None)
@given(TEXTS, TEXTS, st.sampled_from(["en", "de", "fr", "ru", "zz", ""]), st.sampled_from(ANALYZERS))
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
@example(
    "encyclo-\npaedia ab-\r\n \tcd-\nef 1x-\ny a-\nB a-\n\nb word-",
    "paedia-\nencyclo\n\n",
    "en",
    ANALYZERS[0],
)
@example("\n", "\n\n", "en", ANALYZERS[0])
@example("a -" + "1" * 24 + ".b-c,d-e −" + "x" * 25 + " --a -_ -a." + "b" * 25, "~ = -", "en", ANALYZERS[0])
@example(
    "1,234,567.89 1,2345 1.234.5 1 234,5 12 345 678 0,123 1234 567 1'234.5:6 1,5/2",
    "-1,5",
    "en",
    ANALYZERS[0],
)
@example('a:b.c’d;e 1;2:3 1.2;3.4 אב"ג "א"', "x:y\nz:y", "de", ANALYZERS[1])
def test_fields_are_those_of_python(text: str, about: str, language: str, analyzer: Analyzer) -> None:
    chunk = IndexedChunk(1, 1, "Title", "", text, "a/b-c.txt", language, about)
    for _ in range(2):  # what was learnt a moment ago, then what is remembered
        check(fields(chunk, analyzer), chunk, analyzer)


@needs_kernels
@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TEXTS, MIXED, st.sampled_from(["en", "ru"])), max_size=6))
def test_many_at_once_give_what_each_gives(said: list[tuple[str, str, str]]) -> None:
    """Some of them are left to Python, and none is read into the next."""
    chunks = [IndexedChunk(1, 1, "", "", text, "", language, about) for text, about, language in said]
    for analyzer in (Analyzer("en"), ANALYZERS[1]):
        for made, chunk in zip(fields_of(chunks, analyzer), chunks, strict=True):
            check(made, chunk, analyzer)


@needs_kernels
def test_a_word_is_learnt_again_where_its_stem_could_not_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told, failures = Analyzer._terms_of_ascii, [MemoryError()]

    def fail_once(analyzer: Analyzer, language: str, words: Sequence[str]) -> Sequence[str]:
        if failures:
            raise failures.pop()
        return told(analyzer, language, words)

    monkeypatch.setattr(Analyzer, "_terms_of_ascii", fail_once)
    analyzer = Analyzer("en")
    with pytest.raises(MemoryError):
        taken_from(analyzer, "running houses")
    for text in ("running", "houses readFile"):
        assert taken_from(analyzer, text) == taken_from(Analyzer("en"), text)


@needs_kernels
def test_a_word_without_a_told_stem_is_left_to_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Analyzer, "_terms_of_ascii", lambda _, language, words: ["", *words[1:]])
    assert taken_from(Analyzer("en"), "running") == Taken("run", FILLER, "running")


@needs_kernels
def test_text_that_needs_more_is_left_to_python() -> None:
    for text in ("日本語", "e\u0301tat", "😀", "\ud83d\ude00"):
        assert taken_from(ANALYZERS[0], text) is None
        assert ANALYZERS[0].taken([("Text", text), ("a", "")])[0] is None
    taken = taken_from(ANALYZERS[0], "The cats’ 3 cats")
    assert taken is not None
    assert taken.text == "the cat 3 cat"
    assert taken.plain == " ".join(FILLER * 4)
    assert sorted(taken.words.split()) == ["cats", "the"]


@needs_kernels
@pytest.mark.parametrize("text", ["", "_", "__ _", "_ word"])
def test_the_first_text_may_hold_words_without_terms(text: str) -> None:
    analyzer = Analyzer("en")
    taken = taken_from(analyzer, text)
    assert taken is not None
    assert taken.text.split() == analyzer.terms(text)


@needs_kernels
def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    analyzer = Analyzer("en")
    monkeypatch.setattr(lexicon, "LARGEST", 20_000)
    for start in range(0, 20_000, 100):
        text = " ".join(f"word{number} again" for number in range(start, start + 100))
        taken = taken_from(analyzer, text)
        assert taken is not None
        assert taken.text.split() == analyzer.terms(text)


@needs_kernels
def test_threads_share_one_memory() -> None:
    analyzer, wrong = Analyzer("en"), []

    def run(seed: int) -> None:
        for number in range(300):
            text = f"Thread {seed} reads words{number % 37} and files-{seed}.{number}"
            taken = taken_from(analyzer, text)
            if taken is None or taken.text.split() != analyzer.terms(text):
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
        taken = taken_from(analyzer, "Die Häuser were running", code)
        assert taken is not None
        assert taken.text.split() == analyzer.terms("Die Häuser were running", code)
    assert len(analyzer._lexicons) <= MOST_LEXICONS
