"""Numbers of 12 bits, and vectors kept in them: the one packing of the database and of the vector graph.

A row of numbers from 0 to 4,095 is kept as the high byte of each, then the low four bits of each, two to a byte: those
of the first half of the row below, those of the second half above. So both halves are unpacked as whole blocks. In a
row of odd length the last four bits are empty.

    0x123 0x456 0x789  ->  12 45 78, 93 06

A vector is kept as its step, a little-endian float32, and a number for each component, x / step + 2,048: the largest
component is 2,047 steps, and each comes back to within half a step. Measured on 10,214 real texts of 384 dimensions,
the error's root mean square and its maximum:

                           a component          a cosine             bytes
    12 bits and a step     0.000023  0.00007    0.000023  0.00014    580
    half floats            0.000011  0.00011    0.000011  0.00006    768
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from localsearch.types import Vectors

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.uint16]

_ZERO = np.float32(2048)
_MOST = np.float32(2047)
_BLOCK = 64
"""Vectors read at a time: few enough for the memory to be taken from the heap again and again."""
_STEP_BITS = 13
"""A step of so few bits times a number of 11 is exact in a float32: what was read is written as the same bytes."""


def split(numbers: Numbers) -> tuple[Bytes, Bytes]:
    """Numbers below 4,096, shape (n, d), as high bytes (n, d) and packed low bits (n, packed_width(d))."""
    high, low = (numbers >> np.uint16(4)).astype(np.uint8), (numbers & np.uint16(15)).astype(np.uint8)
    half = packed_width(numbers.shape[1])
    packed = low[:, :half].copy()
    packed[:, : numbers.shape[1] - half] |= low[:, half:] << np.uint8(4)
    return high, packed


def joined(high: Bytes, packed: Bytes) -> Numbers:
    """What `split` took apart, shape (n, d)."""
    low = np.concatenate([packed & np.uint8(15), packed >> np.uint8(4)], axis=1, dtype=np.uint16)
    numbers = high.astype(np.uint16)
    numbers *= np.uint16(16)
    numbers += low[:, : high.shape[1]]
    return numbers


def packed_width(dimensions: int) -> int:
    """Bytes that the low bits of this many numbers take."""
    return (dimensions + 1) // 2


def to_bytes(vectors: Vectors) -> list[bytes]:
    """Vectors of shape (n, dimensions), each as it is stored: in 12 bits a component where that is shorter than in 16.

    One that is not finite comes back not finite.
    """
    if not _is_shorter(vectors.shape[1]):
        return [row.tobytes() for row in vectors.astype("<f2")]
    steps = _steps(vectors)
    with np.errstate(invalid="ignore"):
        scaled = np.rint(vectors / np.where(steps > 0, steps, np.float32(1))[:, None])
        high, packed = split((scaled + _ZERO).astype(np.uint16))
    rows = np.concatenate([steps.astype("<f4").view(np.uint8).reshape(-1, 4), high, packed], axis=1)
    return [row.tobytes() for row in rows]


def from_bytes(stored: Sequence[bytes], dimensions: int) -> Vectors:
    """Stored vectors, shape (n, dimensions). An earlier release stored half floats, of 2 bytes: they are longer."""
    found = np.empty((len(stored), dimensions), np.float32)
    for start in range(0, len(stored), _BLOCK):
        rows = stored[start : start + _BLOCK]
        short = np.array([len(row) < 2 * dimensions for row in rows])
        block = found[start : start + len(rows)]
        for kind, read in ((short, _twelve_bits), (~short, _half_floats)):
            if kind.all():
                block[:] = read(rows, dimensions)
            elif kind.any():
                block[kind] = read([rows[at] for at in np.flatnonzero(kind).tolist()], dimensions)
    return found


def stored_sizes(dimensions: int) -> tuple[int, ...]:
    """How many bytes a stored vector may have."""
    return (_width(dimensions), 2 * dimensions) if _is_shorter(dimensions) else (2 * dimensions,)


def rounded(vectors: Vectors) -> Vectors:
    """Vectors as they come back when they have been stored; the same for what came back once."""
    return from_bytes(to_bytes(vectors), vectors.shape[1])


def _width(dimensions: int) -> int:
    return 4 + dimensions + packed_width(dimensions)


def _is_shorter(dimensions: int) -> bool:
    return _width(dimensions) < 2 * dimensions


def _steps(vectors: Vectors) -> Vectors:
    """The step of each vector, shape (n,), rounded to few bits."""
    mantissas, exponents = np.frexp(np.abs(vectors).max(axis=1) / _MOST)
    short = np.ldexp(np.rint(mantissas * np.float32(1 << _STEP_BITS)), exponents - _STEP_BITS)
    return np.asarray(short, np.float32)


def _twelve_bits(stored: Sequence[bytes], dimensions: int) -> Vectors:
    rows = np.frombuffer(b"".join(stored), np.uint8).reshape(len(stored), _width(dimensions))
    steps = np.ascontiguousarray(rows[:, :4]).view("<f4")
    vectors = joined(rows[:, 4 : 4 + dimensions], rows[:, 4 + dimensions :]).astype(np.float32)
    vectors -= _ZERO
    with np.errstate(invalid="ignore"):
        vectors *= steps
    return vectors


def _half_floats(stored: Sequence[bytes], dimensions: int) -> Vectors:
    return np.frombuffer(b"".join(stored), "<f2").astype(np.float32).reshape(len(stored), dimensions)
