"""The sample corpus: what it promises as a collection, and that the real engine answers its questions."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from statistics import mean

import pytest
import snowballstemmer

from localsearch.engine import Engine
from localsearch.evaluation.metrics import ndcg
from localsearch.settings import load

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
JUDGED = SAMPLE / ".judged"
BINARY = {".docx", ".epub", ".pdf"}
MAX_BYTES = 60_000
SHINGLE = 5
# Function words, none of which could lead to a document: kept apart from the product's own list on purpose.
_FUNCTION_WORDS = """
    a about after all also am an and any are as at be because been before being both but by can cannot could
    did do does doing down each few for from get gets getting go goes had has have having he her him his how i if
    in into is it its just let may me might more most much must my no nor not of off on once only or other our out
    over own shall she should so some such t than that the their them then there these they this those to too up
    us very was we were what when where which while who whom whose why will with would you your yours d ll m re s
    ve"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())


@dataclass(frozen=True, slots=True)
class Question:
    """One judged query; `answers` maps the path of a document to its grade."""

    id: str
    text: str
    kind: str
    language: str
    answers: Mapping[str, int]


def _documents() -> list[Path]:
    files = (path for path in sorted(SAMPLE.rglob("*")) if path.is_file())
    return [path for path in files if JUDGED not in path.parents and path != SAMPLE / "README.md"]


def _name(path: Path) -> str:
    return path.relative_to(SAMPLE).as_posix()


def _text_documents() -> list[Path]:
    return [path for path in _documents() if path.suffix not in BINARY]


@cache
def _judgements() -> tuple[tuple[str, str, int], ...]:
    with (JUDGED / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter="\t")
    assert header == ["query-id", "corpus-id", "score"]
    return tuple((query, document, int(score)) for query, document, score in rows)


@cache
def _questions() -> tuple[Question, ...]:
    answers: dict[str, dict[str, int]] = {}
    for query, document, score in _judgements():
        answers.setdefault(query, {})[document] = score
    lines = (JUDGED / "queries.jsonl").read_text("utf-8").splitlines()
    return tuple(
        Question(
            row["_id"], row["text"], row["metadata"]["kind"], row["metadata"]["language"], answers[row["_id"]]
        )
        for row in map(json.loads, lines)
    )


def _of_kind(kind: str) -> list[Question]:
    return [question for question in _questions() if question.kind == kind]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _content_stems(text: str) -> set[str]:
    words = sorted(set(_words(text)) - FUNCTION_WORDS)
    return set(snowballstemmer.stemmer("english").stemWords(words))


# --- the documents


def test_the_corpus_is_large_and_mixed_enough() -> None:
    kinds = Counter(path.suffix for path in _documents())
    folders = {path.parent.name for path in _documents()}

    assert kinds.total() == 58
    assert 0.4 <= kinds[".md"] / kinds.total() <= 0.6
    assert len(kinds) == 16
    assert {
        ".csv",
        ".docx",
        ".eml",
        ".epub",
        ".html",
        ".ipynb",
        ".jsonl",
        ".pdf",
        ".py",
        ".rst",
        ".tex",
    } <= set(kinds)
    assert folders == {"kitchen", "garden", "workshop", "code", "reference", "mail", "history"}


def test_every_file_is_small() -> None:
    large = {_name(path): path.stat().st_size for path in _documents() if path.stat().st_size > MAX_BYTES}
    assert large == {}


@pytest.mark.parametrize("path", _text_documents(), ids=_name)
def test_text_is_plain_utf8_of_a_useful_length(path: Path) -> None:
    text = path.read_bytes().decode("utf-8", errors="strict")
    # Chinese is not written with spaces: one character is about three quarters of an English word.
    words = len(_words(text)) + 0.75 * len(re.findall(r"[\u4e00-\u9fff]", text))

    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\ufffd\ufeff]", text)
    assert 150 <= words <= 900
    assert "lorem ipsum" not in text.lower()


def test_front_matter_has_the_fields_that_filters_use() -> None:
    opened = [path.read_text("utf-8") for path in _documents() if path.suffix == ".md"]
    fronts = [text.split("---\n")[1] for text in opened if text.startswith("---\n")]
    languages = Counter(found[1] for front in fronts if (found := re.search(r"^lang: (\w\w)$", front, re.M)))

    assert len(fronts) >= 20
    assert len(fronts) < len(opened)
    for front in fronts:
        assert re.search(r"^title: \S", front, re.M)
        assert re.search(r"^tags: \[\S.*\]$", front, re.M)
        assert re.search(r"^date: 20\d\d-\d\d-\d\d$", front, re.M)
    assert languages == {"de": 2, "es": 2, "fr": 1, "zh": 1}


