"""python -m benchmarks.ranking [--data DIR] [--reuse DIR] [--out FILE] [--fusion]

What each stage of ranking adds on the judged collections, through the product's own functions, with the latency beside
it; and what its constants are worth where they were not chosen: each is chosen again on all collections but one, and
measured on that one. With --reuse the indexes are kept in DIR, one folder for each collection, and taken from there. With --fusion nothing is timed or re-ranked: minutes, not an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import datasets, machine
from benchmarks.context import ALL_SETS, FULL, Context, default_cache
from benchmarks.judged import Asked, Judged, gather
from localsearch import Engine
from localsearch.evaluation.metrics import ndcg
from localsearch.evaluation.run import fill
from localsearch.ranking.fusion import (
    DEFAULT_PARAMETERS,
    RERANK_DEPTH,
    Candidates,
    Fused,
    FusionParameters,
    Reranking,
    fuse,
)
from localsearch.search.reranker import LateInteractionReranker
from localsearch.settings import SearchSettings, load
from localsearch.store import TokenBits

MORE_SETS = ("xquad-zh",)
"""Shown, but in no mean and not chosen on."""
TIMED, COLD = 100, 8
"""Queries of a collection that are timed, and that are timed with nothing kept."""
GRID: Mapping[str, tuple[float, ...]] = {
    "words": (0.3, 0.4, 0.5, 0.6, 0.7),
    "known": (2.5, 2.75, 3.0, 3.25, 3.5),
    "power": (1.0, 1.5, 2.0, 2.5, 3.0),
    "lead": (0.0, 0.125, 0.25, 0.5, 0.75),
    "peak": (0.0, 0.25, 0.5, 0.75, 1.0),
    "coverage": (0.0, 0.4, 0.5, 0.6, 0.7, 0.8),
    "feedback": (0.0, 0.15, 0.3, 0.45, 0.6),
    "smoothing": (0.0, 0.15, 0.3, 0.45, 0.6),
    "rerank_weight": (0.0, 1.0, 1.5, 2.0, 2.5, 3.0),
}
PLAIN = replace(DEFAULT_PARAMETERS, lead=0.0, peak=0.0, coverage=0.0, feedback=0.0, smoothing=0.0)
PEAKED = replace(DEFAULT_PARAMETERS, coverage=0.0, feedback=0.0, smoothing=0.0)
COVERED = replace(DEFAULT_PARAMETERS, feedback=0.0, smoothing=0.0)
FED = replace(DEFAULT_PARAMETERS, smoothing=0.0)


# -- how it is ranked

Ranker = Callable[[Judged, Asked], Fused]


def by_words(judged: Judged, asked: Asked) -> Fused:
    some = np.flatnonzero(asked.lexical > 0)
    fused = fuse(Candidates(asked.ids[some], asked.lexical[some]))
    return replace(fused, order=some[fused.order])


def by_meaning(judged: Judged, asked: Asked) -> Fused:
    return fuse(judged.candidates(asked), "convex", weight=1.0)


def by_both(judged: Judged, asked: Asked) -> Fused:
    return fuse(judged.candidates(asked), "convex")


def adaptive(parameters: FusionParameters, rerank: bool = False) -> Ranker:
    def rank(judged: Judged, asked: Asked) -> Fused:
        return fuse(
            judged.candidates(asked),
            signals=asked.signals,
            query=asked.query,
            reranking=Reranking("late interaction", lambda top: asked.nearness[top]) if rerank else None,
            parameters=parameters,
        )

    return rank


def quality(judged: Judged, rank: Ranker) -> float:
    """Mean nDCG@10, each document once, where its best passage stands."""
    return statistics.fmean(
        ndcg(list(dict.fromkeys(asked.names[at] for at in rank(judged, asked).order)), asked.grades)
        for asked in judged.queries
    )


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of the table: how candidates are ranked, and how the engine is asked to rank so."""

    name: str
    rank: Ranker
    settings: SearchSettings
    parameters: FusionParameters
    options: Mapping[str, Any]


