"""How many documents match."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from math import prod

import numpy as np

from localsearch.derived import Derived
from localsearch.search.executor import SearchExecutor
from localsearch.search.plan import Plan
from localsearch.search.query import SearchQuery
from localsearch.search.rank import RankedDocuments
from localsearch.types import Ids

COUNTED = 2_000
"""Matching chunks up to which documents are counted exactly even without a filter or facets."""
SKETCHED = 20_000
"""Matching chunks up to which documents are counted by a sketch, whose cost grows with them."""
LONG = 2
"""Chunks of an average document from which a sketch is worth its cost: shorter ones are counted by chance as well,
within 9% nine times in ten (2,000 to 20,000 of 100,000 chunks of manuals, each a document)."""


@dataclass(frozen=True, slots=True)
class Matching:
    """How many documents match, and which, where that was query for."""

    total: int
    documents: Ids | None
    estimated: bool = False
    few: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """The documents that hold any of the words: which, or, if they are many, about how many."""

    documents: Ids | None
    total: int
    few: bool


class Counter:
    """Counts what matches, beside the search. Safe to share between threads."""

    def __init__(self, derived: Derived, executor: SearchExecutor) -> None:
        self.derived = derived
        self.corpus = derived.corpus
        self._executor = executor

    def begin(self, query: SearchQuery, plan: Plan) -> Future[Counted]:
        """Start counting by words: where chance cannot tell, it takes about as long as looking for the best of them."""
        if plan.strict and plan.documents is not None:
            known: Future[Counted] = Future()
            few = len(plan.documents) <= COUNTED
            known.set_result(Counted(plan.documents, len(plan.documents), few))
            return known
        chunks = self._passages(plan)
        few = chunks <= COUNTED
        if few or query.ends or plan.narrowed:
            return self._executor.start(self._counted, plan, few)
        if chunks <= SKETCHED and len(self.derived.catalog) >= LONG * self.derived.catalog.document_count:
            return self._executor.start(self._sketched, plan)
        by_chance: Future[Counted] = Future()
        by_chance.set_result(Counted(None, self._by_chance(chunks), few))
        return by_chance

    def matching(
        self, query: SearchQuery, plan: Plan, found: RankedDocuments, counting: Future[Counted]
    ) -> Matching:
        """How many documents match, and, when facets are query for, which.

        A document matches that holds a word of the query, or has a chunk whose meaning is near enough (`found.near`);
        where nothing tells how near that is, all that was ranked. By meaning alone, words do not count. Where a
        relevance is query for, those match that have it. A list that goes on beyond what matches counts as shown.
        """
        if query.min_relevance and found.judged:
            documents = np.sort(found.ids)
            return Matching(len(documents), documents if query.facets else None, found.more, few=True)
        counted = counting.result()
        near = found.ids if found.near is None else found.near
        shown = 0 if query.ends else min(len(found.ids), query.offset + query.limit)
        if counted.documents is None:
            return Matching(max(len(near), counted.total, shown), None, estimated=True)
        words = counted.documents if self.by_words(query, plan) else near
        documents = np.union1d(words, near)
        total = max(len(documents), shown)
        return Matching(total, documents if query.facets else None, few=counted.few)

    def listed(self, query: SearchQuery, plan: Plan, counting: Future[Counted]) -> Ids | None:
        """The documents that match by their words, where the ranking is to end with what matches."""
        if not query.ends:
            return None
        return counting.result().documents if self.by_words(query, plan) else np.empty(0, np.int64)

    @staticmethod
    def by_words(query: SearchQuery, plan: Plan) -> bool:
        """Whether words, or a condition on texts or fields, tell what matches."""
        return query.mode != "semantic" or plan.strict or plan.lists

    def _counted(self, plan: Plan, few: bool) -> Counted:
        documents = self._documents(plan)
        return Counted(documents, len(documents), few)

    def _sketched(self, plan: Plan) -> Counted:
        return Counted(None, self.derived.lexical.estimate(plan.words), few=False)

    def _passages(self, plan: Plan) -> float:
        """About how many chunks hold any of the words, if they occur independently of each other: 1 - Π (1 - pᵢ)."""
        lexical, all_chunks = self.derived.lexical, max(len(self.derived.lexical), 1)
        held = [lexical.held(term) for term in plan.words.terms]
        return all_chunks * (1 - prod(1 - min(n / all_chunks, 1) for n in held))

    def _by_chance(self, rows: float) -> int:
        """About how many documents hold these chunks, if chance alone spreads them.

        With p of all chunks matching and c chunks a document, a document matches with probability 1 - (1 - p)^c.
        """
        chunks, documents = max(len(self.derived.catalog), 1), self.derived.catalog.document_count
        missed: float = max(0.0, 1 - rows / chunks) ** (chunks / max(documents, 1))
        return round(documents * (1 - missed))

    def _documents(self, plan: Plan) -> Ids:
        if plan.lists and plan.documents is not None:
            return plan.documents
        return self.derived.lexical.matching(plan.words, plan.documents)
