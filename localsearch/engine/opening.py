"""Opening the parts of an index folder, each by its settings; what is damaged and derived is made again."""

from __future__ import annotations

import os
from typing import Any

from localsearch.caches import QueryLog, ResultCache, VectorCache
from localsearch.derived import Model, Semantic
from localsearch.errors import DamagedError, ModelMissingError, ReadOnlyError
from localsearch.filters import OWN_DATE, SPEAKING
from localsearch.lexical import open_lexical
from localsearch.models import ModelStore
from localsearch.platform.disk import drop, make_private
from localsearch.replication.identity import make_identity
from localsearch.search.cross_encoder import CrossEncoderReranker
from localsearch.search.reranker import LateInteractionReranker, Reranker
from localsearch.settings import MB, Settings
from localsearch.store import Corpus, Embeddings, Version, VersionFeed
from localsearch.store.database import FILE, REPLICA
from localsearch.store.tokens import CHUNK_BYTES
from localsearch.text import Analyzer
from localsearch.types import Answer, Encoder, LexicalIndex
from localsearch.vectors import FaissIndex, MilvusIndex, MilvusServer, VectorIndex


class Opener:
    """Chooses and opens implementations for one home folder."""

    def __init__(self, settings: Settings, models: ModelStore, *, read_only: bool) -> None:
        self.settings = settings
        self.models = models
        self.read_only = read_only
        self.analyzer = Analyzer()
        self._milvus: MilvusServer | None = None

    def make_home(self) -> None:
        """Make the folder, for this user alone even if it was there before. Raises ReadOnlyError."""
        home = self.settings.home
        if (home / REPLICA).is_dir() and not (home / FILE).exists():
            raise ReadOnlyError(
                f"{home} follows a primary, so nothing is written to it.",
                hint="Write to the primary, or make this one the primary: localsearch promote",
            )
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            if home.stat().st_uid == os.geteuid() and home.stat().st_mode & 0o077:
                home.chmod(0o700)
            (home / "vectors").mkdir(exist_ok=True, mode=0o700)
            self.make_private()
        except OSError as error:
            raise ReadOnlyError(
                f"{home} cannot be made: {error.strerror}", hint="Choose another with --home."
            ) from error

    def make_private(self) -> None:
        """Take all that is in the folder from others, but for models, which they may read."""
        make_private(self.settings.home, without=self.settings.models)

    def lexical(self) -> LexicalIndex:
        """The BM25 index; one that is damaged, or made by another release's analyser, is made again from SQLite."""
        kind, folder = self.settings.search.lexical_engine, self.settings.home / "lexical"
        about = self.settings.search.about_weight
        try:
            return open_lexical(kind, folder, self.analyzer, writable=not self.read_only, about=about)
        except DamagedError:
            return self.empty_lexical()

    def empty_lexical(self) -> LexicalIndex:
        """A BM25 index to fill again; what was there is dropped. A reader's is in memory."""
        folder, search = self.settings.home / "lexical", self.settings.search
        if self.read_only:
            return open_lexical("rank-bm25", folder, self.analyzer, about=search.about_weight)
        drop(folder)
        return open_lexical(search.lexical_engine, folder, self.analyzer, about=search.about_weight)

    def semantic(self, version: Version, embeddings: Embeddings) -> Semantic:
        """A version with its vector index, where the settings have it; a damaged graph is set aside and its vectors
        are read from SQLite."""
        in_engine = self.settings.vectors.backend == "milvus"
        vectors: VectorIndex[Any] = (
            self._in_milvus(version, embeddings) if in_engine else self._vectors(version)
        )
        return Semantic(version, Model(lambda: self._encoder(version)), vectors)

    def _in_milvus(self, version: Version, embeddings: Embeddings) -> MilvusIndex:
        """The collection of a version, named by the identity of this folder: a restored copy begins its own."""
        if self._milvus is None:
            self._milvus = MilvusServer(self.settings.vectors, offline=self.settings.offline)
        log = VersionFeed(embeddings, version.id, OWN_DATE, SPEAKING)
        alias = (
            None if self.read_only else f"localsearch_{make_identity(self.settings.home).id}_v{version.id}"
        )
        return MilvusIndex(self._milvus, log, alias, version.dimensions, writable=not self.read_only)

    def close(self) -> None:
        """Let go of the connection to an engine."""
        if self._milvus is not None:
            self._milvus.close()

    def _vectors(self, version: Version) -> FaissIndex:
        folder = self.settings.home / "vectors" / str(version.id)
        size, settings, writable = version.dimensions, self.settings.vectors, not self.read_only
        try:
            return FaissIndex.open(folder, size, settings, writable=writable)
        except DamagedError:
            if writable:
                return FaissIndex.open(folder, size, settings)
            return FaissIndex(folder, size, settings, None, writable=False)

    def _encoder(self, version: Version) -> Encoder:
        encoder = self.models.encoder(version.model, version.precision)
        if encoder.fingerprint != version.fingerprint:
            raise ModelMissingError(
                f"This index was embedded by {version.model} ({version.fingerprint}), and the {version.model} in"
                f" {self.settings.models} is another one.",
                hint="Put the former back, or run: localsearch versions build --model " + version.model,
            )
        return encoder

    def query_vectors(self) -> VectorCache:
        """The cache of query vectors; a reader keeps it in memory only."""
        caches = self.settings.caches
        return VectorCache(
            None if self.read_only else self.settings.home,
            memory_bytes=caches.query_vectors_mb * MB,
            disk_bytes=caches.query_vectors_disk_mb * MB,
            ttl_s=caches.query_vectors_days * 86_400,
        )

    def reranker(self, corpus: Corpus) -> Reranker:
        """The cross-encoder of the settings, with late interaction while it is not there; without one, the latter."""
        late_interaction = LateInteractionReranker(corpus, self._kept_chunks())
        if not (name := self.settings.model.reranker):
            return late_interaction
        return CrossEncoderReranker(name, self.models.reranker, corpus, late_interaction)

    def _kept_chunks(self) -> int | None:
        """Of how many chunks the token bits computed by re-ranking are kept, None: of all. A reader keeps none."""
        if self.read_only:
            return 0
        if self.settings.model.keep_tokens:
            return None
        return max(self.settings.caches.token_bits_disk_mb * MB, 0) // CHUNK_BYTES

    def answers(self) -> ResultCache[Answer]:
        """The cache of answers."""
        caches = self.settings.caches
        return ResultCache(
            caches.results_mb * MB,
            _answer_bytes,
            min_ttl_s=caches.results_min_s,
            max_ttl_s=caches.results_max_s,
        )

    def query_log(self) -> QueryLog:
        """What was asked, to warm the caches; not kept when the settings say so."""
        keep = self.settings.caches.remember_queries and not self.read_only
        return QueryLog(self.settings.home if keep else None)


def _answer_bytes(answer: Answer) -> int:
    return 500 + sum(800 + 2 * (len(hit.text) + len(hit.snippet)) for hit in answer.results)
