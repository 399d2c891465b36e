"""Puts the blocks of a page together by C of our own (kernels/page.c), as html.py and builder.py do it."""

from __future__ import annotations

import struct
from ctypes import POINTER, PyDLL, Structure, byref, c_int32, c_void_p, string_at
from functools import cache
from typing import Any, NamedTuple

from localsearch import kernels
from localsearch.extract.builder import NOWHERE
from localsearch.extract.chunk import chunk, told_passages
from localsearch.extract.units import Told
from localsearch.settings import ChunkSettings
from localsearch.types import Block, BlockKind, Chunk, Extract, Place

KINDS: tuple[BlockKind, ...] = ("heading", "paragraph", "list", "table", "code")
_BLOCK, _SHOWN, _PATH = struct.Struct("=8i"), struct.Struct("=2i"), struct.Struct("=5i")
_REFUSED = -1


class BuiltText(NamedTuple):
    """Text with its blocks: as the C has them, with the kind and the heading of each, by their numbers."""

    text: str
    told: Told
    shown: bytes
    headings: list[tuple[str, ...]]

    @property
    def first_heading(self) -> str:
        """The first heading's text, or nothing."""
        return self.headings[1][-1] if len(self.headings) > 1 else ""

    def blocks(self) -> tuple[Block, ...]:
        """The blocks with their places."""
        places = [NOWHERE, *(Place(heading=heading) for heading in self.headings[1:])]
        found = zip(_BLOCK.iter_unpack(self.told.blocks), _SHOWN.iter_unpack(self.shown), strict=True)
        return tuple(Block(start, end, KINDS[kind], places[path]) for (start, end, *_), (kind, path) in found)

    def chunks(self, settings: ChunkSettings) -> tuple[Chunk, ...]:
        """What chunk() makes of them."""
        found = told_passages(self.text, self.told, settings)
        if found is None:
            return chunk(Extract(self.text, "html", blocks=self.blocks()), settings)
        places: dict[tuple[int, int], Place] = {}
        made = []
        for start, end, number, depth in found:
            path = _SHOWN.unpack_from(self.shown, number * _SHOWN.size)[1]
            place = places.get((path, depth))
            if place is None:
                place = places[path, depth] = Place(heading=self.headings[path][:depth])
            made.append(Chunk(start, end, place))
        return tuple(made)


class _Built(Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("text", "names", "blocks", "shown", "paths", "headings")),
        *((name, c_int32) for name in ("length", "names_length", "count", "path_count", "heading_count")),
    )


class TextBuilder:
    """Builds the text of one page after the other, by one thread at a time."""

    def __init__(self) -> None:
        self._compiled = _compiled()
        self._page = self._compiled.localsearch_page_begin()
        if not self._page:
            raise MemoryError

    def __del__(self) -> None:
        if getattr(self, "_page", None):
            self._compiled.localsearch_page_end(self._page)

    def build(self, walked: tuple[Any, ...], whole: bool, enough: int, limit: int) -> BuiltText | None:
        """The text of what html.c has walked, with what its styles are; None where it is over the limit."""
        built = _Built()
        count = self._compiled.localsearch_page(self._page, *walked, whole, enough, limit, byref(built))
        if count < _REFUSED:
            raise MemoryError
        if count < 0:
            return None
        text = string_at(built.text, built.length).decode("utf-8", "surrogatepass") if count else ""
        blocks = string_at(built.blocks, count * _BLOCK.size) if count else b""
        shown = string_at(built.shown, count * _SHOWN.size) if count else b""
        told = Told(blocks, count, string_at(built.headings, 4 * built.heading_count))
        return BuiltText(text, told, shown, _headings(built))


def _headings(built: _Built) -> list[tuple[str, ...]]:
    """By their numbers, each with those above it; the first is none."""
    names = string_at(built.names, built.names_length)
    found: list[tuple[str, ...]] = []
    for above, _, at, size, _ in _PATH.iter_unpack(string_at(built.paths, built.path_count * _PATH.size)):
        name = names[at : at + size].decode("utf-8", "surrogatepass")
        found.append((*found[above], name) if found else ())
    return found


@cache
def _compiled() -> PyDLL:
    """The kernels, which are there: html.c has walked the page."""
    library = PyDLL(str(kernels.library()))
    begin, build, end = library.localsearch_page_begin, library.localsearch_page, library.localsearch_page_end
    begin.restype, end.argtypes, end.restype = c_void_p, [c_void_p], None
    build.argtypes = [
        *(c_void_p, c_void_p, c_void_p, c_int32, POINTER(c_int32), c_int32, c_int32, c_int32),
        POINTER(_Built),
    ]
    return library
