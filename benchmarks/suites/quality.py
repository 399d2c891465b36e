"""How good the answers are: nDCG@10, recall@100 and MRR@10 of every mode on judged collections."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import datasets
from benchmarks.context import Context
from localsearch import Engine
from localsearch.errors import LocalSearchError
from localsearch.evaluation.beir import Dataset
from localsearch.evaluation.run import DEFAULT_MODES, EvalMode, evaluate
from localsearch.settings import load

RERANKED_UP_TO = 100
"""Queries of a collection up to which `rerank` is measured too: it takes far longer than the other modes."""


def run(context: Context) -> dict[str, Any]:
    """Figures by collection; one that is not there is said under `missing`."""
    found: dict[str, Any] = {}
    missing = []
    for name in context.sizes.quality_sets:
        dataset = datasets.find(context, name)
        if dataset is None:
            missing.append(name)
            continue
        context.say(f"quality: {name}")
        found[name] = _evaluated(context, dataset)
    return {"sets": found, "missing": missing, "mean": _means(found)}


def _evaluated(context: Context, dataset: Dataset) -> dict[str, Any]:
    with context.folder() as home:
        settings = replace(load(home), models=context.models)
        with Engine.open(settings=settings) as engine:
            report = evaluate(engine, dataset, DEFAULT_MODES).to_json()
            if len(dataset.queries) <= RERANKED_UP_TO:
                report["modes"] |= _reranked(engine, dataset)
        shutil.rmtree(Path(home), ignore_errors=True)
    return report


def _reranked(engine: Engine, dataset: Dataset) -> dict[str, Any]:
    from localsearch.evaluation.run import score

    modes: tuple[EvalMode, ...] = ("rerank",)
    try:
        scores = score(engine, dataset.queries, dataset.judgements, modes)
    except LocalSearchError as error:
        return {"rerank": {"cannot": error.message}}
    return {mode: value.to_json() for mode, value in scores.items()}


def _means(found: dict[str, Any]) -> dict[str, Any]:
    """Mean nDCG@10 over the collections, per mode, and what fusion adds to the better of its legs."""
    if not found:
        return {}
    means: dict[str, float] = {
        str(mode): round(sum(report["modes"][mode]["ndcg@10"] for report in found.values()) / len(found), 5)
        for mode in DEFAULT_MODES
    }
    return {
        **means,
        "hybrid_over_better_leg": round(means["hybrid"] / max(means["lexical"], means["semantic"]), 4),
    }
