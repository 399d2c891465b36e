"""What is read off the engine from time to time: age, judgements, recall of the vector index on real queries.

Housekeeping's thread and handlers call it. `RecallSample.record` may be called from any thread, the event loop too.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Hashable

import numpy as np

from localsearch.caches import CacheStats
from localsearch.engine import Engine
from localsearch.errors import ModelError
from localsearch.platform.disk import free_share
from localsearch.server.following import Following
from localsearch.server.metrics import ReplicaReading
from localsearch.types import Ranking

RECALL_AT = 10
SAMPLE = 50
"""Queries in the rolling sample."""


class RecallSample:
    """Recall at 10 of the vector index against exact search, over the last queries that people really asked."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        """`engine` gives the index that answers at that moment."""
        self._now = engine
        self._queries: deque[str] = deque(maxlen=SAMPLE)
        self._recalls: deque[float] = deque(maxlen=SAMPLE)

    def record(self, query: str) -> None:
        """Put a query into the pool that is sampled from."""
        self._queries.append(query)

    def measure(self) -> None:
        """Take one recent query and compare. Does nothing without a model or a graph: search is exact then."""
        engine = self._now()
        semantic = engine.derived.semantic
        if semantic is None or semantic.vectors.generation is None or not self._queries:
            return
        if not semantic.vectors.measures_recall:
            return
        query = random.choice(self._queries)
        try:
            encoder = semantic.model.encoder()
        except ModelError:
            return
        vector, _ = engine.query_vectors.vector(encoder, query)
        found = semantic.vectors.search(vector, RECALL_AT)
        exact = semantic.vectors.search(vector, RECALL_AT, exact=True)
        if len(exact):
            self._recalls.append(recall(found, exact))

    @property
    def value(self) -> float | None:
        """The mean of the sample, or None while there is none."""
        return round(float(np.mean(self._recalls)), 4) if self._recalls else None


def recall(found: Ranking, exact: Ranking) -> float:
    """The share of `exact` that `found` has; a hit as good as the last one of `exact` counts, since ties are equal."""
    good = np.isin(found.ids, exact.ids) | (found.scores >= exact.scores[-1])
    return min(1.0, float(np.count_nonzero(good)) / len(exact))


def stale_s(engine: Engine, checked: float | None = None) -> float | None:
    """Seconds since the newest document was stored, or since the folders were `checked`; None for an empty index."""
    newest = engine.db.one("SELECT indexed FROM documents ORDER BY id DESC LIMIT 1")
    if newest is None:
        return None
    return max(0.0, time.time() - max(float(newest), checked or 0.0))


def quality(engine: Engine) -> float | None:
    """The share of judged hits that were relevant, or None while nothing was judged."""
    judged = [grade for grades in engine.judgements.grades().values() for grade in grades.values()]
    return round(sum(grade > 0 for grade in judged) / len(judged), 4) if judged else None


def generation(engine: Engine) -> Hashable:
    """Which published vectors answers come from; changes when a version or a merge is published."""
    semantic = engine.derived.semantic
    return semantic and (semantic.version.id, semantic.vectors.generation)


def replica(status: Following) -> ReplicaReading:
    """How a reader stands now."""
    now = time.time()
    return ReplicaReading(
        lag_s=max(0.0, now - status.confirmed),
        shipped_s=max(0.0, now - status.shipped),
        taken=status.taken,
        fetched_bytes=status.fetched_bytes,
        failing=status.error is not None,
    )


def caches(engine: Engine) -> dict[str, CacheStats]:
    """Counters of every cache, by name."""
    return {"answers": engine.answers.stats(), "query_vectors": engine.query_vectors.stats()}


def disk_free(engine: Engine) -> float:
    """The share of the disk under the home folder that is free, 0..1."""
    return free_share(engine.settings.home)