HYBRID = "+ smoothing (hybrid)"
STAGES = (
    Stage("lexical", by_words, SearchSettings(), DEFAULT_PARAMETERS, {"mode": "lexical"}),
    Stage("semantic", by_meaning, SearchSettings(), DEFAULT_PARAMETERS, {"mode": "semantic"}),
    Stage("convex", by_both, SearchSettings(fusion="convex"), DEFAULT_PARAMETERS, {}),
    Stage("adaptive weight", adaptive(PLAIN), SearchSettings(), PLAIN, {}),
    Stage("+ peaks", adaptive(PEAKED), SearchSettings(), PEAKED, {}),
    Stage("+ coverage", adaptive(COVERED), SearchSettings(), COVERED, {}),
    Stage("+ feedback", adaptive(FED), SearchSettings(), FED, {}),
    Stage(HYBRID, adaptive(DEFAULT_PARAMETERS), SearchSettings(), DEFAULT_PARAMETERS, {}),
    Stage(
        "+ rerank",
        adaptive(DEFAULT_PARAMETERS, rerank=True),
        SearchSettings(),
        DEFAULT_PARAMETERS,
        {"rerank": True},
    ),
)


# -- how long it takes


def latency(engine: Engine, texts: Sequence[str]) -> dict[str, list[float]]:
    """Milliseconds of each query by stage, by turns, nothing taken from a cache of answers or query vectors.

    The token bits that re-ranking needs were kept when a passage was first re-ranked.
    """
    took: dict[str, list[float]] = {stage.name: [] for stage in STAGES}
    for text in [texts[0], *texts]:
        for stage in STAGES:
            engine.searcher.ranker.settings = stage.settings
            engine.searcher.ranker.parameters = stage.parameters
            took[stage.name].append(_timed(engine, text, stage.options))
    engine.searcher.ranker.settings = SearchSettings()
    engine.searcher.ranker.parameters = DEFAULT_PARAMETERS
    return {name: values[1:] for name, values in took.items()}


class _Forgetful(TokenBits):
    """Keeps nothing."""

    def of(self, version_id: int, chunk_ids: Sequence[int]) -> dict[int, bytes]:
        return {}


def cold(engine: Engine, texts: Sequence[str]) -> list[float]:
    """Milliseconds of queries with rerank when nothing is kept of any passage."""
    ranker, found = engine.searcher.ranker, []
    usual = ranker.reranker
    for text in texts:
        ranker.reranker = forgetful = LateInteractionReranker(engine.corpus)
        forgetful.tokens = _Forgetful(engine.db)
        found.append(_timed(engine, text, {"rerank": True}))
        ranker.reranker.close()
    ranker.reranker = usual
    return found


def _timed(engine: Engine, text: str, options: Mapping[str, Any]) -> float:
    began = time.perf_counter()
    engine.search(text, limit=10, cache=False, plain=True, **options)
    return (time.perf_counter() - began) * 1000


# -- constants chosen where they are not measured


def left_out(found: Sequence[Judged], say: Callable[[str], None], rerank_too: bool = True) -> dict[str, Any]:
    """Each constant chosen from its grid on all collections but one, and what that one then has; alone and together.

    `rerank_weight` is chosen on the ranking with rerank, the others on the one without. Figures are nDCG@10.
    """
    chosen: dict[str, dict[str, float]] = {judged.name: {} for judged in found}
    constants = {}
    for name, grid in GRID.items():
        rerank = name == "rerank_weight"
        if rerank and not rerank_too:
            continue
        say(f"choosing {name}")
        scores = {
            value: [
                quality(judged, adaptive(replace(DEFAULT_PARAMETERS, **{name: value}), rerank))
                for judged in found
            ]
            for value in grid
        }
        rows = {}
        for at, judged in enumerate(found):
            best = max(grid, key=lambda value: sum(scores[value]) - scores[value][at])
            chosen[judged.name][name] = best
            rows[judged.name] = {"chosen": best, "left_out": scores[best][at]}
        constants[name] = {
            "fitted": getattr(DEFAULT_PARAMETERS, name),
            "means": {str(value): statistics.fmean(figures) for value, figures in scores.items()},
            "collections": rows,
            "mean": statistics.fmean(row["left_out"] for row in rows.values()),
        }
    together = {
        mode: {
            judged.name: quality(
                judged, adaptive(replace(DEFAULT_PARAMETERS, **chosen[judged.name]), mode == "rerank")
            )
            for judged in found
        }
        for mode in (("hybrid", "rerank") if rerank_too else ("hybrid",))
    }
    return {"constants": constants, "together": together}


