"""A million passages on one machine beside a hundred thousand: python -m benchmarks.million [--count N] [--out FILE]

Texts are real: the documentation packages of packages.txt and packages-large.txt, whole. Embedding them all would take
hours, so the first 20,000 have their own vectors and each of the rest has one made of two of these,
(x + y / 2) / |x + y / 2|, both drawn at random (seed 7): about .89 from one real vector and spread as real ones are. So the
times, the memory and the recall of the graph are those of a million; which passages are found by meaning says nothing.

Both sizes are asked by turns in one run. Growth is the ratio of p50 at the larger size to the smaller.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import homes, machine, passages
from benchmarks.__main__ import _context, _parser
from benchmarks.context import FULL, LIMIT, Context, percentiles
from benchmarks.suites import scale
from benchmarks.vectors import encoder_of, ensure
from localsearch.types import Ids, Vectors
from localsearch.vectors import FaissIndex

SMALLER = 100_000
REAL = 20_000
PIECE = 50_000
K = 10
ASKED = 200
TURN = 10
"""Questions to one size before the other is asked."""
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
    counts = (SMALLER, count)
    built = {size: homes.ensure(context, size) for size in counts}
    asked = _asked(context, {size: home for size, (home, _) in built.items()})
    sizes = {
        size: {**_built(size, built[size][1]), **asked[size], "graph": _graph(context, size)}
        for size in counts
    }
    small, large = (asked[size] for size in counts)
    return {
        "commit": machine.commit(),
        "machine": machine.describe(),
        "sizes": {str(size): figures for size, figures in sizes.items()},
        "growth": {mode: round(large[mode]["p50"] / small[mode]["p50"], 2) for mode in scale.MODES},
        "own_bytes_per_passage": _own(small, large, count - SMALLER),
        "merges": _merges(context, count),
        "load_after": os.getloadavg()[0],
    }


def _built(count: int, built: dict[str, Any]) -> dict[str, Any]:
    return {
        "built_by": built["commit"],
        "words_s": round(built["words_s"], 1),
        "vectors_s": round(built["vectors_s"], 1),
        "disk_bytes_per_passage": {
            name: round(size / count, 1) for name, size in built["parts"].items() if size > count
        },
    }


def _asked(context: Context, found: Mapping[int, str]) -> dict[int, dict[str, Any]]:
    """Seconds to open, memory, and latency of each size, ten questions to one and then to the other."""
    questions = context.queries(context.sizes.queries)
    others = context.queries(context.sizes.queries, start=len(questions))
    figures: dict[int, dict[str, Any]] = {size: {} for size in found}
    with ExitStack() as stack:
        running = {size: stack.enter_context(context.ours()) for size in found}
        for size, process in running.items():
            figures[size]["open_s"] = round(process.open(home=found[size]), 3)
            figures[size]["opened_mb"] = _memory(process.process.pid)
        for mode in scale.MODES:
            took: dict[int, list[float]] = {size: [] for size in found}
            for process in running.values():
                process.search(queries=others, mode=mode, limit=LIMIT)
            for start in range(0, len(questions), TURN):
                for size, process in running.items():
                    some = questions[start : start + TURN]
                    took[size] += process.search(queries=some, mode=mode, limit=LIMIT)["ms"]
            for size, sample in took.items():
                figures[size][mode] = percentiles(sample)
        for size, process in running.items():
            figures[size]["asked_mb"] = _memory(process.process.pid)
            process.close()
    return figures


def _memory(pid: int) -> dict[str, float]:
    """Megabytes that are resident, and those of them that no file backs."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "RssAnon"))}
    return {"resident": round(int(values["VmRSS"]) / 1024, 1), "own": round(int(values["RssAnon"]) / 1024, 1)}


def _own(small: dict[str, Any], large: dict[str, Any], more: int) -> dict[str, float]:
    """Bytes that no file backs, for each passage more: when opened, and after all questions."""
    return {
        name: round((large[name]["own"] - small[name]["own"]) * 2**20 / more, 1)
        for name in ("opened_mb", "asked_mb")
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
