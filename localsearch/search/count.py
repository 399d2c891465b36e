"""How many documents match."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from localsearch.derived import Derived
from localsearch.search.plan import Plan
from localsearch.search.rank import Found, Ranked
from localsearch.search.trip import Request
from localsearch.types import Ids

COUNTED = 2_000
"""Matching passages up to which documents are counted exactly even without a filter or facets."""
SKETCHED = 20_000
"""Matching passages up to which documents are counted by a sketch, whose cost grows with them."""


@dataclass(frozen=True, slots=True)
class Matching:
    """How many documents match, and which, where that was asked for."""

    total: int
    documents: Ids | None
    estimated: bool = False
    few: bool = False


class Counter:
    """Counts what matches. Safe to share between threads."""

    def __init__(self, derived: Derived) -> None:
        self.derived = derived
        self.corpus = derived.corpus

    def matching(self, request: Request, plan: Plan, found: Found) -> Matching:
        """How many documents match, and, when facets are asked for, which.

        By words, a document matches that holds any of them; meaning adds those that were ranked. Where a relevance is
        asked for, those match that have it.
        """
        ranked = found.documents
        if request.min_relevance and found.judged:
            documents = np.sort(_ids(ranked))
            return Matching(len(documents), documents if request.facets else None, found.more, few=True)
        passages = self.derived.lexical.count(plan.words)
        few = passages <= COUNTED
        if few or request.facets or plan.documents is not None:
            documents = self._all_matching(plan, ranked)
            return Matching(len(documents), documents if request.facets else None, few=few)
        estimate = self._estimate(plan, passages)
        return Matching(max(len(ranked), estimate), None, estimated=True)

    def _estimate(self, plan: Plan, passages: int) -> int:
        """About how many documents hold these passages: counted by sketch, or, for very many, by chance alone.

        With p of all passages matching and c passages a document, a document matches with probability 1 - (1 - p)^c.
        """
        if passages <= SKETCHED:
            return self.derived.lexical.estimate(plan.words)
        chunks = max(len(self.derived.catalog), 1)
        documents = self.corpus.document_count()
        missed: float = max(0.0, 1 - passages / chunks) ** (chunks / max(documents, 1))
        return round(documents * (1 - missed))

    def _all_matching(self, plan: Plan, ranked: list[Ranked]) -> Ids:
        if plan.lists and plan.documents is not None:
            return plan.documents
        documents = self.derived.lexical.matching(plan.words)
        if plan.documents is not None:
            documents = np.intersect1d(documents, plan.documents)
        return np.union1d(documents, _ids(ranked))


def _ids(ranked: list[Ranked]) -> Ids:
    return np.array([one.document_id for one in ranked], np.int64)
