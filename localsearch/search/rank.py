"""Candidates of both legs, scored by both and fused; then documents in order, each with its best chunk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from localsearch.caches import VectorCache
from localsearch.derived import Derived, Semantic
from localsearch.derived.embedder import Embedder
from localsearch.errors import ModelError, VectorsUnavailableError
from localsearch.filters import field_sql
from localsearch.ranking.constants import DEFAULT_PARAMETERS
from localsearch.ranking.fusion import (
    Candidates,
    QuerySignals,
    Reranking,
    fuse,
    letters_per_piece,
    union,
)
from localsearch.search.context import QueryContext
from localsearch.search.executor import SearchExecutor
from localsearch.search.matching import either, exact_vectors, near_documents
from localsearch.search.more_like_this import mean_vector, unit
from localsearch.search.plan import Plan
from localsearch.search.relevance import RelevanceEstimate, RelevanceEstimator, most_of
from localsearch.search.reranker import Reranker
from localsearch.settings import SearchSettings
from localsearch.types import Ids, Ranking, Scores, Vectors

Floats = NDArray[np.float32]

_TIERS = (1, 5, 25)
"""Candidates of each leg, as multiples of the setting, tried in turn until the page is full."""
_FIRST_BY_WORDS = 0.3
"""A smaller tier to begin with where words alone decide: how many candidates there are does not change their order."""


@dataclass(frozen=True, slots=True)
class ByWords:
    """What was found by words, with its vectors, shape (n, dimensions), looked up while the query is being encoded;
    None where fusion needs none."""

    found: Ranking
    vectors: Vectors | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """What fusion works on: candidates, and of the query its vector and signals where meaning takes part."""

    candidates: Candidates
    query: Vectors | None
    signals: QuerySignals | None


@dataclass(frozen=True, slots=True)
class Scored:
    """Candidates of both legs in fused order, each of shape (n,): ids, fused score, BM25 and cosine (NaN: unknown)."""

    ids: Ids
    scores: Scores
    lexical: Scores
    semantic: Scores
    why: Mapping[str, Any]
    estimate: RelevanceEstimate = field(default_factory=RelevanceEstimate)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document with its best chunk."""

    document_id: int
    chunk_id: int
    score: float
    lexical: float
    semantic: float | None
    relevance: float | None = None


@dataclass(frozen=True, slots=True)
class RankedDocuments:
    """The documents asked for in order, and how the order came about; `ids` are all that were ranked, best first.

    `near` are those that match by their meaning, None where nothing tells how near is near. `judged` is whether their
    relevance is known, `more` whether documents beyond them may have as much as was asked for, `out_of_domain` whether
    even the best are not about the query.
    """

    documents: list[Ranked]
    ids: Ids
    why: Mapping[str, Any]
    near: Ids | None = None
    judged: bool = False
    more: bool = False
    out_of_domain: bool = False


