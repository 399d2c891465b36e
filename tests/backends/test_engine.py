"""The whole engine on either backend: a judged collection, equal with exact search; changes; an engine that is away."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from localsearch.engine import Engine
from localsearch.errors import VectorsUnavailableError
from localsearch.evaluation.beir import Dataset
from localsearch.evaluation.metrics import ndcg
from localsearch.settings import Settings, VectorSettings, load
from localsearch.types import Answer, Record
from localsearch.vectors import MilvusIndex, MilvusServer

if TYPE_CHECKING:
    from backends.milvus_process import MilvusProcess

SET = "adi"
ABOUT = {
    "/a.txt": "A hive of honey bees winters on twenty kilograms of honey.",
    "/b.txt": "The telescope shows the rings of Saturn on a clear night.",
    "/c.txt": "Feed the sourdough starter with flour and water every morning.",
}


def settings_of(home: Path, models: Path, vectors: VectorSettings) -> Settings:
    return replace(load(home, environ={}), models=models, vectors=vectors)


def drop(engine: Engine) -> None:
    """Leave nothing in the engine of vectors."""
    if engine.derived.semantic and isinstance(index := engine.derived.semantic.vectors, MilvusIndex):
        feed = index.log.now()
        if feed:
            index.server.drop(feed.collection)


@pytest.fixture(scope="session")
def judged(shared_bench: Callable[[str], Path]) -> Dataset:
    return Dataset.load(shared_bench(SET))


@pytest.fixture(scope="session")
def exact_home(judged: Dataset, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The judged collection, embedded once; so small that faiss compares with every vector."""
    home = tmp_path_factory.mktemp("exact") / "home"
    with Engine.open(settings=settings_of(home, model_folder, VectorSettings())) as engine:
        engine.add(list(judged.records()))
        engine.embed_pending()
    return home


@pytest.fixture(scope="session")
def exact(exact_home: Path, model_folder: Path) -> Iterator[Engine]:
    settings = settings_of(exact_home, model_folder, VectorSettings())
    with Engine.open(settings=settings, read_only=True) as engine:
        yield engine


