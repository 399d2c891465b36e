"""When to search exactly and how widely to search the graph: figures measured in docs/decisions/hnsw.md."""

from __future__ import annotations

from math import ceil, sqrt

EXACT_BELOW = 2_000
EXACT_SHARE = 0.03
WIDEST = 2_048


def is_exact_cheaper(count: int, total: int, k: int) -> bool:
    """Whether comparing the query with each of the `count` allowed vectors beats walking the graph of `total`."""
    return count <= max(EXACT_BELOW, EXACT_SHARE * total, 2 * k)


def breadth(chosen: int, k: int, share: float) -> int:
    """The efSearch for k results when this share of the graph may appear among them."""
    return min(WIDEST, ceil(max(chosen, 1.5 * k) / sqrt(max(share, 0.01))))
