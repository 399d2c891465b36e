"""Judged queries taken as far as fusion: candidates with the scores of both legs, and the late interaction of all of them."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np

from localsearch import Engine
from localsearch.evaluation.beir import Dataset
from localsearch.evaluation.metrics import Grades
from localsearch.ranking.fusion import Candidates, QuerySignals
from localsearch.search.context import QueryContext
from localsearch.search.query import SearchQuery
from localsearch.types import Scores, Vectors


@dataclass(frozen=True, slots=True)
class Asked:
    """A judged query with all that fusion is given: `rows` of the collection's vectors, `nearness` by late interaction."""

    grades: Grades
    query: Vectors
    signals: QuerySignals
    ids: np.ndarray
    lexical: Scores
    semantic: Scores
    rows: np.ndarray
    nearness: Scores
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A collection's queries and the vectors of all passages that are a candidate of one."""

    name: str
    queries: tuple[Asked, ...]
    vectors: Vectors

    def candidates(self, asked: Asked) -> Candidates:
        return Candidates(asked.ids, asked.lexical, asked.semantic, self.vectors[asked.rows])


def gather(engine: Engine, dataset: Dataset, rerank: bool = True) -> Judged:
    """Take every judged query as far as fusion, and with `rerank` score all its candidates by late interaction."""
    semantic = engine.derived.semantic
    assert semantic is not None
    asked = [
        _asked(engine, text, dataset.judgements[query], rerank) for query, text in dataset.queries.items()
    ]
    known = np.unique(np.concatenate([one.ids for one in asked]))
    placed = tuple(replace(one, rows=np.searchsorted(known, one.ids)) for one in asked)
    return Judged(dataset.name, placed, semantic.vectors.vectors_of(known))


def _asked(engine: Engine, text: str, grades: Grades, rerank: bool) -> Asked:
    semantic, searcher = engine.derived.semantic, engine.searcher
    assert semantic is not None
    context = QueryContext(SearchQuery(text, plain=True))
    plan = searcher.planner.plan(context)
    vector: Future[Vectors | None] = Future()
    vector.set_result(semantic.model.encoder().encode_query(plan.text))
    count = searcher.ranker.settings.candidates
    gathered, _ = searcher.ranker.gather(context, plan, semantic, vector, count)
    found = gathered.candidates
    nearness = np.zeros(len(found.ids), np.float32)
    if rerank:
        reranking = searcher.ranker.reranker.over(context, plan.text, semantic, found.ids)
        assert reranking is not None
        nearness = reranking.score(np.arange(len(found.ids)))
    assert found.semantic is not None
    assert gathered.query is not None
    assert gathered.signals is not None
    owners = engine.derived.catalog.documents_of(found.ids).tolist()
    rows = engine.corpus.documents(set(owners))
    return Asked(
        grades=grades,
        query=gathered.query,
        signals=gathered.signals,
        ids=found.ids,
        lexical=found.lexical,
        semantic=found.semantic,
        rows=np.empty(0, np.intp),
        nearness=nearness,
        names=tuple(rows[owner].key for owner in owners),
    )
