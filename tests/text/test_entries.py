"""What an index holds of a text is what `terms` and `words` give, and no term is void, blank or a mark of the index."""

from __future__ import annotations

import unicodedata

from hypothesis import example, given, settings
from hypothesis import strategies as st

from localsearch.lexical.stream import FILLER, MARK, streams
from localsearch.text import Analyzer
from localsearch.types import IndexedChunk

LANGUAGES = (
    "en",
    "de",
    "fr",
    "nl",
    "fi",
    "tr",
    "ru",
    "el",
    "ar",
    "hi",
    "ta",
    "ja",
    "zh",
    "ko",
    "th",
    "zz",
    "",
)
ANALYZERS = [Analyzer("en"), Analyzer("de"), Analyzer("ru"), Analyzer("en", stemming=False)]
SCRIPTS = (
    "abcXYZ", "éßÄÆøœŁıİſ", "0123456789", "²³½①Ⅷ", "-.'’‑‐,;:·_+#$ \n\t\u00a0\u2028", "~=<>≠≁⩵", "日本語ひカダﾞ゛゜",
    "한국어ᄀ각", "ไทยทำ", "ကို", "\u200b\u200c\u200d\u00ad\ufeff\ufe0f", "😀🇩🇪👍🏽❤", "αΣςΏ", "ДйЁ", "שלוםּ", "العربية ـًﱡﹶ",
    "हिन्दी", "தமிழ்", "\u0301\u0308\u037a", "ﬁﬃ㎏㍿№℃™", "§€£﷼៛",
)  # fmt: skip
MIXED = st.lists(st.sampled_from(SCRIPTS).flatmap(st.sampled_from), max_size=30).map("".join)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | MIXED, st.sampled_from(LANGUAGES), st.sampled_from(ANALYZERS))
@example(
    "Die KT-INS114 kostet 1.234,56 EUR, ああ゛あ゛ v1.2.3 readFile_v2 ≠ -18 .NET 2,3,7,8-TCDD",
    "de",
    ANALYZERS[0],
)
def test_entries_are_the_terms_and_the_words(text: str, language: str, analyzer: Analyzer) -> None:
    found = analyzer.entries(text, language)
    told, plain, terms = set(found.told), set(found.plain), set(found.terms)
    assert list(found.terms) == analyzer.terms(text, language)
    assert [token.term for token in analyzer.tokens_with_offsets(text, language)] == list(found.terms)
    assert told | plain == analyzer.words(text)
    assert not told & plain
    assert all(analyzer.stem(word) in terms for word in told)
    assert not any(analyzer.stem(word) in terms for word in plain)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | MIXED, st.sampled_from(LANGUAGES), st.sampled_from(ANALYZERS))
@example("ああ゛あ゛っと か゜き cXͺcX aﱣ ﹶ", "", ANALYZERS[0])
@example("x ≠ y, x ≁ y, ≠\u200d€", "", ANALYZERS[0])
def test_no_term_is_void_or_blank_or_means_something_else(
    text: str, language: str, analyzer: Analyzer
) -> None:
    found = analyzer.entries(text, language)
    for term in {*found.terms, *found.told, *found.plain, *map(analyzer.stem, found.plain)}:
        assert term
        assert not any(map(str.isspace, term)), term
        assert term != FILLER
        assert not term.startswith(MARK)


@settings(max_examples=100, deadline=None)
@given(st.lists(MIXED, min_size=4, max_size=4), st.sampled_from(LANGUAGES), MIXED)
def test_both_streams_of_a_chunk_are_as_long(parts: list[str], language: str, about: str) -> None:
    title, heading, body, path = parts
    held = streams(IndexedChunk(1, 1, title, heading, body, path, language, about), ANALYZERS[0])
    assert len(held.plain) >= len(held.terms)
    assert len(" ".join(held.terms).split()) == len(held.terms)
    assert len(" ".join(held.plain).split()) == len(held.plain)


def test_every_currency_sign_is_a_word() -> None:
    signs = [sign for sign in map(chr, range(0x11FDD)) if unicodedata.category(sign) == "Sc"]
    assert len(signs) > 50
    for sign in signs:
        found = ANALYZERS[0].words(f"it costs 5 {sign} here") - ANALYZERS[0].words("it costs 5 here")
        asked = {form for word in ANALYZERS[0].asked(sign) for forms in word.terms for form in forms}
        assert found & asked, f"U+{ord(sign):04X}"
        assert ANALYZERS[0].find_plain(f"x {sign} y", frozenset(asked)), f"U+{ord(sign):04X}"
