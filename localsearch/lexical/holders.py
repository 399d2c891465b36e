"""Which documents hold a term: remembered for common terms, which are few and asked for again and again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tantivy
from numpy.typing import NDArray

from localsearch.types import Ids

COMMON = 512
"""Chunks from which on a term's documents are remembered: listing them takes a microsecond each."""
ROOM = 32 << 20
"""Bytes of memory for that; then it starts afresh."""
Bits = NDArray[np.uint8]
Term = tuple[str, str]
"""A field and a term of it."""


class Holders:
    """Documents by term, for one state of the index at a time. Safe to share between threads."""

    def __init__(self, schema: tantivy.Schema) -> None:
        self._schema = schema
        self._known: tuple[tantivy.Searcher | None, dict[Term, Bits]] = (None, {})

    def of_any(
        self, searcher: tantivy.Searcher, frequencies: Mapping[Term, int], among: Ids | None = None
    ) -> Ids:
        """Ids of the documents, all or among these, with a chunk that holds any of these terms, ascending;
        `frequencies` counts chunks."""
        rare = [term for term, count in frequencies.items() if 0 < count < COMMON]
        rows = [_bits(self._listed(searcher, rare, sum(frequencies[term] for term in rare)))]
        rows += [
            self._common(searcher, term, count) for term, count in frequencies.items() if count >= COMMON
        ]
        either = np.zeros(max(map(len, rows)), np.uint8)
        for row in rows:
            either[: len(row)] |= row
        held = np.unpackbits(either, bitorder="little")
        if among is None:
            return np.flatnonzero(held)
        known = among[among < len(held)]
        return known[held[known] > 0]

    def _common(self, searcher: tantivy.Searcher, term: Term, count: int) -> Bits:
        seen, known = self._known
        # Listed first: another thread may be adding to them.
        if seen is not searcher or sum(map(len, list(known.values()))) > ROOM:
            known = {}
            self._known = searcher, known
        if term not in known:
            known[term] = _bits(self._listed(searcher, [term], count))
        return known[term]

    def _listed(self, searcher: tantivy.Searcher, terms: list[Term], most: int) -> Ids:
        """Ids of documents that hold one of the terms, in no order; `most` chunks do at most."""
        if not terms:
            return np.empty(0, np.int64)
        each = [tantivy.Query.term_query(self._schema, field, term, "basic") for field, term in terms]
        either = tantivy.Query.boolean_query([(tantivy.Occur.Should, one) for one in each])
        hits = searcher.search(either, most, count=False).hits
        return np.array(searcher.fast_field_values("document_id", [at for _, at in hits]), np.int64)


def _bits(ids: Ids) -> Bits:
    """A bit for each id up to the highest, lowest first."""
    marked = np.zeros(int(ids.max(initial=-1)) + 1, np.bool_)
    marked[ids] = True
    return np.packbits(marked, bitorder="little")
