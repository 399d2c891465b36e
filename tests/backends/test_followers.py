"""Readers by copies whose vectors are in Milvus: they search rows that their primary has changed since.

A reader's own database tells how far Milvus was fed when the snapshot was taken; its guard goes by what the primary
publishes in Milvus.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from replicas import shipped, take

from localsearch.engine import Engine
from localsearch.errors import VectorsUnavailableError
from localsearch.replication.replica import promote
from localsearch.settings import Settings, VectorSettings, load
from localsearch.types import Answer, Record
from localsearch.vectors import MilvusIndex, MilvusServer

TEXTS = {
    "bees": "A hive of honey bees winters on twenty kilograms of honey.",
    "stars": "The telescope shows the rings of Saturn on a clear night.",
    "bread": "Feed the sourdough starter with flour and water every morning.",
    "bridge": "The suspension bridge sways in the wind by half a metre.",
    "choir": "The choir rehearses the oratorio on Thursday evenings.",
}
MOONS = "Titan and Enceladus circle the planet Saturn"
"""What the query below is nearest to."""
QUERY = "moons of the outer planets"


@dataclass(slots=True)
class Pair:
    """A primary, and a reader of the snapshot that was taken last."""

    primary: Engine
    target: Path
    home: Path
    reader: Engine | None = None

    def ship(self) -> Engine:
        """Ship and take; the reader that answers from then on."""
        shipped(self.primary, self.target)
        present, _ = take(self.home, self.target)
        if self.reader:
            self.reader.close()
        settings = replace(self.primary.settings, home=present.folder)
        self.reader = Engine(settings, read_only=True, models=self.primary.models)
        return self.reader

    def write(self, texts: dict[str, str]) -> None:
        self.primary.add([Record(text, id=name) for name, text in texts.items()])
        self.primary.embed_pending()


def vectors_of(engine: Engine) -> MilvusIndex:
    assert engine.derived.semantic is not None
    index = engine.derived.semantic.vectors
    assert isinstance(index, MilvusIndex)
    return index


def by_meaning(engine: Engine, query: str = QUERY, limit: int = 10) -> list[str]:
    return [hit.id for hit in engine.search(query, mode="semantic", limit=limit, cache=False)]


def exactly(engine: Engine, query: str = QUERY, limit: int = 10) -> list[str]:
    """The same by every vector of the database, without Milvus: a filter that few documents pass."""
    answer = engine.search(query, mode="semantic", filters="size:>0", limit=limit, cache=False)
    return [hit.id for hit in answer]


def is_by_words(answer: Answer) -> bool:
    return any(note.startswith("Words only: ") for note in answer.notes)


@pytest.fixture
def pair(milvus_uri: str, model_folder: Path, tmp_path: Path) -> Iterator[Pair]:
    """Five documents, fed, shipped and taken."""
    vectors = replace(VectorSettings(), backend="milvus", milvus_uri=milvus_uri)
    home = tmp_path / "primary"
    settings = replace(load(home, environ={}), models=model_folder, vectors=vectors)
    with Engine.open(settings=settings) as primary:
        made = Pair(primary, tmp_path / "shipped", tmp_path / "reader")
        made.write(TEXTS)
        made.ship()
        yield made
        assert made.reader is not None
        made.reader.close()
        drop(settings, vectors_of(primary).log.active().alias)  # type: ignore[union-attr]


def drop(settings: Settings, alias: str) -> None:
    """Leave nothing of an index in the engine."""
    server = MilvusServer(settings.vectors)
    for name in server.collections():
        if name.startswith(alias.rpartition("_v")[0]):
            server.drop(name)
    server.close()


def test_a_reader_answers_by_meaning_when_its_primary_has_written_since(pair: Pair) -> None:
    reader = pair.reader
    assert reader is not None
    before = by_meaning(reader)
    assert sorted(before) == sorted(TEXTS)
    pair.write({"titan": f"{MOONS}.", "bees": "The bee keeper has sold his hives."})
    assert vectors_of(pair.primary).log.now() != vectors_of(reader).log.now()
    # Of the old bees, whose row is gone, it knows by words alone; of titan it knows nothing.
    assert by_meaning(reader) == [name for name in before if name != "bees"]
    assert not is_by_words(reader.search("honey", cache=False))
    assert next(hit.id for hit in reader.search("honey", cache=False)) == "bees"
    assert by_meaning(pair.primary)[0] == "titan"
    assert vectors_of(reader).state.guard.refused == 0
    taken = pair.ship()
    assert by_meaning(taken) == by_meaning(pair.primary) == exactly(pair.primary)
    assert vectors_of(taken).state.guard.whole == 1


def test_rows_of_later_states_leave_the_page_full(pair: Pair) -> None:
    """All that is nearest is unknown to the reader: it asks for more until its own page is full."""
    reader = pair.reader
    assert reader is not None
    pair.write({f"moon{n}": f"{MOONS}, seen {n} times." for n in range(60)})
    assert by_meaning(pair.primary, limit=5) != by_meaning(reader, limit=5)
    assert by_meaning(reader, limit=5) == exactly(reader, limit=5)
    assert len(by_meaning(reader, limit=5)) == 5


def test_rows_that_are_missing_are_refused_by_a_reader_too(pair: Pair) -> None:
    reader = pair.reader
    assert reader is not None
    pair.write({"titan": f"{MOONS}."})
    feed = vectors_of(pair.primary).log.now()
    assert feed is not None
    server = vectors_of(pair.primary).server
    lost = vectors_of(pair.primary).log.again(feed, np.array([1, 2], np.int64))
    server.apply(feed.collection, replace(lost, ids=lost.ids[:0], gone=lost.ids))
    assert server.count(feed.collection, settled=True) == 4
    with pytest.raises(VectorsUnavailableError, match="4 rows of 6"):
        by_meaning(reader)
    answer = reader.search("honey", cache=False)
    assert is_by_words(answer)
    assert [hit.id for hit in answer] == ["bees"]
    state = vectors_of(reader).look()
    assert (state.rows, state.count, state.guard.whole) == (4, 6, 0)
    assert vectors_of(pair.primary).feeder.reconcile() == 2  # type: ignore[union-attr]
    assert sorted(by_meaning(reader)) == sorted(TEXTS)


def test_a_batch_that_is_under_way_is_waited_for_and_then_refused(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The primary dies between sending and confirming: its readers hear of it in Milvus, not in their snapshot."""
    reader = pair.reader
    assert reader is not None
    server = vectors_of(pair.primary).server

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(server, "apply", dies)
        with pytest.raises(KeyboardInterrupt):
            pair.write({"titan": f"{MOONS}."})
    with pytest.raises(VectorsUnavailableError, match="are being sent"):
        by_meaning(reader)
    assert vectors_of(reader).state.guard.refused == 1
    pair.primary.embed_pending()
    assert sorted(by_meaning(reader)) == sorted(TEXTS)


