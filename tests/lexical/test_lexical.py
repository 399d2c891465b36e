"""BM25: Tantivy against rank-bm25 on the same terms, masks against brute force, and what damage does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from localsearch.errors import DamagedError, ReadOnlyError
from localsearch.lexical import (
    LexicalQuery,
    Phrase,
    analyze_phrase,
    analyze_query,
    open_lexical,
)
from localsearch.lexical.rank_bm25 import RankBM25Index
from localsearch.lexical.tantivy_index import TantivyIndex
from localsearch.text import Analyzer
from localsearch.types import IndexedChunk

SUBJECTS = ["glacier", "bakery", "compiler", "orchard", "harbour", "violin", "bicycle", "satellite"]
ACTIONS = ["melts slowly", "opens early", "crashes often", "grows quietly", "was painted", "needs repair"]
PLACES = ["in the mountains", "near the river", "behind the station", "over the northern valley"]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer()


def passages(count: int = 400) -> list[IndexedChunk]:
    """Varied sentences of uneven length, two passages a document."""
    rng = np.random.default_rng(7)
    made = []
    for i in range(count):
        n = int(rng.integers(1, 9))
        sentences = [
            f"The {rng.choice(SUBJECTS)} {rng.choice(ACTIONS)} {rng.choice(PLACES)}." for _ in range(n)
        ]
        title = f"Notes on the {SUBJECTS[i % len(SUBJECTS)]}" if i % 3 == 0 else ""
        made.append(IndexedChunk(i + 1, i // 2 + 1, title, "", " ".join(sentences), language="en"))
    return made


@pytest.fixture
def index(tmp_path: Path, analyzer: Analyzer) -> Iterator[TantivyIndex]:
    made = open_lexical("tantivy", tmp_path / "lexical", analyzer)
    assert isinstance(made, TantivyIndex)
    made.add(passages())
    made.commit(41)
    yield made
    made.close()


@pytest.fixture
def reference(analyzer: Analyzer) -> RankBM25Index:
    made = RankBM25Index(analyzer)
    made.add(passages())
    made.commit(41)
    return made


QUERIES = [
    "glacier",
    "violin repair",
    "bakery near the river opens early",
    "satellite over the northern valley",
    "compiler crashes, compiler crashes often",
]


def ask(analyzer: Analyzer, text: str, **more: object) -> LexicalQuery:
    return analyze_query(text, analyzer, languages={"en": 1}, **more)  # type: ignore[arg-type]


def phrase(analyzer: Analyzer, text: str, slop: int = 0) -> Phrase:
    found = analyze_phrase(text, analyzer, slop=slop, languages={"en": 1})
    assert found is not None
    return found


@pytest.mark.parametrize("text", QUERIES)
def test_tantivy_ranks_as_rank_bm25_does(
    index: TantivyIndex, reference: RankBM25Index, analyzer: Analyzer, text: str
) -> None:
    query = ask(analyzer, text)
    everything = np.arange(1, 401, dtype=np.int64)
    ours, theirs = index.score(query, everything), reference.score(query, everything)
    assert np.array_equal(ours > 0, theirs > 0)
    # Tantivy keeps lengths above 40 terms in 8 bits and drops BM25's constant factor k1 + 1 on neither side; what
    # remains is rounding of lengths.
    matched = ours > 0
    assert np.allclose(ours[matched], theirs[matched], rtol=0.05)
    assert np.corrcoef(ours[matched], theirs[matched])[0, 1] > 0.99 or np.ptp(theirs[matched]) < 1e-3


def test_scores_of_short_passages_equal_the_formula(tmp_path: Path, analyzer: Analyzer) -> None:
    index = open_lexical("tantivy", tmp_path / "lexical", analyzer)
    bodies = ["red apple", "green apple tree", "blue sky"]
    index.add([IndexedChunk(i + 1, i + 1, "", "", body, language="en") for i, body in enumerate(bodies)])
    index.commit(1)
    found = index.search(ask(analyzer, "apple"), 10)
    # The marker is a fourth, empty document to Tantivy: N = 4, average length 7 / 4.
    idf = np.log(1 + (4 - 2 + 0.5) / (2 + 0.5))
    expected = [idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 * n / (7 / 4))) for n in (2, 3)]
    assert found.ids.tolist() == [1, 2]
    assert found.scores.tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 1.0])
def test_a_mask_gives_exactly_the_allowed_best(index: TantivyIndex, analyzer: Analyzer, share: float) -> None:
    query = ask(analyzer, "glacier near the river needs repair")
    everything = index.search(query, 1000)
    allowed = np.random.default_rng(3).random(401) < share
    kept = allowed[everything.ids]
    found = index.search(query, 25, allowed)
    assert found.ids.tolist() == everything.ids[kept][:25].tolist()
    assert found.scores.tolist() == pytest.approx(everything.scores[kept][:25].tolist())


def test_a_mask_over_many_passages_is_exact_too(
    index: TantivyIndex, analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localsearch.lexical.tantivy_index._FEW", 5)
    query = ask(analyzer, "glacier river repair mountains")
    everything = index.search(query, 1000)
    allowed = np.zeros(401, np.bool_)
    allowed[everything.ids[-30:]] = True
    assert index.search(query, 20, allowed).ids.tolist() == everything.ids[-30:-10].tolist()


@pytest.mark.parametrize("common", [1, 60, 512])
@pytest.mark.parametrize("few", [0, 50, 2_000])
@pytest.mark.parametrize("text", [*QUERIES, "nothing of the kind", "glacier zeppelin"])
def test_documents_that_match_are_those_of_the_reference(
    index: TantivyIndex,
    reference: RankBM25Index,
    analyzer: Analyzer,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    few: int,
    common: int,
) -> None:
    """Remembered or listed, all or among some, and after a change."""
    monkeypatch.setattr("localsearch.lexical.holders.COMMON", common)
    monkeypatch.setattr("localsearch.lexical.tantivy_index._FEW", few)
    among = [None, np.arange(3, 200, 7), np.array([5, 1_000])]
    river = phrase(analyzer, "river")
    for query in (ask(analyzer, text), ask(analyzer, text, phrases=[river])):
        for some in among:
            assert index.matching(query, some).tolist() == reference.matching(query, some).tolist()
    index.remove([3, 10, 11])
    reference.remove([3, 10, 11])
    index.commit(42)
    reference.commit(42)
    for some in among:
        assert index.matching(query, some).tolist() == reference.matching(query, some).tolist()


def test_documents_that_match_are_remembered_within_bounds_by_many_threads(
    index: TantivyIndex, reference: RankBM25Index, analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localsearch.lexical.holders.COMMON", 1)
    monkeypatch.setattr("localsearch.lexical.holders.ROOM", 100)
    queries = [ask(analyzer, text) for text in [*SUBJECTS, *ACTIONS, *PLACES]]
    expected = [reference.matching(query).tolist() for query in queries]
    wrong: list[int] = []

    def look(start: int) -> None:
        for number in range(start, start + 300):
            at = number % len(queries)
            if index.matching(queries[at]).tolist() != expected[at]:
                wrong.append(at)

    threads = [threading.Thread(target=look, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(map(len, index._holders._known[1].values())) <= 100 + 8 * 26


def test_score_equals_search_and_is_zero_elsewhere(index: TantivyIndex, analyzer: Analyzer) -> None:
    query = ask(analyzer, "violin bicycle")
    found = index.search(query, 1000)
    assert np.allclose(index.score(query, found.ids), found.scores, rtol=1e-5)
    others = np.setdiff1d(np.arange(1, 450), found.ids)
    assert not index.score(query, others).any()


def test_term_scores_add_up(index: TantivyIndex, reference: RankBM25Index, analyzer: Analyzer) -> None:
    query = ask(analyzer, "orchard grows harbour")
    ids = index.search(query, 20).ids
    for engine in (index, reference):
        parts = engine.term_scores(query, ids)
        assert parts.shape == (3, 20)
        assert np.allclose(parts.sum(0), engine.score(query, ids), rtol=1e-4)


@pytest.mark.parametrize("engine", ["tantivy", "rank-bm25"])
@pytest.mark.parametrize(
    ("text", "slop", "chunks"),
    [
        ("red wine", 0, [1]),
        ("red wine", 1, [1, 2]),
        ("red wine", 2, [1, 2, 3, 4]),
        ("wine red", 1, [4]),
        ("red of wine", 3, [3]),
    ],
)
def test_loose_phrases_count_the_positions_between(
    tmp_path: Path, analyzer: Analyzer, engine: str, text: str, slop: int, chunks: list[int]
) -> None:
    index = open_lexical(engine, tmp_path / "lexical", analyzer)  # type: ignore[arg-type]
    bodies = ["red wine", "red old wine", "red kind of wine", "wine red", "wine"]
    index.add([IndexedChunk(i + 1, i + 1, "", "", body, language="en") for i, body in enumerate(bodies)])
    index.commit(1)
    assert index.chunks_with(phrase(analyzer, text, slop)).tolist() == chunks


@pytest.mark.parametrize("engine", ["tantivy", "rank-bm25"])
def test_the_words_that_a_pattern_stands_for(tmp_path: Path, analyzer: Analyzer, engine: str) -> None:
    index = open_lexical(engine, tmp_path / "lexical", analyzer)  # type: ignore[arg-type]
    bodies = ["Roses and a rose", "rosé", "a prose of 2024", "roses of 2023", "rosters", "ro"]
    index.add([IndexedChunk(i + 1, i + 1, "", "", body, language="en") for i, body in enumerate(bodies)])
    index.commit(1)
    assert index.words_like("ros*", 9) == (["rose", "roses", "rosters"], 3)
    assert index.words_like("ros*", 1) == (["rose"], 3)
    assert index.words_like("*rose", 9) == (["rose", "prose"], 2)
    assert index.words_like("202?", 9) == (["2023", "2024"], 2)
    assert index.words_like("ro", 9) == (["ro"], 1)
    assert index.words_like("*02?", 9) == (["2023", "2024"], 2)
    assert index.words_like("*os*", 9) == (["rose", "roses", "prose", "rosters"], 4)
    assert index.words_like("?ose", 9) == (["rose"], 1)
    assert index.words_like("*zz", 9) == ([], 0)
    assert index.chunks_with(Phrase(words=("rose", "2024", "ro"))).tolist() == [1, 2, 3, 6]


@pytest.mark.parametrize("engine", ["tantivy", "rank-bm25"])
def test_phrases_and_the_chunks_that_hold_them(tmp_path: Path, analyzer: Analyzer, engine: str) -> None:
    index = open_lexical(engine, tmp_path / "lexical", analyzer)  # type: ignore[arg-type]
    bodies = [
        "the white matter of brains",
        "matter that is white",
        "white matter draft",
        "to be or not to be",
    ]
    index.add([IndexedChunk(i + 1, i + 11, "", "", body, language="en") for i, body in enumerate(bodies)])
    index.commit(1)
    white = phrase(analyzer, "white matter")
    assert index.chunks_with(white).tolist() == [1, 3]
    assert index.count_with(white) == 2
    assert index.chunks_with(phrase(analyzer, "drafts")).tolist() == [3]
    assert index.chunks_with(phrase(analyzer, "or not to be")).tolist() == [4]
    both = index.search(ask(analyzer, "white matter", phrases=[white]), 9).ids.tolist()
    assert sorted(both[:2]) == [1, 3], "a chunk with the phrase comes before one with its words"
    assert sorted(both) == [1, 2, 3]
    assert index.search(ask(analyzer, "", phrases=[white]), 9).ids.tolist() == [1, 3]
    assert index.search(ask(analyzer, "to be"), 9).ids.tolist() == [4]
    assert index.search(ask(analyzer, "?!"), 9).ids.tolist() == []
    assert not ask(analyzer, "?!")


@pytest.mark.parametrize("engine", ["tantivy", "rank-bm25"])
def test_changes_replace_and_remove(tmp_path: Path, analyzer: Analyzer, engine: str) -> None:
    index = open_lexical(engine, tmp_path / "lexical", analyzer)  # type: ignore[arg-type]
    index.add(
        [IndexedChunk(1, 1, "", "", "old words", language="en"), IndexedChunk(2, 2, "", "", "other words")]
    )
    index.commit(1)
    index.remove([1])
    index.add([IndexedChunk(3, 1, "", "", "new words", language="en")])
    assert index.search(ask(analyzer, "old"), 5).ids.tolist() == [1]
    index.commit(2)
    assert index.search(ask(analyzer, "old"), 5).ids.tolist() == []
    assert sorted(index.search(ask(analyzer, "words"), 5).ids.tolist()) == [2, 3]
    assert (len(index), index.seq, dict(index.languages)) == (2, 2, {"en": 1, "": 1})
    index.clear()
    index.commit(3)
    assert (len(index), index.seq) == (0, 3)


def test_mixed_languages_are_each_stemmed_their_way(tmp_path: Path, analyzer: Analyzer) -> None:
    index = open_lexical("tantivy", tmp_path / "lexical", analyzer)
    index.add(
        [
            IndexedChunk(1, 1, "", "", "Die Häuser wurden verkauft", language="de"),
            IndexedChunk(2, 2, "", "", "The houses were sold", language="en"),
            IndexedChunk(3, 3, "", "", "Les maisons étaient vendues", language="fr"),
        ]
    )
    index.commit(1)
    for text, expected in [("Haus", 1), ("house", 2), ("maison", 3), ("verkaufte Häuser", 1)]:
        query = analyze_query(text, analyzer, languages=index.languages)
        assert index.search(query, 1).ids.tolist() == [expected]


def test_reopening_keeps_what_was_committed(tmp_path: Path, analyzer: Analyzer) -> None:
    folder = tmp_path / "lexical"
    index = open_lexical("tantivy", folder, analyzer)
    index.add(passages(20))
    index.commit(5)
    index.add(passages(40)[20:])
    index.close()
    again = open_lexical("tantivy", folder, analyzer, writable=False)
    assert (len(again), again.seq) == (20, 5)
    with pytest.raises(ReadOnlyError):
        again.add(passages(1))


def test_a_reader_sees_commits_of_the_writer_after_refresh(tmp_path: Path, analyzer: Analyzer) -> None:
    folder = tmp_path / "lexical"
    writer = open_lexical("tantivy", folder, analyzer)
    reader = TantivyIndex.open(folder, analyzer, writable=False)
    writer.add(passages(10))
    writer.commit(9)
    assert reader.seq == 0
    reader.refresh()
    assert (reader.seq, len(reader)) == (9, 10)


def test_missing_damaged_and_foreign_folders_ask_for_a_rebuild(tmp_path: Path, analyzer: Analyzer) -> None:
    with pytest.raises(DamagedError, match="no word index"):
        TantivyIndex.open(tmp_path / "nothing", analyzer)
    folder = tmp_path / "lexical"
    index = open_lexical("tantivy", folder, analyzer)
    index.add(passages(50))
    index.commit(1)
    index.close()
    with pytest.raises(DamagedError, match="another analyser"):
        TantivyIndex.open(folder, Analyzer(stemming=False))
    (folder / "meta.json").write_text("{}")
    with pytest.raises(DamagedError):
        TantivyIndex.open(folder, analyzer)


@pytest.mark.parametrize("suffix", [".idx", ".term", ".store", ".pos", ".fast", ".fieldnorm"])
def test_a_flipped_byte_is_noticed_at_opening(tmp_path: Path, analyzer: Analyzer, suffix: str) -> None:
    folder = tmp_path / "lexical"
    index = open_lexical("tantivy", folder, analyzer)
    index.add(passages(200))
    index.commit(1)
    index.close()
    file = max(folder.glob(f"*{suffix}"), key=lambda f: f.stat().st_size)
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 0x40
    file.write_bytes(data)
    with pytest.raises(DamagedError):
        TantivyIndex.open(folder, analyzer)


def test_completions_come_from_the_corpus_commonest_first(index: TantivyIndex) -> None:
    assert index.complete("sat") == ["satellite"]
    assert index.complete("b", 2) in (
        ["bakery", "bicycle"],
        ["bicycle", "bakery"],
        ["behind", "bakery"],
        ["behind", "bicycle"],
    )
    assert index.complete("zz") == []
    assert index.complete("") == []


def test_corrections(index: TantivyIndex) -> None:
    assert index.correct("glacer") == "glacier"
    assert index.correct("satelite") == "satellite"
    assert index.correct("cmopiler") == "compiler"
    assert index.correct("bycicle") == "bicycle"
    assert index.correct("violin") is None
    assert index.correct("xylophone") is None


def test_searching_from_many_threads_while_writing(index: TantivyIndex, analyzer: Analyzer) -> None:
    query = ask(analyzer, "glacier river")
    expected = index.search(query, 10).scores.tolist()
    errors: list[BaseException] = []

    def search() -> None:
        try:
            for _ in range(50):
                assert len(index.search(query, 10)) == 10
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=search) for _ in range(6)]
    for thread in threads:
        thread.start()
    for seq in range(42, 47):
        index.add([IndexedChunk(1000 + seq, 1000 + seq, "", "", "an unrelated passage", language="en")])
        index.commit(seq)
    for thread in threads:
        thread.join()
    assert not errors
    assert index.search(query, 10).scores.tolist() == pytest.approx(expected, rel=0.05)
