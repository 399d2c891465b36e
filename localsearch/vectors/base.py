"""A published generation, open for searching."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from localsearch.errors import DamagedError
from localsearch.types import Ids, Ranking, Vectors
from localsearch.vectors.delta import best, inside
from localsearch.vectors.files import Generation, verify
from localsearch.vectors.graph import Graph, Mask, Positions
from localsearch.vectors.plan import breadth, is_exact_cheaper


@dataclass(frozen=True, slots=True)
class Base:
    """The vectors of one generation and which of them still count.

    `ids` (count,) is the chunk id of each position, -1 for a ghost; `live` (count,) is False for ghosts and what was
    removed since; `bits` is `live` as FAISS takes it, None while everything is live.
    """

    generation: Generation
    graph: Graph
    ids: Ids
    order: Positions
    live: Mask
    bits: NDArray[np.uint8] | None
    count: int

    @classmethod
    def open(cls, folder: Path, generation: Generation) -> Base:
        """Verify and map the files of a generation. DamagedError when one is not what was written."""
        try:
            verify(folder, generation.graph)
            verify(folder, generation.ids)
            graph = Graph.open(folder / generation.graph.name)
            ids = np.fromfile(folder / generation.ids.name, "<i8").astype(np.int64, copy=False)
        except FileNotFoundError as error:
            raise DamagedError(
                f"{error.filename} is missing.", hint="Run `localsearch check --repair`, which rebuilds it."
            ) from error
        if not len(graph) == len(ids) == generation.count or graph.dimensions != generation.dimensions:
            raise DamagedError(
                f"The vector index in {folder} is not the one in its manifest.",
                hint="Run `localsearch check --repair`.",
            )
        return cls._of(generation, graph, ids, np.argsort(ids, kind="stable"), ids >= 0)

    @classmethod
    def _of(cls, generation: Generation, graph: Graph, ids: Ids, order: Positions, live: Mask) -> Base:
        count = int(np.count_nonzero(live))
        bits = None if count == len(live) else np.packbits(live, bitorder="little")
        return cls(generation, graph, ids, order, live, bits, count)

    def _with_live(self, live: Mask) -> Base:
        return Base._of(self.generation, self.graph, self.ids, self.order, live)

    def keep(self, ids: Ids) -> Base:
        """The same with exactly these live, of those it has."""
        return self._with_live(np.isin(self.ids, ids) & (self.ids >= 0))

    def remove(self, ids: Ids) -> Base:
        """The same without these."""
        positions = self.find(ids)
        positions = positions[positions >= 0]
        if not len(positions):
            return self
        live = self.live.copy()
        live[positions] = False
        return self._with_live(live)

    def find(self, ids: Ids) -> Positions:
        """The position of each id, -1 for one that is not here or no longer counts."""
        if not len(self.ids):
            return np.full(len(ids), -1, np.int64)
        at = np.minimum(np.searchsorted(self.ids, ids, sorter=self.order), len(self.ids) - 1)
        positions = self.order[at]
        return np.where((self.ids[positions] == ids) & self.live[positions], positions, -1)

    def search(self, query: Vectors, k: int, allowed: Mask | None, *, exact: bool = False) -> Ranking:
        """The k best of those that are live and allowed; always k if there are that many."""
        keep, count, bits = self.live, self.count, self.bits
        if allowed is not None:
            keep = self.live & inside(allowed, self.ids)
            count = int(np.count_nonzero(keep))
        k = min(k, count)
        if k == 0:
            return Ranking.empty()
        if exact or is_exact_cheaper(count, len(self.ids), k):
            return self._exact(query, k, keep)
        if allowed is not None:
            bits = np.packbits(keep, bitorder="little") if count < len(keep) else None
        wanted = breadth(self.generation.ef_search, k, count / len(self.ids))
        positions, scores = self.graph.search(query, k, wanted, bits)
        return best(self.ids[positions], scores, k) if len(positions) == k else self._exact(query, k, keep)

    def _exact(self, query: Vectors, k: int, keep: Mask) -> Ranking:
        positions, scores = self.graph.search_exactly(query, k, keep)
        return best(self.ids[positions], scores, k)