@pytest.fixture(scope="session")
def searched(
    backend: VectorSettings, exact_home: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A copy of the collection on a backend, with a build of its vectors."""
    home = tmp_path_factory.mktemp("searched") / "home"
    shutil.copytree(exact_home, home)
    with Engine.open(settings=settings_of(home, model_folder, backend)) as engine:
        engine.embed_pending()
        semantic = engine.derived.semantic
        assert semantic is not None
        source = engine.embeddings.of(semantic.version.id)
        semantic.vectors.publish(semantic.vectors.build(source.stream(source.ids()), len(source.ids())))
        yield engine
        drop(engine)


@pytest.fixture
def changing(backend: VectorSettings, model_folder: Path, tmp_path: Path) -> Iterator[Engine]:
    """Three documents to change."""
    with Engine.open(settings=settings_of(tmp_path / "home", model_folder, backend)) as engine:
        engine.add([Record(text, id=name) for name, text in ABOUT.items()])
        engine.embed_pending()
        yield engine
        drop(engine)


def keys(answer: Answer) -> list[str]:
    return [hit.id for hit in answer]


def alike(ours: Answer, truth: Answer) -> None:
    """The same documents in the same order, but for neighbours that 12 bits a component cannot tell apart."""
    np.testing.assert_allclose([h.score for h in ours], [h.score for h in truth], atol=2e-3)
    scores = {hit.id: hit.score for hit in truth}
    last = truth.results[-1].score if truth.results else 0.0
    for hit, other in zip(ours, truth):
        if hit.id != other.id:
            assert scores.get(hit.id, last) == pytest.approx(other.score, abs=2e-3)


# -- a judged collection


@pytest.mark.parametrize("mode", ["hybrid", "semantic"])
def test_answers_are_those_of_exact_search(
    exact: Engine, searched: Engine, judged: Dataset, mode: str
) -> None:
    for query in judged.queries.values():
        ours = searched.search(query, mode=mode, limit=10, cache=False)
        truth = exact.search(query, mode=mode, limit=10, cache=False)
        alike(ours, truth)
        assert ours.total == truth.total
        assert not any("Words only" in note for note in ours.notes)


@pytest.mark.parametrize("mode", ["hybrid", "semantic"])
def test_quality_is_that_of_exact_search(exact: Engine, searched: Engine, judged: Dataset, mode: str) -> None:
    def quality(engine: Engine) -> float:
        return float(
            np.mean(
                [
                    ndcg(
                        keys(engine.search(text, mode=mode, limit=10, cache=False)), judged.judgements[number]
                    )
                    for number, text in judged.queries.items()
                    if number in judged.judgements
                ]
            )
        )

    found = quality(searched)
    assert found == pytest.approx(quality(exact), abs=0.002)
    assert found > 0.3


def test_pages_continue_each_other(searched: Engine, judged: Dataset) -> None:
    for query in list(judged.queries.values())[:6]:
        whole = keys(searched.search(query, limit=30, cache=False))
        pages = [keys(searched.search(query, limit=10, offset=at, cache=False)) for at in (0, 10, 20)]
        assert [*pages[0], *pages[1], *pages[2]] == whole


def test_relevance_is_the_same(exact: Engine, searched: Engine, judged: Dataset) -> None:
    for query in list(judged.queries.values())[:10]:
        ours = [hit.relevance for hit in searched.search(query, limit=10, cache=False)]
        truth = [hit.relevance for hit in exact.search(query, limit=10, cache=False)]
        assert [value is None for value in ours] == [value is None for value in truth]
        known = [(a, b) for a, b in zip(ours, truth) if a is not None and b is not None]
        np.testing.assert_allclose(*zip(*known), atol=0.01) if known else None


def test_what_is_like_a_document_is_the_same(exact: Engine, searched: Engine) -> None:
    for key in exact.db.query("SELECT key FROM documents ORDER BY id LIMIT 6"):
        alike(searched.search(like=key[0], cache=False), exact.search(like=key[0], cache=False))


@pytest.mark.parametrize("written", ["size:>0", "-type:pdf", "id:1,2,3,4,5,6,7,8"])
def test_filters_of_a_query_are_the_same(
    exact: Engine, searched: Engine, judged: Dataset, written: str
) -> None:
    for query in list(judged.queries.values())[:6]:
        ours = searched.search(query, filters=written, limit=20, cache=False)
        alike(ours, exact.search(query, filters=written, limit=20, cache=False))


def test_a_reader_answers_alike(searched: Engine, judged: Dataset) -> None:
    with Engine.open(settings=searched.settings, read_only=True) as reader:
        for query in list(judged.queries.values())[:5]:
            answer = reader.search(query, cache=False)
            assert keys(answer) == keys(searched.search(query, cache=False))
            assert not any("Words only" in note for note in answer.notes)


def test_status_says_how_the_vectors_stand(searched: Engine) -> None:
    vectors = searched.status().vectors
    assert vectors is not None
    assert (vectors.backend, vectors.behind, vectors.problem) == (searched.settings.vectors.backend, 0, "")
    assert vectors.count == searched.status().embedded_chunks
    assert searched.check().ok


# -- changes


def test_documents_come_and_change_and_go(changing: Engine) -> None:
    assert keys(changing.search("planets and moons", mode="semantic"))[0] == "/b.txt"
    changing.add([Record("Bread dough rises over night.", id="/b.txt")])
    changing.embed_pending()
    assert keys(changing.search("planets and moons", mode="semantic", limit=1)) != ["/b.txt"]
    assert keys(changing.search("baking a loaf", mode="semantic", limit=2)).count("/b.txt") == 1
    changing.delete("/a.txt")
    changing.embed_pending()
    assert "/a.txt" not in keys(changing.search("bees", mode="semantic"))
    assert changing.check().ok


def test_what_is_deleted_is_gone_before_the_engine_knows(changing: Engine) -> None:
    """The database tells what there is; an engine is fed afterwards."""
    changing.delete("/a.txt")
    answer = changing.search("bees that make honey", mode="semantic")
    assert "/a.txt" not in keys(answer)
    assert sorted(keys(answer)) == ["/b.txt", "/c.txt"]


def test_a_purge_leaves_nothing(changing: Engine) -> None:
    changing.purge(["/c.txt"])
    assert sorted(keys(changing.search("anything", mode="semantic"))) == ["/a.txt", "/b.txt"]
    semantic = changing.derived.semantic
    assert semantic is not None
    assert semantic.vectors.ids().tolist() == changing.embeddings.embedded_ids(semantic.version.id).tolist()
    assert changing.check().ok


def test_another_version_is_built_beside_and_switched_to(changing: Engine) -> None:
    before = keys(changing.search("sweet food of insects", mode="semantic"))
    precision = "fp32" if changing.embeddings.active().precision == "int8" else "int8"  # type: ignore[union-attr]
    encoder = changing.models.encoder(changing.settings.model.name, precision)
    version = changing.versions.build(encoder)
    assert version.state == "ready"
    first = changing.derived.semantic
    changing.versions.activate(version.id)
    second = changing.derived.semantic
    assert first is not None
    assert second is not None
    assert second.version.id == version.id != first.version.id
    answer = changing.search("sweet food of insects", mode="semantic")
    assert (keys(answer), answer.version) == (before, version.name)
    changing.versions.rollback()
    assert keys(changing.search("sweet food of insects", mode="semantic")) == before
    changing.versions.activate(version.id)
    changing.versions.gc()
    changing.embed_pending()
    assert changing.check().ok


def test_it_is_repaired_from_the_database(changing: Engine) -> None:
    semantic = changing.derived.semantic
    assert semantic is not None
    if isinstance(semantic.vectors, MilvusIndex):
        drop(changing)
    else:
        semantic.vectors.remove(semantic.vectors.ids()[:2])  # type: ignore[attr-defined]
        assert not changing.check().ok
    changing.check(repair_=True)
    changing.embed_pending()
    assert changing.check().ok
    assert keys(changing.search("planets and moons", mode="semantic"))[0] == "/b.txt"


# -- an engine that is away


@pytest.fixture
def away(exact_home: Path, model_folder: Path, tmp_path: Path) -> Iterator[Engine]:
    """The collection, with an engine that nothing listens for."""
    shutil.copytree(exact_home, tmp_path / "home")
    vectors = replace(VectorSettings(), backend="milvus", milvus_uri="http://127.0.0.1:9")
    with Engine.open(settings=settings_of(tmp_path / "home", model_folder, vectors)) as engine:
        yield engine


def test_without_its_engine_it_answers_by_words_and_says_so(
    away: Engine, exact: Engine, judged: Dataset
) -> None:
    query = next(iter(judged.queries.values()))
    answer = away.search(query)
    assert keys(answer) == keys(exact.search(query, mode="lexical"))
    assert any(note.startswith("Words only: ") for note in answer.notes)
    assert not away.search(query).cached
    with pytest.raises(VectorsUnavailableError):
        away.search(query, mode="semantic")


def test_without_its_engine_it_indexes_and_feeds_later(away: Engine, milvus_uri: str) -> None:
    away.add([Record("Pelicans nest on the island.", id="/pelicans")])
    away.embed_pending()
    vectors = away.status().vectors
    assert vectors is not None
    assert vectors.behind == away.status().embedded_chunks
    assert not vectors.reachable
    settings = replace(away.settings, vectors=replace(away.settings.vectors, milvus_uri=milvus_uri))
    away.close()
    with Engine.open(settings=settings) as engine:
        engine.embed_pending()
        assert keys(engine.search("birds of the sea", mode="semantic", limit=1)) == ["/pelicans"]
        drop(engine)


def test_a_server_that_is_killed_and_comes_back(
    milvus: MilvusProcess, model_folder: Path, tmp_path: Path
) -> None:
    """kill -9: words meanwhile, then the same answers; nothing that was acknowledged is lost."""
    vectors = replace(VectorSettings(), backend="milvus", milvus_uri=milvus.uri)
    with Engine.open(settings=settings_of(tmp_path / "home", model_folder, vectors)) as engine:
        engine.add([Record(text, id=name) for name, text in ABOUT.items()])
        engine.embed_pending()
        before = keys(engine.search("planets and moons", cache=False))
        milvus.kill()
        answer = engine.search("rings and moons", cache=False)
        assert keys(answer) == ["/b.txt"]
        assert any(note.startswith("Words only: ") for note in answer.notes)
        engine.add([Record("Pelicans nest on the island.", id="/pelicans")])
        engine.embed_pending()
        milvus.start()
        MilvusServer(vectors).collections()
        until(lambda: not any("Words only" in n for n in engine.search("moons", cache=False).notes))
        engine.embed_pending()
        now = keys(engine.search("planets and moons", cache=False))
        assert [key for key in now if key != "/pelicans"] == before
        assert keys(engine.search("birds of the sea", mode="semantic", limit=1)) == ["/pelicans"]
        assert engine.check().ok
        drop(engine)


def until(holds: Callable[[], bool], within_s: float = 90.0) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "not within the time"
        time.sleep(0.5)
