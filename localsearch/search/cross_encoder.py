"""Re-ranking by a cross-encoder where one is set (`model.reranker`) and installed; else by what is put in its place.

A cross-encoder reads the query and a chunk together. Nothing of it can be kept beforehand, so every candidate costs
a pass of the model; scores are kept in memory for the next page of the same query.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from localsearch.caches import MemoryCache
from localsearch.derived import LazyModel, Semantic
from localsearch.errors import ModelError, UsageError
from localsearch.ranking.fusion import Reranking
from localsearch.search.context import QueryContext
from localsearch.search.reranker import RERANK_MS, Reranker, affordable
from localsearch.store import Corpus
from localsearch.types import Ids, Scores

if TYPE_CHECKING:
    from localsearch.models.reranker import CrossEncoder

MEMORY_MB = 8
"""Memory for scores of pairs read before."""
_ENTRY_BYTES = 300
"""What a score takes in memory, with its key."""


class CrossEncoderReranker:
    """A cross-encoder over the best candidates. Safe to share between threads; close it when done.

    `otherwise` re-ranks while the model cannot be had, and the answer says why.
    """

    def __init__(
        self, name: str, load: Callable[[], CrossEncoder], corpus: Corpus, otherwise: Reranker
    ) -> None:
        self.name = name
        self.corpus = corpus
        self.otherwise = otherwise
        self.model = LazyModel(load)
        self._memory: MemoryCache[float] = MemoryCache(MEMORY_MB << 20, 86_400.0, lambda _: _ENTRY_BYTES)
        self._loader = ThreadPoolExecutor(1, "localsearch-reranker")

    @property
    def stamp(self) -> Hashable:
        return self.name, self.model.usable, self.otherwise.stamp

    def over(self, context: QueryContext, text: str, semantic: Semantic | None, ids: Ids) -> Reranking | None:
        """The model's logits for the query with each chunk; None when time is short or there is no text."""
        if not text.strip() or not context.has_time("re-ranking", RERANK_MS):
            return None
        try:
            model = self._loaded(context)
        except (ModelError, UsageError) as error:
            return self._instead(error, context, text, semantic, ids)
        if model is None:
            return None

        def read(positions: NDArray[np.intp]) -> Scores:
            with context.stage("rerank"):
                return self._scores(context, model, text, ids[positions].tolist())

        return Reranking(f"cross-encoder ({self.name})", read, replaces=True)

    def _loaded(self, context: QueryContext) -> CrossEncoder | None:
        """The model; None when it is not in memory within the budget. It goes on loading for the next query."""
        if (model := self.model.loaded) is not None:
            return model
        try:
            return self._loader.submit(self.model.get).result(context.left_s())
        except TimeoutError:
            context.notes.append(f"No time to load {self.name} within {context.query.budget_ms:g} ms.")
            return None

    def _instead(
        self,
        error: ModelError | UsageError,
        context: QueryContext,
        text: str,
        semantic: Semantic | None,
        ids: Ids,
    ) -> Reranking | None:
        found = self.otherwise.over(context, text, semantic, ids)
        what = f"Re-ranked by {found.name}" if found else "Not re-ranked"
        note = f"{what}: {error.message.rstrip('.')}. {error.hint}"
        if note not in context.notes:
            context.notes.append(note)
        return found

    def _scores(self, context: QueryContext, model: CrossEncoder, text: str, chunks: list[int]) -> Scores:
        """A logit for each chunk, NaN for one that is gone or that there was no time for."""
        query = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        remembered = ((chunk, self._memory.get((query, chunk))) for chunk in chunks)
        known = {chunk: score for chunk, score in remembered if score is not None}
        texts = self.corpus.embedded_texts([chunk for chunk in chunks if chunk not in known])
        for batch in affordable(context, [chunk for chunk in chunks if chunk in texts]):
            scores = model.score(text, [texts[chunk] for chunk in batch]).tolist()
            for chunk, score in zip(batch, scores, strict=True):
                self._memory.put((query, chunk), score)
                known[chunk] = score
        return np.array([known.get(chunk, np.nan) for chunk in chunks], np.float32)

    def close(self) -> None:
        """End the threads, the model's with them."""
        self._loader.shutdown(wait=True)
        if (model := self.model.loaded) is not None:
            model.close()
        self.otherwise.close()
