"""How likely each candidate is what was asked for, and whether any of them is about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from localsearch.derived import Derived, Semantic
from localsearch.lexical import LexicalQuery
from localsearch.ranking.constants import CALIBRATED_COVERAGE
from localsearch.ranking.fusion import QuerySignals
from localsearch.ranking.relevance import best, is_out_of_domain, relevance
from localsearch.types import Ids, LexicalIndex, Mode, Scores

NOTHING = "Nothing here seems to be about this."
UNJUDGED = (
    "min_relevance was not applied: relevance is known of questions that meaning takes part in, in an index that is"
    " neither small nor new."
)


@dataclass(frozen=True, slots=True)
class RelevanceEstimate:
    """What candidates are worth: `relevance` of each, shape (n,), NaN for one without a vector; empty if not `known`.

    `beyond` is the most that a chunk not among them can have; `out_of_domain` is whether even the best are not
    about it, and `why` how near and how well matched they are.
    """

    relevance: Scores = field(default_factory=lambda: np.empty(0, np.float32))
    beyond: float = 1.0
    out_of_domain: bool = False
    why: Mapping[str, float] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        return bool(self.why)


class RelevanceEstimator:
    """Judges candidates by both legs' scores and the calibration of the version. Safe to share between threads."""

    def __init__(self, derived: Derived) -> None:
        self.derived = derived

    def estimate(
        self,
        words: LexicalQuery,
        semantic: Semantic | None,
        mode: Mode,
        ids: Ids,
        lexical: Scores,
        cosines: Scores,
        depth: int,
        signals: QuerySignals,
    ) -> RelevanceEstimate:
        """Estimate the relevance of candidates, each array of shape (n,), the `depth` best of each leg among them.

        Nothing is known without a calibration or where meaning took no part. An answer by meaning alone is judged by
        its words too: what a hit is worth does not depend on how it was found.
        """
        calibration = semantic.calibration if semantic else None
        if calibration is None or np.isnan(cosines).all():
            return RelevanceEstimate()
        most = signals.most
        edge = most if mode == "semantic" else _nth(lexical, depth, 0.0)
        if mode == "semantic":
            lexical = self.derived.lexical.score(words, ids)
        each = relevance(lexical, cosines, most, calibration)
        beyond = relevance(
            np.array([edge], np.float32),
            np.array([_nth(cosines, depth, np.nan)], np.float32),
            most,
            calibration,
        )
        near, matched = best(lexical, cosines, most, calibration)
        out_of_domain = (
            is_out_of_domain(near, matched, signals.letters_per_piece)
            and self.derived.coverage() >= CALIBRATED_COVERAGE
            and not self._holds_all(words, ids, lexical)
        )
        each[np.isnan(cosines)] = np.nan
        return RelevanceEstimate(each, float(beyond[0]), out_of_domain, {"nearness": near, "match": matched})

    def _holds_all(self, words: LexicalQuery, ids: Ids, lexical: Scores) -> bool:
        """Whether the best chunk by words holds each of them, however long it is: then it is about them."""
        best_one = ids[[int(lexical.argmax())]]
        return bool(words.terms) and bool(self.derived.lexical.term_scores(words, best_one).all())


def most_of(lexical: LexicalIndex, words: LexicalQuery) -> float:
    """What a chunk would get that holds each of the words once or so: the sum of their idf, each times its weight."""
    weights = np.array([term.weight for term in words.terms], np.float32)
    return float(lexical.idf(words) @ weights)


def _nth(scores: Scores, n: int, otherwise: float) -> float:
    """The n-th best of the scores that are known: nothing beyond the n best of a leg has more."""
    known = np.sort(scores[~np.isnan(scores)])
    return float(known[-n]) if len(known) >= n else otherwise
