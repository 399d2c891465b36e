"""Cuts blocks into what is never cut, and puts that together, by C of our own (kernels/units.c and passages.c).

It does as chunk.py does, which tells the weights.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from ctypes import POINTER, PyDLL, byref, c_char, c_char_p, c_double, c_int32, c_void_p
from functools import cache
from typing import Any, NamedTuple

from localsearch import kernels
from localsearch.types import Block, Place

BY_LINE = frozenset(["code", "table"])
"""Kinds of blocks that are cut at lines."""
REPEATED = frozenset(["paragraph", "list"])
"""Kinds of blocks whose end the next passage may repeat."""
_UNIT = struct.Struct("=4id")
_PASSAGE = struct.Struct("=4i")
_NO_ROOM = -2
Stretch = tuple[int, int, int, int, float]
"""Where it starts and ends, its block by its number, whether it is over the limit, and its estimated word pieces."""

Passage = tuple[int, int, int, int]
"""Where it starts and ends, the block it starts in, and how much of the heading of that is above all of it."""


class Told(NamedTuple):
    """Blocks as the C has them (kernels/units.h), and the headings of their sections, a number for each name."""

    blocks: bytes
    many: int
    headings: bytes


class Cutter:
    """Finds sentences or lines with their costs. Raises OSError where the kernels are not there."""

    def __init__(self, weights: Sequence[float], common: Iterable[bytes]) -> None:
        compiled = _compiled()
        if compiled is None:
            raise OSError("the kernels were not built")
        self._compiled = compiled
        self._estimate = compiled.localsearch_units_begin(
            (c_double * len(weights))(*weights), b"".join(word + b" " for word in common)
        )
        if not self._estimate:
            raise MemoryError

    def __del__(self) -> None:
        if getattr(self, "_estimate", None):
            self._compiled.localsearch_units_end(self._estimate)

    def cut(self, text: str, told: Told, limit: int) -> Units | None:
        """The units of all blocks in order; None where Python has to look."""
        code = text.encode("utf-32-le", "surrogatepass")
        room = len(text) // 16 + 2 * told.many + 64
        while True:
            units = bytearray(room * _UNIT.size)
            count = self._compiled.localsearch_units(
                self._estimate, code, len(text), told.blocks, told.many, limit, _place(units), room
            )
            if count != _NO_ROOM:
                break
            room *= 4
        return None if count < 0 else Units(self._compiled, units, count, told)


class Units:
    """What has been cut."""

    def __init__(self, compiled: PyDLL, units: bytearray, count: int, told: Told) -> None:
        self._compiled, self._told = compiled, told
        self._units, self._count = units, count

    def __iter__(self) -> Iterator[Stretch]:
        yield from _UNIT.iter_unpack(memoryview(self._units)[: self._count * _UNIT.size])

    def passages(self, limit: int, overlap: int) -> list[Passage] | None:
        """Passages of units; None where some are over the limit, which Python has to cut."""
        found = bytearray(max(self._count, 1) * _PASSAGE.size)
        count = self._compiled.localsearch_passages(
            _place(self._units),
            self._count,
            self._told.blocks,
            self._told.headings,
            limit,
            overlap,
            _place(found),
        )
        return None if count < 0 else list(_PASSAGE.iter_unpack(memoryview(found)[: count * _PASSAGE.size]))


def section_key(place: Place) -> tuple[tuple[str, ...], tuple[object, ...]]:
    """What the blocks of a section have in common: their heading, and where else they stand."""
    return place.heading, (place.page, place.sheet, place.message, place.chapter)


def told_of(blocks: Sequence[Block]) -> Told:
    """Blocks as the C has them."""
    told, headings = array("i"), array("i")
    names: dict[str, int] = {}
    fixed: dict[tuple[object, ...], int] = {}
    place = key = None
    section, under = -1, (0, 0, 0)
    for block in blocks:
        if block.place is not place:
            place = block.place
            if (own := section_key(place)) != key:
                key, section = own, section + 1
                under = fixed.setdefault(own[1], len(fixed)), len(headings), len(place.heading)
                headings.extend(names.setdefault(name, len(names)) for name in place.heading)
        kind = block.kind
        told.extend((block.start, block.end, kind in BY_LINE, kind in REPEATED, section, *under))
    return Told(told.tobytes(), len(blocks), headings.tobytes())


def _place(buffer: bytearray) -> Any:
    return byref(c_char.from_buffer(buffer))


@cache
def _compiled() -> PyDLL | None:
    """The kernels; other threads wait while they are called through it, which takes less time than letting them in."""
    path = kernels.library()
    if path is None:
        return None
    library = PyDLL(str(path))
    try:
        begin, cut, end, join = (
            library.localsearch_units_begin,
            library.localsearch_units,
            library.localsearch_units_end,
            library.localsearch_passages,
        )
    except AttributeError:  # built from an older checkout
        return None
    begin.argtypes, begin.restype = [POINTER(c_double), c_char_p], c_void_p
    end.argtypes, end.restype = [c_void_p], None
    cut.argtypes = [c_void_p, c_char_p, c_int32, c_char_p, c_int32, c_double, c_void_p, c_int32]
    join.argtypes = [c_void_p, c_int32, c_char_p, c_char_p, c_double, c_double, c_void_p]
    return library


def available() -> bool:
    """Whether the kernels are there."""
    return _compiled() is not None