def test_structured_files_parse() -> None:
    for path in SAMPLE.rglob("*.csv"):
        header, *rows = csv.reader(path.read_text("utf-8").splitlines())
        assert len(rows) >= 20
        assert {len(row) for row in rows} == {len(header)}
    records = [
        json.loads(line) for line in (SAMPLE / "reference/money-words.jsonl").read_text("utf-8").splitlines()
    ]
    assert all(set(record) == {"id", "title", "text"} for record in records)
    assert len(json.loads((SAMPLE / "code/http-status.json").read_text("utf-8"))["codes"]) == 18
    cells = json.loads((SAMPLE / "code/bootstrap.ipynb").read_text("utf-8"))["cells"]
    assert Counter(cell["cell_type"] for cell in cells) == {"markdown": 4, "code": 3}


def test_binary_files_are_what_their_names_say() -> None:
    assert (SAMPLE / "history/saltwick-lighthouse.pdf").read_bytes().startswith(b"%PDF-1.")
    with zipfile.ZipFile(SAMPLE / "workshop/workbench.docx") as archive:
        assert "Order of work" in archive.read("word/document.xml").decode("utf-8")
    with zipfile.ZipFile(SAMPLE / "history/harrowmere.epub") as archive:
        assert archive.infolist()[0].filename == "mimetype"
        assert archive.read("mimetype") == b"application/epub+zip"
        assert (
            len([name for name in archive.namelist() if name.startswith("OEBPS/c") and name.endswith("html")])
            == 3
        )


def test_the_programs_do_what_their_comments_say() -> None:
    names: dict[str, object] = {}
    exec(compile((SAMPLE / "code/token_bucket.py").read_text("utf-8"), "token_bucket.py", "exec"), names)
    now = [0.0]
    bucket = names["TokenBucket"](rate=2, capacity=3, clock=lambda: now[0])  # type: ignore[operator]
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_time() == 0.5
    now[0] = 0.5
    assert bucket.take()

    ledger = sqlite3.connect(":memory:")
    ledger.executescript((SAMPLE / "code/household-ledger.sql").read_text("utf-8"))
    ledger.executescript(
        """INSERT INTO account VALUES (1, 'Current account', 'asset'), (2, 'Rent', 'expense'), (3, 'Food', 'expense');
        INSERT INTO entry VALUES (1, '2024-01-01', ''), (2, '2024-01-01', '');
        INSERT INTO posting VALUES (1, 1, -300), (1, 2, 300), (2, 1, -100), (2, 3, 100);"""
    )
    balances = ledger.execute("SELECT balance FROM statement WHERE account = 'Current account'").fetchall()
    assert balances == [(-300,), (-400,)]
    assert ledger.execute("SELECT category, percent FROM monthly_spending ORDER BY 1").fetchall() == [
        ("Food", 25.0),
        ("Rent", 75.0),
    ]
    assert ledger.execute("SELECT * FROM unbalanced").fetchall() == []
    ledger.close()


def test_no_two_documents_say_the_same() -> None:
    shingles = {}
    for path in _text_documents():
        words = _words(re.sub(r"<[^>]+>", " ", path.read_text("utf-8")))
        shingles[_name(path)] = {tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1)}
    shared = {
        pair: len(shingles[pair[0]] & shingles[pair[1]]) / min(len(shingles[pair[0]]), len(shingles[pair[1]]))
        for pair in combinations(shingles, 2)
    }
    assert max(shared.values()) < 0.05


# --- the judgements


def test_there_are_enough_questions_of_every_kind() -> None:
    kinds = Counter(question.kind for question in _questions())
    assert kinds == {"meaning": 28, "keywords": 16, "question": 13, "typo": 4, "language": 8}
    assert {question.language for question in _questions()} == {"en", "de", "fr", "es", "zh"}
    assert len({question.text for question in _questions()}) == len(_questions()) == 69


