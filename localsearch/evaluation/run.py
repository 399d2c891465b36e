"""The run of `eval`: index a judged collection, ask every query in every mode, and score the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np

from localsearch.errors import CancelledError, UsageError
from localsearch.evaluation.beir import Dataset
from localsearch.evaluation.metrics import Grades, Percentiles, mrr, ndcg, recall
from localsearch.evaluation.trec import Ranked
from localsearch.types import Answer, Cancelled, Mode, Progress, Record, Report, never, no_report

EvalMode = Literal["lexical", "semantic", "hybrid", "rerank"]
MODES: tuple[EvalMode, ...] = get_args(EvalMode)
DEFAULT_MODES: tuple[EvalMode, ...] = ("lexical", "semantic", "hybrid")
COLLECTION = "default"
DEPTH = 100
PAGE = 10
BATCH = 500
Keep = Callable[[EvalMode, str, Ranked], None]
"""Told mode, query and ranking."""
STOPPED = "Run it again; nothing is kept of a partial run."


def keep_nothing(mode: EvalMode, query: str, ranked: Ranked) -> None:
    """Keep no rankings."""


class Searchable(Protocol):
    """What evaluate needs of an engine, which stands above this module in the order of imports."""

    def add(self, records: Sequence[Record], *, collection: str) -> list[str]: ...

    def index(self, paths: Path, *, report: Report, cancelled: Cancelled) -> Any: ...

    def embed_pending(self, report: Report, cancelled: Cancelled) -> int: ...

    def search(
        self, query: str, *, limit: int, mode: Mode, rerank: bool, collection: str, cache: bool, plain: bool
    ) -> Answer: ...


@dataclass(frozen=True, slots=True)
class ModeScores:
    """Means over all queries, and what one uncached page took, in milliseconds; None for a run made elsewhere."""

    ndcg_10: float
    recall_100: float
    mrr_10: float
    latency_ms: Percentiles | None

    def to_json(self) -> dict[str, Any]:
        return {
            "ndcg@10": round(self.ndcg_10, 5),
            "recall@100": round(self.recall_100, 5),
            "mrr@10": round(self.mrr_10, 5),
            "latency_ms": self.latency_ms.to_json() if self.latency_ms else None,
        }


@dataclass(frozen=True, slots=True)
class EvalReport:
    """What `eval` found. `index_s` is the seconds until searchable by words and by meaning."""

    dataset: str
    split: str
    documents: int
    queries: int
    index_s: float
    modes: Mapping[str, ModeScores]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The shape of `eval --json`."""
        return {
            "dataset": self.dataset,
            "split": self.split,
            "documents": self.documents,
            "queries": self.queries,
            "index_s": round(self.index_s, 2),
            "modes": {mode: scores.to_json() for mode, scores in self.modes.items()},
            "notes": list(self.notes),
        }


def parse_modes(text: str) -> tuple[EvalMode, ...]:
    """Modes from a list parted by commas or spaces, as `lexical,hybrid`; raises UsageError on other words."""
    words = text.replace(",", " ").split()
    found = tuple(mode for word in dict.fromkeys(words) for mode in MODES if mode == word)
    unknown = [word for word in words if word not in MODES]
    if unknown or not found:
        raise UsageError(
            f"no such mode: {unknown[0]}" if unknown else "no mode given",
            hint=f"Choose from {', '.join(MODES)}.",
        )
    return found


def evaluate(
    engine: Searchable,
    dataset: Dataset,
    modes: Sequence[EvalMode] = DEFAULT_MODES,
    *,
    keep: Keep = keep_nothing,
    report: Report = no_report,
    cancelled: Cancelled = never,
) -> EvalReport:
    """Index the collection into `default`, embed all of it, and run every judged query in every mode.

    `keep` is told every ranking.
    """
    started = time.perf_counter()
    documents = fill(engine, dataset, report=report, cancelled=cancelled)
    index_s = time.perf_counter() - started
    scores = score(
        engine, dataset.queries, dataset.judgements, modes, keep=keep, report=report, cancelled=cancelled
    )
    counts = (documents, len(dataset.queries))
    return EvalReport(dataset.name, dataset.split, *counts, index_s, scores, dataset.notes)


