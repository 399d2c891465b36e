"""Late interaction over sign bits: pure functions.

A chunk's token vectors, of length 1, are kept as one bit for each dimension: whether it is positive. Such a vector
counts as plus or minus 1/sqrt(d) in each dimension; the query's keep all their bits. docs/decisions/fusion.md has what
that costs in quality: nothing measurable.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from localsearch.types import Vectors

Floats = NDArray[np.float32]


def sign_bits(tokens: Vectors) -> bytes:
    """The sign bits of token vectors, shape (tokens, dimensions), row after row; each row fills whole bytes.

    >>> sign_bits(np.array([[0.6, -0.8, 0, 0, 0, 0, 0, 0.1]], np.float32)).hex()
    '81'
    """
    return np.packbits(tokens > 0, axis=1).tobytes()


def maxsim(query: Vectors, chunks: Sequence[bytes]) -> Floats:
    """Late interaction (Khattab and Zaharia 2020): the mean over query tokens of the best cosine in each chunk.

    `query` has shape (tokens, dimensions), `chunks` are sign bits. The result, shape (len(chunks),), is NaN where a
    side has no tokens. One matrix product over all passages: with s = 2b - 1, q.s = 2 q.b - sum(q).
    """
    found = np.full(len(chunks), np.nan, np.float32)
    dimensions = query.shape[1]
    width = (dimensions + 7) // 8
    lengths = np.array([len(bits) // width for bits in chunks], np.intp)
    some = lengths > 0
    if not (len(query) and some.any()):
        return found
    rows = np.frombuffer(b"".join(chunks), np.uint8).reshape(-1, width)
    bits = np.unpackbits(rows, axis=1, count=dimensions).astype(np.float32)
    cosines = 2 * (bits @ query.T) - query.sum(axis=1)
    starts = np.cumsum(lengths[some]) - lengths[some]
    best = np.maximum.reduceat(cosines, starts, axis=0)
    found[some] = best.mean(axis=1) / np.sqrt(dimensions)
    return found
