"""Re-ranking by late interaction over sign bits, which are kept, vanish with their passage, and may be damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from localsearch.engine import Engine
from localsearch.ranking.late_interaction import maxsim, sign_bits
from localsearch.search.context import QueryContext
from localsearch.search.query import SearchQuery
from localsearch.settings import CacheSettings, ModelSettings, Settings, load
from localsearch.types import Record

TEXTS = {
    "bread": "Feed the sourdough starter with flour and water every morning.",
    "tyres": "Check the pressure of the front tyre before a long bicycle ride.",
    "tax": "The income tax declaration is due at the end of July.",
    "bees": "A hive of honey bees winters on twenty kilograms of honey.",
    "stars": "The telescope shows the rings of Saturn on a clear night.",
    "one": "A.",
}
QUERY = "how much honey does a hive need in winter"
FLOATS = st.floats(-1, 1, width=32)


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.just(20)), elements=FLOATS),
    st.lists(
        arrays.arrays(np.float32, st.tuples(st.integers(0, 5), st.just(20)), elements=FLOATS), max_size=5
    ),
)
def test_late_interaction_is_the_mean_of_the_best_cosines(
    query: np.ndarray, passages: list[np.ndarray]
) -> None:
    found = maxsim(query, [sign_bits(passage) for passage in passages])
    for value, passage in zip(found, passages, strict=True):
        if not len(passage):
            assert np.isnan(value)
            continue
        signs = np.where(passage > 0, 1, -1) / np.sqrt(20)
        assert value == pytest.approx((query @ signs.T).max(axis=1).mean(), abs=1e-5)


def test_without_words_nothing_is_near() -> None:
    assert np.isnan(maxsim(np.empty((0, 8), np.float32), [b"\x0f"])).all()


@pytest.fixture
def chosen(tmp_path: Path, model_folder: Path) -> Settings:
    return replace(load(tmp_path / "home", environ={}), models=model_folder)


@pytest.fixture
def engine(chosen: Settings) -> Iterator[Engine]:
    with filled(chosen) as opened:
        yield opened


def filled(settings: Settings) -> Engine:
    engine = Engine.open(settings=settings)
    engine.add([Record(text, id=name) for name, text in TEXTS.items()])
    engine.embed_pending()
    return engine


def kept(engine: Engine) -> dict[str, bytes]:
    """The stored bits by document."""
    return dict(
        engine.db.query(
            "SELECT d.key, t.bits FROM tokens AS t JOIN chunks AS c ON c.hash = t.hash"
            " JOIN documents AS d ON d.id = c.document_id"
        )
    )


def looked(engine: Engine) -> tuple[list[tuple[str, float]], int]:
    """The reranked hits with their scores, and how many passages the model had to read for it."""
    assert engine.derived.semantic is not None
    encoder = engine.derived.semantic.model.encoder()
    before = encoder.cost.texts  # type: ignore[attr-defined]
    answer = engine.search(QUERY, rerank=True, limit=10, cache=False)
    assert "rerank" in answer.stages
    hits = [(hit.id, round(hit.score, 4)) for hit in answer]
    read: int = encoder.cost.texts - before  # type: ignore[attr-defined]
    return hits, read - 2  # the query is read for its vector and for its tokens


def test_what_was_looked_at_is_encoded_once(chosen: Settings) -> None:
    with filled(chosen) as engine:
        first, read = looked(engine)
        assert first[0][0] == "bees"
        assert read == len(TEXTS)
        assert looked(engine) == (first, 0), "from memory"
    with Engine.open(settings=chosen, read_only=True) as reader:
        assert set(kept(reader)) == set(TEXTS)
        assert looked(reader) == (first, 0), "from the database"


def test_a_reader_writes_nothing(chosen: Settings) -> None:
    filled(chosen).close()
    with Engine.open(settings=chosen, read_only=True) as reader:
        hits, read = looked(reader)
        assert (hits[0][0], read) == ("bees", len(TEXTS))
        assert looked(reader) == (hits, 0)
    with Engine.open(settings=chosen, read_only=True) as reader:
        assert kept(reader) == {}


def test_bits_stored_while_indexing_are_those_computed_later(chosen: Settings, tmp_path: Path) -> None:
    with filled(chosen) as engine:
        later, _ = looked(engine)
        vectors = engine.embeddings.vectors_of(1, range(1, 7))[1]
    with filled(
        replace(chosen, home=tmp_path / "other", model=ModelSettings(keep_tokens=True))
    ) as beforehand:
        assert looked(beforehand) == (later, 0)
        np.testing.assert_array_equal(beforehand.embeddings.vectors_of(1, range(1, 7))[1], vectors)
        bits = kept(beforehand)
    with Engine.open(settings=chosen, read_only=True) as reader:
        assert kept(reader) == bits
        assert len(bits["bees"]) == 48 * 12


def test_nothing_is_kept_where_the_settings_say_so(chosen: Settings) -> None:
    with filled(replace(chosen, caches=CacheSettings(token_bits_disk_mb=0))) as engine:
        looked(engine)
    with Engine.open(settings=chosen, read_only=True) as reader:
        assert kept(reader) == {}


def test_damaged_bits_are_computed_again(chosen: Settings) -> None:
    with filled(chosen) as engine:
        hits, _ = looked(engine)
    with Engine.open(settings=chosen) as engine:
        with engine.db.write() as connection:
            connection.execute("UPDATE tokens SET bits = zeroblob(length(bits)) WHERE id IN (2, 3)")
        [problem] = engine.check().problems
        assert (problem.part, problem.mendable) == ("token bits", True)
        assert looked(engine) == (hits, 2)
    with Engine.open(settings=chosen) as engine:
        assert engine.check().ok, "they were stored anew"
        with engine.db.write() as connection:
            connection.execute("UPDATE tokens SET crc = crc + 1")
        assert engine.check(repair_=True).ok
        assert kept(engine) == {}
        assert looked(engine) == (hits, len(TEXTS))


def test_a_database_that_fails_here_costs_only_time(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from localsearch.errors import DamagedError

    def damaged(*_: object) -> None:
        raise DamagedError("The disk image is malformed.", hint="Restore a backup.")

    monkeypatch.setattr(engine.searcher.ranker.reranker.tokens, "of", damaged)
    monkeypatch.setattr(engine.searcher.ranker.reranker.tokens, "put", damaged)
    hits, read = looked(engine)
    assert (hits[0][0], read) == ("bees", len(TEXTS))
    assert looked(engine) == (hits, 0)


def test_bits_go_with_their_passage(chosen: Settings) -> None:
    with filled(chosen) as engine:
        looked(engine)
    with Engine.open(settings=chosen) as engine:
        gone = kept(engine)["bees"]
        assert _holds(chosen.home, gone)
        engine.delete("bees", purge=True)
        assert set(kept(engine)) == set(TEXTS) - {"bees"}
        assert not _holds(chosen.home, gone)
        engine.embeddings.drop(1)
        assert kept(engine) == {}


def _holds(home: Path, bits: bytes) -> bool:
    return any(bits in file.read_bytes() for file in home.rglob("*") if file.is_file())


class Hasty(QueryContext):
    """A query whose budget is used up after so many looks at the clock."""

    __slots__ = ("looks",)

    def left_s(self) -> float | None:
        self.looks = getattr(self, "looks", 4) - 1
        return 100.0 if self.looks > 0 else 0.0


def test_when_time_runs_out_the_best_were_looked_at(engine: Engine) -> None:
    semantic = engine.derived.semantic
    assert semantic is not None
    ids = np.array([4, 2, 1, 3, 5, 6])
    reranker = engine.searcher.ranker.reranker
    context = Hasty(SearchQuery(QUERY, rerank=True, budget_ms=50))
    look = reranker.over(context, QUERY, semantic, ids)
    assert look is not None
    found = look.score(np.arange(6))
    assert np.isnan(found).tolist() == [False] * 4 + [True] * 2
    assert context.notes == ["No time for re-ranking 2 of the best chunks within 50 ms."]
    again = reranker.over(QueryContext(SearchQuery(QUERY)), QUERY, semantic, ids)
    assert again is not None
    np.testing.assert_array_equal(again.score(np.arange(6))[:4], found[:4])


def test_without_time_there_is_no_reranking(engine: Engine) -> None:
    semantic = engine.derived.semantic
    assert semantic is not None
    context = QueryContext(SearchQuery(QUERY, rerank=True, budget_ms=1e-6))
    assert engine.searcher.ranker.reranker.over(context, QUERY, semantic, np.array([1])) is None
    assert "No time for re-ranking" in context.notes[0]
