"""What a re-ranker is, and the one that every index has: late interaction over the embedding model's token vectors.

Of a chunk only the sign bits of its token vectors are needed. They come from memory, else from the database, else
they are computed from its text, which takes far longer than all the rest, and kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from localsearch.caches import MemoryCache
from localsearch.derived import Semantic
from localsearch.errors import LocalSearchError
from localsearch.ranking.fusion import Reranking
from localsearch.ranking.late_interaction import maxsim, sign_bits
from localsearch.search.context import QueryContext
from localsearch.store import Corpus, TokenBits
from localsearch.types import Encoder, Ids, Scores

RERANK_MS = 20.0
"""Milliseconds that re-ranking takes when all bits are at hand; with less left it is left out."""
MEMORY_MB = 64
"""Memory for bits of chunks re-ranked before: about 7,000 chunks."""
_AT_ONCE = 4
"""Chunks encoded between two looks at the clock, when there is a budget."""
_FIRST_MS = 60.0
"""What encoding so many is taken to need before it was measured."""
_WAITING = 2_000
"""Chunks that wait to be written; while more do, none are added."""


class Reranker(Protocol):
    """Scores the best candidates of a query again. Safe to share between threads; close it when done."""

    @property
    def stamp(self) -> Hashable:
        """What an answer re-ranked now depends on, besides the index. Waits for nothing."""
        ...

    def over(self, context: QueryContext, text: str, semantic: Semantic | None, ids: Ids) -> Reranking | None:
        """How chunks are scored again for a query's text, by positions in `ids`; None when they cannot be, or time
        is short. `semantic` is None where the query has no vector."""
        ...

    def close(self) -> None:
        """End the threads."""
        ...


def affordable(context: QueryContext, chunks: list[int]) -> Iterator[list[int]]:
    """Batches of these chunks, the first first, until the budget is used up; without a budget all at once.

    The next batch is taken to need as long as the consumer took for the last.
    """
    step = _AT_ONCE if context.left_s() is not None else max(len(chunks), 1)
    needs_ms = _FIRST_MS
    for start in range(0, len(chunks), step):
        if not context.has_time(f"re-ranking {len(chunks) - start} of the best chunks", needs_ms):
            return
        began = time.perf_counter()
        yield chunks[start : start + step]
        needs_ms = (time.perf_counter() - began) * 1000


class LateInteractionReranker:
    """Late interaction with chunks. Safe to share between threads; close it when done.

    `kept_chunks` says of how many chunks the computed bits are kept in the database, None of all; writing happens
    in a thread of its own, and a failure of it costs nothing but computing again.
    """

    def __init__(self, corpus: Corpus, kept_chunks: int | None = 0) -> None:
        self.corpus = corpus
        self.tokens = TokenBits(corpus.db)
        self._memory: MemoryCache[bytes] = MemoryCache(MEMORY_MB << 20, 86_400.0, len)
        self._kept_chunks = kept_chunks
        self._writer = ThreadPoolExecutor(1, "localsearch-tokens")
        self._waiting: dict[tuple[int, int], bytes] = {}
        self._lock = threading.Lock()

    @property
    def stamp(self) -> Hashable:
        return "late interaction"

    def over(self, context: QueryContext, text: str, semantic: Semantic | None, ids: Ids) -> Reranking | None:
        """Late interaction of the query with the chunks; None when time is short or the query has no vector."""
        if semantic is None or not context.has_time("re-ranking", RERANK_MS):
            return None

        def interact(positions: NDArray[np.intp]) -> Scores:
            with context.stage("rerank"):
                encoder = semantic.model.encoder()
                chunks = ids[positions].tolist()
                bits = self._bits(context, semantic.version.id, encoder, chunks)
                query = encoder.token_vectors([text], query=True)[0]
                return maxsim(query, [bits.get(chunk, b"") for chunk in chunks])

        return Reranking(f"late interaction ({semantic.version.model})", interact)

    def _bits(
        self, context: QueryContext, version: int, encoder: Encoder, chunks: list[int]
    ) -> dict[int, bytes]:
        """The bits of these chunks, by chunk id; without those that there was no time for."""
        remembered = ((chunk, self._memory.get((version, chunk))) for chunk in chunks)
        known = {chunk: bits for chunk, bits in remembered if bits is not None}
        sources: tuple[Callable[[list[int]], dict[int, bytes]], ...] = (
            lambda missing: self._stored(version, missing),
            lambda missing: self._computed(context, version, encoder, missing),
        )
        for source in sources:
            missing = [chunk for chunk in chunks if chunk not in known]
            found = source(missing) if missing else {}
            for chunk, bits in found.items():
                self._memory.put((version, chunk), bits)
            known |= found
        return known

    def _stored(self, version: int, chunks: list[int]) -> dict[int, bytes]:
        """What the database has; when that part of it is damaged, nothing."""
        with suppress(LocalSearchError):
            return self.tokens.of(version, chunks)
        return {}

    def _computed(
        self, context: QueryContext, version: int, encoder: Encoder, chunks: list[int]
    ) -> dict[int, bytes]:
        """Bits made from the text, the best candidates first, until the budget is used up."""
        texts = self.corpus.embedded_texts(chunks)
        made: dict[int, bytes] = {}
        for batch in affordable(context, [chunk for chunk in chunks if chunk in texts]):
            vectors = encoder.token_vectors([texts[chunk] for chunk in batch])
            made |= {chunk: sign_bits(tokens) for chunk, tokens in zip(batch, vectors)}
        self._keep(version, made)
        return made

    # -- keep

    def _keep(self, version: int, made: dict[int, bytes]) -> None:
        """Have bits written without waiting for it."""
        if self._kept_chunks == 0 or not made:
            return
        with self._lock:
            if len(self._waiting) > _WAITING:
                return
            self._waiting |= {(version, chunk): bits for chunk, bits in made.items()}
        self._writer.submit(self._write)

    def _write(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for version in {version for version, _ in waiting}:
            bits = {chunk: bits for (of, chunk), bits in waiting.items() if of == version}
            with suppress(LocalSearchError):
                self.tokens.put(version, bits, self._kept_chunks)

    def close(self) -> None:
        """Write what still waits and end the thread."""
        self._writer.shutdown(wait=True)
