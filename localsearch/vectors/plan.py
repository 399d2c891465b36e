"""Decide when to search exactly, and with which efSearch. Figures: docs/decisions/hnsw.md. For `vectors.base` only."""

from __future__ import annotations

from math import ceil, sqrt

VECTORS_PER_BREADTH = {"int8": 20, "int12": 20, "int16": 20, "fp16": 8, "fp32": 8}
"""How many vectors are compared exactly in the time that the graph takes for one more of efSearch."""
WIDEST = 2_048


def ef_search(chosen: int, k: int, share: float) -> int:
    """The efSearch for k results when this share of the graph may appear among them."""
    return min(WIDEST, ceil(max(chosen, 2 * k) / sqrt(max(share, 1e-4))))


def is_exact_cheaper(count: int, wanted: int, storage: str) -> bool:
    """Whether comparing with each of `count` vectors costs less than walking the graph with efSearch `wanted`."""
    return count <= VECTORS_PER_BREADTH[storage] * wanted
