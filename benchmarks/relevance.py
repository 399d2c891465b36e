"""When nothing in an index is about a query: python -m benchmarks.relevance [--data DIR] [--reuse DIR] [--out DIR]

Every judged collection is asked its own queries and those of every other one, through the product. Own queries should be
answered, foreign ones said to be foreign. From the same answers the constants of localsearch/ranking/relevance.py are fitted
again, on all collections and with each left out, both as corpus and as queries; and the relevance of hits is held
against the judgements. docs/decisions/relevance.md explains.

--reuse DIR takes indexes from DIR/NAME or DIR/h-NAME, as `localsearch --home DIR/NAME eval DATA/NAME` leaves them; each is
copied first.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.tables import Table
from localsearch import Engine
from localsearch.derived.calibrate import calibrate_if_due
from localsearch.evaluation.beir import Dataset
from localsearch.evaluation.run import fill
from localsearch.ranking.relevance import evidence, is_out_of_domain
from localsearch.settings import load
from localsearch.types import Mode

SETS = ("scifact", "nfcorpus", "cranfield", "cisi", "med", "nq-utd", "germanquad", "xquad-zh", "adi")
RELATED = (
    {"scifact", "nfcorpus"},
    {"scifact", "med"},
    {"nfcorpus", "med"},
    {"cisi", "adi"},
)
"""Collections about the same things: to each, the other's queries are not foreign."""
JUDGED_IN_FULL = ("cranfield", "med", "cisi", "nfcorpus", "adi")
"""Collections whose judges looked at more than a document or two a query, so that an unjudged hit is mostly a bad one."""
GOALS = (("scifact", "germanquad"), ("germanquad", "scifact"))
RESULTS = machine.ROOT / "benchmarks" / "results" / "relevance"
QUERIES = 100
"""Of each collection, chosen at random."""
HITS = 20
BINS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0)
Rows = NDArray[np.float64]


# --- asking


@contextmanager
def _opened(dataset: Dataset, reuse: Path | None) -> Iterator[Engine]:
    """An index of the collection in a folder of its own."""
    models = Path(os.environ.get("LOCALSEARCH_MODELS", machine.ROOT / "models"))
    with tempfile.TemporaryDirectory(prefix="localsearch-relevance-") as folder:
        home = Path(folder) / "home"
        kept = [reuse / name for name in (dataset.name, f"h-{dataset.name}")] if reuse else []
        for former in filter(Path.is_dir, kept):
            shutil.copytree(former, home)
        new = not home.exists()
        with Engine.open(settings=replace(load(home, environ={}), models=models)) as engine:
            if new:
                fill(engine, dataset)
            yield engine


def _calibrated(engine: Engine) -> dict[str, float]:
    """Calibrate as the product does in the background; what came out and how long it took."""
    semantic = engine.derived.semantic
    assert semantic is not None
    engine.derived.semantic = replace(semantic, calibration=None)
    began = time.perf_counter()
    calibrate_if_due(engine.derived)
    spent = time.perf_counter() - began
    found = engine.derived.semantic.calibration
    assert found is not None
    return {
        "floor": round(found.floor, 4),
        "ceiling": round(found.ceiling, 4),
        "vectors": found.vectors,
        "seconds": round(spent, 3),
    }


def _sample(dataset: Dataset) -> dict[str, str]:
    chosen = np.random.default_rng(0).permutation(sorted(dataset.queries))[:QUERIES]
    return {str(query): dataset.queries[str(query)] for query in chosen}


def _asked(engine: Engine, texts: Mapping[str, str], mode: Mode) -> Rows:
    """For each query how near and how well matched the best is, the letters that a word piece of it holds, and whether
    it was flagged: shape (queries, 4)."""
    rows = []
    for text in texts.values():
        answer = engine.search(text, limit=1, mode=mode, explain=True, cache=False, plain=True)
        why = answer.explanation or {}
        best, letters = why["best"], why["signals"]["letters_per_piece"]
        rows.append((best["nearness"], best["match"], letters, answer.nothing_relevant))
    return np.array(rows, np.float64)


def _hits(engine: Engine, dataset: Dataset, texts: Mapping[str, str]) -> list[tuple[float, bool]]:
    """The relevance of the first hits of each query, and whether they were judged relevant."""
    found = []
    for query, text in texts.items():
        grades = dataset.judgements[query]
        hits = engine.search(text, limit=HITS, cache=False, plain=True)
        found += [(hit.relevance, grades.get(hit.id, 0) > 0) for hit in hits if hit.relevance is not None]
    return found


