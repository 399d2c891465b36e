"""Cuts blocks into what is never cut, by C of our own (kernels/units.c): as chunk.py does, which tells the weights."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from ctypes import POINTER, PyDLL, byref, c_char, c_char_p, c_double, c_int32, c_void_p
from functools import cache

from localsearch import kernels
from localsearch.types import Block

_UNIT = struct.Struct("=4id")
_NO_ROOM = -2
Stretch = tuple[int, int, int, int, float]
"""Where it starts and ends, its block by its number, whether it is over the limit, and its estimated word pieces."""


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

    def cut(
        self, text: str, blocks: Sequence[Block], by_line: frozenset[str], limit: int
    ) -> list[Stretch] | None:
        """The stretches of all blocks in order, those `by_line` cut at lines; None where Python has to look."""
        code = text.encode("utf-32-le", "surrogatepass")
        told = array("i", [n for block in blocks for n in (block.start, block.end, block.kind in by_line)])
        room = len(text) // 16 + 2 * len(blocks) + 64
        while True:
            units = bytearray(room * _UNIT.size)
            place = byref(c_char.from_buffer(units))
            count = self._compiled.localsearch_units(
                self._estimate, code, len(text), told.tobytes(), len(blocks), limit, place, room
            )
            if count != _NO_ROOM:
                break
            room *= 4
        if count < 0:
            return None
        return list(_UNIT.iter_unpack(memoryview(units)[: count * _UNIT.size]))


@cache
def _compiled() -> PyDLL | None:
    """The kernels; other threads wait while they are called through it, which takes less time than letting them in."""
    path = kernels.library()
    if path is None:
        return None
    library = PyDLL(str(path))
    try:
        begin, cut, end = (
            library.localsearch_units_begin,
            library.localsearch_units,
            library.localsearch_units_end,
        )
    except AttributeError:  # built from an older checkout
        return None
    begin.argtypes, begin.restype = [POINTER(c_double), c_char_p], c_void_p
    end.argtypes, end.restype = [c_void_p], None
    cut.argtypes = [c_void_p, c_char_p, c_int32, c_char_p, c_int32, c_double, c_void_p, c_int32]
    return library


def available() -> bool:
    """Whether the kernels are there."""
    return _compiled() is not None
