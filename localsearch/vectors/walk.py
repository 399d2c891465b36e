"""Walk FAISS's graph of bytes with C of our own (kernels/walk.c). For `vectors.graph` only.

It finds the same nodes as FAISS in little more than half the time: it prefetches the vectors to be compared next.
Where the kernels were not built, FAISS walks.
"""

from __future__ import annotations

import ctypes
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from localsearch import kernels
from localsearch.quantize import Bytes
from localsearch.types import Vectors

_NUMBER, _PLACE = ctypes.c_int32, ctypes.c_void_p
_HEADER = 37
"""Bytes of FAISS's name for a kind of index, of its dimensions, count, two spare numbers, a flag and its metric."""
_SIZE = ctypes.c_size_t
_GRAPH = (_PLACE, _SIZE, _PLACE, _SIZE, _PLACE, _PLACE, _NUMBER, _NUMBER, _NUMBER)
_SEARCH = (_PLACE, _PLACE, _NUMBER, _NUMBER, _PLACE)


class Walker:
    """Walks one graph that no longer changes. Safe to share between threads.

    `codes` has shape (nodes, dimensions); the `links` of node i begin at starts[i], `levels` says how many of them
    there are up to each level, `top` is the highest level and `entry` a node that has it (faiss/impl/HNSW.h).
    """

    def __init__(
        self,
        walk: Any,
        codes: Bytes,
        links: NDArray[np.int32],
        starts: NDArray[np.uint64],
        levels: NDArray[np.int32],
        top: int,
        entry: int,
    ) -> None:
        self._walk = walk
        self._held = codes, links, starts, levels
        self._top, self._entry = top, entry
        places = (links.ctypes.data, len(links), starts.ctypes.data, levels.ctypes.data)
        self._graph = (codes.ctypes.data, codes.shape[1], *places, top, entry, len(codes))

    def reading(self, starts: NDArray[np.uint64]) -> Walker:
        """The same with other memory for where links begin, at any address."""
        codes, links, _, levels = self._held
        return Walker(self._walk, codes, links, starts, levels, self._top, self._entry)

    def __call__(
        self, query: Vectors, count: int, ef_search: int, allowed: Bytes | None
    ) -> NDArray[np.int64]:
        """About the `count` nodes nearest to the query in terms of the graph, shape (1, dimensions), nearest first.

        `ef_search` is efSearch; `allowed` has a bit for each node, lowest first. Raises MemoryError.
        """
        asked, found = query.astype(np.uint8), np.empty(count, np.int32)
        bits = None if allowed is None else allowed.ctypes.data
        search = (asked.ctypes.data, bits, max(ef_search, count), count, found.ctypes.data)
        held = self._walk(*self._graph, *search)
        if held < 0:
            raise MemoryError("a walk through the graph found no memory")
        return found[:held].astype(np.int64)


def mapped_starts(file: Path, hnsw: Any) -> NDArray[np.uint64] | None:
    """Where the links of each node begin, as FAISS wrote it to the file (faiss/impl/index_write.cpp); None if this does
    not stand where it has written it so far.

    Before it stand the header of the index and three vectors, each with its length: the odds of each level, how many
    links a node has up to each, and the level of each node.
    """
    mapped = np.memmap(file, np.uint8, "r")
    at = _HEADER
    for vector, width in ((hnsw.assign_probas, 8), (hnsw.cum_nneighbor_per_level, 4), (hnsw.levels, 4)):
        at += 8 + width * int(vector.size())
    held = import_module("faiss").vector_to_array(hnsw.offsets)
    found = np.asarray(mapped[at + 8 : at + 8 + held.nbytes])
    if len(found) < held.nbytes or not np.array_equal(found, held.view(np.uint8)):
        return None
    starts: NDArray[np.uint64] = found.view("<u8")
    return starts


def walker(faiss: Any, index: Any, codes: Bytes) -> Walker | None:
    """For a graph of FAISS with these codes, which must outlive it; None without our own C, or without a node."""
    library = kernels.loaded()
    if library is None or not len(codes):
        return None
    walk = library.localsearch_walk
    walk.argtypes, walk.restype = (*_GRAPH, *_SEARCH), _NUMBER
    hnsw = index.hnsw
    links = faiss.rev_swig_ptr(hnsw.neighbors.data(), int(hnsw.neighbors.size()))
    starts = faiss.rev_swig_ptr(hnsw.offsets.data(), len(codes) + 1)
    levels = faiss.vector_to_array(hnsw.cum_nneighbor_per_level)
    return Walker(walk, codes, links, starts, levels, int(hnsw.max_level), int(hnsw.entry_point))
