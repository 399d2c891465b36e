"""The vector index alone: recall@10 against exact search and latency, for several breadths and under filters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import passages
from benchmarks import vectors as kept
from benchmarks.context import Context, percentiles
from benchmarks.vectors import ensure as ensure_vectors
from localsearch.settings import VectorSettings
from localsearch.text import question
from localsearch.types import Ids, Ranking, Vectors
from localsearch.vectors import FaissIndex, Masked, tuning

K = 10
BREADTHS = (16, 32, 64, 128, 256)
SHARES = {"10%": 100, "1%": 10, "0.1%": 1}
BATCH = 2000
Search = Callable[[Vectors], Ranking]


def run(context: Context) -> dict[str, Any]:
    """Build an index of the embedded passages with default settings and ask it real queries."""
    count = context.sizes.embedded
    vectors = np.load(ensure_vectors(context, count)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    encoder = kept.encoder_of(context)
    queries = np.stack([encoder.encode_query(text) for text in context.queries(context.sizes.queries)])
    asked = _questions(context, encoder, count)
    context.say(f"ann: {count} vectors")
    with context.folder() as folder:
        index, built = _build(folder, vectors, asked)
        return {"vectors": count, "build": built, **_measured(index, vectors, queries), "note": _note(count)}


def _note(count: int) -> str:
    return (
        f"{count:,} vectors of passages, real queries, one thread, the {K} best, coarse int8 scores made exact from"
        " full vectors as a search does. `default` is the breadth that the build chose for its recall target."
    )


def _questions(context: Context, encoder: Any, count: int) -> Vectors:
    """What a build asks to choose efSearch, made as the product makes it, from the last passages: the queries that
    measure are made from the first."""
    last = passages.read(context.passages, tuning.SAMPLE, start=max(0, count - tuning.SAMPLE))
    texts = [question(passage.text, number) for number, passage in enumerate(last)]
    return np.stack([encoder.encode_query(text) for text in texts if text])


def _build(folder: str, vectors: Vectors, asked: Vectors) -> tuple[FaissIndex, dict[str, Any]]:
    from pathlib import Path

    index = FaissIndex.open(Path(folder) / "ann", vectors.shape[1], VectorSettings())
    began = time.perf_counter()
    generation = index.build(_stream(vectors), len(vectors), queries=asked)
    index.publish(generation)
    seconds = time.perf_counter() - began
    graph = sum(file.stat().st_size for file in (Path(folder) / "ann").iterdir())
    return index, {
        "seconds": round(seconds, 2),
        "vectors_per_s": round(len(vectors) / seconds, 1),
        "bytes_per_vector": round(graph / len(vectors), 1),
        "ef_search": generation.ef_search,
        "storage": generation.storage,
    }


def _stream(vectors: Vectors) -> Iterator[tuple[Ids, Vectors]]:
    for start in range(0, len(vectors), BATCH):
        batch = vectors[start : start + BATCH]
        yield np.arange(start, start + len(batch), dtype=np.int64), batch


def _measured(index: FaissIndex, vectors: Vectors, queries: Vectors) -> dict[str, Any]:
    generation = index.generation
    assert generation is not None
    truth = [_exact(vectors, query) for query in queries]
    points = [_point("default", _search(index, vectors), queries, truth)]
    filtered = {share: _filtered(index, vectors, queries, keep) for share, keep in SHARES.items()}
    for breadth in BREADTHS:
        # The same files, searched more or less widely: what differs is in the manifest alone.
        index.publish(replace(generation, ef_search=breadth))
        point = _point(f"efSearch {breadth}", _search(index, vectors), queries, truth)
        points.append(point | {"curve": True})
    flat = _point("exact", _search(index, vectors, exact=True), queries[:50], truth[:50])
    points += [{**row, "name": f"default, {share} filter"} for share, row in filtered.items()]
    return {"default": points[0], "points": [*points, flat], "filtered": filtered}


def _search(
    index: FaissIndex, vectors: Vectors, allowed: NDArray[np.bool_] | None = None, exact: bool = False
) -> Search:
    def fetch(ids: Ids) -> tuple[Ids, Vectors]:
        ordered = np.sort(ids)
        return ordered, vectors[ordered]

    chosen = None if allowed is None else Masked(allowed)
    return lambda query: index.search(query, K, chosen, fetch, exact=exact)


def _exact(vectors: Vectors, query: Vectors, allowed: NDArray[np.bool_] | None = None) -> set[int]:
    scores = vectors @ query
    if allowed is not None:
        scores[~allowed] = -2
    return set(np.argpartition(-scores, K)[:K].tolist())


def _filtered(index: FaissIndex, vectors: Vectors, queries: Vectors, keep: int) -> dict[str, Any]:
    allowed = np.arange(len(vectors)) % 1000 < keep
    truth = [_exact(vectors, query, allowed) for query in queries]
    return _point("", _search(index, vectors, allowed), queries, truth)


def _point(name: str, search: Search, queries: Vectors, truth: list[set[int]]) -> dict[str, Any]:
    for query in queries[:20]:
        search(query)
    took, found = [], 0
    for query, right in zip(queries, truth):
        began = time.perf_counter()
        ranking = search(query)
        took.append((time.perf_counter() - began) * 1e3)
        found += len(right.intersection(ranking.ids.tolist()))
    return {"name": name, "recall": round(found / (K * len(truth)), 5), **percentiles(took)}
