"""Which documents match: those with a word of the query, and those whose meaning is near enough to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from localsearch.derived import Derived, Semantic
from localsearch.search.plan import Plan
from localsearch.types import Ids, Vectors


def near_documents(
    derived: Derived,
    semantic: Semantic | None,
    plan: Plan,
    vector: Vectors | None,
    *,
    count: int,
    exact: bool,
) -> Ids | None:
    """The documents with a chunk whose meaning is near enough to match by it alone, ascending.

    None where nothing tells how near that is: then all that meaning ranks match. `count` chunks are looked at first,
    and more while the last of them is near; `exact` compares with all where that is cheap: then a filter cannot
    change by chance what is found.
    """
    if semantic is None or vector is None:
        return np.empty(0, np.int64)
    if semantic.calibration is None:
        return None
    least, vectors = semantic.calibration.near, semantic.vectors
    exact = exact and len(vectors) <= vectors.compares_all
    while True:
        found = vectors.search(vector, count, plan.allowed, exact_vectors(derived, semantic), exact=exact)
        if len(found) < count or found.scores[-1] < least:
            owners = derived.catalog.documents_of(found.ids[found.scores >= least])
            return np.unique(owners[owners > 0]).astype(np.int64)
        count *= 5


def exact_vectors(derived: Derived, semantic: Semantic) -> Callable[[Ids], tuple[Ids, Vectors]]:
    """What gives full vectors by chunk id, where the graph has coarser ones."""
    return lambda ids: derived.embeddings.vectors_of(semantic.version.id, ids)


def either(words: Ids | None, near: Ids | None) -> Ids | None:
    """What matches by words or by meaning; None where either is not told."""
    return None if words is None or near is None else np.union1d(words, near)
