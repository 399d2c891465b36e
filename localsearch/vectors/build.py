"""Build a graph in the background: from a stream of vectors, or from a base and what was added to it.

For `vectors.index` only. It writes no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from localsearch.errors import CancelledError, DamagedError
from localsearch.platform.cores import lower_priority
from localsearch.settings import VectorSettings
from localsearch.types import Cancelled, Ids, Progress, Report, Vectors
from localsearch.vectors.codec import Codes
from localsearch.vectors.delta import Mask
from localsearch.vectors.entries import Entries
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
    """Parameters of a build. `queries`, shape (n, dimensions), are searched for to choose efSearch."""

    settings: VectorSettings
    threads: int
    total: int
    queries: Vectors | None
    report: Report
    cancelled: Cancelled

    def step(self, done: int) -> None:
        """Report how many vectors are done. Raises CancelledError if asked to stop."""
        if self.cancelled():
            raise CancelledError(
                "Building the vector index was stopped.", hint="It starts again when next needed."
            )
        self.report(Progress("merge", done, max(self.total, done), "vectors"))


@dataclass(slots=True)
class _Construction:
    """A graph while it is built.

    `known` maps the digest of a vector's codes to its node. `tombstones` are the nodes whose vector was deleted before.
    `ids` and `nodes`, of equal lengths, hold the entries so far, batch by batch.
    """

    graph: Graph
    tombstones: Nodes
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
        """Turn nodes without an entry into tombstones, put neighbours side by side, choose efSearch."""
        empty = np.bincount(_joined(self.nodes), minlength=len(self.graph)) == 0
        self.graph.tombstone(np.setdiff1d(np.flatnonzero(empty), self.tombstones))
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
    construction = _Construction(Graph.new(dimensions, work.settings), np.empty(0, np.int64))
    return _grow(construction, stream, work)


def from_base(
    graph: Graph, entries: Entries, live: Mask, stream: Iterable[tuple[Ids, Vectors]], work: Work
) -> Built:
    """Extend a graph read into memory: drop entries that are not live, add those of the stream."""
    nodes = entries.nodes.astype(np.int64)
    tombstones = nodes[entries.ids < 0]
    known = know(graph.codes(), np.setdiff1d(np.arange(len(graph)), tombstones))
    construction = _Construction(graph, tombstones, known, [entries.ids[live]], [nodes[live]])
    return _grow(construction, stream, work)


def _grow(construction: _Construction, stream: Iterable[tuple[Ids, Vectors]], work: Work) -> Built:
    """Add batch by batch in a thread of low priority, whose OpenMP threads inherit it, then choose efSearch."""
    done = sum(map(len, construction.ids))
    with ThreadPoolExecutor(1, "vectors", initializer=lower_priority) as worker:
        for ids, vectors in sliced(stream, construction.graph.dimensions):
            worker.submit(construction.add, ids, vectors, work.threads).result()
            done += len(ids)
            work.step(done)
        return worker.submit(construction.finish, work).result()


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
    """Raise ValueError for a wrong shape, DamagedError for a component that is not finite."""
    if vectors.shape != (len(ids), dimensions):
        raise ValueError(f"{len(ids)} ids with vectors of shape {vectors.shape}; dimensions are {dimensions}")
    fine = np.isfinite(vectors).all(axis=1)
    if not fine.all():
        raise DamagedError(
            f"The vector of chunk {ids[~fine][0]} is not finite.", hint="Run `localsearch check --repair`."
        )
