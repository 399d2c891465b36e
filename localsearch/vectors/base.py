"""Search a published generation, which never changes. For `vectors.index` only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from localsearch.errors import DamagedError
from localsearch.quantize import Bytes
from localsearch.types import Ids, Ranking, Scores, Vectors
from localsearch.vectors.codec import Codec
from localsearch.vectors.delta import Mask, best, inside
from localsearch.vectors.entries import Entries
from localsearch.vectors.files import Generation, verify
from localsearch.vectors.graph import Graph, Nodes
from localsearch.vectors.plan import ef_search, is_exact_cheaper

Fetch = Callable[[Ids], tuple[Ids, Vectors]]
"""Full-precision vectors of chunk ids: those found, with their vectors."""


@dataclass(frozen=True, slots=True)
class Base:
    """The vectors of one generation, and which of them a search may find.

    `live` (count,) is False for tombstones and for what was removed since. `count` is how many are True.
    `nodes` (nodes,) tells which nodes have a live entry. `bits` is the same for FAISS, None while all have one.
    """

    generation: Generation
    graph: Graph
    entries: Entries
    live: Mask
    count: int
    nodes: Mask
    bits: Bytes | None

    @classmethod
    def open(cls, folder: Path, generation: Generation) -> Base:
        """Verify and map the files of a generation. DamagedError when one is not what was written."""
        try:
            for entry in generation.files:
                verify(folder, entry)
            codec = Codec(generation.storage, generation.limit)
            graph = Graph.open(folder / generation.graph.name, folder / generation.rest.name, codec)
            entries = Entries.read(folder / generation.ids.name, generation)
        except FileNotFoundError as error:
            raise DamagedError(
                f"{error.filename} is missing.", hint="Run `localsearch check --repair`, which rebuilds it."
            ) from error
        if len(graph) != generation.nodes or graph.dimensions != generation.dimensions:
            raise DamagedError(
                f"The vector index in {folder} is not the one in its manifest.",
                hint="Run `localsearch check --repair`.",
            )
        return cls._of(generation, graph, entries, entries.ids >= 0)

    @classmethod
    def _of(cls, generation: Generation, graph: Graph, entries: Entries, live: Mask) -> Base:
        nodes = entries.per_node(live)
        bits = None if nodes.all() else np.packbits(nodes, bitorder="little")
        return cls(generation, graph, entries, live, int(np.count_nonzero(live)), nodes, bits)

    def _with_live(self, live: Mask) -> Base:
        return Base._of(self.generation, self.graph, self.entries, live)

    def live_ids(self) -> Ids:
        """The ids that count, in no order."""
        return self.entries.ids[self.live]

    def keep(self, ids: Ids) -> Base:
        """The same with exactly these live, of those it has."""
        return self._with_live(np.isin(self.entries.ids, ids) & (self.entries.ids >= 0))

    def remove(self, ids: Ids) -> Base:
        """The same without these."""
        found = self._find(ids)
        found = found[found >= 0]
        if not len(found):
            return self
        live = self.live.copy()
        live[found] = False
        return self._with_live(live)

    def nodes_of(self, ids: Ids) -> Nodes:
        """The node of each id, -1 for one that is not here or no longer counts."""
        found = self._find(ids)
        if not len(self.entries.ids):
            return found
        return np.where(found >= 0, self.entries.nodes[found], -1).astype(np.int64)

    def _find(self, ids: Ids) -> NDArray[np.int64]:
        found = self.entries.find(ids)
        return np.where((found >= 0) & self.live[found], found, -1) if len(self.live) else found

    def search(
        self, query: Vectors, k: int, allowed: Mask | None, fetch: Fetch | None = None, *, exact: bool = False
    ) -> Ranking:
        """The k best of those that are live and allowed; always k if there are that many."""
        keep, nodes, bits = self.live, self.nodes, self.bits
        if allowed is not None:
            keep = self.live & inside(allowed, self.entries.ids)
            nodes = self.entries.per_node(keep)
        count, total, storage = int(np.count_nonzero(nodes)), len(self.graph), self.generation.storage
        if count == 0:
            return Ranking.empty()
        wanted = ef_search(self.generation.ef_search, k, count / total)
        exact = exact or is_exact_cheaper(count, wanted, storage)
        spare = 0 if fetch is None else _spare(storage, k, exact)
        if not exact:
            if allowed is not None:
                bits = np.packbits(nodes, bitorder="little") if count < total else None
            found, scores = self.graph.search(query, k + spare, wanted, bits)
        if exact or len(found) < min(k, count):
            found, scores = self.graph.search_exactly(query, k + spare, np.flatnonzero(nodes))
        ranking = self._ranked(found, scores, keep, k + spare)
        return ranking if fetch is None or not spare else rescored(query, ranking, fetch, k)

    def _ranked(self, nodes: Nodes, scores: Scores, keep: Mask, k: int) -> Ranking:
        entries, scores = self.entries.of_nodes(nodes, scores)
        kept = keep[entries]
        if not kept.all():
            entries, scores = entries[kept], scores[kept]
        return best(self.entries.ids[entries], scores, k)


def _spare(storage: str, k: int, exact: bool) -> int:
    """How many more to score in full.

    By int12 as by int16, 8 sufficed for each of 200 queries at k 10, 50, 100 and 1,000, and for 199 of them at 500.
    """
    if storage == "int8":
        return k + 20
    return 8 if exact and storage != "fp32" else 0


def rescored(query: Vectors, found: Ranking, fetch: Fetch, k: int) -> Ranking:
    """The k best of these by exact scores; what `fetch` does not know keeps its coarse one."""
    ids, vectors = fetch(found.ids)
    scores = found.scores.copy()
    order = np.argsort(found.ids)
    scores[order[np.searchsorted(found.ids, ids, sorter=order)]] = vectors @ query
    return best(found.ids, scores, k)
