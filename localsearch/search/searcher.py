"""A query, top to bottom, in the order it happens.

    parse -> filter -> cached answer? -> words and meaning side by side -> fuse -> best passage of each document
    -> rerank if asked -> snippets for the page shown

Two legs find passages: BM25 by words, HNSW by meaning. What either found is scored exactly by both, fused, and each
document is shown once with its best passage. Candidates come in tiers of fixed size, so that a later page continues
the ranking of an earlier one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace

from localsearch.caches import ResultCache, VectorCache, canonical
from localsearch.derived import Derived, Semantic
from localsearch.derived.embedder import Embedder
from localsearch.platform.blas import small_products
from localsearch.search.context import QueryContext, Request
from localsearch.search.count import Counter
from localsearch.search.executor import SearchExecutor
from localsearch.search.facets import facets
from localsearch.search.hits import Presenter
from localsearch.search.plan import Planner
from localsearch.search.rank import RankedDocuments, Ranker
from localsearch.search.relevance import NOTHING, UNJUDGED
from localsearch.settings import SearchSettings
from localsearch.text import Analyzer, normalize
from localsearch.types import Answer


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
        *,
        kept_chunks: int | None = 0,
    ) -> None:
        self.derived = derived
        self.corpus = derived.corpus
        self.answers = answers
        self.planner = Planner(derived, analyzer)
        self._executor = SearchExecutor()
        self.ranker = Ranker(derived, embedder, settings, vectors, self._executor, kept_chunks)
        self.counter = Counter(derived, self._executor)
        self.presenter = Presenter(derived.corpus, analyzer)

    def search(self, request: Request) -> Answer:
        """Answer one query. Raises QueryError and FilterError for what cannot be answered."""
        context = QueryContext(request)
        semantic = self.derived.semantic if request.mode != "lexical" else None
        stamp = self._stamp(semantic)
        key = _cache_key(request)
        if request.cache and (known := self.answers.get(key, stamp)):
            return replace(known, took_ms=context.took_ms(), cached=True)
        answer = self._answer(context, semantic)
        if request.cache and request.budget_ms is None and stamp == self._stamp(semantic):
            self.answers.put(key, stamp, answer)
        return answer

    def _stamp(self, semantic: Semantic | None) -> Hashable:
        """What an answer depends on besides the request; one in whose making it changed belongs to neither state."""
        return self.derived.seq, semantic and semantic.stamp

    def answer(self, request: Request, semantic: Semantic | None) -> Answer:
        """Answer from one version of embeddings, past the cache."""
        return self._answer(QueryContext(request), semantic)

    @small_products
    def _answer(self, context: QueryContext, semantic: Semantic | None) -> Answer:
        with self._executor.search():
            return self._made(context, semantic)

    def _made(self, context: QueryContext, semantic: Semantic | None) -> Answer:
        request = context.request
        with context.stage("parse"):
            plan = self.planner.plan(context)
        counting = self.counter.begin(request, plan)
        found = self.ranker.rank(context, plan, semantic)
        context.notes.extend(_notes(request, found))
        if not found.documents and plan.filter is not None:
            context.notes.extend(self.planner.unknown_fields(plan.filter))
        page = found.documents[request.offset : request.offset + request.limit]
        with context.stage("snippets"):
            hits = tuple(self.presenter.hits(plan, page, request.explain))
        with context.stage("count"):
            matching = self.counter.matching(request, found, counting)
        return Answer(
            query=request.query,
            total=matching.total,
            total_is_estimate=matching.estimated,
            facets=None if matching.documents is None else facets(self.corpus.facet_rows(matching.documents)),
            took_ms=context.took_ms(),
            mode=request.mode,
            version=semantic.version.name if semantic else None,
            stages=context.stages,
            cached=False,
            results=hits,
            semantic_coverage=self.derived.coverage(),
            corrections=self.planner.corrections(plan) if matching.few else (),
            notes=tuple(context.notes),
            explanation=found.why if request.explain else None,
            nothing_relevant=found.out_of_domain,
        )

    def suggest(self, prefix: str, limit: int) -> list[str]:
        """Completions of the last word typed."""
        before, _, last = prefix.rpartition(" ")
        words = self.derived.lexical.complete(normalize(last), limit) if last else []
        return [f"{before} {word}".strip() for word in words]

    def close(self) -> None:
        """End the threads."""
        self.ranker.close()
        self._executor.close()


def _notes(request: Request, found: RankedDocuments) -> Iterator[str]:
    if found.out_of_domain:
        yield NOTHING
    if request.min_relevance and not found.judged:
        yield UNJUDGED


def _cache_key(request: Request) -> bytes:
    return canonical(replace(request, query=" ".join(request.query.split()), cache=True, budget_ms=None))
