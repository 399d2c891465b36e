"""Metrics of ranking: pure functions over a ranked list of document ids and a mapping id -> grade.

They agree with trec_eval (https://github.com/usnistgov/trec_eval), which the tests compare with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Grades = Mapping[str, int]
"""Document id -> judged grade; above 0 is relevant."""


def ndcg(ranked: Sequence[str], grades: Grades, k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first k, between 0 and 1; 0 where nothing is relevant.

    Gain is the grade itself (not 2^grade - 1) and the discount log2(rank + 1), as in trec_eval's m_ndcg_cut.c,
    after Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (TOIS 2002).

    >>> round(ndcg(["a", "b"], {"b": 1}), 4)
    0.6309
    """
    ideal = _dcg(sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:k])
    return _dcg([max(grades.get(name, 0), 0) for name in ranked[:k]]) / ideal if ideal else 0.0


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))


def recall(ranked: Sequence[str], grades: Grades, k: int = 100) -> float:
    """Share of the relevant documents that stand among the first k (trec_eval's recall.k)."""
    relevant = {name for name, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranked[:k])) / len(relevant) if relevant else 0.0


def mrr(ranked: Sequence[str], grades: Grades, k: int = 10) -> float:
    """1 / rank of the first relevant document among the first k, 0 without one (trec_eval's recip_rank)."""
    for rank, name in enumerate(ranked[:k], start=1):
        if grades.get(name, 0) > 0:
            return 1.0 / rank
    return 0.0


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles of a sample, in its unit, interpolated linearly between neighbours."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, sample: Sequence[float]) -> Percentiles:
        if not len(sample):
            return cls(0.0, 0.0, 0.0)
        return cls(*(float(value) for value in np.percentile(sample, (50, 95, 99))))

    def to_json(self) -> dict[str, float]:
        return {"p50": round(self.p50, 3), "p95": round(self.p95, 3), "p99": round(self.p99, 3)}
