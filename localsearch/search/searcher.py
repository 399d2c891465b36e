"""A query, top to bottom, in the order it happens.

    parse -> filter -> cached answer? -> words and meaning side by side -> fuse -> best chunk of each document
    -> rerank if query -> snippets for the page shown

Two legs find passages: BM25 by words, HNSW by meaning. What either found is scored exactly by both, fused, and each
document is shown once with its best chunk. Candidates come in tiers of fixed size, so that a later page continues
the ranking of an earlier one.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

from localsearch import days
from localsearch.caches import ResultCache, VectorCache
from localsearch.derived import Derived, Semantic
from localsearch.derived.embedder import Embedder
from localsearch.filters import dated_sql
from localsearch.platform.blas import small_products
from localsearch.search.context import QueryContext
from localsearch.search.count import Counter
from localsearch.search.executor import SearchExecutor
from localsearch.search.facets import facets
from localsearch.search.hits import Presenter
from localsearch.search.passages import Passages, passages
from localsearch.search.plan import Planner
from localsearch.search.query import SearchQuery
from localsearch.search.rank import RankedDocuments, Ranker
from localsearch.search.relevance import NOTHING, UNJUDGED
from localsearch.search.reranker import Reranker
from localsearch.search.sorting import note, ordered, widened
from localsearch.settings import SearchSettings
from localsearch.text import Analyzer, normalize
from localsearch.types import Answer, Ids, Scope

MOST_COMPLETED = 500
"""Completions that are looked at for those that may be seen."""


class Searcher:
    """Answers queries from the derived indexes. Safe to share between threads."""

    def __init__(
        self,
        derived: Derived,
        embedder: Embedder,
        analyzer: Analyzer,
        settings: SearchSettings,
        vectors: VectorCache,
        answers: ResultCache[Answer],
        reranker: Reranker,
        zone: ZoneInfo | None = None,
        cores: int = 0,
    ) -> None:
        self._zone = zone
        self.derived = derived
        self.corpus = derived.corpus
        self.answers = answers
        self.planner = Planner(derived, analyzer)
        self._executor = SearchExecutor(cores)
        self.ranker = Ranker(derived, embedder, settings, vectors, self._executor, reranker)
        self.counter = Counter(derived, self._executor)
        self.presenter = Presenter(derived.corpus, analyzer)

    def search(self, query: SearchQuery) -> Answer:
        """Answer one query. Raises QueryError and FilterError for what cannot be answered."""
        began = time.perf_counter()
        semantic, question = self._semantic(query), query.key
        key, stamp = self._key(query, question), self._stamp(semantic)
        if query.cache and (known := self._known(query, key, stamp, began)) is not None:
            return known
        context = QueryContext(query, began)
        answer = self._answer(context, semantic)
        if (
            query.cacheable
            and not context.words_only
            and (key, stamp) == (self._key(query, question), self._stamp(semantic))
        ):
            self.answers.put(key, stamp, answer)
        return answer

    def cached(self, query: SearchQuery, began: float) -> Answer | None:
        """The answer to this question while nothing that it depends on has changed, for a caller who searches when
        there is none. Reads memory alone. `began`, of time.perf_counter, is when the question came in."""
        if not query.cacheable:
            return None
        key, stamp = self._key(query, query.key), self._stamp(self._semantic(query))
        return self._known(query, key, stamp, began, count_miss=False)

    def _known(
        self, query: SearchQuery, key: Hashable, stamp: Hashable, began: float, *, count_miss: bool = True
    ) -> Answer | None:
        known = self.answers.get(key, stamp, count_miss=count_miss)
        took_ms = round((time.perf_counter() - began) * 1000, 3)
        return replace(known, query=query.query, took_ms=took_ms, cached=True) if known is not None else None

    def _semantic(self, query: SearchQuery) -> Semantic | None:
        return self.derived.semantic if query.mode != "lexical" else None

    def _key(self, query: SearchQuery, question: bytes) -> Hashable:
        """What the answer is cached under: the question, and which re-ranker there is where one is asked for."""
        return question, self.ranker.reranker.stamp if query.rerank else None

    def _stamp(self, semantic: Semantic | None) -> Hashable:
        """What an answer depends on besides the request; one in whose making it changed belongs to neither state."""
        return self.derived.seq, self.derived.lexical.seq, semantic and semantic.stamp

    def answer(self, query: SearchQuery, semantic: Semantic | None) -> Answer:
        """Answer from one version of embeddings, past the cache."""
        return self._answer(QueryContext(query), semantic)

    @small_products
    def _answer(self, context: QueryContext, semantic: Semantic | None) -> Answer:
        asked = context.query.time_zone
        with self._executor.search(), days.in_zone(days.zone(asked) if asked else self._zone):
            return self._made(context, semantic)

    def _made(self, context: QueryContext, semantic: Semantic | None) -> Answer:
        asked = context.query
        context.query = query = widened(asked)
        with context.stage("parse"):
            plan = self.planner.plan(context)
        counting = self.counter.begin(query, plan)
        found = self.ranker.rank(context, plan, semantic, lambda: self.counter.listed(query, plan, counting))
        context.notes.extend(_notes(query, found))
        if not found.documents and plan.filter is not None:
            context.notes.extend(self.planner.unknown_fields(plan.filter, query.within))
        page = ordered(self.corpus, found.documents, asked.sort)[asked.offset : asked.offset + asked.limit]
        with context.stage("snippets"):
            hits = self.presenter.hits(plan, page, query.explain, context.notes)
        with context.stage("count"):
            matching = self.counter.matching(query, plan, found, counting)
        if told := note(matching.total, asked.sort):
            context.notes.append(told)
        return Answer(
            query=query.query,
            total=matching.total,
            total_is_estimate=matching.estimated,
            facets=self._facets(matching.documents, query.within),
            took_ms=context.took_ms(),
            mode=query.mode,
            version=semantic.version.name if semantic else None,
            stages=context.stages,
            cached=False,
            results=hits,
            semantic_coverage=self.derived.coverage(),
            corrections=self.planner.corrections(plan) if matching.few else (),
            notes=tuple(context.notes),
            explanation={"understood": plan.parsed.understood, "meaning": plan.text, **found.why}
            if query.explain
            else None,
            nothing_relevant=found.out_of_domain,
        )

    def _facets(self, documents: Ids | None, within: Scope | None) -> dict[str, Mapping[str, int]] | None:
        return (
            None if documents is None else facets(self.corpus.facet_columns(documents, *dated_sql(), within))
        )

    def passages(self, query: SearchQuery, names: Sequence[tuple[str, str]]) -> list[Passages]:
        """All passages of documents, named by collection and id, that hold a word of the query."""
        with days.in_zone(days.zone(query.time_zone) if query.time_zone else self._zone):
            return passages(self.derived, self.planner, self.presenter, query, names)

    def suggest(self, prefix: str, limit: int, within: Scope | None = None) -> list[str]:
        """Completions of the last word typed, from what may be seen."""
        before, _, last = prefix.rpartition(" ")
        most = MOST_COMPLETED if within else limit
        words = self.derived.lexical.complete(normalize(last), most) if last else []
        return [f"{before} {word}".strip() for word in self.planner.visible(within).known(words)[:limit]]

    def close(self) -> None:
        """End the threads."""
        self.ranker.close()
        self._executor.close()


def _notes(query: SearchQuery, found: RankedDocuments) -> Iterator[str]:
    if found.out_of_domain:
        yield NOTHING
    if query.min_relevance and not found.judged:
        yield UNJUDGED