def measure(datasets: Mapping[str, Dataset], reuse: Path | None) -> dict[str, Any]:
    """Ask every corpus every set of queries; raw rows by corpus and queries."""
    texts = {name: _sample(dataset) for name, dataset in datasets.items()}
    calibrations, asked, semantic, hits = {}, {}, {}, {}
    for name, dataset in datasets.items():
        print(f"relevance: {name}", file=sys.stderr)
        with _opened(dataset, reuse) as engine:
            calibrations[name] = _calibrated(engine)
            for other in datasets:
                asked[name, other] = _asked(engine, texts[other], "hybrid")
                if other == name or (other, name) in GOALS:
                    semantic[name, other] = _asked(engine, texts[other], "semantic")
            hits[name] = _hits(engine, dataset, texts[name])
    return {"calibrations": calibrations, "asked": asked, "semantic": semantic, "hits": hits}


# --- fitting


def fit(rows: Rows, own: NDArray[np.bool_], weights: Rows) -> Rows:
    """Logistic regression of `own` on near and match, by Newton's method with a little ridge; shape (3,)."""
    features = np.column_stack([rows[:, :2], np.ones(len(rows))])
    found = np.zeros(3)
    ridge = np.diag([2e-3, 2e-3, 0.0])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-features @ found))
        slope = features.T @ (weights * (chance - own)) / len(rows) + ridge @ found
        bend = (features * (weights * chance * (1 - chance))[:, None]).T @ features / len(rows) + ridge
        found -= np.linalg.solve(bend, slope)
    return found


def _flagged(rows: Rows, constants: Rows) -> NDArray[np.bool_]:
    """As the product decides, with other constants."""
    # That evidence is below 0 is all that the constants decide: there, the rest of the rule is asked with the worst.
    logit = np.column_stack([rows[:, :2], np.ones(len(rows))]) @ constants
    rest = [is_out_of_domain(-1.0, matched, letters) for _, matched, letters, _ in rows]
    return np.asarray((logit < 0) & np.array(rest))


def _fitted(asked: Mapping[tuple[str, str], Rows], without: str = "") -> Rows:
    """Constants from all pairs that do not involve a collection; own queries count as much as all foreign ones."""
    rows, own, weights = [], [], []
    names = {corpus for corpus, _ in asked}
    for (corpus, queries), found in asked.items():
        if without not in (corpus, queries) and not _related(corpus, queries):
            rows.append(found)
            own.append(np.full(len(found), corpus == queries))
            weights.append(np.full(len(found), float(len(names)) if corpus == queries else 1.0))
    return fit(np.concatenate(rows), np.concatenate(own), np.concatenate(weights))


def _related(corpus: str, queries: str) -> bool:
    return {corpus, queries} in RELATED


# --- telling


