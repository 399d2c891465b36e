"""The chunk catalog: which document each chunk belongs to, in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from localsearch.store import Corpus
from localsearch.types import Ids

Mask = NDArray[np.bool_]
"""Which chunks are meant, shape (highest chunk id + 1,)."""


class Catalog:
    """Which document each chunk belongs to, in memory: shape (highest chunk id + 1,) at least, 0 where none is."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._document_count: int | None = None
        self.load()

    def load(self) -> None:
        """Read the whole map."""
        self._take(self._corpus.owners())

    def _take(self, owner: NDArray[np.int32]) -> None:
        self._owner, self._count, self._document_count = owner, int(np.count_nonzero(owner)), None
        self.not_embedded = self._corpus.not_embedded()

    @property
    def owner(self) -> NDArray[np.int32]:
        return self._owner

    def __len__(self) -> int:
        return self._count

    @property
    def document_count(self) -> int:
        """How many documents have a chunk."""
        known = self._document_count
        if known is None:
            known = self._document_count = len(self.documents())
        return known

    def ids(self) -> Ids:
        """Every chunk, ascending."""
        return np.flatnonzero(self._owner)

    def documents(self) -> Ids:
        """Every document that has a chunk, ascending; not kept, as it would take eight bytes a document."""
        owner = self._owner
        there = np.zeros(int(owner.max(initial=0)) + 1, np.bool_)
        there[owner] = True
        there[0] = False
        return np.flatnonzero(there)

    def documents_of(self, chunk_ids: Ids) -> NDArray[np.int32]:
        """The document of each chunk, shape (n,); 0 for a chunk that is gone."""
        owner = self._owner
        inside = chunk_ids < len(owner)
        return np.where(inside, owner[np.where(inside, chunk_ids, 0)], 0)

    def chunks_of(self, document_ids: NDArray[np.int64]) -> Ids:
        """All chunks of these documents, ascending."""
        return np.flatnonzero(np.isin(self._owner, document_ids[document_ids > 0]))

    def mask(self, document_ids: NDArray[np.int64]) -> Mask:
        """Which chunks belong to these documents, shape (len(owner),)."""
        owner = self._owner
        chosen = np.zeros(int(owner.max(initial=0)) + 1, np.bool_)
        chosen[document_ids[document_ids < len(chosen)]] = True
        chosen[0] = False
        return chosen[owner]

    def update(self, document_ids: NDArray[np.int64]) -> tuple[Ids, Ids]:
        """Read these documents' chunks anew; return the ids that went and those that came."""
        before = self.chunks_of(document_ids)
        rows = self._corpus.chunk_ids(document_ids.tolist())
        table = np.array(rows, np.int64).reshape(-1, 2)
        owner = self._grown(int(table[:, 0].max(initial=0)))
        now = table[:, 0]
        owner[before] = 0
        owner[now] = table[:, 1]
        self._take(owner)
        return np.setdiff1d(before, now), np.setdiff1d(now, before)

    def _grown(self, highest: int) -> NDArray[np.int32]:
        owner = self._owner
        if highest < len(owner):
            return owner
        grown = np.zeros(highest + len(owner) // 8 + 1_024, np.int32)
        grown[: len(owner)] = owner
        return grown
