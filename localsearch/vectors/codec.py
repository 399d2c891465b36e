"""How a unit vector is kept in the graph, and how precisely it comes back.

fp32, fp16   as floating numbers of 4 or 2 bytes a dimension, walked as they are
int8         one byte a dimension: round(x / step) + 128, the same step in every dimension
int12        that byte, by which the graph is walked, and four bits more that divide the step by 16, by which what was
             found is scored: the high byte and the low bits of one number, floor((x / step + 128.5) * 16). With steps
             of 0.003 a component is within 0.00009, and a cosine is off by 0.00005 (root mean square).
int16        that byte, and a second one that divides the step by 255. With steps of 0.003 it is as exact as a half
             float where a component is large, and within 0.000006 where it is small.

One step for all dimensions lets FAISS walk by the L2 distance of bytes, in integers: two to three times as fast as half
floats, and for unit vectors the same order as the cosine.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from localsearch import quantize
from localsearch.quantize import Bytes
from localsearch.settings import Storage
from localsearch.types import Scores, Vectors

_MARGIN = 1.1
_ZERO = np.float32(128)
_PARTS = {"int8": 1, "int12": 16, "int16": 255}
"""Into how many parts the step of the byte is divided."""
_MIDDLE = {"int8": _ZERO, "int12": np.float32(128.5 * 16 - 0.5), "int16": np.float32(128 * 255 + 128)}
"""The number that stands for zero; in 12 bits each stands for the middle of its part, and zero is between two."""


@dataclass(frozen=True, slots=True)
class Codes:
    """Encoded vectors: what the graph is walked by, and the rest, each of shape (n, bytes); see `widths`."""

    walk: Bytes
    rest: Bytes

    def __len__(self) -> int:
        return len(self.walk)

    def digests(self) -> list[bytes]:
        """16 bytes for each vector, the same for equal vectors only."""
        rows = np.ascontiguousarray(np.concatenate([self.walk, self.rest], axis=1))
        return [blake2b(row, digest_size=16).digest() for row in rows]

    def at(self, rows: NDArray[np.int64]) -> Codes:
        return Codes(self.walk[rows], self.rest[rows])


@dataclass(frozen=True, slots=True)
class Codec:
    """Encodes and decodes; `limit` is the largest component that bytes can hold."""

    storage: Storage
    limit: float = 1.0

    @property
    def in_bytes(self) -> bool:
        """Whether the graph is walked by bytes, so that what it finds must be scored again."""
        return self.storage in _PARTS

    def fits(self, vectors: Vectors) -> bool:
        return not self.in_bytes or not vectors.size or float(np.abs(vectors).max()) <= self.limit

    def widened(self, vectors: Vectors) -> Codec:
        """The same with room for these, and a little more."""
        return Codec(self.storage, min(1.0, _MARGIN * float(np.abs(vectors).max())))

    def encode(self, vectors: Vectors) -> Codes:
        """Vectors of shape (n, dimensions) to codes; components beyond the limit are cut off at it."""
        nothing = np.empty((len(vectors), 0), np.uint8)
        if not self.in_bytes:
            kind = np.float16 if self.storage == "fp16" else np.float32
            return Codes(np.ascontiguousarray(vectors, kind).view(np.uint8), nothing)
        scaled = np.clip(vectors * np.float32(127 / self.limit), -127, 127)
        if self.storage == "int12":
            return Codes(*quantize.split(((scaled + np.float32(128.5)) * np.float32(16)).astype(np.uint16)))
        whole = np.rint(scaled)
        walk = (whole + _ZERO).astype(np.uint8)
        if self.storage == "int8":
            return Codes(walk, nothing)
        parts = np.rint((scaled - whole) * np.float32(_PARTS["int16"]))
        return Codes(walk, (np.clip(parts, -128, 127) + _ZERO).astype(np.uint8))

    def decode(self, codes: Codes) -> Vectors:
        """Codes to vectors of shape (n, dimensions), float32."""
        if not self.in_bytes:
            kind = np.float16 if self.storage == "fp16" else np.float32
            return np.ascontiguousarray(codes.walk).view(kind).astype(np.float32)
        numbers, middle, step = self._numbers(codes)
        vectors = numbers.astype(np.float32)
        vectors -= middle
        vectors *= step
        return vectors

    def products(self, codes: Codes, query: Vectors) -> Scores:
        """Return each vector's product with the query, shape (n,): `decode(codes) @ query` to within rounding."""
        if not self.in_bytes:
            return np.asarray(self.decode(codes) @ query, np.float32)
        numbers, middle, step = self._numbers(codes)
        total = numbers.astype(np.float32) @ query - middle * query.sum()
        return np.asarray(total * step, np.float32)

    def _numbers(self, codes: Codes) -> tuple[NDArray[np.uint8 | np.uint16], np.float32, np.float32]:
        """Return codes in bytes as integers, the integer of zero, and the component of one step."""
        step = np.float32(self.limit / 127 / _PARTS[self.storage])
        if self.storage == "int8":
            return codes.walk, _MIDDLE["int8"], step
        if self.storage == "int12":
            return quantize.joined(codes.walk, codes.rest), _MIDDLE["int12"], step
        numbers = np.multiply(codes.walk, np.uint16(255), dtype=np.uint16)
        numbers += codes.rest
        return numbers, _MIDDLE["int16"], step

    def for_walking(self, codes: Codes) -> Vectors:
        """Return codes as FAISS takes them: floats that it stores as exactly the bytes of `walk`."""
        return codes.walk.astype(np.float32) if self.in_bytes else self.decode(codes)

    def query(self, query: Vectors) -> Vectors:
        """A query, shape (dimensions,), in the terms of the graph, shape (1, dimensions)."""
        if not self.in_bytes:
            return query[None, :]
        walked = np.rint(np.clip(query[None, :] * np.float32(127 / self.limit), -127, 127))
        return np.asarray(walked + _ZERO, np.float32)

    def could_reach(self, distance: float) -> float:
        """The highest cosine that two unit vectors can have whose bytes are this far apart (squared L2, in steps).

        Rounding both moves each component by an error of standard deviation step * sqrt(2 / 12); that moves half the
        squared distance by as much times the distance. Six standard deviations are allowed for.
        """
        step = self.limit / 127
        apart = step * sqrt(distance)
        return 1 - apart * apart / 2 + 6 * sqrt(2 / 12) * step * (apart + step)


def widths(storage: Storage, dimensions: int) -> tuple[int, int]:
    """Bytes of a vector by which the graph is walked, and the rest of it."""
    walk = dimensions * {"fp32": 4, "fp16": 2}.get(storage, 1)
    return walk, {"int12": quantize.packed_width(dimensions), "int16": dimensions}.get(storage, 0)
