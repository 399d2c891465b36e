"""Two rankings into one: pure functions over the scores that both legs give to the same candidates.

Every candidate that either leg found is scored exactly by both, so no method has to guess what a leg that did not
return a chunk would have thought of it.

`adaptive` brings the cosines of the candidates to one standard deviation, as those of one model lie between 0.0 and 0.7
and those of another between 0.7 and 0.9, and adds BM25 over the query's best BM25, times a weight. The weight rises
where the model's tokenizer shreds the query: text in a language it does not know comes apart into pieces of two or
three letters, and a cosine between such pieces means little. It falls where even the best hit holds few of the words: a
question put in other words than the answer. It rises where the best by words stand out from the rest, and falls where
the best by meaning do (predictors of query performance: Shtok et al. 2012). Then two steps that need no judgement: the
query's vector moves towards the three best chunks (Rocchio 1971), and each candidate's score is averaged with those of
its nearest neighbours among the candidates (score regularization, Diaz 2007), so that a chunk surrounded by good ones
rises. Between the two, `rerank` adds the late interaction of the best candidates; a cross-encoder puts them in its own
order after all else. docs/decisions/fusion.md has the figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from localsearch.patterns import regex
from localsearch.ranking.constants import (
    DEFAULT_PARAMETERS,
    FEEDBACK_DEPTH,
    NEIGHBOURS,
    PEAK_DEPTH,
    PEAK_MINIMUM,
    RERANK_DEPTH,
    RRF_K,
    SMOOTHING_DEPTH,
    SPREAD,
    USUAL_LEAD,
    USUAL_PEAK,
    FusionParameters,
)
from localsearch.types import Ids, Ranking, Scores, Vectors

Method = Literal["adaptive", "convex", "rrf", "dbsf"]
Floats = NDArray[np.float32]
Scoring = Callable[[NDArray[np.intp]], Floats]

_IDEOGRAPH = regex("[\u3400-\u9fff\uf900-\ufaff]")
_SYLLABLE = regex("[\u3040-\u30ff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class Candidates:
    """Chunks with the score of each leg: all of shape (n,).

    `lexical` is BM25 (0: no word matches). `semantic` is the cosine, NaN where a chunk has no vector yet, or None
    when nothing has. `vectors`, shape (n, dimensions), are NaN there too.
    """

    ids: Ids
    lexical: Scores
    semantic: Scores | None = None
    vectors: Vectors | None = None


@dataclass(frozen=True, slots=True)
class Reranking:
    """A second look at the best candidates: by which re-ranker, and how its scores count.

    `score` takes positions of candidates, best first, shape (m,), and gives a score for each, the higher the better,
    NaN where there was no time for one. `replaces` is whether the order by these scores takes the place of the fused
    order (`reordered`), or they are added to the fused scores (`reranked`).
    """

    name: str
    score: Scoring
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class QuerySignals:
    """What is known of a query without judgements.

    `letters_per_piece` is what a word piece of it holds on average; `most` what a chunk would get that holds each of
    its words once or so: the sum of their idf, each times its weight (0: not known). `spread` is the standard deviation
    of cosines that is usual in the corpus (0: not known).
    """

    letters_per_piece: float = DEFAULT_PARAMETERS.known
    most: float = 0.0
    spread: float = 0.0

    def word_weight(self, best: float, parameters: FusionParameters = DEFAULT_PARAMETERS) -> float:
        """The weight of BM25: more where the tokenizer shreds the query, less where the best hit holds little of it."""
        shredded = parameters.known / max(self.letters_per_piece, 0.5)
        return float(
            parameters.words * max(1.0, shredded) ** parameters.power * self.covered(best, parameters)
        )

    def covered(self, best: float, parameters: FusionParameters = DEFAULT_PARAMETERS) -> float:
        """How much of the query the best hit by words holds, 0..1; nearer to 1 where there is no meaning to turn to."""
        enough = parameters.coverage * self.most
        held = min(1.0, best / enough) if enough > 0 else 1.0
        return 1.0 - self.trust(parameters) * (1.0 - held)

    def trust(self, parameters: FusionParameters = DEFAULT_PARAMETERS) -> float:
        """How far the model's view of tokens, and of which chunks are alike, is believed, 0..1."""
        return float(min(1.0, self.letters_per_piece / parameters.known) ** parameters.power)


