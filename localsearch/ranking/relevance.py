"""How likely a hit answers the query, and whether anything does: pure functions over the scores of both legs.

A raw cosine says little: one model calls unrelated texts 0.0, another 0.7. So it is measured in units of the corpus
itself, from *floor* (as far apart as chunks of it get) to *ceiling* (as near as a chunk's nearest neighbour in
another document usually is). A raw BM25 score says as little, until it is divided by the most that the query's words
could give. Two logistic curves with constants of their own turn both numbers into one: see docs/decisions/relevance.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from localsearch.ranking.constants import (
    CALIBRATION_MINIMUM,
    DEVIATIONS,
    FEWEST_LETTERS_PER_PIECE,
    FLOOR_DEVIATIONS,
    INTERCEPT,
    MATCH_COEFFICIENT,
    NEARLY_ALL_WORDS,
    NEARNESS_COEFFICIENT,
    RELEVANCE_INTERCEPT,
    RELEVANCE_SLOPE,
)
from localsearch.types import Scores

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What cosines mean in this corpus: `floor` is unrelated, `ceiling` is as near as neighbours are.

    `vectors` is how many chunks had a vector when it was made, `seq` the last change of the store by then.
    """

    floor: float
    ceiling: float
    vectors: int = 0
    seq: int = 0

    @property
    def spread(self) -> float:
        """The standard deviation that the cosines of a query's candidates usually have in this corpus."""
        return (self.ceiling - self.floor) / DEVIATIONS

    def nearness(self, cosines: Scores) -> Floats:
        """Cosines in units of the corpus: 0 at the floor, 1 at the ceiling; NaN counts as unrelated."""
        scaled = (np.nan_to_num(cosines, nan=self.floor) - self.floor) / max(self.ceiling - self.floor, 1e-3)
        return np.asarray(scaled, np.float32)

    @property
    def near(self) -> float:
        """The cosine from which a chunk matches by its meaning alone, without a word of the query: there the odds turn
        that it is about the query at all (`evidence` is 0)."""
        return self.floor - INTERCEPT / NEARNESS_COEFFICIENT * max(self.ceiling - self.floor, 1e-3)

    def is_outdated(self, vectors: int, seq: int, documents: int) -> bool:
        """Whether the corpus doubled or halved since, or as many documents changed as it has."""
        return not self.vectors / 2 < vectors < self.vectors * 2 or seq - self.seq > documents


def calibrate(pairs: Scores, nearest: Scores) -> Calibration | None:
    """Learn what cosines mean in a corpus, or None when there is too little of it.

    `pairs` are cosines between chunks of different documents picked at random, `nearest` those between a chunk
    and its nearest neighbour in another document, each of shape (n,).
    """
    pairs, nearest = pairs[~np.isnan(pairs)], nearest[~np.isnan(nearest)]
    if len(nearest) < CALIBRATION_MINIMUM or len(pairs) < CALIBRATION_MINIMUM:
        return None
    floor = float(pairs.mean() - FLOOR_DEVIATIONS * pairs.std())
    return Calibration(floor, max(float(np.median(nearest)), floor + 0.05))


def match(lexical: Scores, most: float) -> Floats:
    """BM25 scores as a share, 0..1, of what a chunk holding each of the query's words once or so would get.

    `most` is the sum of the idf of the query's words, each times its weight.
    """
    return np.clip(lexical / most, 0.0, 1.0).astype(np.float32) if most > 0 else np.zeros_like(lexical)


def evidence(near: Floats | np.float32, matched: Floats | np.float32) -> Floats:
    """Log-odds that a query with such a best hit is about something in this corpus."""
    return np.asarray(NEARNESS_COEFFICIENT * near + MATCH_COEFFICIENT * matched + INTERCEPT, np.float32)


def relevance(lexical: Scores, semantic: Scores, most: float, calibration: Calibration) -> Floats:
    """How likely each hit would be judged relevant, 0..1, all of shape (n,)."""
    logit = evidence(calibration.nearness(semantic), match(lexical, most))
    return np.asarray(1 / (1 + np.exp(-(RELEVANCE_SLOPE * logit + RELEVANCE_INTERCEPT))), np.float32)


def best(lexical: Scores, semantic: Scores, most: float, calibration: Calibration) -> tuple[float, float]:
    """How near and how well matched the best of some chunks are, each by its own leg; at least one chunk."""
    return float(calibration.nearness(semantic).max()), float(match(lexical, most).max())


def is_out_of_domain(near: float, matched: float, letters_per_piece: float = np.inf) -> bool:
    """Whether nothing in the corpus is about a query: its best hits by meaning and by words are both too far.

    A chunk that holds nearly all of the words is never too far. Where the model takes the query apart into pieces of
    few letters, it does not know its language: that the best is far means nothing then, and any word in common is
    enough.
    """
    if letters_per_piece < FEWEST_LETTERS_PER_PIECE and matched > 0:
        return False
    return matched < NEARLY_ALL_WORDS and float(evidence(np.float32(near), np.float32(matched))) < 0
