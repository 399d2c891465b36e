"""What is derived from SQLite and kept in step with it: chunk map, BM25 index, vector index.

`Derived.catch_up` is the only way that any of them changes when documents do: after each durable transaction it replays
the log of changes, just as it does when an index is opened after a crash.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from localsearch import quantize
from localsearch.derived.catalog import Catalog
from localsearch.errors import DamagedError, ModelError, StorageError, VectorsUnavailableError
from localsearch.ranking.relevance import Calibration
from localsearch.store import Corpus, Embeddings, NewDocument, Version
from localsearch.store.indexed import new_indexed
from localsearch.types import Cancelled, Encoder, Ids, LexicalIndex, Progress, Report, never, no_report
from localsearch.vectors import VectorIndex

M = TypeVar("M")

_BATCH = 500
_RETRY_S = 30.0
"""Seconds until a model that did not load is tried again."""
_LOG_KEPT = 10_000
"""Changes kept in the log after every index has them, so that a word index from a copy of the folder can catch up."""


class LazyModel(Generic[M]):
    """A model loaded when it is first needed; a failure to load is remembered for a while."""

    def __init__(self, load: Callable[[], M], clock: Callable[[], float] = time.monotonic) -> None:
        self._load = load
        self._clock = clock
        self._model: M | None = None
        self._failure: tuple[ModelError, float] | None = None
        self._lock = threading.Lock()

    @property
    def usable(self) -> bool:
        """Whether the model is there or worth trying for: false while a failure is remembered. Waits for nothing."""
        return self._remembered() is None

    @property
    def loaded(self) -> M | None:
        """The model if it is in memory already. Waits for nothing."""
        return self._model

    def get(self) -> M:
        """Raises ModelError, saying how to get it, while the model is missing or damaged.

        Loading may read the whole model before it fails, so for 30 s after a failure queries are told it at once.
        """
        with self._lock:
            if self._model is None:
                self._model = self._tried()
            return self._model

    def try_again(self) -> None:
        """Forget a failure: somebody asks for the model who may just have put it in place."""
        self._failure = None

    def _tried(self) -> M:
        if known := self._remembered():
            raise known.with_traceback(None)
        try:
            return self._load()
        except ModelError as error:
            self._failure = (error.with_traceback(None), self._clock() + _RETRY_S)
            raise

    def _remembered(self) -> ModelError | None:
        failure = self._failure
        return failure[0] if failure and self._clock() < failure[1] else None


class Model(LazyModel[Encoder]):
    """The encoder of one version."""

    def encoder(self) -> Encoder:
        """As `get`; raises ModelError as well when the model in place is not the one of the version."""
        return self.get()


@dataclass(frozen=True, slots=True)
class Semantic:
    """What a semantic search needs, swapped as one: a version, its vectors and the model that made them.

    `calibration` tells what their cosines mean, once that is known.
    """

    version: Version
    model: Model
    vectors: VectorIndex[Any]
    calibration: Calibration | None = None

    @property
    def stamp(self) -> Hashable:
        """What an answer by meaning depends on: the version, how much of it is there, what its cosines mean, and
        whether the model is there."""
        return self.version.id, len(self.vectors), self.calibration, self.model.usable


class Derived:
    """The derived indexes of one home folder and the number of the last change they hold."""

    def __init__(
        self,
        corpus: Corpus,
        embeddings: Embeddings,
        lexical: LexicalIndex,
        empty_lexical: Callable[[], LexicalIndex],
        semantic: Semantic | None,
    ) -> None:
        self.corpus = corpus
        self.embeddings = embeddings
        self.lexical = lexical
        self._empty_lexical = empty_lexical
        self._seq = corpus.seq
        self.catalog = Catalog(corpus)
        self._lock = threading.RLock()
        self.semantic: Semantic | None = None
        if semantic:
            self.adopt(semantic)

    @property
    def seq(self) -> int:
        """The last change that answers reflect."""
        return self._seq

    def catch_up(self, report: Report = no_report) -> None:
        """Bring every derived index to the state of the database.

        After a failure of the disk nothing more is written to the database either, until it is opened again.
        """
        with self._lock:
            try:
                self._catch_up_lexical(report)
            except StorageError as error:
                if error.data.get("io"):
                    self.corpus.db.stop(error.message)
                raise
            self._catch_up_memory()
            self._trim_log()

    def begin(self, document: NewDocument) -> None:
        """Be told of a document that will be stored shortly: its words are taken apart meanwhile, where that pays."""
        self.lexical.begin(list(new_indexed(document)))

    def _trim_log(self) -> None:
        """Forget changes that the word index holds, a good many at a time."""
        held, oldest = min(self.lexical.seq, self._seq), self.corpus.oldest_change
        if oldest is not None and held - oldest >= 2 * _LOG_KEPT:
            self.corpus.forget_changes(held - _LOG_KEPT)

    def _catch_up_lexical(self, report: Report) -> None:
        with self.corpus.db.snapshot():
            target = self.corpus.seq
            changed = self.corpus.changed_since(self.lexical.seq)
            if changed is None:
                self.lexical.close()
                self.lexical = self._empty_lexical()
                changed = self.corpus.document_ids()
            if changed:
                self._feed_lexical(changed, target, report)

    def rebuild_lexical(self, report: Report = no_report) -> None:
        """Make the word index again from the database alone."""
        with self._lock:
            self.lexical.close()
            self.lexical = self._empty_lexical()
            self._feed_lexical(self.corpus.document_ids(), self.corpus.seq, report)

    def _feed_lexical(self, changed: list[int], target: int, report: Report) -> None:
        self.lexical.remove(changed)
        for start in range(0, len(changed), _BATCH):
            self.lexical.add(list(self.corpus.indexed_chunks(changed[start : start + _BATCH])))
            if len(changed) > _BATCH:
                report(Progress("words", min(start + _BATCH, len(changed)), len(changed), "documents"))
        self.lexical.commit(target)

    def _catch_up_memory(self) -> None:
        target = self.corpus.seq
        changed = self.corpus.changed_since(self._seq)
        if changed is None:
            self.reload()
        elif changed:
            gone, came = self.catalog.update(np.array(changed, np.int64))
            if self.semantic:
                self._update_vectors(self.semantic, gone, came)
        self._seq = target

    def _update_vectors(self, semantic: Semantic, gone: Ids, came: Ids) -> None:
        semantic.vectors.update(gone, came, self.embeddings.of(semantic.version.id))

    def reload(self, semantic: Semantic | None = None) -> None:
        """Bring what is kept in memory to the database's state, and answer from another version or generation where
        one is given."""
        with self._lock:
            changed, self._seq = self.corpus.changed_since(self._seq), self.corpus.seq
            if changed is None:
                self.catalog.load()
            else:
                self.catalog.update(np.array(changed, np.int64))
            if semantic := semantic or self.semantic:
                self.adopt(semantic)

    def fill(self) -> None:
        """Give a word index that is kept in memory its chunks; one in files has them."""
        if self.lexical.in_memory:
            with self._lock:
                self._catch_up_lexical(no_report)

    def refresh_lexical(self) -> None:
        """See the words that another process has committed: for an index that is open for reading."""
        with self._lock:
            self.fill()
            # While the writer makes it anew, what was read before answers.
            with suppress(DamagedError):
                self.lexical.refresh()

    def load_vectors(self, semantic: Semantic) -> None:
        """Bring a vector index to the database's state."""
        with self._lock:
            semantic.vectors.load(self.embeddings.of(semantic.version.id, self.catalog.ids()))

    def add_vectors(
        self, version_id: int, hashes: dict[bytes, NDArray[np.float32]], done: dict[int, bytes]
    ) -> None:
        """Make new vectors durable, then searchable if their version is the active one."""
        with self._lock:
            alive = self.embeddings.put(version_id, hashes, list(done))
            semantic = self.semantic
            if alive and semantic and semantic.version.id == version_id:
                stored = quantize.rounded(np.stack([hashes[done[i]] for i in alive]))
                semantic.vectors.add(np.array(alive, np.int64), stored)

    def feed(self, version_id: int, cancelled: Cancelled = never) -> None:
        """Send an engine what was stored since, if this version is the active one. One that is away is told of by its
        state, and keeps nobody waiting: the log is sent when it is back."""
        semantic = self.semantic
        if semantic and semantic.version.id == version_id:
            with suppress(VectorsUnavailableError):
                semantic.vectors.catch_up(cancelled=cancelled)

    def adopt(self, semantic: Semantic) -> None:
        """Answer from this version, which the database has as the active one already."""
        with self._lock:
            self.load_vectors(semantic)
            self.semantic = self._calibrated(semantic)

    def switch(self, semantic: Semantic) -> None:
        """Make another version the active one; searches under way finish on the one they began with."""
        with self._lock:
            self.load_vectors(semantic)
            self.embeddings.activate(semantic.version.id)
            semantic = replace(semantic, version=self.embeddings.version(semantic.version.id))
            self.semantic = self._calibrated(semantic)

    def _calibrated(self, semantic: Semantic) -> Semantic:
        values = self.embeddings.calibration(semantic.version.id)
        with suppress(msgspec.ValidationError):  # one that another program wrote is learnt anew
            return replace(semantic, calibration=msgspec.convert(values, Calibration | None))
        return semantic

    def calibrate(self, version_id: int, calibration: Calibration) -> None:
        """Keep what the cosines of a version mean, and judge by it if that version is the active one."""
        with self._lock:
            self.embeddings.keep_calibration(version_id, asdict(calibration))
            if self.semantic and self.semantic.version.id == version_id:
                self.semantic = replace(self.semantic, calibration=calibration)

    def coverage(self) -> float:
        """The share of chunks that semantic search can find, 0..1."""
        chunks = len(self.catalog) - self.catalog.not_embedded
        return (
            min(len(self.semantic.vectors) / chunks, 1.0) if chunks and self.semantic else float(not chunks)
        )

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            self.lexical.close()
