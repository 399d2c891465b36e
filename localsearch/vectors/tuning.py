"""Choose efSearch for a graph by measuring its recall. For `vectors.build` only."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import cache

import numpy as np

from localsearch.types import Vectors
from localsearch.vectors.delta import Mask
from localsearch.vectors.graph import Graph, Nodes, use_threads

SAMPLE = 1_000
"""Queries that recall is measured on: it is then within 0.003, which is what a quarter of efSearch changes."""
FEWEST = 100
"""Queries that are enough; with fewer, blends stand in."""
NEIGHBOURS = 10
BLEND = 0.6
_BLOCK = 4_096
BREADTHS = (32, 48, 64, 80, 96, 112, 128, 144, 160, 192, 224, 256, 320, 384, 448, 512)


def choose_ef_search(
    graph: Graph, live: Mask, target: float, queries: Vectors | None, step: Callable[[], None]
) -> tuple[int, float]:
    """The smallest efSearch whose recall@10 meets the target, and that recall; `step` is called between measurements.

    `queries` are best what people ask, or what they might (`derived.embedder.questions`). Without enough of them
    blends of two vectors of the graph stand in, which are harder. A vector of the graph itself would be far too easy:
    efSearch 32 does for it where real queries need 200 (docs/decisions/hnsw.md).
    """
    use_threads(1)
    nodes = np.flatnonzero(live)
    if len(nodes) <= NEIGHBOURS:
        return BREADTHS[0], 1.0
    asked = queries[-SAMPLE:] if queries is not None and len(queries) >= FEWEST else blends(graph, nodes)
    truth = nearest(graph, asked, nodes)
    bits = None if live.all() else np.packbits(live, bitorder="little")

    @cache
    def recall(ef_search: int) -> float:
        step()
        found = [graph.search(query, NEIGHBOURS, ef_search, bits)[0] for query in asked]
        return _shared(truth, found) / (NEIGHBOURS * len(asked))

    if (
        recall(BREADTHS[0]) >= target
    ):  # so it is for most small indexes, and no other breadth is as soon measured
        return BREADTHS[0], recall(BREADTHS[0])
    chosen = bisect_left(BREADTHS, target, lo=1, hi=len(BREADTHS) - 1, key=recall)
    return BREADTHS[chosen], recall(BREADTHS[chosen])


def _shared(truth: Nodes, found: list[Nodes]) -> int:
    """How many of the true neighbours were found, over all queries; where some are as near, more than ten are found."""
    held = np.full((len(found), max(map(len, found))), -1, np.int64)
    for row, nodes in zip(held, found):
        row[: len(nodes)] = nodes
    return int((truth[:, :, None] == held[:, None, :]).sum())


def blends(graph: Graph, nodes: Nodes) -> Vectors:
    """Return unit vectors between two topics, x + 0.6 y: about as hard to find neighbours for as people's queries."""
    random = np.random.default_rng(len(graph))
    one, other = (graph.vectors(random.choice(nodes, SAMPLE)) for _ in range(2))
    mixed = one + np.float32(BLEND) * other
    unit: Vectors = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-6)
    return unit


def nearest(graph: Graph, queries: Vectors, nodes: Nodes) -> Nodes:
    """The ten nearest of these nodes to each query, shape (n, 10), exactly, in blocks of bounded memory."""
    held = np.empty((len(queries), 0), np.int64)
    scores = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(nodes), _BLOCK):
        block = nodes[start : start + _BLOCK]
        held = np.concatenate([held, np.broadcast_to(block, (len(queries), len(block)))], axis=1)
        scores = np.concatenate([scores, queries @ graph.vectors(block).T], axis=1)
        kept = np.argpartition(-scores, min(NEIGHBOURS, scores.shape[1]) - 1, axis=1)[:, :NEIGHBOURS]
        held, scores = np.take_along_axis(held, kept, 1), np.take_along_axis(scores, kept, 1)
    return held
