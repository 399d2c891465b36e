"""Vectors follow words: chunks that lack one are encoded in the background, those just found by words first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from localsearch.derived import Derived, Model, Semantic
from localsearch.derived.usage import Meter
from localsearch.errors import CancelledError, ModelError
from localsearch.ranking.late_interaction import sign_bits
from localsearch.store import TokenBits, Version
from localsearch.store.embeddings import PendingChunk
from localsearch.text import question
from localsearch.types import Cancelled, Encoder, Progress, Report, Vectors, never, no_report
from localsearch.vectors import SAMPLE

BATCH = 512
_WANTED = 2000
_SEED = 7


class Embedder:
    """Encodes pending chunks of a version and makes them searchable, batch by batch, each batch durable."""

    def __init__(self, derived: Derived, meter: Meter, *, keep_tokens: bool = False) -> None:
        self.derived = derived
        self.meter = meter
        self.keep_tokens = keep_tokens
        self._tokens = TokenBits(derived.corpus.db)
        self.corpus = derived.corpus
        self.embeddings = derived.embeddings
        self._wanted: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()

    def want(self, chunk_ids: Sequence[int]) -> None:
        """Encode these first: somebody just found them by their words."""
        with self._lock:
            for chunk_id in chunk_ids:
                self._wanted[chunk_id] = None
            while len(self._wanted) > _WANTED:
                self._wanted.popitem(last=False)

    def run(self, report: Report = no_report, cancelled: Cancelled = never) -> int:
        """Encode all that the active version lacks, merging as often as that is due; returns how many chunks it did.

        Raises ModelError when there is something to encode and the model is not to be had.
        """
        semantic = self.derived.semantic
        if semantic is None:
            return 0
        return self.run_version(
            semantic.version,
            semantic.model,
            report,
            cancelled,
            lambda: merge_if_needed(self.derived, report, cancelled),
        )

    def run_version(
        self,
        version: Version,
        model: Model,
        report: Report = no_report,
        cancelled: Cancelled = never,
        after_batch: Callable[[], object] = lambda: None,
    ) -> int:
        """Encode all that one version lacks, and call `after_batch` after each batch."""
        done = 0
        total = self.embeddings.pending_count(version.id)
        while not cancelled() and (batch := self._next(version)):
            try:
                self._embed(version, model.encoder(), batch, cancelled)
            except CancelledError:
                break
            self.derived.feed(version.id, cancelled)
            self.meter.save()
            done += len(batch)
            total = max(total, done)
            report(Progress("embed", done, total, "chunks"))
            after_batch()
        return done

    def _next(self, version: Version) -> list[PendingChunk]:
        with self._lock:
            wanted = [self._wanted.popitem()[0] for _ in range(min(BATCH, len(self._wanted)))]
        first = self.embeddings.pending_among(version.id, wanted) if wanted else []
        return first or self.embeddings.pending(version.id, BATCH)

    def _embed(
        self, version: Version, encoder: Encoder, batch: list[PendingChunk], cancelled: Cancelled
    ) -> None:
        texts = self._texts(batch)
        vectors: dict[bytes, NDArray[np.float32]] = {}
        bits: dict[bytes, bytes] = {}
        if texts and self.keep_tokens:
            for digest, (vector, tokens) in zip(
                texts, encoder.with_tokens(texts.values(), cancelled=cancelled)
            ):
                vectors[digest], bits[digest] = vector, sign_bits(tokens)
        elif texts:
            vectors = dict(zip(texts, encoder.encode_documents(list(texts.values()), cancelled=cancelled)))
        done = {chunk.chunk_id: chunk.hash for chunk in batch if chunk.hash in vectors}
        self.derived.add_vectors(version.id, vectors, done)
        if bits:
            self._tokens.put(version.id, {chunk: bits[digest] for chunk, digest in done.items()})

    def _texts(self, batch: list[PendingChunk]) -> dict[bytes, str]:
        """What to encode, by hash; a chunk deleted meanwhile is left out."""
        texts = self.corpus.embedded_texts([chunk.chunk_id for chunk in batch])
        return {chunk.hash: texts[chunk.chunk_id] for chunk in batch if chunk.chunk_id in texts}


def merge_if_needed(derived: Derived, report: Report = no_report, cancelled: Cancelled = never) -> bool:
    """Publish a new generation of the active version's vectors when the delta or the tombstones have grown."""
    semantic = derived.semantic
    due = semantic.vectors.needs_merge() if semantic else ""
    if semantic is None or not due:
        return False
    if due == "merge":
        asked = questions(derived, semantic, cancelled)
        generation = semantic.vectors.merge(queries=asked, report=report, cancelled=cancelled)
    else:
        generation = rebuild(derived, semantic, report, cancelled)
    semantic.vectors.publish(generation)
    return True


def rebuild(derived: Derived, semantic: Semantic, report: Report, cancelled: Cancelled) -> Any:
    """Build a generation from the vectors in SQLite alone; the caller publishes it."""
    asked = questions(derived, semantic, cancelled)
    ids = derived.embeddings.embedded_ids(semantic.version.id)
    stream = derived.embeddings.stream(semantic.version.id, ids)
    return semantic.vectors.build(stream, len(ids), queries=asked, report=report, cancelled=cancelled)


def questions(derived: Derived, semantic: Semantic, cancelled: Cancelled = never) -> Vectors | None:
    """Vectors of questions made from chunks drawn by lot, shape (n, dimensions), to choose efSearch by; None where
    the model is not to be had. They cost what encoding a thousand queries does."""
    chunks = derived.catalog.ids()
    drawn = np.random.default_rng(_SEED).choice(chunks, min(SAMPLE, len(chunks)), replace=False)
    try:
        encoder = semantic.model.encoder()
    except ModelError:
        return None
    found = []
    for number, chunk_id in enumerate(drawn.tolist()):
        if cancelled():
            break
        text = "".join(question(row.text, number) for row in derived.corpus.chunk_rows([chunk_id]).values())
        if text:
            found.append(encoder.encode_query(text))
    return np.stack(found) if found else None
