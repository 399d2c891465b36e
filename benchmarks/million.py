"""A million passages on one machine beside a hundred thousand: python -m benchmarks.million [--count N] [--out FILE]

Texts are real: the documentation packages of packages.txt and packages-large.txt, whole. Embedding them all would take
hours, so the first 20,000 have their own vectors and each of the rest has one made of two of these,
(x + y / 2) / |x + y / 2|, both drawn at random (seed 7): about .89 from one real vector and spread as real ones are. So the
times, the memory and the recall of the graph are those of a million; which passages are found by meaning says nothing.

Both sizes are built and asked in one run. Growth is the ratio of p50 at the larger size to the smaller.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import homes, machine, passages
from benchmarks.__main__ import _context, _parser
from benchmarks.context import FULL, Context
from benchmarks.suites import memory, scale
from benchmarks.vectors import encoder_of, ensure
from localsearch.types import Ids, Vectors
from localsearch.vectors import FaissIndex

SMALLER = 100_000
REAL = 20_000
PIECE = 50_000
K = 10
ASKED = 200
GROWTHS = (1_000, 20_000)


class Large(Context):
    """The passages of all packages, with vectors of which most are made."""

    @property
    def passages(self) -> Path:
        return passages.build_large(self.cache)

    def vectors(self, count: int) -> Path:
        file = self.cache / f"made-{count}.npy"
        if not file.exists():
            real = np.load(ensure(self, REAL)).astype(np.float32)
            _write(file, made(real, count))
        return file.absolute()


def made(real: Vectors, count: int) -> Iterator[Vectors]:
    """The real vectors, then blends of two of them up to `count`, in pieces; unit length, shape (n, dimensions)."""
    yield real[:count]
    random = np.random.default_rng(7)
    for start in range(len(real), count, PIECE):
        size = min(PIECE, count - start)
        blend = real[random.integers(len(real), size=size)] + real[random.integers(len(real), size=size)] / 2
        yield blend / np.linalg.norm(blend, axis=1, keepdims=True)


def _write(file: Path, pieces: Iterator[Vectors]) -> None:
    partial = file.with_suffix(".partial")
    with partial.open("wb") as out:
        np.save(out, np.concatenate([piece.astype(np.float16) for piece in pieces]))
    partial.rename(file)


def run(context: Context, count: int) -> dict[str, Any]:
    """Figures of both sizes, what of them grows by how much, and what merges at the larger size cost."""
    sizes = {str(size): _of(context, size) for size in (SMALLER, count)}
    small, large = sizes.values()
    grown = {mode: round(large[mode]["p50"] / small[mode]["p50"], 2) for mode in scale.MODES}
    own = (large["memory"]["steady_own"] - small["memory"]["steady_own"]) * 2**20 / (count - SMALLER)
    return {
        "machine": machine.describe(),
        "sizes": sizes,
        "growth": grown,
        "own_bytes_per_passage": round(own, 1),
        "merges": _merges(context, count),
    }


def _of(context: Context, count: int) -> dict[str, Any]:
    return {
        **scale.of(context, count),
        "memory": memory.of(context, count),
        "graph": _graph(context, count),
    }


def _index(context: Context, count: int, copy: Path | None = None) -> FaissIndex:
    home, _ = homes.ensure(context, count)
    folder = next(Path(home, "vectors").iterdir())
    dimensions = encoder_of(context).dimensions
    if copy is None:
        return FaissIndex.open(folder, dimensions, writable=False)
    shutil.copytree(folder, copy / "index")
    return FaissIndex.open(copy / "index", dimensions)


def _graph(context: Context, count: int) -> dict[str, Any]:
    """Recall@10 of the graph against exact search, for real questions, and processor milliseconds a search."""
    encoder = encoder_of(context)
    queries = [encoder.encode_query(text) for text in context.queries(ASKED)]
    index = _index(context, count)
    index.search(queries[0], K)
    took, found = [], 0
    for query in queries:
        began = time.thread_time()
        ranking = index.search(query, K)
        took.append((time.thread_time() - began) * 1e3)
        exact = index.search(query, K, exact=True)
        found += len(set(ranking.ids.tolist()) & set(exact.ids.tolist()))
    generation = index.generation
    assert generation
    return {
        "recall": round(found / (K * len(queries)), 4),
        "cpu_ms": round(float(np.median(took)), 3),
        "ef_search": generation.ef_search,
        "bytes_per_vector": round(sum(file.size for file in generation.files) / count, 1),
    }


def _merges(context: Context, count: int) -> list[dict[str, Any]]:
    """Seconds to merge so many new vectors into the graph of `count`."""
    real = np.load(ensure(context, REAL)).astype(np.float32)
    rows = []
    with context.folder() as folder:
        index = _index(context, count, Path(folder))
        first = int(index.ids()[-1]) + 1
        for size in GROWTHS:
            index.add(np.arange(first, first + size), _new(real, size, first))
            rows.append({"new": size, **_merge(index, real)})
            first += size
    return rows


def _new(real: Vectors, size: int, seed: int) -> Vectors:
    random = np.random.default_rng(seed)
    chosen: Ids = random.integers(len(real), size=(2, size))
    blend = real[chosen[0]] + real[chosen[1]] / 2
    return np.asarray(blend / np.linalg.norm(blend, axis=1, keepdims=True), np.float32)


def _merge(index: FaissIndex, real: Vectors) -> dict[str, float]:
    began, cpu = time.perf_counter(), time.process_time()
    index.publish(index.merge(queries=real[:1_000]))
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = _parser()
    parser.description = __doc__
    parser.add_argument("--count", type=int, default=1_000_000)
    given = parser.parse_args(arguments)
    base = _context(given)
    sizes = replace(FULL, corpus=(SMALLER, given.count), embedded=given.count)
    context = Large(base.cache, base.data, base.models, sizes, log=base.log, reuse=base.reuse)
    text = json.dumps(run(context, given.count), indent=1) + "\n"
    print(text)
    folder = given.out / "million"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{machine.commit()}-{machine.name()}.json").write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
