"""OLE containers, opened once for all who look into one while a file is read.

Reference: [MS-CFB]. olefile reads them; a stream whose chain of sectors is sound is cut out in whole runs, as olefile
goes from one sector of 512 bytes to the next.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache

import olefile

KEPT = 2
"""Containers kept open: a file's own, and the one inside it that is being read."""
_UNKNOWN = 0x7FFFFFFF


class _Stream(io.BytesIO):
    """A stream's bytes, with the size that olefile wants to know."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.size = len(data)


class Container(olefile.OleFileIO):  # type: ignore[misc]
    """An OLE container in memory; whatever is irregular in a stream is left to olefile."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        super().__init__(io.BytesIO(data))

    def _open(self, start: int, size: int = _UNKNOWN, force_FAT: bool = False) -> io.BytesIO:
        small = size < self.minisectorcutoff and not force_FAT
        found = None
        if small and self.ministream:
            found = _cut(self.ministream.getvalue(), self.minifat, start, size, 0, self.minisectorsize)
        elif not small and size != _UNKNOWN:
            found = _cut(self._data, self.fat, start, size, self.sectorsize, self.sectorsize)
        return super()._open(start, size, force_FAT) if found is None else _Stream(found)


def _cut(data: bytes, table: Sequence[int], sector: int, size: int, offset: int, width: int) -> bytes | None:
    """A stream by its chain of sectors; None where that is not as long as the stream is said to be."""
    left = -(-size // width)
    if not 0 < left <= len(table):
        return None
    pieces: list[bytes] = []
    while left:
        first = sector
        if first >= len(table):
            return None
        left -= 1
        while left and table[sector] == sector + 1 < len(table):
            sector += 1
            left -= 1
        pieces.append(data[offset + first * width : offset + (sector + 1) * width])
        sector = table[sector]
    found = b"".join(pieces)
    return found[:size] if len(found) >= size else None


@lru_cache(maxsize=KEPT)
def compound(data: bytes) -> Container:
    """The container in a file's bytes, kept until others are opened or `forget`; OSError and others if damaged."""
    return Container(data)


def forget() -> None:
    """Let go of the containers that were opened last, and of their bytes."""
    compound.cache_clear()
