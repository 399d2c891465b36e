"""Which texts run together: only texts of exactly equal token length, so that nothing is padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


def equal_batches(lengths: Sequence[int], budget: int) -> Iterator[NDArray[np.int64]]:
    """Positions of texts in batches of one length, longest first, each of at most `budget` tokens (or one text).

    >>> [batch.tolist() for batch in equal_batches([3, 9, 3, 3], 8)]
    [[1], [0, 2], [3]]
    """
    sizes = np.asarray(lengths, np.int64)
    order = np.argsort(-sizes, kind="stable")
    cuts = np.flatnonzero(np.diff(sizes[order])) + 1
    for group in np.split(order, cuts) if len(order) else []:
        step = max(1, budget // max(1, int(sizes[group[0]])))
        for start in range(0, len(group), step):
            yield group[start : start + step]
