"""Hold the vectors added since the base was built, and search them exactly. For `vectors.index` only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from localsearch.types import Ids, Ranking, Scores, Vectors

Mask = NDArray[np.bool_]
_FIRST = 256


@dataclass(frozen=True, slots=True)
class Delta:
    """An immutable view of append-only buffers: a searcher that holds one is not disturbed by later changes.

    `ids` (capacity,) and `vectors` (capacity, dimensions) are filled up to `count`; `alive` (count,) tells what counts.
    """

    ids: Ids
    vectors: Vectors
    alive: Mask
    count: int

    @classmethod
    def empty(cls, dimensions: int) -> Delta:
        return cls(np.empty(0, np.int64), np.empty((0, dimensions), np.float32), np.empty(0, np.bool_), 0)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.alive))

    def live_ids(self) -> Ids:
        return self.ids[: self.count][self.alive]

    def live_vectors(self) -> Vectors:
        return self.vectors[: self.count][self.alive]

    def add(self, ids: Ids, vectors: Vectors) -> Delta:
        """A view with these appended; ids that are there already are replaced. Only the newest view may be added to."""
        delta = self.remove(ids)._with_room(len(ids))
        end = delta.count + len(ids)
        delta.ids[delta.count : end] = ids
        delta.vectors[delta.count : end] = vectors
        return Delta(delta.ids, delta.vectors, np.append(delta.alive, np.ones(len(ids), np.bool_)), end)

    def remove(self, ids: Ids) -> Delta:
        """A view without these."""
        gone = np.isin(self.ids[: self.count], ids) & self.alive
        return Delta(self.ids, self.vectors, self.alive & ~gone, self.count) if gone.any() else self

    def without(self, mask: Mask) -> Delta:
        """A fresh copy without the rows that the mask, shape (count,), marks."""
        keep = self.alive & ~mask
        return Delta.empty(self.vectors.shape[1]).add(
            self.ids[: self.count][keep], self.vectors[: self.count][keep]
        )

    def _with_room(self, more: int) -> Delta:
        """Return buffers with room for more: without removed vectors, and twice as large where that is not enough."""
        if self.count + more <= len(self.ids):
            return self
        live = len(self)
        capacity = max(_FIRST, 2 * (live + more))
        ids = np.empty(capacity, np.int64)
        vectors = np.empty((capacity, self.vectors.shape[1]), np.float32)
        ids[:live], vectors[:live] = self.live_ids(), self.live_vectors()
        return Delta(ids, vectors, np.ones(live, np.bool_), live)

    def find(self, ids: Ids) -> NDArray[np.int64]:
        """The row of each id, -1 where it is not here."""
        rows = np.full(len(ids), -1, np.int64)
        live = np.flatnonzero(self.alive)
        if not len(live):
            return rows
        order = live[np.argsort(self.ids[live], kind="stable")]
        at = np.minimum(np.searchsorted(self.ids[order], ids), len(order) - 1)
        found = self.ids[order[at]] == ids
        rows[found] = order[at[found]]
        return rows

    def search(self, query: Vectors, k: int, allowed: Mask | None) -> Ranking:
        """The k best, exactly."""
        if not self.count:
            return Ranking.empty()
        ids = self.ids[: self.count]
        keep = self.alive if allowed is None else self.alive & inside(allowed, ids)
        rows = np.flatnonzero(keep)
        if len(rows) > self.count // 4:
            scores = (self.vectors[: self.count] @ query)[rows]
        else:
            scores = self.vectors[rows] @ query
        return best(ids[rows], scores, k)


def inside(allowed: Mask, ids: Ids) -> Mask:
    """Return which ids the mask allows. It allows no negative id and none beyond its end."""
    if not len(allowed):
        return np.zeros(len(ids), np.bool_)
    through = np.take(allowed, ids, mode="clip")
    return through & (ids >= 0) & (ids < len(allowed))


def best(ids: Ids, scores: Scores, k: int) -> Ranking:
    """The k best, best first; equal scores by id, so that answers are stable."""
    if k < len(ids):
        kth = np.partition(scores, len(scores) - k)[len(scores) - k]
        keep = np.flatnonzero(scores >= kth)
        ids, scores = ids[keep], scores[keep]
    order = np.lexsort((ids, -scores))[:k]
    return Ranking(ids[order], scores[order].astype(np.float32, copy=False))
