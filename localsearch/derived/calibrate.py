"""What cosines mean in a corpus is learnt from the corpus itself, in the background, and again when it has changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from localsearch.derived import Derived, Semantic
from localsearch.ranking.constants import CALIBRATION_SAMPLE
from localsearch.ranking.relevance import Calibration, calibrate
from localsearch.types import Cancelled, Scores, Vectors, never
from localsearch.vectors import Masked

_SEED = 7


def calibrate_if_due(
    derived: Derived, semantic: Semantic | None = None, cancelled: Cancelled = never
) -> bool:
    """Calibrate a version, the active one by default, unless its calibration still fits the corpus.

    Costs `CALIBRATION_SAMPLE` searches of the vector index. Returns whether there is a new one: a small corpus
    gives none.
    """
    semantic = semantic or derived.semantic
    if semantic is None:
        return False
    seq, vectors = derived.seq, len(semantic.vectors)
    known = semantic.calibration
    if known and not known.is_outdated(vectors, seq, derived.corpus.document_count()):
        return False
    found = _measured(derived, semantic, cancelled)
    if found is None or cancelled():
        return False
    derived.calibrate(semantic.version.id, replace(found, vectors=vectors, seq=seq))
    return True


def _measured(derived: Derived, semantic: Semantic, cancelled: Cancelled) -> Calibration | None:
    ids = semantic.vectors.ids()
    if len(ids) > CALIBRATION_SAMPLE:
        ids = np.sort(np.random.default_rng(_SEED).choice(ids, CALIBRATION_SAMPLE, replace=False))
    owners = derived.catalog.documents_of(ids)
    vectors = semantic.vectors.vectors_of(ids)
    apart = owners[:, None] < owners[None, :]
    return calibrate((vectors @ vectors.T)[apart], _nearest(derived, semantic, vectors, owners, cancelled))


def _nearest(
    derived: Derived, semantic: Semantic, vectors: Vectors, owners: NDArray[np.int32], cancelled: Cancelled
) -> Scores:
    """The cosine of each chunk to the nearest one of another document, shape (n,); NaN where there is none."""
    found = np.full(len(vectors), np.nan, np.float32)
    for at, (vector, owner) in enumerate(zip(vectors, owners)):
        if cancelled():
            break
        others = semantic.vectors.search(vector, 1, Masked(derived.catalog.owner != owner))
        found[at] = others.scores[0] if len(others) else np.nan
    return found
