"""Building a graph: from a stream of vectors, or from a base and what was added to it, in the background."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from localsearch.errors import CancelledError, DamagedError
from localsearch.settings import VectorSettings
from localsearch.types import Cancelled, Ids, Progress, Report, Vectors
from localsearch.vectors.graph import Graph, Mask, use_threads

SLICE = 1_024
TRAINING = 20_000
SAMPLE = 200
_BREADTHS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True, slots=True)
class Built:
    """A finished graph, its ids by position, and the efSearch chosen for it with the recall measured there."""

    graph: Graph
    ids: Ids
    ef_search: int
    recall: float


@dataclass(frozen=True, slots=True)
class Work:
    """What every step of a build is given."""

    settings: VectorSettings
    threads: int
    total: int
    report: Report
    cancelled: Cancelled

    def step(self, done: int) -> None:
        """Say how far the build is; stop it if asked to."""
        if self.cancelled():
            raise CancelledError(
                "Building the vector index was stopped.", hint="It starts again when next needed."
            )
        self.report(Progress("merge", done, max(self.total, done), "vectors"))


def from_stream(stream: Iterable[tuple[Ids, Vectors]], dimensions: int, work: Work) -> Built:
    """Build from batches of any size; memory is that of the graph and, for int8, of 20,000 training vectors."""
    graph = Graph.new(dimensions, work.settings)
    slices = sliced(stream, dimensions)
    held: list[tuple[Ids, Vectors]] = []
    if not graph.trained:
        for item in slices:
            held.append(item)
            if sum(len(ids) for ids, _ in held) >= TRAINING:
                break
        sample = np.concatenate([vectors for _, vectors in held] or [np.zeros((1, dimensions), np.float32)])
        graph.train(sample)
    return _add(graph, [], held, slices, work)


def from_base(graph: Graph, ids: Ids, ghosts: Ids, ids_added: Ids, vectors: Vectors, work: Work) -> Built:
    """Extend a graph read into memory: haunt the positions in `ghosts`, then add what is new."""
    ids = ids.copy()
    ids[ghosts] = -1
    graph.haunt(ghosts)
    return _add(graph, [ids], [], sliced([(ids_added, vectors)], graph.dimensions), work)


def sliced(stream: Iterable[tuple[Ids, Vectors]], dimensions: int) -> Iterator[tuple[Ids, Vectors]]:
    """The same vectors in batches of about 1,024; DamagedError for one that is not finite or of another size."""
    held_ids: list[Ids] = []
    held: list[Vectors] = []
    for ids, vectors in stream:
        check_vectors(ids, vectors, dimensions)
        for start in range(0, len(ids), SLICE):
            held_ids.append(ids[start : start + SLICE])
            held.append(vectors[start : start + SLICE])
            if sum(map(len, held_ids)) >= SLICE:
                yield np.concatenate(held_ids), np.concatenate(held)
                held_ids, held = [], []
    if held_ids:
        yield np.concatenate(held_ids), np.concatenate(held)


def check_vectors(ids: Ids, vectors: Vectors, dimensions: int) -> None:
    """Refuse vectors that no search could rank."""
    if vectors.shape != (len(ids), dimensions):
        raise ValueError(f"{len(ids)} ids with vectors of shape {vectors.shape}; dimensions are {dimensions}")
    fine = np.isfinite(vectors).all(axis=1)
    if not fine.all():
        raise DamagedError(
            f"The vector of chunk {ids[~fine][0]} is not finite.", hint="Run `localsearch check --repair`."
        )


def _add(
    graph: Graph,
    ids: list[Ids],
    held: list[tuple[Ids, Vectors]],
    more: Iterator[tuple[Ids, Vectors]],
    work: Work,
) -> Built:
    """Add batch by batch in a thread of low priority, whose OpenMP threads inherit it, then choose efSearch."""
    with ThreadPoolExecutor(1, "vectors", initializer=yield_to_searches) as worker:
        for source in (held, more):
            for new, vectors in source:
                worker.submit(graph.add, vectors, work.threads).result()
                ids.append(new)
                work.step(len(graph))
        held.clear()
        all_ids = np.concatenate(ids) if ids else np.empty(0, np.int64)
        ef_search, recall = worker.submit(choose_breadth, graph, all_ids >= 0, work).result()
    return Built(graph, all_ids, ef_search, recall)


def yield_to_searches() -> None:
    """Lower this thread's priority, where the system keeps one per thread (Linux)."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    except (AttributeError, OSError):
        return


def choose_breadth(graph: Graph, live: Mask, work: Work) -> tuple[int, float]:
    """The smallest efSearch whose recall@10 meets the target on vectors of the graph itself, and that recall.

    Each sampled vector asks for its ten nearest others; the truth is an exact search over the same stored vectors.
    """
    use_threads(1)
    chosen = np.random.default_rng(len(graph)).permutation(np.flatnonzero(live))[:SAMPLE]
    if len(chosen) < 2:
        return _BREADTHS[0], 1.0
    queries = graph.vectors(chosen)
    truth = [_others(graph.search_exactly(query, 11, live)[0], self) for query, self in zip(queries, chosen)]
    bits = None if live.all() else np.packbits(live, bitorder="little")
    recall = 0.0
    for ef_search in _BREADTHS:
        work.step(len(graph))
        found = [
            _others(graph.search(query, 11, ef_search, bits)[0], self) for query, self in zip(queries, chosen)
        ]
        recall = sum(len(set(a) & set(b)) for a, b in zip(truth, found)) / sum(map(len, truth))
        if recall >= work.settings.recall_target:
            return ef_search, recall
    return _BREADTHS[-1], recall


def _others(positions: Ids, self: int) -> list[int]:
    return [position for position in positions.tolist() if position != self][:10]


def threads_or_all(threads: int) -> int:
    """The threads to build with; 0 is all that this process may use."""
    return threads or (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