def summary(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Figures for the report: shares of queries flagged, by the product's constants and by those fitted without."""
    asked: Mapping[tuple[str, str], Rows] = raw["asked"]
    names = list(raw["calibrations"])
    sets = {}
    for name in names:
        left_out = _fitted(asked, name)
        foreign = [other for other in names if other != name and not _related(name, other)]
        sets[name] = {
            **raw["calibrations"][name],
            "queries": len(asked[name, name]),
            "own": _share(asked[name, name][:, 3]),
            "own_by_meaning_alone": _share(raw["semantic"][name, name][:, 3]),
            "foreign": {other: _share(asked[name, other][:, 3]) for other in foreign},
            "left_out": {
                "constants": left_out.round(2).tolist(),
                "own": _share(_flagged(asked[name, name], left_out)),
                "foreign": {other: _share(_flagged(asked[name, other], left_out)) for other in foreign},
            },
            "hits": _reliability(raw["hits"][name]),
        }
    goals = {
        f"{queries} queries, {corpus}": _share(raw["semantic"][corpus, queries][:, 3])
        for queries, corpus in GOALS
    }
    return {
        "commit": machine.commit(),
        "machine": machine.describe(),
        "constants": _constants(),
        "fitted": _fitted(asked).round(2).tolist(),
        "foreign_by_meaning_alone": goals,
        "sets": sets,
    }


def _share(flags: Any) -> float:
    return round(float(np.mean(flags)), 4)


def _constants() -> list[float]:
    """Those in the product, read off its own function."""
    base = float(evidence(np.float32(0), np.float32(0)))
    near = float(evidence(np.float32(1), np.float32(0))) - base
    return [round(near, 2), round(float(evidence(np.float32(0), np.float32(1))) - base, 2), round(base, 2)]


def _reliability(hits: list[tuple[float, bool]]) -> list[dict[str, float]]:
    """By bins of relevance: how many hits, their mean relevance, and the share that was judged relevant."""
    values, judged = np.array([value for value, _ in hits]), np.array([good for _, good in hits])
    found = []
    for low, high in pairwise(BINS):
        inside = (values >= low) & ((values < high) | (high == BINS[-1]))
        if inside.any():
            row = {"from": low, "hits": int(inside.sum()), "said": _share(values[inside])}
            found.append({**row, "judged": _share(judged[inside])})
    return found


def tables(figures: Mapping[str, Any]) -> list[Table]:
    """What docs/decisions/relevance.md shows."""
    return [_verdicts(figures), _pairs(figures), _bins(figures)]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def _verdicts(figures: Mapping[str, Any]) -> Table:
    heading = [
        "corpus",
        "floor",
        "ceiling",
        "calibrated in",
        "own flagged",
        "by meaning alone",
        "left out",
        "foreign flagged",
    ]
    rows = [[*heading, "left out"]]
    for name, row in figures["sets"].items():
        without = row["left_out"]
        rows.append(
            [name, f"{row['floor']:.2f}", f"{row['ceiling']:.2f}", f"{row['seconds']:.2f} s"]
            + [_percent(row["own"]), _percent(row["own_by_meaning_alone"]), _percent(without["own"])]
            + [_percent(float(np.mean(list(part.values())))) for part in (row["foreign"], without["foreign"])]
        )
    note = (
        f"Constants in the product {figures['constants']}, fitted anew on all {figures['fitted']} (near, match, base)."
        " “Left out”: fitted on all pairs in which the collection is neither corpus nor queries."
    )
    return Table("verdicts", "Queries flagged as foreign", rows, note)


def _pairs(figures: Mapping[str, Any]) -> Table:
    names = list(figures["sets"])
    rows = [["corpus \\ queries of", *names]]
    for corpus in names:
        row = figures["sets"][corpus]
        shares = {**row["foreign"], corpus: row["own"]}
        rows.append([corpus, *(_percent(shares.get(queries)) for queries in names)])
    alone = ", ".join(
        f"{name} {_percent(share)}" for name, share in figures["foreign_by_meaning_alone"].items()
    )
    left_out = [
        f"{queries} queries, {corpus} {_percent(figures['sets'][corpus]['left_out']['foreign'][queries])}"
        for queries, corpus in GOALS
        if {queries, corpus} <= set(names)
    ]
    note = (
        f"A dash: the two are about the same things. By meaning alone: {alone}."
        f" With the corpus left out of the fit: {', '.join(left_out) or 'not measured'}."
    )
    return Table("pairs", "Each pair", rows, note)


def _bins(figures: Mapping[str, Any]) -> Table:
    rows = [["relevance from", *(name for name in figures["sets"])]]
    for low in BINS[:-1]:
        cells = []
        for row in figures["sets"].values():
            bin_ = next((one for one in row["hits"] if one["from"] == low), None)
            cells.append("–" if bin_ is None else f"{bin_['judged']:.2f} ({bin_['hits']})")
        rows.append([f"{low:.1f}", *cells])
    full = ", ".join(JUDGED_IN_FULL)
    note = f"The share of hits judged relevant (of how many); judged deeply enough to compare with: {full}."
    return Table("bins", f"Relevance against judgements, first {HITS} hits", rows, note)


def markdown(figures: Mapping[str, Any]) -> str:
    """The report."""
    parts = [f"# Relevance, commit {figures['commit']}, {figures['machine']['processor']}"]
    parts += [f"## {table.title}\n\n{table.markdown()}" for table in tables(figures)]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=machine.ROOT.parent / "shared" / "bench", metavar="DIR")
    parser.add_argument("--reuse", type=Path, metavar="DIR")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--sets", nargs="*", default=list(SETS), metavar="NAME")
    arguments = parser.parse_args()
    folders = [arguments.data / name for name in arguments.sets]
    datasets = {folder.name: Dataset.load(folder) for folder in folders if folder.is_dir()}
    if len(datasets) < 2:
        raise SystemExit(f"{arguments.data} holds fewer than two judged collections as folders")
    figures = summary(measure(datasets, arguments.reuse))
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / f"{machine.commit().rstrip('+')}-{machine.name()}.json"
    file.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    file.with_suffix(".md").write_text(markdown(figures), "utf-8")
    print(markdown(figures))
    print(file, file=sys.stderr)


if __name__ == "__main__":
    main()
