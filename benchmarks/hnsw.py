"""How the defaults of the vector index were chosen: python -m benchmarks.hnsw [--count N] [--only TABLE...]

Over real passage vectors and real queries (three keywords and ten-word sentences by turns) it measures: storage, M and
efConstruction against recall and time; what stands in for real queries when efSearch is chosen; exact search against
the graph under filters; copies of one text; many results; merging against rebuilding. docs/decisions/hnsw.md explains.

Times are processor time of the searching thread, which other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.__main__ import _context, _parser
from benchmarks.vectors import encoder_of
from benchmarks.vectors import ensure as ensure_vectors
from localsearch import quantize
from localsearch.settings import VectorSettings
from localsearch.types import Ids, Vectors
from localsearch.vectors import FaissIndex, Masked, plan, tuning
from localsearch.vectors.base import Base

QUERIES = 400
TARGET = 0.985
KINDS = (
    VectorSettings(),
    VectorSettings(ef_construction=100),
    VectorSettings(ef_construction=400),
    VectorSettings(m=16),
    VectorSettings(m=32),
    VectorSettings(storage="int16"),
    VectorSettings(storage="int8"),
    VectorSettings(storage="fp16"),
    VectorSettings(storage="fp32"),
)
BREADTHS = (64, 128, 192, 256, 384)
SHARES = (0.5, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.001)
Rows = list[dict[str, Any]]


class Study:
    """The vectors and queries, with their exact answers."""

    def __init__(self, vectors: Vectors, queries: Vectors, folder: Path) -> None:
        self.vectors = vectors
        self.queries = queries
        self.folder = folder
        self.truth = exact(vectors, queries, 100)
        self._default: FaissIndex | None = None

    def stream(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[Ids, Vectors]]:
        for at in range(start, stop or len(self.vectors), 2_000):
            some = self.vectors[at : min(at + 2_000, stop or len(self.vectors))]
            yield np.arange(at, at + len(some), dtype=np.int64), some

    def build(self, settings: VectorSettings, name: str) -> tuple[FaissIndex, float]:
        """An index of all vectors, and the processor seconds that its graph took."""
        index = FaissIndex.open(self.folder / name, self.vectors.shape[1], settings)
        began = time.process_time()
        index.publish(index.build(self.stream(), len(self.vectors)))
        return index, time.process_time() - began

    def default(self) -> FaissIndex:
        if self._default is None:
            self._default = self.build(VectorSettings(), "default")[0]
        return self._default


def exact(
    vectors: Vectors, queries: Vectors, k: int, allowed: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """The k nearest vectors to each query, best first."""
    found = np.empty((len(queries), k), np.int64)
    for row, query in enumerate(queries):
        scores = vectors @ query
        if allowed is not None:
            scores[~allowed] = -2
        near = np.argpartition(-scores, k)[:k]
        found[row] = near[np.argsort(-scores[near])]
    return found


def timed(
    search: Callable[[Vectors], Ids], queries: Vectors, truth: NDArray[np.int64]
) -> tuple[float, float]:
    """Recall, and the median milliseconds of processor time of a search."""
    took, hits = [], 0
    for query, right in zip(queries, truth):
        began = time.thread_time()
        found = search(query)
        took.append(time.thread_time() - began)
        hits += len(np.intersect1d(found, right))
    return round(hits / truth.size, 4), round(float(np.median(took)) * 1e3, 3)


def at_breadth(index: FaissIndex, ef_search: int) -> FaissIndex:
    """The same files searched with another efSearch."""
    assert index.generation is not None
    index.publish(replace(index.generation, ef_search=ef_search))
    return index


def kinds(study: Study) -> Rows:
    """Storage, M, efConstruction: recall@10 and milliseconds for each efSearch, bytes, build time."""
    rows: Rows = []
    for number, settings in enumerate(KINDS):
        index, seconds = study.build(settings, f"kind-{number}")
        assert index.generation is not None
        row: dict[str, Any] = {
            "storage": settings.storage,
            "m": settings.m,
            "ef_construction": settings.ef_construction,
            "bytes": round(sum(file.size for file in index.generation.files) / len(study.vectors)),
            "vectors_per_cpu_s": round(len(study.vectors) / seconds),
            "chosen": index.generation.ef_search,
        }
        fetch = _fetch(study.vectors) if settings.storage == "int8" else None
        for ef_search in (row["chosen"], *BREADTHS):
            at_breadth(index, ef_search)
            recall, ms = timed(
                lambda q: index.search(q, 10, None, fetch).ids, study.queries, study.truth[:, :10]
            )
            row["default" if "default" not in row else f"ef {ef_search}"] = f"{recall:.4f} / {ms:.2f}"
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def _fetch(vectors: Vectors) -> Callable[[Ids], tuple[Ids, Vectors]]:
    return lambda ids: (np.sort(ids), vectors[np.sort(ids)])


def stand_ins(study: Study) -> Rows:
    """What can stand in for real queries: recall@10 of the walk for each efSearch."""
    graph = _base(study.default()).graph
    nodes = np.arange(len(graph))
    random = np.random.default_rng(7)
    one, other = (graph.vectors(random.choice(nodes, tuning.SAMPLE)) for _ in range(2))
    asked = {"keywords": study.queries[0::2], "sentences": study.queries[1::2], "passages of the index": one}
    for weight in (0.3, 0.5, 0.6, 0.7, 1.0):
        mixed = one + np.float32(weight) * other
        asked[f"x + {weight} y"] = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    rows: Rows = []
    for name, queries in asked.items():
        truth = tuning.nearest(graph, queries, nodes)
        row: dict[str, Any] = {"queries": name}
        for ef_search in (32, *BREADTHS):
            found = [graph.search(query, 10, ef_search)[0] for query in queries]
            recall = sum(len(np.intersect1d(a, b)) for a, b in zip(truth, found)) / (10 * len(queries))
            row[f"ef {ef_search}"] = round(recall, 4)
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def filters(study: Study) -> Rows:
    """Exact search of what a filter lets through against the graph, and what the index does by itself."""
    index, rows = study.default(), []
    base = _base(index)
    for share in SHARES:
        allowed = np.random.default_rng(5).random(len(study.vectors)) < share
        count = int(allowed.sum())
        truth = exact(study.vectors, study.queries, 10, allowed)
        nodes = base.entries.per_node(allowed)
        bits = np.packbits(nodes, bitorder="little")
        wanted = plan.ef_search(base.generation.ef_search, 10, count / len(base.graph))
        ways: dict[str, Callable[[Vectors], Ids]] = {
            "exact": lambda q: _ids(base, base.graph.search_exactly(q, 10, np.flatnonzero(nodes))[0]),
            "graph": lambda q: _ids(base, base.graph.search(q, 10, wanted, bits)[0]),
            "index": lambda q: index.search(q, 10, Masked(allowed)).ids,
        }
        row: dict[str, Any] = {"share": share, "allowed": count, "ef": wanted}
        for name, way in ways.items():
            recall, ms = timed(way, study.queries[:150], truth[:150])
            row[name] = f"{recall:.4f} / {ms:.2f}"
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def _base(index: FaissIndex) -> Base:
    base = index._state.base
    assert base is not None
    return base


def _ids(base: Base, nodes: NDArray[np.int64]) -> Ids:
    return base.entries.ids[base.entries.first[nodes]]


def many(study: Study) -> Rows:
    """Recall when many results are wanted."""
    index, rows = study.default(), []
    for k in (10, 20, 50, 100):
        recall, ms = timed(lambda q: index.search(q, k).ids, study.queries, study.truth[:, :k])
        first, _ = timed(lambda q: index.search(q, k).ids[:10], study.queries, study.truth[:, :10])
        rows.append({"k": k, "recall@k": recall, "recall@10": first, "ms": ms})
    return rows


def copies(study: Study) -> Rows:
    """Twenty passages with 500 copies each, among 20,000: with shared nodes, and as nodes of their own."""
    vectors = np.concatenate([study.vectors[:20_000], np.repeat(study.vectors[:20], 500, axis=0)])
    vectors = vectors[np.random.default_rng(3).permutation(len(vectors))]
    best = np.sort(vectors @ study.queries.T, axis=0)[::-1][:10].T
    rows: Rows = []
    for name, told_apart in (("shared nodes", 0.0), ("nodes of their own", 2e-4)):
        # Copies that differ in the last bits are no copies to the index, and all but copies to the graph.
        noise = np.random.default_rng(4).standard_normal(vectors.shape).astype(np.float32) * told_apart
        index = FaissIndex.open(
            study.folder / f"copies-{told_apart}", vectors.shape[1], VectorSettings(ef_search=192)
        )
        index.publish(index.build([(np.arange(len(vectors)), vectors + noise)], len(vectors)))
        assert index.generation is not None
        close = [np.abs(index.search(q, 10).scores - right) < 2e-3 for q, right in zip(study.queries, best)]
        rows.append(
            {"copies as": name, "nodes": index.generation.nodes, "recall@10": round(float(np.mean(close)), 4)}
        )
    return rows


def merging(study: Study) -> Rows:
    """Ten merges of a tenth each, with a hundredth deleted each time, against one build of the same."""
    count = len(study.vectors)
    index = FaissIndex.open(study.folder / "merged", study.vectors.shape[1], VectorSettings())
    began = time.process_time()
    for start in range(0, count, count // 10):
        for ids, vectors in study.stream(start, min(start + count // 10, count)):
            index.add(ids, vectors)
        if start:
            index.remove(np.arange(start - count // 10, start - count // 10 + count // 100))
        index.publish(index.merge())
    merged = time.process_time() - began
    live = np.zeros(count, np.bool_)
    live[index.ids()] = True
    truth = exact(study.vectors, study.queries, 10, live)
    rows: Rows = []
    for name in ("ten merges", "rebuilt"):
        recall, ms = timed(lambda q: index.search(q, 10).ids, study.queries, truth)
        assert index.generation is not None
        rows.append(
            {"built by": name, "cpu_s": round(merged), "ghosts": index.generation.tombstones}
            | {"ef": index.generation.ef_search, "recall@10": recall, "ms": ms}
        )
        began = time.process_time()
        if name == "ten merges":
            kept = np.flatnonzero(live)
            index.publish(index.build([(kept, study.vectors[kept])], len(kept)))
            merged = time.process_time() - began
    return rows


TABLES: dict[str, Callable[[Study], Rows]] = {
    "kinds": kinds,
    "stand_ins": stand_ins,
    "filters": filters,
    "many": many,
    "copies": copies,
    "merging": merging,
}


def markdown(rows: Rows) -> str:
    """A table of rows that share their keys."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([str(row.get(name, "")) for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def run(out: Path, quick: bool, count: int = 100_000, only: tuple[str, ...] = ()) -> dict[str, Any]:
    """Measure the tables over the first `count` passages (10,000 if quick) and write them as JSON and Markdown."""
    context = _context(_parser().parse_args(["--quick"] if quick else []))
    count = 10_000 if quick else count
    vectors = np.load(ensure_vectors(context, count)).astype(np.float32)
    vectors = quantize.rounded(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    encoder = encoder_of(context)
    queries = np.stack([encoder.encode_query(text) for text in context.queries(QUERIES)])
    figures: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    with tempfile.TemporaryDirectory(prefix="hnsw-", dir=context.cache) as folder:
        study = Study(vectors, queries, Path(folder))
        for name in only or TABLES:
            figures[name] = {"vectors": count, "rows": TABLES[name](study)}
            out.write_text(json.dumps(figures, indent=1))
            print(f"\n{name}\n{markdown(figures[name]['rows'])}\n", flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--quick", action="store_true", help="10,000 vectors")
    parser.add_argument("--only", nargs="*", choices=list(TABLES), default=[])
    parser.add_argument("--out", type=Path, default=Path("hnsw.json"))
    arguments = parser.parse_args()
    run(arguments.out, arguments.quick, arguments.count, tuple(arguments.only))


if __name__ == "__main__":
    main()