def test_judgements_name_real_documents_and_questions() -> None:
    ids = [json.loads(line)["_id"] for line in (JUDGED / "queries.jsonl").read_text("utf-8").splitlines()]
    pairs = [(query, document) for query, document, _ in _judgements()]
    files = {_name(path) for path in _documents()}

    assert len(set(ids)) == len(ids)
    assert len(set(pairs)) == len(pairs)
    assert {query for query, _ in pairs} == set(ids)
    assert {document for _, document in pairs} <= files
    assert {score for _, _, score in _judgements()} == {1, 2}
    for question in _questions():
        assert 1 <= len(question.answers) <= 4
        assert 2 in question.answers.values()


@pytest.mark.parametrize("question", _of_kind("meaning"), ids=lambda question: question.id)
def test_questions_of_meaning_share_no_word_with_their_answer(question: Question) -> None:
    stems = _content_stems(question.text)
    assert len(stems) >= 2
    for answer in question.answers:
        assert Path(answer).suffix not in BINARY | {".eml"}
        assert stems & _content_stems(f"{answer} {(SAMPLE / answer).read_text('utf-8')}") == set()


def test_the_check_for_shared_words_sees_through_endings() -> None:
    assert _content_stems("How do I renew the certificates?") & _content_stems("Renewing a certificate") == {
        "renew",
        "certif",
    }


# --- the engine on the corpus


@dataclass(frozen=True, slots=True)
class Ranked:
    """The files of each answer by question id, best first, per mode; and what indexing counted."""

    modes: Mapping[str, Mapping[str, list[str]]]
    indexed: int
    documents: frozenset[str]


@pytest.fixture(scope="module")
def ranked(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranked]:
    """Index the corpus with the real engine and ask every question in every mode."""
    settings = load(tmp_path_factory.mktemp("home"), environ={"LOCALSEARCH_MODELS": str(model_folder)})
    with Engine.open(settings=settings) as engine:
        report = engine.index([SAMPLE])
        engine.embed_pending()
        assert engine.status().semantic_coverage == 1.0
        modes = {}
        for mode in ("lexical", "semantic", "hybrid"):
            modes[mode] = {
                question.id: [
                    Path(hit.path).relative_to(SAMPLE).as_posix()
                    for hit in engine.search(question.text, limit=10, mode=mode, cache=False)
                ]
                for question in _questions()
            }
        found = frozenset(name for answers in modes["semantic"].values() for name in answers)
        yield Ranked(modes, report.files.new, found)


def _ndcg(ranked: Ranked, mode: str, kind: str | None = None) -> float:
    chosen = [question for question in _questions() if kind in (None, question.kind)]
    return mean(ndcg(_unique(ranked.modes[mode][question.id]), question.answers) for question in chosen)


def _unique(names: list[str]) -> list[str]:
    """Files in order of their best document: a JSONL file gives one document per record."""
    return list(dict.fromkeys(names))


def _found(ranked: Ranked, mode: str, questions: list[Question], depth: int = 5) -> int:
    return sum(
        any(question.answers.get(name) == 2 for name in _unique(ranked.modes[mode][question.id])[:depth])
        for question in questions
    )


def test_every_document_is_indexed_and_no_judgement(ranked: Ranked) -> None:
    assert ranked.indexed == len(_documents()) + 1
    assert not [name for name in ranked.documents if name.startswith(".")]


def test_sense_finds_what_words_cannot(ranked: Ranked) -> None:
    questions = _of_kind("meaning")
    found = {mode: _found(ranked, mode, questions) for mode in ranked.modes}

    assert found["lexical"] <= 3
    assert found["semantic"] >= 26
    assert found["hybrid"] >= len(questions) // 2


def test_words_find_what_is_asked_for_by_name(ranked: Ranked) -> None:
    questions = _of_kind("keywords")
    assert _found(ranked, "hybrid", questions, depth=1) >= 14
    assert _found(ranked, "hybrid", questions) == len(questions)


# Measured 0.57, 0.92 and 0.77 with int8; the margin is for processors that round differently.
@pytest.mark.parametrize(("mode", "floor"), [("lexical", 0.56), ("semantic", 0.90), ("hybrid", 0.74)])
def test_ranking_stays_above_what_was_measured(ranked: Ranked, mode: str, floor: float) -> None:
    assert _ndcg(ranked, mode) >= floor


@pytest.mark.parametrize("kind", ["keywords", "question", "typo", "language"])
def test_fusion_is_no_worse_than_words_where_words_are_right(ranked: Ranked, kind: str) -> None:
    assert _ndcg(ranked, "hybrid", kind) >= max(_ndcg(ranked, "lexical", kind) - 0.01, 0.94)