@dataclass(frozen=True, slots=True)
class Peaks:
    """How far the best of each leg stand out.

    `lead` is how far the tenth best by words is behind the best, 0..1 of its score; `peak` how many standard deviations
    the best by meaning is above the mean; `stretch` the factor that brings cosines to the standard deviation `SPREAD`:
    half way, as a geometric mean, between what is usual in the corpus and what these candidates have.
    """

    lead: float = USUAL_LEAD
    peak: float = USUAL_PEAK
    stretch: float = 1.0

    @classmethod
    def of(cls, lexical: Floats, semantic: Floats, usual: float = 0.0) -> Peaks:
        """Read from the best of each leg, both of shape (n,), NaN where there is no vector; of too few, nothing.

        `usual` is the standard deviation that is usual in the corpus, 0 where it is not known.
        """
        by_meaning = semantic[_best_of_each(lexical, semantic)]
        by_meaning = by_meaning[~np.isnan(by_meaning)]
        if len(by_meaning) < PEAK_MINIMUM and usual > 0:
            return cls(stretch=SPREAD / usual)
        if len(by_meaning) < 2:
            return cls()
        spread = max(float(by_meaning.std()), 1e-3)
        stretch = SPREAD / math.sqrt(spread * (usual or spread))
        if len(by_meaning) < PEAK_MINIMUM:
            return cls(stretch=stretch)
        peak = float(by_meaning.max() - by_meaning.mean()) / spread
        return cls(lead(lexical), peak, stretch)

    def factor(self, parameters: FusionParameters = DEFAULT_PARAMETERS) -> float:
        """What the weight of BM25 is multiplied by: 1 where both stand out as they usually do."""
        leads, peaks = max(self.lead, 0.05) / USUAL_LEAD, max(self.peak, 0.5) / USUAL_PEAK
        return float(leads**parameters.lead / peaks**parameters.peak)


def lead(lexical: Floats, depth: int = 10) -> float:
    """How far the tenth best by words is behind the best, 0..1 of its score; 0 where no word matches."""
    best = np.sort(lexical)[::-1][:depth]
    return float((best[0] - best[-1]) / best[0]) if len(best) and best[0] > 0 else 0.0


def _best_of_each(lexical: Floats, semantic: Floats) -> NDArray[np.intp]:
    """Positions of the best of each leg: what is read from them does not depend on how many more were fetched."""
    by_words = np.argsort(-lexical, kind="stable")[:PEAK_DEPTH]
    by_meaning = np.argsort(-semantic, kind="stable")[:PEAK_DEPTH]
    return np.union1d(by_words[lexical[by_words] > 0], by_meaning)


@dataclass(frozen=True, slots=True)
class Fused:
    """The candidates best first, with the weight of each leg and the signals that chose it."""

    ranking: Ranking
    order: NDArray[np.intp]
    weights: Mapping[str, float] = field(default_factory=dict)
    why: Mapping[str, float] = field(default_factory=dict)


def union(lexical: Ranking, semantic: Ranking) -> Ids:
    """Ids that either leg returned, ascending."""
    return np.union1d(lexical.ids, semantic.ids)


def letters_per_piece(text: str, pieces: int) -> float:
    """Letters of a query per word piece; an ideograph says as much as two letters, a kana or hangul as one and a half.

    >>> letters_per_piece("winter tyres", 3)
    3.6666666666666665
    """
    letters = sum(map(str.isalnum, text)) + len(_IDEOGRAPH.findall(text)) + 0.5 * len(_SYLLABLE.findall(text))
    return letters / max(pieces, 1)


