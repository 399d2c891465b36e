"""Building a graph: from a stream of vectors, or from a base and what was added to it, in the background."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from localsearch.errors import CancelledError, DamagedError
from localsearch.settings import VectorSettings
from localsearch.types import Cancelled, Ids, Progress, Report, Vectors
from localsearch.vectors.base import Entries
from localsearch.vectors.codec import Codes
from localsearch.vectors.delta import Mask
from localsearch.vectors.graph import Graph, Nodes
from localsearch.vectors.tuning import choose_ef_search

SLICE = 1_024


@dataclass(frozen=True, slots=True)
class Built:
    """A finished graph, its entries in the order of nodes, and the efSearch chosen for it with the recall measured."""

    graph: Graph
    ids: Ids
    nodes: Nodes
    ef_search: int
    recall: float


@dataclass(frozen=True, slots=True)
class Work:
    """What every step of a build is given. `queries`, shape (n, dimensions), are asked to choose efSearch."""

    settings: VectorSettings
    threads: int
    total: int
    queries: Vectors | None
    report: Report
    cancelled: Cancelled

    def step(self, done: int) -> None:
        """Say how far the build is; stop it if asked to."""
        if self.cancelled():
            raise CancelledError(
                "Building the vector index was stopped.", hint="It starts again when next needed."
            )
        self.report(Progress("merge", done, max(self.total, done), "vectors"))


@dataclass(slots=True)
class _Growing:
    """A graph under construction: `known` finds the node of a vector that is there already, `ghosts` are no vectors."""

    graph: Graph
    ghosts: Nodes
    known: dict[bytes, int] = field(default_factory=dict)
    ids: list[Ids] = field(default_factory=list)
    nodes: list[Nodes] = field(default_factory=list)

    def add(self, ids: Ids, vectors: Vectors, threads: int) -> None:
        """Add a batch; a vector that is there already gets no second node."""
        if self.graph.make_room_for(vectors):
            self._know_all(set(self.known.values()))
        codes = self.graph.codec.encode(vectors)
        count = len(self.graph)
        nodes = np.empty(len(ids), np.int64)
        fresh: list[int] = []
        for row, digest in enumerate(codes.digests()):
            nodes[row] = node = self.known.setdefault(digest, count + len(fresh))
            if node == count + len(fresh):
                fresh.append(row)
        if fresh:
            self.graph.add(codes.at(np.array(fresh)), threads)
        self.ids.append(ids)
        self.nodes.append(nodes)

    def _know_all(self, nodes: set[int]) -> None:
        self.known = know(self.graph.codes(), np.array(sorted(nodes), np.int64))

    def finish(self, work: Work) -> Built:
        """Haunt nodes that are left without an entry, put neighbours side by side, choose efSearch."""
        empty = np.bincount(_joined(self.nodes), minlength=len(self.graph)) == 0
        self.graph.tombstone(np.setdiff1d(np.flatnonzero(empty), self.ghosts))
        nearby = self.graph.nearby()
        self.graph.reorder(nearby)
        empty = empty[nearby]
        ids = np.concatenate([*self.ids, np.full(int(empty.sum()), -1, np.int64)])
        nodes = np.concatenate([np.argsort(nearby)[_joined(self.nodes)], np.flatnonzero(empty)])
        order = np.argsort(nodes, kind="stable")
        self.graph.fix()
        ef_search, recall = choose_ef_search(
            self.graph, ~empty, work.settings.recall_target, work.queries, lambda: work.step(len(ids))
        )
        return Built(self.graph, ids[order], nodes[order], work.settings.ef_search or ef_search, recall)


def know(codes: Codes, nodes: Nodes) -> dict[bytes, int]:
    """The node of each vector, by its digest."""
    found: dict[bytes, int] = {}
    for start in range(0, len(nodes), SLICE):
        rows = nodes[start : start + SLICE]
        found.update(zip(codes.at(rows).digests(), rows.tolist()))
    return found


def _joined(parts: list[Ids]) -> Ids:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def from_stream(stream: Iterable[tuple[Ids, Vectors]], dimensions: int, work: Work) -> Built:
    """Build from batches of any size; memory is that of the graph and about 150 bytes a vector."""
    growing = _Growing(Graph.new(dimensions, work.settings), np.empty(0, np.int64))
    return _grow(growing, stream, work)


def from_base(
    graph: Graph, entries: Entries, live: Mask, stream: Iterable[tuple[Ids, Vectors]], work: Work
) -> Built:
    """Extend a graph read into memory: forget dead entries, add what is new."""
    ghosts = entries.nodes[entries.ids < 0]
    known = know(graph.codes(), np.setdiff1d(np.arange(len(graph)), ghosts))
    growing = _Growing(graph, ghosts, known, [entries.ids[live]], [entries.nodes[live]])
    return _grow(growing, stream, work)


def _grow(growing: _Growing, stream: Iterable[tuple[Ids, Vectors]], work: Work) -> Built:
    """Add batch by batch in a thread of low priority, whose OpenMP threads inherit it, then choose efSearch."""
    done = sum(map(len, growing.ids))
    with ThreadPoolExecutor(1, "vectors", initializer=yield_to_searches) as worker:
        for ids, vectors in sliced(stream, growing.graph.dimensions):
            worker.submit(growing.add, ids, vectors, work.threads).result()
            done += len(ids)
            work.step(done)
        return worker.submit(growing.finish, work).result()


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


def yield_to_searches() -> None:
    """Lower this thread's priority, where the system keeps one per thread (Linux)."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
    except (AttributeError, OSError):
        return