def fill(
    engine: Searchable, dataset: Dataset, *, report: Report = no_report, cancelled: Cancelled = never
) -> int:
    """Add the documents in batches, then embed what is pending; returns how many there are.

    Documents without any text stay out.
    """
    if dataset.corpus.is_dir():
        return int(engine.index(dataset.corpus, report=report, cancelled=cancelled).documents)
    records = (record for record in dataset.records() if record.text.strip())
    done = 0
    while batch := list(islice(records, BATCH)):
        if cancelled():
            raise CancelledError("evaluation stopped", hint=STOPPED)
        engine.add(batch, collection=COLLECTION)
        done += len(batch)
        report(Progress("index", done, dataset.documents, "documents"))
    engine.embed_pending(report, cancelled)
    return dataset.documents


def score(
    engine: Searchable,
    queries: Mapping[str, str],
    judgements: Mapping[str, Grades],
    modes: Sequence[EvalMode] = DEFAULT_MODES,
    *,
    collection: str = COLLECTION,
    plain: bool = True,
    keep: Keep = keep_nothing,
    report: Report = no_report,
    cancelled: Cancelled = never,
) -> dict[str, ModeScores]:
    """Run every query against what the engine already holds, per mode, results uncached.

    `queries` maps query id -> text, `judgements` query id -> grades. `plain` says that quotes and colons in a
    query are no syntax, as in judged collections. One unmeasured query opens each mode, so that loading the model is
    not part of its latency.
    """
    total = len(modes) * len(queries)
    found: dict[str, ModeScores] = {}
    for mode in modes:
        _timed(engine, next(iter(queries.values())), mode, collection, plain)
        runs: dict[str, tuple[Sequence[str], float | None]] = {}
        for query, text in queries.items():
            if cancelled():
                raise CancelledError("evaluation stopped", hint=STOPPED)
            ranked, took_ms = _timed(engine, text, mode, collection, plain)
            keep(mode, query, ranked)
            runs[query] = [document for document, _ in ranked], took_ms
            report(Progress("query", len(found) * len(queries) + len(runs), total, "queries", mode))
        found[mode] = _means(runs, judgements)
    return found


def _timed(
    engine: Searchable, text: str, mode: EvalMode, collection: str, plain: bool
) -> tuple[Ranked, float]:
    """The ranking to the depth that recall looks to, and the milliseconds that one page of it takes."""
    leg: Mode = "hybrid" if mode == "rerank" else mode
    search = partial(
        engine.search,
        text,
        mode=leg,
        rerank=mode == "rerank",
        collection=collection,
        cache=False,
        plain=plain,
    )
    started = time.perf_counter()
    search(limit=PAGE)
    took_ms = (time.perf_counter() - started) * 1e3
    return [(hit.id, hit.score) for hit in search(limit=DEPTH).results], took_ms


def score_runs(dataset: Dataset, runs: Mapping[str, Mapping[str, Sequence[str]]]) -> EvalReport:
    """Measure rankings that were made elsewhere, by tag; a judged query that a run lacks counts as found nothing."""
    scores = {
        tag: _means({query: (run.get(query, ()), None) for query in dataset.queries}, dataset.judgements)
        for tag, run in runs.items()
    }
    lacking = [
        f"{tag} has no ranking for {missing:,} of the queries"
        for tag, run in runs.items()
        if (missing := len(dataset.queries.keys() - run.keys()))
    ]
    counts = (dataset.documents, len(dataset.queries))
    return EvalReport(dataset.name, dataset.split, *counts, 0.0, scores, (*dataset.notes, *lacking))


def _means(
    runs: Mapping[str, tuple[Sequence[str], float | None]], judgements: Mapping[str, Grades]
) -> ModeScores:
    values = [
        (ndcg(ranked, judgements[query]), recall(ranked, judgements[query]), mrr(ranked, judgements[query]))
        for query, (ranked, _) in runs.items()
    ]
    means = np.mean(values, axis=0)
    times = [took for _, took in runs.values() if took is not None]
    latency = Percentiles.of(times) if times else None
    return ModeScores(float(means[0]), float(means[1]), float(means[2]), latency)


def table(report: EvalReport) -> list[list[str]]:
    """Rows of plain text for a terminal, the heading first."""
    heading = ["mode", "nDCG@10", "recall@100", "MRR@10", "p50 ms", "p95 ms", "p99 ms"]
    return [heading, *(_row(mode, scores) for mode, scores in report.modes.items())]


def _row(mode: str, scores: ModeScores) -> list[str]:
    quality = (scores.ndcg_10, scores.recall_100, scores.mrr_10)
    shown = [mode, *(f"{value:.4f}" for value in quality)]
    if scores.latency_ms is None:
        return [*shown, "–", "–", "–"]
    latency = (scores.latency_ms.p50, scores.latency_ms.p95, scores.latency_ms.p99)
    return [*shown, *(f"{value:.1f}" for value in latency)]
