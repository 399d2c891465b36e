"""The analyser: what is one word, what is two, and where each stands."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localsearch.text import Analyzer, detect_language, normalize


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cities were connected", ["the", "citi", "were", "connect"]),
        ("readFile_v2", ["readfile_v2", "read", "file", "v2"]),
        ("getHTTPResponse", ["gethttprespons", "get", "http", "respons"]),
        ("os.path.join", ["os.path.join", "os", "path", "join"]),
        ("src/main/app.py", ["src", "main", "app.py", "app", "py"]),
        ("IL-6 and IL6", ["il6", "il", "and", "il6"]),
        ("mRNAs", ["mrnas"]),
        ("well-known", ["well", "known"]),
        ("don't O'Brien's dogs'", ["dont", "obrien", "o", "brien", "dog"]),
        ("1,000 files, 12,345,678 bytes", ["1000", "file", "12345678", "byte"]),
        ("1,234.56 E42,200", ["1234.56", "1234", "e42,200", "e42", "200"]),
        ("3.14 v1.2.3", ["3.14", "v1.2.3", "v1"]),
        ("2024-01-15", ["20240115", "2024"]),
        ("C++ and C# code", ["c++", "c", "and", "c#", "c", "code"]),
        ("__init__", ["init"]),
        ("Ｆｕｌｌ ﬁle", ["full", "file"]),
        ("naïve café", ["naiv", "cafe"]),
        ("", []),
        ("--- ?! …", []),
    ],
)
def test_terms_of_english_and_code(analyzer: Analyzer, text: str, expected: list[str]) -> None:
    assert analyzer.terms(text, "en") == expected


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Häuser und Straßen", "de", ["haus", "und", "strass"]),
        ("l'économie mangé", "fr", ["econom", "mang"]),
        ("città", "it", ["citt"]),
        ("citta", "it", ["citt"]),
        ("книгами", "ru", ["книг"]),
        ("книгами", "en", ["книг"]),
        ("الكِتَابُ", "ar", ["كتاب"]),
        ("黑豹队的防守", "zh", ["黑豹", "豹队", "队的", "的防", "防守"]),
        ("水", "zh", ["水"]),
        ("第308分", "zh", ["第", "308", "分"]),
        ("ガイド", "ja", ["ガイ", "イド"]),
        ("안녕하세요 세계", "ko", ["안녕", "녕하", "하세", "세요", "세계"]),
        ("ที่นี่", "th", ["ที่นี่"]),
        ("Łódź", "pl", ["lodz"]),
    ],
)
def test_terms_by_language_and_script(
    analyzer: Analyzer, text: str, language: str, expected: list[str]
) -> None:
    assert analyzer.terms(text, language) == expected


def test_accents_and_their_absence_meet(analyzer: Analyzer) -> None:
    for language, accented, plain in [
        ("es", "canción", "cancion"),
        ("pt", "ação", "acao"),
        ("fr", "été", "ete"),
    ]:
        assert analyzer.terms(accented, language) == analyzer.terms(plain, language)


def test_offsets_point_at_the_word(analyzer: Analyzer) -> None:
    text = "Die Häuser, e\u0301te\u0301 黑豹队"
    found = [(t.term, text[t.start : t.end]) for t in analyzer.tokens_with_offsets(text, "de")]
    assert found == [
        ("die", "Die"),
        ("haus", "Häuser"),
        ("ete", "e\u0301te\u0301"),
        ("黑豹", "黑豹"),
        ("豹队", "豹队"),
    ]


@given(st.text(max_size=200))
def test_terms_and_offsets_agree_on_any_text(text: str) -> None:
    analyzer = Analyzer()
    tokens = analyzer.tokens_with_offsets(text)
    assert [t.term for t in tokens] == analyzer.terms(text)
    assert all(0 <= t.start < t.end <= len(text) for t in tokens)
    assert all(t.term and not any(c.isspace() for c in t.term) for t in tokens)


@given(st.text(max_size=80))
def test_normalize_is_idempotent_and_ignores_case(text: str) -> None:
    once = normalize(text)
    assert normalize(once) == once
    assert normalize(text.casefold()) == once


def test_words_are_whole_and_folded_with_their_parts(analyzer: Analyzer) -> None:
    assert analyzer.words("The Cities' café, IL-6: well-known") == {
        "the", "cities", "cafe", "il6", "il", "6", "wellknown", "well", "known",
    }  # fmt: skip


def test_stop_words_depend_on_the_language(analyzer: Analyzer) -> None:
    assert analyzer.is_stop("The", "en")
    assert analyzer.is_stop("und", "de")
    assert not analyzer.is_stop("und", "en")
    assert not analyzer.is_stop("matter", "en")


def test_very_long_words_are_cut_and_not_remembered(analyzer: Analyzer) -> None:
    [term] = analyzer.terms("x" * 100_000)
    assert len(term) <= 64


def test_long_words_and_rows_of_numbers_take_time_that_grows_with_them_alone(analyzer: Analyzer) -> None:
    # With the square of it, each of these would take an hour.
    assert {"xy", "a" * 64} <= analyzer.words("x:y " + "a" * 300_000)
    assert {"12", "1" * 64} <= analyzer.words("1;2 " + "1" * 300_000)
    assert len(analyzer.asked("100 " * 100_000)) == 100_000


def test_threads_share_one_analyser() -> None:
    analyzer = Analyzer()
    words = [f"generalisation{i} running{i} houses{i}" for i in range(300)]
    expected = [Analyzer().terms(text, "en") for text in words[:5]]
    results: list[list[list[str]]] = []
    threads = [
        threading.Thread(target=lambda: results.append([analyzer.terms(t, "en") for t in words]))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert all(result == results[0] for result in results)
    assert results[0][:5] == expected


def test_an_unstemmed_analyser_has_another_fingerprint() -> None:
    plain = Analyzer(stemming=False)
    assert plain.terms("Connected cities") == ["connected", "cities"]
    assert plain.fingerprint != Analyzer().fingerprint


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I renew the certificate of the server?", "en"),
        ("Was kann den Verschleiß des seillosen Aufzuges minimieren?", "de"),
        ("Où est la bibliothèque de la ville ?", "fr"),
        ("¿Dónde está la biblioteca de la ciudad?", "es"),
        ("Dove si trova la biblioteca della città?", "it"),
        ("Onde fica a biblioteca da cidade? Não sei", "pt"),
        ("Waar is de bibliotheek van het dorp?", "nl"),
        ("Var ligger biblioteket och hur kommer jag dit?", "sv"),
        ("Gdzie jest biblioteka i jak się do niej dostać?", "pl"),
        ("Где находится библиотека и как туда пройти?", "ru"),
        ("Де знаходиться бібліотека і як туди пройти?", "uk"),
        ("黑豹队的防守丢了多少分？", "zh"),
        ("図書館はどこですか", "ja"),
        ("도서관은 어디에 있습니까", "ko"),
        ("ห้องสมุดอยู่ที่ไหน", "th"),
        ("أين تقع المكتبة في هذه المدينة", "ar"),
        ("Πού είναι η βιβλιοθήκη", "el"),
        ("", ""),
        ("12345 67", ""),
        ("Bahnhof", ""),
    ],
)
def test_language_of_a_sentence(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize("language", ["en", "de", ""])
def test_finding_wanted_terms_gives_what_the_tokens_say(language: str) -> None:
    analyzer = Analyzer()
    text = "The runners' running readFile_v2 runs, naïve 東京 runners run in Häusern; O'Neill ran v1.2.3 and C++."
    for sample in (text, text.encode("ascii", "ignore").decode()):
        tokens = analyzer.tokens_with_offsets(sample, language)
        for wanted in (
            frozenset({"run"}),
            frozenset({"readfile_v2", "c++"}),
            frozenset(t.term for t in tokens),
            frozenset(),
        ):
            assert analyzer.find(sample, wanted, language) == [t for t in tokens if t.term in wanted]


def test_a_query_is_told_by_its_function_words_and_never_asks_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked(_: str) -> str:
        raise AssertionError("the model was asked")

    monkeypatch.setattr("localsearch.text.letters.by_letters", asked)
    assert (
        detect_language(
            "wo liegt der Bahnhof und wann fährt der nächste Zug nach Hause heute Abend", phrase=True
        )
        == "de"
    )
    assert (
        detect_language("kubernetes ingress controller timeout configuration reference manual", phrase=True)
        == ""
    )