def fuse(
    candidates: Candidates,
    method: Method = "adaptive",
    *,
    weight: float = 0.5,
    signals: QuerySignals | None = None,
    query: Vectors | None = None,
    reranking: Reranking | None = None,
    parameters: FusionParameters = DEFAULT_PARAMETERS,
) -> Fused:
    """Order the candidates by both legs. `weight` is the share of the semantic leg where the method has one.

    `query`, the unit vector of shape (dimensions,), lets `adaptive` move it towards the best chunks.
    `reranking` scores the best of them again; one that adds to the scores does so only where both legs have scored.
    """
    lexical = candidates.lexical.astype(np.float32)
    if candidates.semantic is None:
        score = reordered(lexical, reranking.score) if reranking and reranking.replaces else lexical
        return _ranked(candidates.ids, score, {"lexical": 1.0, "semantic": 0.0}, {})
    semantic = _filled(candidates.semantic)
    signals = signals or QuerySignals()
    peaks = Peaks.of(lexical, candidates.semantic, signals.spread)
    trust = signals.trust(parameters)
    if method == "adaptive":
        score, weights = _adaptive(candidates, lexical, semantic, signals, peaks, query, parameters)
    else:
        mix = {"convex": convex, "rrf": rrf, "dbsf": dbsf}[method]
        score, weights = mix(lexical, semantic, weight), {"lexical": 1 - weight, "semantic": weight}
    if reranking and not reranking.replaces:
        stretch = peaks.stretch if method == "adaptive" else 1.0
        score = reranked(score, reranking.score, parameters.rerank_weight * trust * stretch)
    if method == "adaptive" and candidates.vectors is not None:
        score = smoothed(score, candidates.vectors, parameters.smoothing * trust)
    if reranking and reranking.replaces:
        score = reordered(score, reranking.score)
    why = {
        "letters_per_piece": signals.letters_per_piece,
        "covered": signals.covered(float(lexical.max(initial=0.0)), parameters),
        "lead": peaks.lead,
        "peak": peaks.peak,
    }
    return _ranked(candidates.ids, score, weights, why)


def _adaptive(
    candidates: Candidates,
    lexical: Floats,
    semantic: Floats,
    signals: QuerySignals,
    peaks: Peaks,
    query: Vectors | None,
    parameters: FusionParameters,
) -> tuple[Floats, dict[str, float]]:
    best = float(lexical.max(initial=0.0))
    weight = signals.word_weight(best, parameters) * peaks.factor(parameters)
    by_words = np.float32(weight) * (lexical / best if best > 0 else lexical)
    stretch = np.float32(peaks.stretch)
    if query is not None and candidates.vectors is not None:
        moved = towards(query, candidates.vectors, by_words + stretch * semantic, parameters.feedback)
        semantic = _filled((candidates.vectors @ moved).astype(np.float32))
    return by_words + stretch * semantic, {"lexical": weight, "semantic": peaks.stretch}


def towards(query: Vectors, vectors: Vectors, scores: Floats, share: float) -> Vectors:
    """The query's vector moved by this share towards the mean of the best chunks, of length 1 (Rocchio 1971)."""
    best = vectors[np.argsort(-scores, kind="stable")[:FEEDBACK_DEPTH]]
    best = best[~np.isnan(best[:, :1]).any(axis=1)]
    if not len(best):
        return query
    moved = query + share * best.mean(axis=0)
    return np.asarray(moved / np.linalg.norm(moved), np.float32)


def smoothed(scores: Floats, vectors: Vectors, share: float) -> Floats:
    """Take this share of the score of each of the best candidates from its nearest neighbours (Diaz 2007)."""
    top = np.argsort(-scores, kind="stable")[:SMOOTHING_DEPTH]
    top = top[~np.isnan(vectors[top, 0])]
    count = min(NEIGHBOURS, len(top) - 1)
    if count < 1:
        return scores
    near = np.clip(vectors[top] @ vectors[top].T, 0, 1)
    np.fill_diagonal(near, 0)
    kth = np.partition(near, -count, axis=1)[:, -count]
    near = np.where(near >= kth[:, None], near, 0)
    near /= np.maximum(near.sum(axis=1, keepdims=True), 1e-9)
    result = scores.copy()
    result[top] = (1 - share) * scores[top] + share * (near @ scores[top])
    return result