def test_what_was_confirmed_and_not_published_is_published_with_the_next_feeding(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = pair.reader
    assert reader is not None
    index = vectors_of(pair.primary)
    published = index.server.publish

    def dies_after_confirming(feed: Any) -> None:
        if not feed.sending:
            raise KeyboardInterrupt
        published(feed)

    with monkeypatch.context() as patched:
        patched.setattr(index.server, "publish", dies_after_confirming)
        with pytest.raises(KeyboardInterrupt):
            pair.write({"titan": f"{MOONS}."})
    assert by_meaning(pair.primary)[0] == "titan"
    with pytest.raises(VectorsUnavailableError, match="are being sent"):
        by_meaning(reader)
    index.catch_up()
    assert sorted(by_meaning(reader)) == sorted(TEXTS)


def test_a_rebuild_at_the_primary_is_followed(pair: Pair) -> None:
    """The alias names another collection, with a feed of its own."""
    reader = pair.reader
    assert reader is not None
    before, collection = by_meaning(reader), vectors_of(pair.primary).generation
    index = vectors_of(pair.primary)
    source = pair.primary.embeddings.of(pair.primary.derived.semantic.version.id)  # type: ignore[union-attr]
    index.publish(index.build(source.stream(source.ids()), len(source.ids())))
    assert index.generation != collection == vectors_of(reader).generation
    assert by_meaning(reader) == before


def test_a_collection_that_is_filled_from_its_beginning_is_no_answer_yet(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Milvus has lost the collection, and has a part of its rows again: neither primary nor reader takes that for all."""
    reader = pair.reader
    assert reader is not None
    index = vectors_of(pair.primary)
    index.server.drop(str(index.generation))
    with pytest.raises(VectorsUnavailableError):
        by_meaning(reader)
    monkeypatch.setattr("localsearch.vectors.feeder.BATCH", 2)
    left = index.catch_up(cancelled=iter([False, False, *[True] * 9]).__next__)
    assert left > 0
    for engine in (reader, pair.primary):
        with pytest.raises(VectorsUnavailableError, match="are being sent"):
            by_meaning(engine)
    assert index.catch_up() == 0
    assert sorted(by_meaning(reader)) == sorted(by_meaning(pair.primary)) == sorted(TEXTS)


def test_a_snapshot_from_before_the_first_feed_answers_by_words(
    milvus_uri: str, model_folder: Path, tmp_path: Path
) -> None:
    vectors = replace(VectorSettings(), backend="milvus", milvus_uri="http://127.0.0.1:9")
    settings = replace(load(tmp_path / "primary", environ={}), models=model_folder, vectors=vectors)
    with Engine.open(settings=settings) as primary:
        pair = Pair(primary, tmp_path / "shipped", tmp_path / "reader")
        pair.write(TEXTS)
        reader = pair.ship()
        answer = reader.search("honey", cache=False)
        assert is_by_words(answer)
        assert any("No vectors have been sent to Milvus yet" in note for note in answer.notes)
        reader.close()


def test_a_reader_that_is_promoted_begins_a_collection_of_its_own(pair: Pair) -> None:
    """The old primary fed rows that the promoted one never had, under ids that it gives to others now."""
    pair.write({"titan": f"{MOONS}.", "choir": "The choir is dissolved."})
    assert pair.reader is not None
    fed = vectors_of(pair.primary).generation
    alias = vectors_of(pair.primary).log.active().alias  # type: ignore[union-attr]
    promote(pair.home)
    settings = replace(pair.primary.settings, home=pair.home)
    with Engine.open(settings=settings) as promoted:
        promoted.add([Record("Wolves howl at the moon.", id="wolves")])
        promoted.embed_pending()
        index = vectors_of(promoted)
        assert index.log.active().alias == alias  # type: ignore[union-attr]
        assert index.generation != fed
        assert sorted(by_meaning(promoted)) == sorted([*TEXTS, "wolves"])
        assert by_meaning(promoted) == exactly(promoted)
        assert promoted.check().ok
        assert [n for n in index.server.collections() if n.startswith(alias)] == [index.generation]


# -- as processes


@contextmanager
def process(home: Path, models: Path, uri: str, *words: str) -> Iterator[httpx.Client]:
    """`localsearch serve` that runs, and a client of it."""
    home.mkdir(exist_ok=True)
    (home / "settings.toml").write_text(
        f'models = "{models}"\n[server]\nfollow_s = 0.2\n[vectors]\nbackend = "milvus"\nmilvus_uri = "{uri}"\n'
    )
    log = home.parent / f"{home.name}.log"
    env = {name: value for name, value in os.environ.items() if not name.startswith("LOCALSEARCH_")}
    command = [sys.executable, "-m", "localsearch", "--home", str(home), "serve", "--port", "0", *words]
    with log.open("wb") as file:
        running = subprocess.Popen(command, stdout=file, stderr=file, env=env)
    try:
        found = until(lambda: re.search(r"serving on (http://127\.0\.0\.1:\d+)\n", log.read_text()))
        with httpx.Client(base_url=found[1], timeout=60) as client:
            yield client
    finally:
        running.terminate()
        running.wait(60)


def until(value: Callable[[], Any], within_s: float = 120.0) -> Any:
    end = time.monotonic() + within_s
    while not (found := value()):
        assert time.monotonic() < end, "not within the time"
        time.sleep(0.1)
    return found


def put(client: httpx.Client, texts: dict[str, str]) -> None:
    """Store documents, and wait until Milvus has them."""
    documents = [{"id": name, "text": text} for name, text in texts.items()]
    before = client.get("/ready").json()["vectors"]
    count = (before["count"] if before else 0) + len(documents)
    assert client.post("/documents", json={"documents": documents}).status_code == 200

    def fed() -> bool:
        vectors = client.get("/ready").json()["vectors"]
        return bool(vectors) and (vectors["count"], vectors["behind"], vectors["problem"]) == (count, 0, "")

    until(fed)


def asked(client: httpx.Client, query: str = QUERY) -> list[str]:
    answer = client.post("/search", json={"query": query, "mode": "semantic"})
    assert answer.status_code == 200, answer.text
    return [hit["id"] for hit in answer.json()["results"]]


def test_as_processes(milvus_uri: str, model_folder: Path, tmp_path: Path) -> None:
    home, target = tmp_path / "primary", tmp_path / "shipped"

    def ship() -> None:
        words = [sys.executable, "-m", "localsearch", "--home", str(home), "ship", str(target)]
        subprocess.run(words, check=True, capture_output=True)

    with process(home, model_folder, milvus_uri) as primary:
        put(primary, TEXTS)
        ship()
        with process(tmp_path / "reader", model_folder, milvus_uri, "--follow", str(target)) as reader:
            assert sorted(asked(reader)) == sorted(TEXTS)
            for n in range(3):
                put(primary, {f"titan{n}": f"{MOONS}, {n}."})
                assert sorted(asked(reader, f"{QUERY} {n}")) == sorted(TEXTS)
            assert asked(primary)[0].startswith("titan")
            ship()
            until(lambda: asked(reader)[0].startswith("titan"))
            assert asked(reader) == asked(primary)
            vectors = reader.get("/ready").json()["vectors"]
            assert (vectors["count"], vectors["rows"], vectors["behind"]) == (8, 8, 0)
            assert vectors["guard"]["refused"] == 0
    alias = f"localsearch_{_identity(home)}_v1"
    drop(replace(load(home, environ={})), alias)


def _identity(home: Path) -> str:
    from localsearch.replication.identity import read_identity

    found = read_identity(home)
    assert found is not None
    return found.id
