"""A closer look at the best candidates: late interaction over the embedding model's own token vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from localsearch.caches import MemoryCache
from localsearch.derived import Semantic
from localsearch.fusion import Closer, maxsim
from localsearch.prepare import context
from localsearch.search.plan import Plan
from localsearch.search.trip import Trip
from localsearch.store import Corpus
from localsearch.types import Encoder, Ids, Scores, Vectors

CLOSER_MS = 150.0
"""What a closer look at passages not seen before may take; with less left it is left out."""
TOKENS_MB = 64
"""Memory for token vectors of passages looked at before."""


class CloserLook:
    """Late interaction with passages. Safe to share between threads."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self._tokens: MemoryCache[NDArray[np.float16]] = MemoryCache(
            TOKENS_MB << 20, 86_400.0, lambda v: v.nbytes
        )

    def look(self, trip: Trip, plan: Plan, semantic: Semantic | None, ids: Ids) -> Closer | None:
        """Late interaction with the passages at some positions of `ids`, unless the budget forbids it."""
        if semantic is None or not trip.has_time("a closer look", CLOSER_MS):
            return None
        encoder = semantic.model.encoder()

        def closer(positions: NDArray[np.intp]) -> Scores:
            with trip.stage("rerank"):
                query = encoder.token_vectors([plan.text], query=True)[0]
                tokens = self._token_vectors(semantic, encoder, ids[positions].tolist())
                return np.array([maxsim(query, tokens[int(i)]) for i in ids[positions]], np.float32)

        return closer

    def _token_vectors(self, semantic: Semantic, encoder: Encoder, ids: list[int]) -> dict[int, Vectors]:
        """Vectors of every token of these passages, remembered at half precision."""
        version = semantic.version.id
        known: dict[int, NDArray[np.float16]] = {}
        for i in ids:
            if (kept := self._tokens.get((version, i))) is not None:
                known[i] = kept
        missing = [i for i in ids if i not in known]
        passages = self.corpus.passages(missing)
        documents = self.corpus.documents({passage.document_id for passage in passages.values()})
        texts = {
            i: context(documents[passage.document_id].title, passage.place.heading, passage.text)
            for i, passage in passages.items()
            if passage.document_id in documents
        }
        for i, tokens in zip(texts, encoder.token_vectors(list(texts.values()))):
            known[i] = tokens.astype(np.float16)
            self._tokens.put((version, i), known[i])
        empty = np.empty((0, encoder.dimensions), np.float32)
        return {i: known[i].astype(np.float32) if i in known else empty for i in ids}