# -- the run


@contextmanager
def home(reuse: Path | None, name: str) -> Iterator[Path]:
    """Where the index of a collection is, or is to be made."""
    if reuse is not None:
        yield reuse / name
        return
    made = Path(tempfile.mkdtemp(prefix="ranking-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


Measured = tuple[Judged, dict[str, Any]]


def measure(
    context: Context, reuse: Path | None, name: str, say: Callable[[str], None], fusion_only: bool = False
) -> Measured | None:
    """A collection gathered, and its row of figures; None when it is nowhere."""
    dataset = datasets.find(context, name)
    if dataset is None:
        return None
    with ExitStack() as stack:
        folder = stack.enter_context(home(reuse, name))
        say(f"{name}: index")
        settings = replace(load(folder, environ={}), models=context.models, search=SearchSettings())
        engine = stack.enter_context(Engine.open(settings=settings))
        reused = engine.corpus.document_count() > 0
        if not reused:
            fill(engine, dataset)
        say(f"{name}: candidates of {len(dataset.queries)} queries")
        judged = gather(engine, dataset, rerank=not fusion_only)
        stages = [stage for stage in STAGES if not (fusion_only and stage.options.get("rerank"))]
        row = {
            "commit": machine.commit(),
            "index_reused": reused,
            "load_average": list(os.getloadavg()),
            "queries": len(judged.queries),
            "passages": engine.corpus.counts()[1],
            "ndcg": {stage.name: quality(judged, stage.rank) for stage in stages},
        }
        if not fusion_only:
            say(f"{name}: latency")
            texts = list(dataset.queries.values())[:TIMED]
            row |= {"ms": latency(engine, texts), "cold_ms": cold(engine, texts[:COLD])}
    return judged, row


def summary(measured: Mapping[str, Measured | None], say: Callable[[str], None]) -> dict[str, Any]:
    """All figures; collections that are nowhere are named under `missing`."""
    some = {name: one for name, one in measured.items() if one is not None}
    rows = {name: row for name, (_, row) in some.items()}
    found = [judged for name, (judged, _) in some.items() if name in ALL_SETS]
    counted = [name for name in rows if name in ALL_SETS]
    timed = all("ms" in row for row in rows.values())
    stages = [stage.name for stage in STAGES if all(stage.name in row["ndcg"] for row in rows.values())]
    figures = {
        "commit": machine.commit(),
        "machine": machine.describe(),
        "collections": rows,
        "missing": [name for name, one in measured.items() if one is None],
        "mean": {stage: statistics.fmean(rows[name]["ndcg"][stage] for name in counted) for stage in stages},
        "left_out": left_out(found, say, timed),
    }
    if timed:
        figures |= {
            "ms": {stage: _median(rows[name]["ms"][stage] for name in counted) for stage in stages},
            "cold_ms": _median(rows[name]["cold_ms"] for name in counted),
            "rerank_adds_ms": _median(_added(rows[name]["ms"]) for name in counted),
        }
    return figures


def _median(samples: Iterator[list[float]]) -> float:
    return statistics.median(value for sample in samples for value in sample)


def _added(took: Mapping[str, list[float]]) -> list[float]:
    """What rerank adds to each query."""
    return [after - before for before, after in zip(took[HYBRID], took["+ rerank"], strict=True)]


# -- the report


def markdown(figures: Mapping[str, Any]) -> str:
    """The two tables, with what they are about."""
    rows = figures["collections"]
    lines = [
        f"nDCG@10 by stage, each added to the one before, at commit {figures['commit']}; the mean is over the"
        " seven; ms is the median of a query through the engine, nothing cached but the passages' bits.",
        "",
        f"| | {' | '.join(rows)} | mean | ms |",
        "|---|" + "---|" * (len(rows) + 2),
    ]
    ms = figures.get("ms")
    for stage, mean in figures["mean"].items():
        cells = [f"{row['ndcg'][stage]:.4f}" for row in rows.values()]
        took = f"{ms[stage]:.1f}" if ms else "–"
        lines.append(f"| {stage} | {' | '.join(cells)} | {mean:.4f} | {took} |")
    if ms:
        lines += [
            "",
            f"rerank looks at {RERANK_DEPTH} passages and adds {figures['rerank_adds_ms']:.1f} ms (median) where their"
            f" bits are kept; where none is, a query takes {figures['cold_ms']:.0f} ms.",
        ]
    lines += [
        "",
        "Each constant chosen on the other collections, and nDCG@10 on the one left out (`rerank_weight` and `together` with"
        " rerank, the rest without); in brackets what was chosen:",
        "",
    ]
    return "\n".join([*lines, *_left_out_rows(figures), ""])


def _left_out_rows(figures: Mapping[str, Any]) -> Iterator[str]:
    found = figures["left_out"]
    names = list(found["together"]["hybrid"])
    yield f"| | fitted | {' | '.join(names)} | mean | mean as fitted |"
    yield "|---|---|" + "---|" * (len(names) + 2)
    for name, row in found["constants"].items():
        cells = [
            f"{one['left_out']:.4f} ({one['chosen']:g})"
            for one in (row["collections"][collection] for collection in names)
        ]
        as_fitted = figures["mean"]["+ rerank" if name == "rerank_weight" else HYBRID]
        yield f"| {name} | {row['fitted']:g} | {' | '.join(cells)} | {row['mean']:.4f} | {as_fitted:.4f} |"
    for mode, scores in found["together"].items():
        as_fitted = figures["mean"]["+ rerank" if mode == "rerank" else HYBRID]
        cells = [f"{scores[name]:.4f}" for name in names]
        mean = statistics.fmean(scores.values())
        yield f"| all together, {mode} | | {' | '.join(cells)} | {mean:.4f} | {as_fitted:.4f} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranking", description=__doc__)
    parser.add_argument("--data", type=Path, default=machine.ROOT.parent / "shared" / "bench", metavar="DIR")
    parser.add_argument("--reuse", type=Path, metavar="DIR", help="where indexes are kept between runs")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON; the tables go beside it")
    parser.add_argument("--fusion", action="store_true", help="without re-ranking and latency")
    parser.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR")
    parser.add_argument("--sets", nargs="+", default=[*ALL_SETS, *MORE_SETS], metavar="NAME")
    arguments = parser.parse_args()
    models = Path(os.environ.get("LOCALSEARCH_MODELS", machine.ROOT / "models"))
    context = Context(arguments.cache, arguments.data, models, FULL)
    measured = {
        name: measure(context, arguments.reuse, name, context.say, arguments.fusion)
        for name in arguments.sets
    }
    figures = summary(measured, context.say)
    results = machine.ROOT / "benchmarks" / "results" / "ranking"
    out = arguments.out or results / f"{machine.commit()}-{machine.name()}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(_rounded(figures), indent=1) + "\n")
    out.with_suffix(".md").write_text(markdown(figures))
    print(markdown(figures))
    return 0


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, Mapping):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
