"""Fusion: worked examples, and what must hold for any scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localsearch.ranking.constants import USUAL_LEAD, USUAL_PEAK
from localsearch.ranking.fusion import (
    Candidates,
    FusionParameters,
    Method,
    Peaks,
    QuerySignals,
    Reranking,
    convex,
    dbsf,
    fuse,
    lead,
    letters_per_piece,
    reordered,
    reranked,
    rrf,
    smoothed,
    towards,
    union,
)
from localsearch.types import Ranking

METHODS: list[Method] = ["adaptive", "convex", "rrf", "dbsf"]


def scores(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_union_is_sorted_and_unique() -> None:
    left = Ranking(np.array([5, 2]), scores(3, 1))
    right = Ranking(np.array([2, 9]), scores(0.9, 0.2))
    assert union(left, right).tolist() == [2, 5, 9]


def test_convex_is_min_max_half_and_half() -> None:
    mixed = convex(scores(0, 5, 10), scores(0.9, 0.5, 0.1))
    assert mixed.tolist() == pytest.approx([0.5, 0.5, 0.5])
    assert convex(scores(0, 5, 10), scores(0.9, 0.5, 0.1), 1.0).tolist() == pytest.approx([1, 0.5, 0])


def test_rrf_adds_reciprocal_ranks_and_ignores_what_has_no_word() -> None:
    mixed = rrf(scores(7, 3, 0), scores(0.1, 0.3, 0.2))
    assert mixed.tolist() == pytest.approx([1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 62])


def test_dbsf_puts_the_mean_at_one_half() -> None:
    assert dbsf(scores(1, 2, 3), scores(1, 2, 3))[1] == pytest.approx(0.5)


def test_words_weigh_more_where_the_tokenizer_shreds_the_query() -> None:
    assert letters_per_piece("winter tyres", 3) == pytest.approx(11 / 3)
    assert letters_per_piece("東京タワー", 5) == pytest.approx((5 + 2 + 0.5 * 3) / 5)
    assert QuerySignals(4.2).word_weight(9.0) == QuerySignals(3.0).word_weight(9.0) == pytest.approx(0.5)
    assert QuerySignals(1.5).word_weight(9.0) == pytest.approx(2.0)
    assert QuerySignals(1.5).trust() == pytest.approx(0.25)
    # Half of what is enough, half the weight; enough and more, all of it; 0 leaves the step out.
    assert QuerySignals(4.2, most=10.0).word_weight(3.0) == pytest.approx(0.25)
    assert QuerySignals(4.2, most=10.0).word_weight(6.5) == pytest.approx(0.5)
    assert QuerySignals(4.2, most=10.0).word_weight(0.1, FusionParameters(coverage=0.0)) == pytest.approx(0.5)
    # A model that does not know the language is nothing to turn to: of its trust of 1/4 comes a cut of 1/8.
    assert QuerySignals(1.5, most=10.0).covered(3.0) == pytest.approx(1 - 0.25 * 0.5)
    other = FusionParameters(words=0.6, known=2.0, power=1.0)
    assert QuerySignals(1.0).word_weight(9.0, other) == pytest.approx(1.2)
    assert QuerySignals(1.0).trust(other) == pytest.approx(0.5)


def test_the_lead_of_words_is_how_far_the_tenth_is_behind() -> None:
    assert lead(np.arange(20, 0, -1, dtype=np.float32)) == pytest.approx(9 / 20)
    assert lead(scores(4, 3, 1)) == pytest.approx(0.75)
    assert lead(scores(0, 0)) == lead(scores()) == 0


def test_a_list_that_stands_out_is_trusted_more() -> None:
    ids = np.arange(40)
    flat, steep = np.linspace(2, 1, 40, dtype=np.float32), np.linspace(2, 1, 40, dtype=np.float32)
    steep[0] = 9
    even = Peaks.of(flat, flat[::-1] / 10)
    assert even.lead == pytest.approx(9 / 39 / 2, abs=1e-6)
    assert even.peak == pytest.approx(0.05 / (flat.std() / 10), rel=1e-4)
    assert Peaks.of(steep, flat / 10).factor() > even.factor(), "the best by words stands out"
    assert Peaks.of(flat, steep / 10).factor() < even.factor(), "the best by meaning does"
    usual = Peaks(USUAL_LEAD, USUAL_PEAK)
    assert usual.factor() == 1
    assert Peaks(4 * USUAL_LEAD, USUAL_PEAK).factor(FusionParameters(lead=0.5)) == pytest.approx(2)
    assert Peaks(USUAL_LEAD, 4 * USUAL_PEAK).factor(FusionParameters(peak=0.5)) == pytest.approx(0.5)
    why = fuse(Candidates(ids, steep, flat / 10)).why
    assert (why["lead"], why["peak"]) == (
        pytest.approx((9 - steep[9]) / 9),
        pytest.approx(even.peak, rel=1e-4),
    )


def test_what_stands_out_is_read_from_the_best_of_each_leg_only() -> None:
    rng = np.random.default_rng(3)
    lexical, semantic = np.sort(rng.random((2, 100)).astype(np.float32) + 1)
    more = (
        np.concatenate([lexical, np.zeros(300, np.float32)]),
        np.concatenate([semantic, np.full(300, -9, np.float32)]),
    )
    assert Peaks.of(*more) == Peaks.of(lexical, semantic)
    unknown = np.concatenate([semantic, np.full(300, np.nan, np.float32)])
    assert Peaks.of(more[0], unknown) == Peaks.of(lexical, semantic)
    # Three candidates do not tell how peaked a list is, one not even how wide.
    three = Peaks.of(scores(3, 2, 1), scores(0.5, 0.3, 0.1))
    assert (three.factor(), three.stretch) == (1, pytest.approx(0.1 / np.std([0.5, 0.3, 0.1]), rel=1e-5))
    # Where it is known what is usual, it counts as much as what is seen, and all where there is little to see.
    known = Peaks.of(lexical, semantic, usual=0.02)
    assert known.stretch == pytest.approx(0.1 / np.sqrt(0.02 * semantic.std()), rel=1e-5)
    assert Peaks.of(scores(3), scores(0.5), usual=0.02) == Peaks(stretch=0.1 / 0.02)
    assert Peaks.of(scores(3), scores(0.5)) == Peaks.of(scores(3, 2), scores(0.5, np.nan)) == Peaks()


def test_a_model_whose_cosines_lie_close_together_counts_as_much_as_another() -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(60, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    lexical, semantic = rng.random(60).astype(np.float32) * 9, vectors[:, 0]
    wide = fuse(Candidates(np.arange(60), lexical, semantic))
    narrow = fuse(Candidates(np.arange(60), lexical, 0.8 + semantic / 20))
    assert narrow.ranking.ids.tolist() == wide.ranking.ids.tolist()
    assert narrow.weights["lexical"] == pytest.approx(wide.weights["lexical"], rel=1e-3)
    assert narrow.weights["semantic"] == pytest.approx(20 * wide.weights["semantic"], rel=1e-3)


def test_the_query_moves_towards_the_best_passages() -> None:
    vectors = np.array([[1, 0], [0, 1], [0, 1], [np.nan, np.nan]], np.float32)
    moved = towards(scores(1, 0), vectors, scores(0, 3, 2, 9), 0.3)
    expected = np.array([1, 0.3])
    assert moved.tolist() == pytest.approx((expected / np.linalg.norm(expected)).tolist(), abs=1e-6)


def test_a_passage_among_good_ones_rises() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    before = scores(1.0, 0.5, 0.6, 0.1)
    after = smoothed(before, vectors, 0.3)
    assert after[1] > after[2], "its neighbour is the best one"
    assert smoothed(before[:1], vectors[:1], 0.3).tolist() == before[:1].tolist()


def test_reranking_reorders_the_best_and_takes_the_rest_for_as_bad_as_the_worst() -> None:
    before = np.linspace(1, 0, 40, dtype=np.float32)
    after = reranked(before, lambda top: np.linspace(0.2, 1, len(top), dtype=np.float32), 1.5)
    assert int(np.argmax(after)) == 29
    assert after[:30] - before[:30] == pytest.approx(1.5 * np.linspace(0.2, 1, 30), abs=1e-6)
    assert after[30:] - before[30:] == pytest.approx([0.3] * 10, abs=1e-6)


def test_reranking_that_ran_out_of_time_counts_for_what_it_saw() -> None:
    before = scores(0.9, 0.8, 0.7)
    assert reranked(before, lambda top: scores(0.1, 0.4, np.nan), 1.0).tolist() == pytest.approx(
        [1, 1.2, 0.8]
    )
    assert reranked(before, lambda top: scores(np.nan, np.nan, np.nan), 1.0).tolist() == before.tolist()


def test_a_cross_encoder_has_the_last_word_on_the_best_and_none_on_the_rest() -> None:
    before = np.linspace(1, 0, 40, dtype=np.float32)
    after = reordered(before, lambda top: np.arange(len(top), dtype=np.float32) - 100)
    assert np.argsort(-after, kind="stable").tolist() == [*range(29, -1, -1), *range(30, 40)]
    assert sorted(after) == sorted(before), "the same scores, shared out anew"
    assert before[0] == 1, "what was handed in stays as it was"


def test_a_cross_encoder_that_ran_out_of_time_orders_what_it_read() -> None:
    before = scores(0.9, 0.8, 0.7, 0.6)
    assert (
        reordered(before, lambda top: scores(-3, 2, np.nan, np.nan)).tolist()
        == scores(0.8, 0.9, 0.7, 0.6).tolist()
    )
    assert reordered(before, lambda top: np.full(4, np.nan, np.float32)).tolist() == before.tolist()


def test_a_cross_encoder_tells_equal_scores_apart() -> None:
    after = reordered(scores(1, 1, 1, 0.5), lambda top: scores(0.1, 0.3, 0.2, 0.4))
    assert np.argsort(-after).tolist() == [3, 1, 2, 0]
    assert after == pytest.approx([0.5, 1, 1, 1], abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_cross_encoder_decides_whatever_the_method(method: Method) -> None:
    last_first = Reranking("judge", lambda top: np.arange(len(top), dtype=np.float32), replaces=True)
    vectors = np.eye(3, dtype=np.float32)
    both = Candidates(np.array([1, 2, 3]), scores(1, 9, 4), scores(0.1, 0.8, 0.5), vectors)
    assert fuse(both, method, reranking=last_first).ranking.ids.tolist() == [1, 3, 2]
    words = Candidates(np.array([1, 2, 3]), scores(1, 9, 4))
    assert fuse(words, method, reranking=last_first).ranking.ids.tolist() == [1, 3, 2]


@given(
    st.lists(st.tuples(st.floats(0, 50, width=32), st.floats(-1, 1, width=32)), min_size=1, max_size=40),
    st.sampled_from(METHODS),
)
def test_any_method_orders_every_candidate_once(pairs: list[tuple[float, float]], method: Method) -> None:
    lexical, semantic = (np.array(column, np.float32) for column in zip(*pairs))
    ids = np.arange(100, 100 + len(pairs), dtype=np.int64)
    fused = fuse(Candidates(ids, lexical, semantic), method, signals=QuerySignals(2.0))
    assert sorted(fused.ranking.ids.tolist()) == ids.tolist()
    assert np.all(np.diff(fused.ranking.scores) <= 0)
    assert np.array_equal(ids[fused.order], fused.ranking.ids)


@pytest.mark.parametrize("method", METHODS)
def test_a_passage_better_on_both_legs_is_never_below(method: Method) -> None:
    fused = fuse(Candidates(np.array([1, 2, 3]), scores(1, 9, 4), scores(0.1, 0.8, 0.5)), method)
    assert fused.ranking.ids.tolist() == [2, 3, 1]


def test_without_vectors_the_words_decide() -> None:
    fused = fuse(Candidates(np.array([1, 2]), scores(1, 2)))
    assert fused.ranking.ids.tolist() == [2, 1]
    assert fused.weights == {"lexical": 1.0, "semantic": 0.0}


def test_a_passage_that_waits_for_its_vector_counts_as_average() -> None:
    semantic = scores(0.9, np.nan, 0.1)
    fused = fuse(Candidates(np.array([1, 2, 3]), scores(1, 1, 1), semantic), "convex")
    assert fused.ranking.ids.tolist() == [1, 2, 3]


def test_nothing_found_by_either() -> None:
    empty = np.empty(0, np.float32)
    for method in METHODS:
        assert len(fuse(Candidates(np.empty(0, np.int64), empty, empty), method).ranking) == 0
