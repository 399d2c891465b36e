"""Two rankings into one: pure functions over the scores that both legs give to the same candidates.

Every candidate that either leg found is scored exactly by both, so no method has to guess what a leg that did not
return a passage would have thought of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from localsearch.types import Ids, Ranking, Scores

Method = Literal["adaptive", "convex", "rrf", "dbsf"]
Floats = NDArray[np.float32]

RRF_K = 60
"""Cormack, Clarke and Buettcher 2009: damps the difference between the first ranks."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Passages with the score of each leg: all of shape (n,).

    `lexical` is BM25 (0: no word matches). `semantic` is the cosine, NaN where a passage has no vector yet, or None
    when nothing has.
    """

    ids: Ids
    lexical: Scores
    semantic: Scores | None = None


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of a query without judgements.

    `coverage` is the idf-weighted share of its words found in the three best lexical hits, 0..1.
    """

    coverage: float = 1.0


@dataclass(frozen=True, slots=True)
class Fused:
    """The candidates best first, with the weight of each leg and the signals that chose it."""

    ranking: Ranking
    order: NDArray[np.intp]
    weights: Mapping[str, float] = field(default_factory=dict)
    why: Mapping[str, float] = field(default_factory=dict)


def union(lexical: Ranking, semantic: Ranking) -> Ids:
    """Ids that either leg returned, ascending."""
    return np.union1d(lexical.ids, semantic.ids)


def coverage(idf: Floats, term_scores: Floats) -> float:
    """Idf-weighted share of the query's words that occur in at least one of these hits.

    `idf` of shape (terms,), `term_scores` of shape (terms, hits). 1.0 for a query without words.
    """
    total = float(idf.sum())
    found = (term_scores > 0).any(axis=1) if term_scores.size else np.zeros(len(idf), np.bool_)
    return float(idf[found].sum()) / total if total > 0 else 1.0


def fuse(
    candidates: Candidates,
    method: Method = "adaptive",
    *,
    weight: float = 0.5,
    signals: Signals | None = None,
) -> Fused:
    """Order the candidates by both legs. `weight` is the share of the semantic leg where the method has one."""
    lexical = candidates.lexical.astype(np.float32)
    if candidates.semantic is None:
        return _ranked(candidates.ids, lexical, {"lexical": 1.0, "semantic": 0.0}, {})
    semantic = _filled(candidates.semantic)
    signals = signals or Signals()
    if method == "adaptive":
        return _adaptive(candidates.ids, lexical, semantic, weight, signals)
    score = {"convex": convex, "rrf": rrf, "dbsf": dbsf}[method](lexical, semantic, weight)
    return _ranked(candidates.ids, score, {"lexical": 1 - weight, "semantic": weight}, {})


def convex(lexical: Floats, semantic: Floats, weight: float = 0.5) -> Floats:
    """Min-max each leg over the candidates, then mix (Bruch, Gai and Ingber 2023)."""
    return (1 - weight) * _minmax(lexical) + weight * _minmax(semantic)


def rrf(lexical: Floats, semantic: Floats, weight: float = 0.5) -> Floats:
    """Reciprocal rank fusion; what matches no word has no lexical rank."""
    by_words = np.where(lexical > 0, 1 / (RRF_K + _ranks(lexical)), 0.0)
    return (2 * (1 - weight) * by_words + 2 * weight / (RRF_K + _ranks(semantic))).astype(np.float32)


def dbsf(lexical: Floats, semantic: Floats, weight: float = 0.5) -> Floats:
    """Distribution-based fusion: each leg from three deviations below its mean (0) to three above (1)."""
    return (1 - weight) * _three_sigma(lexical) + weight * _three_sigma(semantic)


def _adaptive(ids: Ids, lexical: Floats, semantic: Floats, weight: float, signals: Signals) -> Fused:
    best = float(lexical.max(initial=0.0))
    trust = signals.coverage * (1 - weight) / max(weight, 1e-6)
    by_words = lexical / best if best > 0 else lexical
    why = {"coverage": signals.coverage, "best_bm25": best}
    return _ranked(ids, semantic + trust * by_words, {"lexical": trust, "semantic": 1.0}, why)


def _ranked(ids: Ids, scores: Floats, weights: Mapping[str, float], why: Mapping[str, float]) -> Fused:
    order = np.lexsort((ids, -scores))
    return Fused(Ranking(ids[order], scores[order].astype(np.float32)), order, weights, why)


def _filled(semantic: Floats) -> Floats:
    """A passage without a vector counts as an average one, so that waiting for it does not sink it."""
    known = semantic[~np.isnan(semantic)]
    middle = np.float32(known.mean()) if len(known) else np.float32(0.0)
    return np.where(np.isnan(semantic), middle, semantic).astype(np.float32)


def _minmax(scores: Floats) -> Floats:
    if len(scores) == 0:
        return scores
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)


def _ranks(scores: Floats) -> Floats:
    """Rank from 1; equal scores share the best rank."""
    ascending = np.sort(scores)
    above = len(scores) - np.searchsorted(ascending, scores, side="right")
    return (above + 1).astype(np.float32)


def _three_sigma(scores: Floats) -> Floats:
    if len(scores) == 0:
        return scores
    mean, deviation = scores.mean(), scores.std()
    if deviation == 0:
        return np.full_like(scores, 0.5)
    return np.asarray((scores - mean + 3 * deviation) / (6 * deviation)).clip(0.0, 1.0)
