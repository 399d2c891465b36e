"""Time several systems in the same minutes: a few queries of one, then of the next, round and round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.context import LIMIT, percentiles
from benchmarks.peers.client import Running

TURN = 10
WARM = 5


def search(
    processes: Mapping[str, Running], queries: Sequence[str], mode: str, limit: int = LIMIT, **options: Any
) -> dict[str, dict[str, Any]]:
    """Latency in milliseconds of each system and how many hits it gave; the first queries warm up unmeasured."""
    took: dict[str, list[float]] = {key: [] for key in processes}
    hits: dict[str, list[int]] = {key: [] for key in processes}
    cold = {
        key: process.search(queries=[queries[0]], mode=mode, limit=limit, **options)["ms"][0]
        for key, process in processes.items()
    }
    for process in processes.values():
        process.search(queries=list(queries[:WARM]), mode=mode, limit=limit, **options)
    for start in range(0, len(queries), TURN):
        turn = list(queries[start : start + TURN])
        for key, process in processes.items():
            answer = process.search(queries=turn, mode=mode, limit=limit, **options)
            took[key] += answer["ms"]
            hits[key] += [len(ids) for ids in answer["ids"]]
    return {
        key: {
            **percentiles(took[key]),
            "first": round(cold[key], 3),
            "full": round(sum(count == limit for count in hits[key]) / len(queries), 3),
        }
        for key in processes
    }


def encode(
    processes: Mapping[str, Running], file: str, count: int, rounds: int
) -> dict[str, list[dict[str, float]]]:
    """Embed the same texts by each system in turn, `rounds` times; what each round took."""
    for process in processes.values():
        process.encode(file=file, count=min(32, count))
    taken: dict[str, list[dict[str, float]]] = {key: [] for key in processes}
    for _ in range(rounds):
        for key, process in processes.items():
            taken[key].append(process.encode(file=file, count=count))
    return taken