def reranked(scores: Floats, late_interaction: Scoring, weight: float) -> Floats:
    """Add late interaction to the best candidates; one without a score counts as the worst of those with one."""
    top = np.argsort(-scores, kind="stable")[:RERANK_DEPTH]
    found = late_interaction(top)
    seen = ~np.isnan(found)
    if not seen.any():
        return scores
    nearness = np.full(len(scores), found[seen].min(), np.float32)
    nearness[top[seen]] = found[seen]
    return scores + np.float32(weight) * nearness


def reordered(scores: Floats, cross_encoder: Scoring) -> Floats:
    """Put the best candidates in the order of a cross-encoder's scores (Nogueira and Cho 2019).

    They share out among themselves the fused scores that they had, so that those behind them stay behind; one without a
    score keeps its place. Equal scores are told apart in the last bit, or their order would be lost.
    """
    top = np.argsort(-scores, kind="stable")[:RERANK_DEPTH]
    found = cross_encoder(top)
    seen = ~np.isnan(found)
    places, shares = top[seen], scores[top[seen]]
    for at in range(len(shares) - 2, -1, -1):
        shares[at] = max(shares[at], np.nextafter(shares[at + 1], np.float32(np.inf)))
    result = scores.copy()
    result[places[np.argsort(-found[seen], kind="stable")]] = shares
    return result


def convex(lexical: Floats, semantic: Floats, weight: float = 0.5) -> Floats:
    """Min-max each leg over the candidates, then mix (Bruch, Gai and Ingber 2023)."""
    return (1 - weight) * _minmax(lexical) + weight * _minmax(semantic)


def rrf(lexical: Floats, semantic: Floats, weight: float = 0.5) -> Floats:
    """Reciprocal rank fusion; what matches no word has no lexical rank."""
    by_words = np.where(lexical > 0, 1 / (RRF_K + _ranks(lexical)), 0.0)
    return (2 * (1 - weight) * by_words + 2 * weight / (RRF_K + _ranks(semantic))).astype(np.float32)


def dbsf(lexical: Floats, semantic: Floats, weight: float = 0.5) -> Floats:
    """Distribution-based fusion: each leg from three deviations below its mean (0) to three above (1)."""
    return (1 - weight) * _three_sigma(lexical) + weight * _three_sigma(semantic)


def _ranked(ids: Ids, scores: Floats, weights: Mapping[str, float], why: Mapping[str, float]) -> Fused:
    order = np.lexsort((ids, -scores))
    return Fused(Ranking(ids[order], scores[order].astype(np.float32)), order, weights, why)


def _filled(semantic: Floats) -> Floats:
    """A chunk without a vector counts as an average one, so that waiting for it does not sink it."""
    known = semantic[~np.isnan(semantic)]
    middle = np.float32(known.mean()) if len(known) else np.float32(0.0)
    return np.where(np.isnan(semantic), middle, semantic).astype(np.float32)


def _minmax(scores: Floats) -> Floats:
    if len(scores) == 0:
        return scores
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)


def _ranks(scores: Floats) -> Floats:
    """Rank from 1; equal scores share the best rank."""
    ascending = np.sort(scores)
    above = len(scores) - np.searchsorted(ascending, scores, side="right")
    return (above + 1).astype(np.float32)


def _three_sigma(scores: Floats) -> Floats:
    if len(scores) == 0:
        return scores
    mean, deviation = scores.mean(), scores.std()
    if deviation == 0:
        return np.full_like(scores, 0.5)
    return np.asarray((scores - mean + 3 * deviation) / (6 * deviation)).clip(0.0, 1.0)
