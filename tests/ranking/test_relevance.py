"""Relevance: what cosines mean in a corpus, and when nothing in it is about a query."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localsearch.ranking.relevance import (
    Calibration,
    best,
    calibrate,
    evidence,
    is_out_of_domain,
    match,
    relevance,
)


def scores(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


PLAIN = Calibration(floor=0.0, ceiling=0.6)


def test_the_floor_is_below_random_pairs_and_the_ceiling_is_a_usual_neighbour() -> None:
    rng = np.random.default_rng(1)
    pairs = rng.normal(0.15, 0.06, 4000).astype(np.float32)
    nearest = rng.normal(0.6, 0.1, 500).astype(np.float32)
    found = calibrate(pairs, nearest)
    assert found is not None
    assert found.floor == pytest.approx(0.15 - 2.5 * 0.06, abs=0.01)
    assert found.ceiling == pytest.approx(0.6, abs=0.02)


def test_too_small_a_corpus_is_not_calibrated() -> None:
    few = np.full(10, 0.3, np.float32)
    assert calibrate(few, few) is None
    assert calibrate(np.full(100, np.nan, np.float32), np.full(100, 0.5, np.float32)) is None


def test_nearness_is_measured_in_units_of_the_corpus() -> None:
    narrow = Calibration(floor=0.7, ceiling=0.9)
    assert narrow.nearness(scores(0.7, 0.8, 0.9, np.nan)).tolist() == pytest.approx([0, 0.5, 1, 0], abs=1e-5)
    # The same distances above another floor mean the same.
    wide = Calibration(floor=0.0, ceiling=0.2)
    assert wide.nearness(scores(0.1)).tolist() == pytest.approx(
        narrow.nearness(scores(0.8)).tolist(), abs=1e-5
    )


def test_match_is_the_share_of_the_words() -> None:
    assert match(scores(0, 3, 12), 6.0).tolist() == pytest.approx([0, 0.5, 1])
    assert match(scores(1, 2), 0.0).tolist() == [0, 0]


def test_a_worked_example_of_the_curves() -> None:
    logit = evidence(scores(0.5), scores(0.5))[0]
    assert logit == pytest.approx(8.0 * 0.5 + 4.2 * 0.5 - 7.4)
    found = relevance(scores(3), scores(0.3), 6.0, PLAIN)[0]
    assert found == pytest.approx(1 / (1 + np.exp(-(0.47 * logit - 1.0))))


def test_far_in_meaning_and_words_is_foreign_near_in_one_is_not() -> None:
    assert is_out_of_domain(*best(scores(0.5, 0.2), scores(0.2, 0.25), 6.0, PLAIN))
    assert not is_out_of_domain(*best(scores(0.0, 0.2), scores(0.58, 0.25), 6.0, PLAIN))
    assert not is_out_of_domain(*best(scores(5.9), scores(0.1), 6.0, PLAIN))


def test_a_shredded_query_is_not_foreign_while_it_shares_a_word() -> None:
    assert is_out_of_domain(0.2, 0.1, letters_per_piece=2.5)
    assert not is_out_of_domain(0.2, 0.1, letters_per_piece=1.9)
    assert is_out_of_domain(0.2, 0.0, letters_per_piece=1.9)


def test_the_best_by_meaning_and_by_words_may_be_different_passages() -> None:
    found = best(scores(3.0, 0.0, 1.0), scores(0.0, 0.3, np.nan), 6.0, PLAIN)
    assert found == pytest.approx((0.5, 0.5))


def test_a_calibration_is_outdated_when_the_corpus_has_changed_much() -> None:
    made = Calibration(0.0, 0.6, vectors=1000, seq=400)
    assert not made.is_outdated(1900, 450, 100)
    assert made.is_outdated(2000, 450, 100)
    assert made.is_outdated(500, 450, 100)
    assert made.is_outdated(1000, 501, 100)


@given(st.floats(0, 20), st.floats(-1, 1), st.floats(0.01, 5), st.floats(0.01, 0.5))
def test_relevance_is_a_probability_that_rises_with_either_leg(
    lexical: float, cosine: float, words: float, near: float
) -> None:
    low, more_words, nearer = relevance(
        scores(lexical, lexical + words, lexical), scores(cosine, cosine, cosine + near), 10.0, PLAIN
    )
    assert 0 <= low <= more_words <= 1
    assert low <= nearer <= 1
