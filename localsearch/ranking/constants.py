"""Every constant of ranking, with where it comes from.

A constant was chosen on judged collections (docs/decisions/fusion.md, docs/decisions/relevance.md) or is a published
one. `python -m benchmarks.ranking` repeats the choice of the parameters of fusion, `python -m benchmarks.relevance`
that of relevance. BM25's k1 and b are beside their formula, in localsearch/lexical.
"""

from __future__ import annotations

from dataclasses import dataclass

RRF_K = 60
"""Cormack, Clarke and Buettcher 2009: damps the difference between the first ranks."""


SPREAD = 0.1
"""Standard deviation that the cosines of a query's candidates are brought to: about what the default model's have."""
DEVIATIONS = 7.8
"""Standard deviations of a query's candidates between floor and ceiling of a corpus, on average of nine collections."""
PEAK_DEPTH = 100
"""Best chunks of each leg whose scores tell how wide and how peaked its list is."""
PEAK_MINIMUM = 20
"""Candidates from which that is told."""
USUAL_LEAD, USUAL_PEAK = 0.45, 2.9
"""Means over judged collections of how far words and meaning lead (`fusion.lead`, `fusion.peak`)."""
FEEDBACK_DEPTH = 3
"""Best chunks towards whose mean the query's vector moves."""
NEIGHBOURS, SMOOTHING_DEPTH = 5, 50
"""How many neighbours a score is averaged with, among how many best candidates."""
RERANK_DEPTH = 30
"""Best candidates that `rerank` scores."""


@dataclass(frozen=True, slots=True)
class FusionParameters:
    """The constants of `adaptive`, chosen on judged collections: docs/decisions/fusion.md.

    `words` weighs BM25 against the cosine in a language that the model knows: one with at least `known` letters per
    word piece of a query. Below, the weight rises and trust falls by the ratio to the power `power`. The weight
    rises with the lead of the best by words, to the power `lead`, and falls with the peak of meaning, to the power
    `peak`. `coverage` is the share of all that the query's words could give that the best hit by words needs to count
    in full. `feedback` is how far the query's vector moves, `smoothing` the share of a score that comes from
    neighbours, `rerank_weight` the weight of late interaction; 0 leaves the step out.
    """

    words: float = 0.5
    known: float = 3.0
    power: float = 2.0
    lead: float = 0.25
    peak: float = 0.75
    coverage: float = 0.6
    feedback: float = 0.3
    smoothing: float = 0.3
    rerank_weight: float = 2.0


DEFAULT_PARAMETERS = FusionParameters()


CALIBRATION_SAMPLE = 500
"""Chunks whose neighbours are looked at to calibrate; the medians are then within 0.01."""
CALIBRATION_MINIMUM = 30
"""With fewer chunks there is nothing to calibrate on, and no query is called out of domain."""
FLOOR_DEVIATIONS = 2.5
"""Standard deviations below the mean cosine of random pairs at which two texts count as unrelated."""

NEARNESS_COEFFICIENT, MATCH_COEFFICIENT, INTERCEPT = 8.0, 4.2, -7.4
"""Logistic regression of whether a query belongs to the corpus, on how near and how well matched its best hits are.
Fitted on queries asked of their own and of other collections (ten of each, leaving one collection out)."""
RELEVANCE_SLOPE, RELEVANCE_INTERCEPT = 0.47, -1.0
"""Logistic regression of whether one hit was judged relevant, on the same evidence. Fitted on five collections."""
NEARLY_ALL_WORDS = 0.95
"""Share of what a query's words could give from which a hit holds nearly all of them."""
FEWEST_LETTERS_PER_PIECE = 2.1
"""Below so many letters a word piece, the model does not know the language of the query."""
CALIBRATED_COVERAGE = 0.9
"""Share of chunks with vectors from which it is said that none of them is about a query."""

MORE_LIKE_THIS_TERMS = 12
"""Terms of a document, by tf-idf, by which others like it are looked for."""
MORE_LIKE_THIS_WEIGHT = 0.5
"""Weight of those terms where words were typed as well."""
