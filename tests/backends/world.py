"""A small corpus in a real database with vectors of known neighbours, and an index of them by either backend."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from localsearch.derived.catalog import Catalog
from localsearch.filters import OWN_DATE, SPEAKING, Filter, parse_filter, to_sql
from localsearch.search.selection import Selection
from localsearch.settings import VectorSettings
from localsearch.store import Corpus, Database, Embeddings, NewDocument, VersionFeed
from localsearch.types import Chunk, Feed, Ids, Ranking, Vectors
from localsearch.vectors import FaissIndex, MilvusIndex, MilvusServer, VectorIndex
from localsearch.vectors.feeder import Feeder

DIMENSIONS = 32
TYPES = ("pdf", "markdown", "html", "docx", "text")
LANGUAGES = ("en", "de", "fr", "")
DAY = 86_400.0
BEGAN = 1_600_000_000.0


def unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def clustered(count: int, seed: int) -> Vectors:
    """Unit vectors around forty centres, so that neighbours are neighbours; shape (count, DIMENSIONS)."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(40, DIMENSIONS))
    return unit(centres[random.integers(0, 40, count)] + 0.6 * random.normal(size=(count, DIMENSIONS)))


def document(number: int, text: str = "") -> NewDocument:
    """Two chunks with fields that go round in turn: a type, a language, a size, a date, and metadata of its own."""
    text = text or f"first of {number}. second of {number}."
    metadata: dict[str, Any] = {"n": number, "mod100": number % 100, "mod1000": number % 1000}
    if number % 97 == 0:
        metadata["type"] = "pdf"  # its own words speak beside the column
    if number % 89 == 0:
        metadata["size"] = 7
    return NewDocument(
        key=f"/files/{number % 7}/{number}.txt",
        path=f"/files/{number % 7}/{number}.txt",
        title=f"Document {number}",
        type=TYPES[number % len(TYPES)],
        language=LANGUAGES[number % len(LANGUAGES)],
        size=number,
        modified=BEGAN + number * DAY if number % 11 else None,
        text=text,
        chunks=(Chunk(0, len(text) // 2), Chunk(len(text) // 2, len(text))),
        metadata=metadata,
    )


@dataclass(slots=True)
class World:
    """An index folder, open. `index` is derived from it, and brought to its state by `sync`."""

    home: Path
    db: Database
    corpus: Corpus
    embeddings: Embeddings
    catalog: Catalog
    version: int
    settings: VectorSettings
    alias: str
    index: VectorIndex[Any]

    @classmethod
    def open(cls, home: Path, settings: VectorSettings, alias: str = "") -> World:
        """Open what `write` made. A new alias is a new collection."""
        db = Database.open(home)
        corpus, embeddings = Corpus(db), Embeddings(db)
        version = embeddings.begin("made", "fp32", "made", DIMENSIONS).id
        alias = alias or f"localsearch_{secrets.token_hex(8)}_v{version}"
        index = open_index(home, embeddings, version, settings, alias)
        index.load(embeddings.of(version))
        return cls(home, db, corpus, embeddings, Catalog(corpus), version, settings, alias, index)

    def put(self, documents: list[NewDocument], seed: int, collection: str = "default") -> list[int]:
        """Store documents with vectors; returns their ids."""
        ids, chunks = [], []
        with self.db.write():
            for one in documents:
                number, made = self.corpus.put(collection, one)
                ids.append(number)
                chunks += made
            self.embeddings.expect(chunks)
        rows = self.db.among("SELECT id, hash FROM chunks WHERE id IN ({}) ORDER BY id", chunks)
        vectors = clustered(len(rows), seed)
        hashes = {row[1]: vector for row, vector in zip(rows, vectors)}
        self.embeddings.put(self.version, hashes, [row[0] for row in rows])
        return ids

    def sync(self) -> None:
        """Follow what changed, as the engine does after each transaction."""
        known = np.unique(self.catalog.owner[self.catalog.owner > 0])
        changed = np.union1d(known, np.array(self.corpus.document_ids(), np.int64)).astype(np.int64)
        gone, came = self.catalog.update(changed)
        self.index.update(gone, came, self.embeddings.of(self.version))
        self.index.catch_up()

    def rebuild(self) -> None:
        """Build from the database and publish."""
        source = self.embeddings.of(self.version)
        ids = source.ids()
        self.index.publish(self.index.build(source.stream(ids), len(ids)))

    def selected(self, written: str | Filter) -> Selection:
        """The chunks that a filter selects, as the plan of a query has them."""
        tree = parse_filter(written) if isinstance(written, str) else written
        assert tree is not None
        return Selection(self.catalog, self.corpus.select(*to_sql(tree)), tree)

    def truth(self, query: Vectors, k: int, among: Ids | None = None) -> Ranking:
        """The k nearest of these chunks, or of all, by every vector of the database."""
        ids = self.embeddings.embedded_ids(self.version)
        if among is not None:
            ids = np.intersect1d(ids, among)
        ids, vectors = self.embeddings.vectors_of(self.version, ids)
        scores = vectors @ query
        order = np.lexsort((ids, -scores))[:k]
        return Ranking(ids[order], scores[order])

    def chunks(self, documents: list[int]) -> Ids:
        return self.catalog.chunks_of(np.array(documents, np.int64))

    def reopened(self) -> World:
        """The same folder, as after a restart of this process."""
        self.close()
        return World.open(self.home, self.settings, self.alias)

    def close(self) -> None:
        self.db.close()
        if isinstance(self.index, MilvusIndex):
            self.index.server.close()

    def drop(self) -> None:
        """Leave nothing in the engine."""
        if isinstance(self.index, MilvusIndex):
            server = MilvusServer(self.settings)
            for name in server.collections():
                if name.startswith(self.alias.rpartition("_v")[0]):
                    server.drop(name)
            server.close()


def open_index(
    home: Path, embeddings: Embeddings, version: int, settings: VectorSettings, alias: str
) -> VectorIndex[Any]:
    """The index of one version by the backend that the settings name."""
    if settings.backend == "milvus":
        log = VersionFeed(embeddings, version, OWN_DATE, SPEAKING)
        return MilvusIndex(MilvusServer(settings), log, alias, DIMENSIONS)
    return FaissIndex.open(home / "vectors" / str(version), DIMENSIONS, settings)


def write(home: Path, count: int) -> None:
    """Make a folder with documents and their vectors."""
    home.mkdir(parents=True, exist_ok=True)
    world = World.open(home, VectorSettings())
    half = count // 2
    world.put([document(n) for n in range(half)], seed=3)
    world.put([document(n) for n in range(half, count)], seed=4, collection="Second")
    world.close()
    shutil.rmtree(home / "vectors", ignore_errors=True)


def copied(template: Path, home: Path, settings: VectorSettings) -> World:
    """A copy of a folder, opened, with everything in its index."""
    shutil.copytree(template, home)
    world = World.open(home, settings)
    world.rebuild() if settings.backend == "faiss" else world.index.catch_up()
    return world


def parts(world: World) -> tuple[MilvusIndex, Feeder, VersionFeed, Feed]:
    """What a world in Milvus is made of."""
    index = world.index
    assert isinstance(index, MilvusIndex)
    assert index.feeder is not None
    feed = index.log.now()
    assert feed is not None
    return index, index.feeder, index.log, feed  # type: ignore[return-value]


def queries(count: int = 20) -> Vectors:
    return clustered(count, seed=99)


def recall(found: Ranking, truth: Ranking) -> float:
    """The share of the truth that was found; a hit as near as its last one counts."""
    if not len(truth):
        return 1.0
    good = np.isin(found.ids, truth.ids) | (found.scores >= truth.scores[-1] - 1e-6)
    return min(1.0, float(np.count_nonzero(good)) / len(truth))


def backend_settings(backend: str, uri: str) -> VectorSettings:
    return replace(VectorSettings(), backend=backend, milvus_uri=uri)  # type: ignore[arg-type]
