"""Numbers of 12 bits and the vectors kept in them: what goes in comes out, to within half a step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from localsearch import quantize
from localsearch.types import Vectors

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)
FLOATS = st.floats(-(2.0**100), 2.0**100, width=32).filter(lambda x: x == 0 or abs(x) > 2.0**-80)


def unit_vectors(count: int, dimensions: int, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def half_floats(vectors: Vectors) -> list[bytes]:
    """As an earlier release stored them."""
    return [vector.astype("<f2").tobytes() for vector in vectors]


def test_the_layout_is_the_one_in_the_docstring() -> None:
    high, packed = quantize.split(np.array([[0x123, 0x456, 0x789]], np.uint16))
    assert (high.tobytes().hex(" "), packed.tobytes().hex(" ")) == ("12 45 78", "93 06")


@given(arrays.arrays(np.uint16, SHAPES, elements=st.integers(0, 4095)))
def test_numbers_come_back_as_they_were(numbers: np.ndarray) -> None:
    high, packed = quantize.split(numbers)
    assert packed.shape == (len(numbers), quantize.packed_width(numbers.shape[1]))
    assert (quantize.joined(high, packed) == numbers).all()


@given(arrays.arrays(np.float32, SHAPES, elements=FLOATS))
def test_a_component_comes_back_to_within_half_a_step(vectors: Vectors) -> None:
    if vectors.shape[1] < 10:
        vectors = np.repeat(vectors, 10, axis=1)
    stored = quantize.to_bytes(vectors)
    found = quantize.from_bytes(stored, vectors.shape[1])
    step = np.abs(vectors).max(axis=1, keepdims=True) / 2047
    assert (np.abs(found - vectors) <= step * 0.5003).all()
    assert (np.abs(found).max(axis=1) >= np.abs(vectors).max(axis=1) * 0.9998).all()
    assert quantize.to_bytes(found) == stored, "what was read is written as the same bytes"


@pytest.mark.parametrize("dimensions", [10, 11, 63, 64, 383, 384, 1024])
def test_a_vector_takes_its_step_and_a_byte_and_a_half_a_component(dimensions: int) -> None:
    vectors = unit_vectors(30, dimensions)
    stored = quantize.to_bytes(vectors)
    assert {len(row) for row in stored} == {4 + dimensions + (dimensions + 1) // 2}
    assert quantize.stored_sizes(dimensions) == (len(stored[0]), 2 * dimensions)
    assert len(quantize.to_bytes(unit_vectors(1, 384))[0]) == 580
    assert np.frombuffer(stored[0][:4], "<f4")[0] == pytest.approx(np.abs(vectors[0]).max() / 2047, rel=2e-4)
    scores = quantize.from_bytes(stored, dimensions) @ vectors[0]
    np.testing.assert_allclose(scores, vectors @ vectors[0], atol=1e-3)


@pytest.mark.parametrize("dimensions", range(1, 13))
def test_few_components_are_kept_as_half_floats_for_12_bits_would_not_be_shorter(dimensions: int) -> None:
    vectors = unit_vectors(20, dimensions)
    sizes = quantize.stored_sizes(dimensions)
    assert len(set(sizes)) == len(sizes) == (1 if dimensions < 10 else 2)
    assert {len(row) for row in quantize.to_bytes(vectors)} == {sizes[0]}
    np.testing.assert_allclose(quantize.rounded(vectors), vectors, atol=3e-4)


@given(st.lists(st.booleans(), max_size=30), st.sampled_from([3, 8, 9, 10, 33, 384]))
def test_rows_of_both_kinds_are_told_apart(olds: list[bool], dimensions: int) -> None:
    vectors = unit_vectors(len(olds), dimensions, seed=len(olds))
    new, old = quantize.to_bytes(vectors), half_floats(vectors)
    found = quantize.from_bytes([old[i] if is_old else new[i] for i, is_old in enumerate(olds)], dimensions)
    assert found.shape == vectors.shape
    for row, is_old in enumerate(olds):
        kept = vectors[row].astype(np.float16) if is_old else quantize.rounded(vectors[row : row + 1])[0]
        assert (found[row] == kept).all()


def test_a_vector_of_zeros_comes_back() -> None:
    assert (quantize.rounded(np.zeros((2, 384), np.float32)) == 0).all()
    with_one = np.zeros((3, 11), np.float32)
    with_one[1, 4] = -1
    found = quantize.rounded(with_one)
    assert np.count_nonzero(found) == 1
    assert found[1, 4] == pytest.approx(-1, rel=2e-4)
    assert quantize.from_bytes([], 384).shape == (0, 384)
    assert quantize.to_bytes(np.empty((0, 384), np.float32)) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_comes_back_so_that_it_is_noticed(bad: float) -> None:
    vectors = unit_vectors(3, 384)
    vectors[1, 5] = bad
    found = quantize.rounded(vectors)
    assert np.isfinite(found).all(axis=1).tolist() == [True, False, True]


def test_what_has_no_size_of_a_vector_is_refused() -> None:
    for size in (0, 579, 581, 700, 769):
        with pytest.raises(ValueError):
            quantize.from_bytes([bytes(size)], 384)
