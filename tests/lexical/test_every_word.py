"""Every word that stands in a document finds it by words alone, however it is typed, in any mixture of languages."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.words import check, fill, mixture, share_found, texts
from localsearch import Engine, Record
from localsearch.lexical import analyze_query, open_lexical
from localsearch.lexical.rank_bm25 import RankBM25Index
from localsearch.text import Analyzer
from localsearch.types import IndexedChunk

COLLECTIONS = ("adi", "cisi", "cranfield", "germanquad", "med", "nfcorpus", "nq-utd", "scifact", "xquad-zh")
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "fi", "ru", "el", "tr", "zh", "ja", "ko", "")
SENTENCES = [
    "The committees discussed YouTube and PowerShell for COVID‑19 on 3.11.4 at 10km.",
    "Die Häuser in München kosten 1.234,56 EUR § 823 Abs. 1.",
    "Les factures de l'été sont rangées à côté des réparations, aujourd’hui.",
    "Los inquilinos pagarán gastos y canción.",
    "Οι πόλεις και τα σπίτια των ανθρώπων.",
    "Книги и ёлки стоят в домах моих друзей.",
    "黑豹队的防守丢了多少分？",
    "図書館のガイドはどこですか 안녕하세요 세계",
    "İstanbul'un ışıkları güzel, ağaçları yüksek.",
    "Soft\u00adhyphen zero\u200bwidth KT-INS114-DRE don't rock'n'roll 🍕 👨‍👩‍👧 €",
    "Στοὺς ἀνθρώπους τῷ λόγῳ. ﬁle Ｆｕｌｌ 5,000g H₂O 2,3,7,8-TCDD foo:bar",
]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(tmp_path / "home") as opened:
        yield opened


def chunks(written: list[tuple[str, str]]) -> list[IndexedChunk]:
    return [IndexedChunk(n, n, "", "", text, language=told) for n, (text, told) in enumerate(written, 1)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(SENTENCES) | st.text(max_size=40), st.sampled_from(LANGUAGES)),
        min_size=1,
        max_size=8,
    )
)
@example([(text, "") for text in SENTENCES])
@example([(text, "fi") for text in SENTENCES] + [("another note", "en")] * 40)
def test_every_word_is_found_whatever_language_was_told(written: list[tuple[str, str]]) -> None:
    analyzer = Analyzer()
    index = RankBM25Index(analyzer)
    index.add(chunks(written))
    index.commit(1)
    for number, (text, _) in enumerate(written, 1):
        for word in (word for part in text.split() for word in [part, part.lower(), part.upper()]):
            query = analyze_query(word, analyzer, languages=index.languages, knows=index.knows)
            assert not query or number in index.matching(query).tolist(), word


def test_both_engines_find_and_rank_the_same(tmp_path: Path) -> None:
    analyzer = Analyzer()
    written = [(text, told) for text, told in zip(SENTENCES, LANGUAGES, strict=False)] * 3
    written += [("The committees met again in the morning", "en")] * 60
    indexes = [open_lexical(engine, tmp_path / engine, analyzer) for engine in ("tantivy", "rank-bm25")]
    for index in indexes:
        index.add(chunks(written))
        index.commit(1)
    typed = {word for text in SENTENCES for word in text.split()} | {
        "10 km",
        "youtube",
        "ins114",
        "果",
        "1234.56",
    }
    for text in sorted(typed):
        spoken = indexes[0].languages
        queries = [analyze_query(text, analyzer, languages=spoken, knows=index.knows) for index in indexes]
        assert queries[0] == queries[1]
        assert indexes[0].pruned(queries[0]) == indexes[1].pruned(queries[1])
        ours, theirs = (index.search(query, 500) for index, query in zip(indexes, queries, strict=True))
        assert sorted(ours.ids.tolist()) == sorted(theirs.ids.tolist()), text
        assert [index.held(term) for index in indexes[:1] for term in queries[0].terms] == [
            indexes[1].held(term) for term in queries[0].terms
        ], text


@pytest.mark.slow
def test_every_word_of_the_judged_collections_and_wild_files_is_found(
    engine: Engine, shared_bench: Callable[[str], Path], shared_wild: Callable[[], Path]
) -> None:
    fill(engine, [*map(shared_bench, COLLECTIONS), shared_wild()], sample=25)
    counts = check(engine, texts(engine))
    assert counts.documents > 200
    assert counts.words > 10_000
    assert counts.examples == ()
    assert counts.failures == 0


def test_a_mixture_of_languages_loses_no_word(engine: Engine, tmp_path: Path) -> None:
    records = [
        Record(
            text=f"The committee discussed the schedule for bridge {n} and agreed to meet again.", id=f"en{n}"
        )
        for n in range(100)
    ]
    records += [Record(text=text, id=f"other{n}") for n, text in enumerate(SENTENCES)]
    records = mixture(records, 110)
    engine.add(records)
    for language, (asked, found) in share_found(engine, records).items():
        assert found == asked, language


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("Total: $1,234.56 due", ["1234.56", "1,234.56", "1.234,56", "1 234,56", "1234", "$1,234"]),
        ("Summe 12 345,60 Kronen", ["12345.60", "12.345,60", "12'345.60"]),
        ("v1.2.3 and 3.11.4", ["1.2.3", "v1.2", "1.2", "3.11", "python3.11"]),
        ("It is 10km, 500 mg, 16GB", ["10 km", "10km", "500mg", "16 GB", "gb"]),
        ("A drill of 3.5 mm, a bit of 2.5mm", ["3.5mm", "3.5 mm", "2.5 mm", "2,5 mm", "2.5mm"]),
        ("Hawaiʻi, Hawai‘i and ʻOahu", ["hawaii", "Hawai'i", "Hawai’i", "Hawaiʻi", "Hawai‘i", "oahu"]),
        ("Під’їзд і обʼєкт, комп'ютер", ["підʼїзд", "під'їзд", "об'єкт", "обєкт", "компʼютер"]),
        ("PDFs, GPUs in the U.S.A.", ["PDF", "pdf", "GPU", "USA", "usa", "u.s.a."]),
        ("Part KT-INS114-DRE or WF-M5799DWF", ["KTINS114DRE", "ins114", "m5799", "wfm5799", "dwf"]),
        ("webŠkola mojaŁódka яЁлка ηΆνοιξη", ["Škola", "skola", "Łódka", "ёлка", "Άνοιξη", "web"]),
        ("Steps ①② and ❶❷", ["①", "②", "❶"]),
        ("ᥔᥣᥭᥴ ᨴᩱ᩠ᨿ", ["ᥔᥣᥭᥴ", "ᥣᥭ", "ᨴᩱ"]),
        ("Call +49 170 1234567", ["01701234567", "+491701234567"]),
        ("IBAN DE89 3704 0044 0532", ["DE89370400440532", "DE893704"]),
        ("Write an e‑mail to my co‑author", ["email", "e-mail", "coauthor"]),
        ("Send an email", ["e-mail", "e‑mail"]),
    ],
)
def test_numbers_units_and_codes_are_found_as_others_write_them(
    engine: Engine, text: str, typed: list[str]
) -> None:
    engine.add([Record(text=text, id="x"), Record(text="a note about the weather", id="y")])
    for query in typed:
        assert [hit.id for hit in engine.search(query, mode="lexical").results][:1] == ["x"], query


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("서울특별시에서 만나요", ["서울", unicodedata.normalize("NFD", "서울"), "특별시"]),
        (unicodedata.normalize("NFD", "서울특별시에서"), ["서울", "특별시"]),
        ("العدد ١٢٣٤ و ۵۶۷۸, १२३", ["1234", "١٢٣٤", "۱۲۳۴", "5678", "۵۶۷۸", "123"]),
        ("Room 1234", ["١٢٣٤", "１２３４"]),
        ("می‌خواهم کتاب فارسی", ["كتاب", "کتاب", "فارسي", "فارسی", "میخواهم"]),
        ("إلى مدرسةٍ قديمة", ["الى", "إلي", "مدرسه", "قديمه"]),
        ("والكتـــاب", ["الكتاب", "كتاب", "والكتاب"]),
        ("ʿAbd ʾAbū, al-Qurʾān", ["abd", "'abd", "ʿAbd", "Abu", "quran", "Qur'an"]),
        ("צה״ל וחז׳ל", ["צהל", 'צה"ל', "צה״ל", "וחזל"]),
        ('דו"ח שנתי', ["דוח", 'דו"ח', "דו״ח"]),
    ],
)
def test_other_keyboards_type_the_same_words(engine: Engine, text: str, typed: list[str]) -> None:
    engine.add([Record(text=text, id="x"), Record(text="a note about the weather", id="y")])
    for query in typed:
        assert [hit.id for hit in engine.search(query, mode="lexical").results] == ["x"], query


@pytest.mark.parametrize(
    ("text", "typed", "shown"),
    [
        ("The encyclo-\npaedia in print", "encyclopaedia", "encyclo-\npaedia"),
        ("A list of won-\r\n    derful things", "wonderful", "won-\r\n    derful"),
        ("Die Kran-\nkenversicherung", "KRANKENVERSICHERUNG", "Kran-\nkenversicherung"),
        ("A soft\xad\nware and far‐\nreaching", "software", "soft\xad\nware"),
    ],
)
def test_a_word_that_two_lines_divide_is_found_whole(
    engine: Engine, text: str, typed: str, shown: str
) -> None:
    engine.add([Record(text=text, id="x")])
    [hit] = engine.search(typed, mode="lexical").results
    low, high = hit.highlights[0]
    assert "".join(hit.snippet[low:high].split()) == "".join(shown.split())


def test_lines_that_end_with_a_dash_join_no_other_words() -> None:
    assert "nordsee" not in Analyzer().words("Nord-\nSee, 3-\nfold, well -\nknown")


def test_names_with_signs_come_before_those_without(engine: Engine) -> None:
    names = ("net", ".NET", "c", "C++", "C#", "f", "F#")
    engine.add([Record(text=f"We work with {name} here", id=name) for name in names])
    for name in (".NET", "C++", "C#", "F#"):
        assert engine.search(name, mode="lexical").results[0].id == name
    assert engine.search('".NET"', mode="lexical").results[0].id == ".NET"


def test_snippets_show_what_matched(engine: Engine) -> None:
    engine.add([Record(text="Wir zahlten 4 321,09 € über YouTube für ein e‑Book und 水果.", id="x")])
    for typed, shown in [
        ("4321.09", "4 321,09"),
        ("youtube", "YouTube"),
        ("ebook", "e‑Book"),
        ("果", "果"),
        ("€", "€"),
    ]:
        [hit] = engine.search(typed, mode="lexical").results
        assert [hit.snippet[start:end] for start, end in hit.highlights] == [shown], typed