class Ranker:
    """Ranks what a plan asks for, and encodes it beside looking its words up. Safe to share between threads; close it
    when done."""

    def __init__(
        self,
        derived: Derived,
        embedder: Embedder,
        settings: SearchSettings,
        vectors: VectorCache,
        executor: SearchExecutor,
        reranker: Reranker,
    ) -> None:
        self.derived = derived
        self.corpus = derived.corpus
        self.embedder = embedder
        self.settings = settings
        self.parameters = DEFAULT_PARAMETERS
        self.query_vectors = vectors
        self.reranker = reranker
        self.relevance = RelevanceEstimator(derived)
        self._executor = executor

    def rank(
        self,
        context: QueryContext,
        plan: Plan,
        semantic: Semantic | None,
        by_words: Callable[[], Ids | None] = lambda: None,
    ) -> RankedDocuments:
        """Documents in order, enough for the page asked for, without those below the relevance asked for.

        `by_words` gives the documents that match by their words, where the ranking is to end with what matches.
        """
        query = context.query
        needed = query.offset + query.limit
        if plan.lists and plan.documents is not None:
            newest = self._newest(plan.documents, needed)
            return RankedDocuments(newest, plan.documents, {"method": "newest first"})
        ranked: list[Ranked] = []
        vector = self._start_encoding(context, plan, semantic)
        found = RankedDocuments([], np.empty(0, np.int64), {})
        near: Ids | None = None
        matching: Ids | None = None
        for depth in self._depths(semantic):
            gathered, full = self.gather(context, plan, semantic, vector, depth)
            scored = self._weighed(context, plan, semantic, gathered, depth)
            owners, first = self._best_chunks(scored, query.min_relevance)
            if not found.why:
                near = self._near(context, plan, semantic, gathered.query)
                judged = query.min_relevance and scored.estimate.known
                matching = None if judged or plan.strict else either(by_words(), near)
            new = ~np.isin(owners, found.ids)
            if matching is not None:
                new &= np.isin(owners, matching)
            ranked += _rows(scored, owners[new], first[new], needed - len(ranked))
            estimate = scored.estimate
            more = full and estimate.beyond >= query.min_relevance
            why = found.why or {**scored.why, "best": estimate.why}
            ids = np.concatenate([found.ids, owners[new]])
            found = RankedDocuments(ranked, ids, why, near, estimate.known, more, estimate.out_of_domain)
            enough = needed if matching is None else min(needed, len(matching))
            if len(ids) >= enough or not more:
                break
        if query.min_relevance or not plan.strict:
            return found if matching is None else self._completed(matching, found, needed)
        if plan.documents is None:
            return found
        return replace(self._completed(plan.documents, found, needed), out_of_domain=False)

    def _completed(self, matching: Ids, found: RankedDocuments, needed: int) -> RankedDocuments:
        """With the documents that match and that neither leg has found, as `type:pdf OR rose` may ask for."""
        rest = np.setdiff1d(matching, found.ids)
        missing = max(0, needed - len(found.ids)) if len(rest) else 0
        if not missing:
            return found
        return replace(found, documents=found.documents + self._newest(rest, missing))

    def _depths(self, semantic: Semantic | None) -> Iterator[int]:
        """How many candidates of each leg to look at, in turn."""
        tiers = _TIERS if semantic else (_FIRST_BY_WORDS, *_TIERS)
        return (math.ceil(self.settings.candidates * tier) for tier in tiers)

    def _newest(self, documents: Ids, count: int) -> list[Ranked]:
        """What a filter alone asks for: all that it matches, what changed last first."""
        return [
            Ranked(document, chunk, 0.0, 0.0, None)
            for document, chunk in self.corpus.newest(documents, count, *field_sql("date"))
        ]

    def _start_encoding(
        self, context: QueryContext, plan: Plan, semantic: Semantic | None
    ) -> Future[Vectors | None] | None:
        """Encode the query in another thread while its words are looked up; None when there is no semantic leg."""
        if semantic is None or not (plan.text.strip() or plan.like is not None):
            if context.query.mode != "lexical" and semantic is None:
                context.notes.append(
                    "Words only: nothing is embedded yet. Run `localsearch index` with a model in place."
                )
            return None
        return self._executor.start(self._encode, context, semantic, plan)

    def _encode(self, context: QueryContext, semantic: Semantic, plan: Plan) -> Vectors | None:
        """What the vectors are compared with: the query, or the document that others should be like, or both alike."""
        with context.stage("encode"):
            if plan.like is None:
                return self._encoded(context, semantic, plan.text)
            chunks = self.derived.catalog.chunks_of(np.array([plan.like], np.int64))
            liked = mean_vector(semantic.vectors, chunks)
            if not plan.parsed.text.strip():
                return liked
            typed = self._encoded(context, semantic, plan.parsed.text)
            return typed if liked is None else unit(typed + liked)

    def _encoded(self, context: QueryContext, semantic: Semantic, text: str) -> Vectors:
        encoder = semantic.model.encoder()
        if not context.query.cache:
            return encoder.encode_query(text)
        return self.query_vectors.vector(encoder, text)[0]

    def gather(
        self,
        context: QueryContext,
        plan: Plan,
        semantic: Semantic | None,
        vector: Future[Vectors | None] | None,
        count: int,
    ) -> tuple[Gathered, bool]:
        """What each leg finds, scored by both; and whether a leg might have more."""
        meaning = Ranking.empty()
        words = self._by_words(context, plan, None if vector is None else semantic, count)
        query = self._finish_encoding(context, vector)
        if query is not None and semantic is not None:
            try:
                with context.stage("semantic"):
                    meaning = semantic.vectors.search(
                        query, count, plan.allowed, exact_vectors(self.derived, semantic)
                    )
            except VectorsUnavailableError as error:
                self._without_vectors(context, error)
                query = None
        with context.stage("fuse"):
            gathered = self._scored_by_both(context, plan, semantic, query, words, meaning)
        return gathered, len(words.found) >= count or len(meaning) >= count

    def _near(
        self, context: QueryContext, plan: Plan, semantic: Semantic | None, vector: Vectors | None
    ) -> Ids | None:
        count, exact = self.settings.candidates, context.query.ends
        try:
            return near_documents(self.derived, semantic, plan, vector, count=count, exact=exact)
        except VectorsUnavailableError as error:
            self._without_vectors(context, error)
            return np.empty(0, np.int64)

    def _without_vectors(self, context: QueryContext, error: VectorsUnavailableError) -> None:
        """Go on by words and say so; raises the error where nothing but meaning was asked for."""
        if context.query.mode == "semantic":
            raise error
        if not context.words_only:
            context.notes.append(f"Words only: {error.message.rstrip('.')}. {error.hint}".strip())
        context.words_only = True

    def _by_words(self, context: QueryContext, plan: Plan, semantic: Semantic | None, count: int) -> ByWords:
        words = Ranking.empty()
        if context.query.mode != "semantic":
            with context.stage("lexical"):
                words = self.derived.lexical.search(
                    plan.words, count, None if plan.allowed is None else plan.allowed.mask
                )
            self.embedder.want(words.ids[:20].tolist())
        adaptive = context.query.mode != "semantic" and self.settings.fusion == "adaptive"
        if semantic is None or not adaptive:
            return ByWords(words)
        with context.stage("fuse"):
            return ByWords(words, semantic.vectors.vectors_of(words.ids))

    def _weighed(
        self, context: QueryContext, plan: Plan, semantic: Semantic | None, gathered: Gathered, count: int
    ) -> Scored:
        with context.stage("fuse"):
            found = self._fuse(context, plan, semantic, gathered)
        with context.stage("judge"):
            return replace(
                found,
                estimate=self._judged(context, plan, semantic, found, gathered.signals, count),
            )

    def _judged(
        self,
        context: QueryContext,
        plan: Plan,
        semantic: Semantic | None,
        found: Scored,
        signals: QuerySignals | None,
        count: int,
    ) -> RelevanceEstimate:
        if plan.like is not None or signals is None:
            return RelevanceEstimate()  # the curves were fitted on questions
        scores = found.ids, found.lexical, found.semantic
        return self.relevance.estimate(plan.words, semantic, context.query.mode, *scores, count, signals)

    def _finish_encoding(
        self, context: QueryContext, vector: Future[Vectors | None] | None
    ) -> Vectors | None:
        """The query's vector, unless the model is missing or the budget runs out first; the answer says which."""
        if vector is None or context.words_only or not context.has_time("meaning", 0.1):
            return None
        try:
            return vector.result(context.left_s())
        except ModelError as error:
            if context.query.mode == "semantic":
                raise
            context.notes.append(f"Words only: {error.message.rstrip('.')}. {error.hint}")
        except TimeoutError:
            context.notes.append(
                f"Words only: no time to encode the query within {context.query.budget_ms:g} ms."
            )
        return None

    def _scored_by_both(
        self,
        context: QueryContext,
        plan: Plan,
        semantic: Semantic | None,
        query: Vectors | None,
        words: ByWords,
        meaning: Ranking,
    ) -> Gathered:
        """What either leg found with the score of each leg; BM25 of what meaning found is looked up beside the rest."""
        if semantic is None or query is None:
            return Gathered(Candidates(words.found.ids, words.found.scores), None, None)
        ids = union(words.found, meaning)
        lexical = self._executor.start(self._lexical_scores, context, plan, ids, words.found)
        if words.vectors is not None:
            vectors = _completed(ids, words.found.ids, words.vectors, semantic.vectors.vectors_of)
            cosine = vectors @ query
        else:
            vectors = None
            score = partial(semantic.vectors.score, query)
            cosine = _completed(ids, meaning.ids, meaning.scores, score)
        signals = self._signals(semantic, plan)
        return Gathered(Candidates(ids, lexical.result(), cosine, vectors), query, signals)

    def _lexical_scores(self, context: QueryContext, plan: Plan, ids: Ids, found: Ranking) -> Scores:
        if context.query.mode == "semantic":
            return np.zeros(len(ids), np.float32)
        return _completed(ids, found.ids, found.scores, partial(self.derived.lexical.score, plan.words))

    def _fuse(
        self, context: QueryContext, plan: Plan, semantic: Semantic | None, gathered: Gathered
    ) -> Scored:
        """Weigh the legs against each other, and re-rank if asked."""
        candidates = gathered.candidates
        method, weight = self.settings.fusion, self.settings.semantic_weight
        if context.query.mode == "semantic":
            method, weight = "convex", 1.0
        reranking = None
        if context.query.rerank and len(candidates.ids):
            meant = semantic if gathered.query is not None else None
            reranking = self._reranking(context, plan, meant, candidates.ids)
        fused = fuse(
            candidates,
            method,
            weight=weight,
            signals=gathered.signals,
            query=gathered.query,
            reranking=reranking,
            parameters=self.parameters,
        )
        order, ids = fused.order, candidates.ids
        cosine = np.full(len(ids), np.nan, np.float32) if candidates.semantic is None else candidates.semantic
        why: dict[str, Any] = {"method": method, "weights": fused.weights, "signals": fused.why}
        if context.query.rerank:
            why["reranker"] = context.reranker
        return Scored(ids[order], fused.ranking.scores, candidates.lexical[order], cosine[order], why)

    def _reranking(
        self, context: QueryContext, plan: Plan, semantic: Semantic | None, ids: Ids
    ) -> Reranking | None:
        """How to score candidates again; the query remembers by which re-ranker it was done."""
        found = self.reranker.over(context, plan.text, semantic, ids)
        if found is None:
            return None

        def remembered(positions: NDArray[np.intp]) -> Scores:
            scores = found.score(positions)
            if not np.isnan(scores).all():
                context.reranker = found.name
            return scores

        return replace(found, score=remembered)

    def _signals(self, semantic: Semantic, plan: Plan) -> QuerySignals:
        """How well the model's tokenizer knows the query's words, if there are any, and what they could give."""
        most = most_of(self.derived.lexical, plan.words)
        pieces = semantic.model.encoder().count_tokens([plan.text])[0]
        spread = semantic.calibration.spread if semantic.calibration else 0.0
        if not pieces:
            return QuerySignals(most=most, spread=spread)
        return QuerySignals(letters_per_piece(plan.text, pieces), most, spread)

    def _best_chunks(self, scored: Scored, least: float) -> tuple[Ids, NDArray[np.intp]]:
        """Each document once, in order, and where its best chunk is among the candidates; those of known relevance
        only with `least` of it."""
        owners = self.derived.catalog.documents_of(scored.ids)
        _, first = np.unique(owners, return_index=True)
        first = np.sort(first[owners[first] != 0])
        if scored.estimate.known and least > 0:
            first = first[~(scored.estimate.relevance[first] < least)]
        return owners[first].astype(np.int64), first

    def close(self) -> None:
        """End the re-ranker's threads."""
        self.reranker.close()


def _rows(scored: Scored, owners: Ids, first: NDArray[np.intp], count: int) -> list[Ranked]:
    """The first `count` of these documents with their chunks."""
    first = first[:count]
    judged = scored.estimate.relevance if scored.estimate.known else np.full(len(scored.ids), np.nan)
    columns = (scored.ids, scored.scores, scored.lexical, scored.semantic, judged)
    rows = zip(owners[:count].tolist(), *(column[first].tolist() for column in columns))
    return [
        Ranked(owner, chunk, score, lexical, _or_none(semantic), _or_none(relevance))
        for owner, chunk, score, lexical, semantic, relevance in rows
    ]


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _completed(ids: Ids, known: Ids, values: Floats, ask: Callable[[Ids], Floats]) -> Floats:
    """A value, or a row of them, for each of `ids` (ascending): those that are known, the others by asking."""
    missing = np.setdiff1d(ids, known, assume_unique=True)
    if not len(missing):
        return values[np.argsort(known)]
    asked = ask(missing)
    completed = np.empty((len(ids), *asked.shape[1:]), np.float32)
    completed[np.searchsorted(ids, known)] = values
    completed[np.searchsorted(ids, missing)] = asked
    return completed
