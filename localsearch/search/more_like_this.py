"""What a document is about, to find others like it: its most telling words and the mean of its chunks' vectors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from localsearch.lexical import QueryTerm, inverse_frequency, term_stream
from localsearch.ranking.constants import MORE_LIKE_THIS_TERMS
from localsearch.text import Analyzer
from localsearch.types import Ids, IndexedChunk, LexicalIndex, Vectors
from localsearch.vectors import VectorIndex


def telling_terms(
    chunks: Iterable[IndexedChunk], analyzer: Analyzer, lexical: LexicalIndex, weight: float = 1.0
) -> tuple[QueryTerm, ...]:
    """The terms of a document with the highest tf-idf, (1 + ln tf) idf, that occur in another document too."""
    counts: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for chunk in chunks:
        terms = term_stream(chunk, analyzer)
        counts.update(terms)
        held.update(set(terms))
    known = {term: lexical.doc_freq(term) for term in counts}
    shared = [term for term in counts if known[term] > held[term]]
    rarity = inverse_frequency(len(lexical), [known[term] for term in shared])
    scored = sorted(
        ((1 + math.log(counts[term])) * float(idf), term) for term, idf in zip(shared, rarity, strict=True)
    )
    return tuple(QueryTerm((term,), weight) for _, term in reversed(scored[-MORE_LIKE_THIS_TERMS:]))


def mean_vector(vectors: VectorIndex[Any], ids: Ids) -> Vectors | None:
    """The mean of the vectors of these chunks, of length 1; None where none has one."""
    found = vectors.vectors_of(ids)
    found = found[~np.isnan(found[:, :1]).any(axis=1)]
    return unit(found.sum(axis=0)) if len(found) else None


def unit(vector: Vectors) -> Vectors:
    """The vector with length 1."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)
