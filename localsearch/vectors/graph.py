"""An HNSW graph over nodes 0..n-1, each a distinct unit vector. Only this module and `walk` call FAISS.

FAISS is imported when first needed: a small index, which is searched exactly, never needs it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from localsearch.errors import DamagedError
from localsearch.quantize import Bytes
from localsearch.settings import VectorSettings
from localsearch.types import Scores, Vectors
from localsearch.vectors.codec import Codec, Codes, widths
from localsearch.vectors.walk import Walker, mapped_starts, walker

if TYPE_CHECKING:
    from localsearch.vectors.files import HashingFile

Nodes = NDArray[np.int64]

_WRITE_BLOCK = 1 << 20
_BLOCK = 4_096
_SCORED = 512
"""Vectors decoded at a time for scoring: few enough for the memory to be taken from the heap again and again."""
_SCAN = 256
"""From how many nodes on it is faster to compare their bytes first."""


def _faiss() -> Any:
    """Return the module faiss, untyped: its stubs lack functions used here."""
    return import_module("faiss")


class Graph:
    """An HNSW graph with its vectors. Searching is safe from many threads; changing is not."""

    def __init__(self, index: Any, codec: Codec, dimensions: int, rest: Bytes) -> None:
        self._index = index
        self.codec = codec
        self.dimensions = dimensions
        self._rest = rest
        self._room = len(rest)
        self._fixed: Codes | None = None
        self._walker: Walker | None = None

    @classmethod
    def new(cls, dimensions: int, settings: VectorSettings) -> Graph:
        """An empty graph; for bytes its limit grows with what is added."""
        faiss = _faiss()
        codec = Codec(settings.storage, 1e-6)
        if settings.storage == "fp32":
            index = faiss.IndexHNSWFlat(dimensions, settings.m, faiss.METRIC_INNER_PRODUCT)
        else:
            kind = faiss.ScalarQuantizer.QT_8bit_direct if codec.in_bytes else faiss.ScalarQuantizer.QT_fp16
            metric = faiss.METRIC_L2 if codec.in_bytes else faiss.METRIC_INNER_PRODUCT
            index = faiss.IndexHNSWSQ(dimensions, kind, settings.m, metric)
        index.hnsw.efConstruction = settings.ef_construction
        return cls(index, codec, dimensions, np.empty((0, widths(settings.storage, dimensions)[1]), np.uint8))

    @classmethod
    def open(cls, file: Path, rest: Path, codec: Codec, *, mapped: bool = True) -> Graph:
        """Read a graph; mapped, its pages are shared with the file cache and it cannot be changed."""
        faiss = _faiss()
        try:
            index = faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC if mapped else 0)
            _check_entry(index.hnsw, int(index.ntotal))
            width = widths(codec.storage, int(index.d))[1]
            shape = (int(index.ntotal), width)
            if not width or not shape[0]:
                graph = cls(index, codec, int(index.d), np.empty(shape, np.uint8))
            else:
                kept = np.asarray(np.memmap(rest, np.uint8, "r", shape=shape))
                graph = cls(index, codec, int(index.d), kept if mapped else kept.copy())
        except (RuntimeError, ValueError, IndexError, AttributeError) as error:
            raise DamagedError(
                f"{file} is not a vector index.", hint="Run `localsearch check --repair`."
            ) from error
        if mapped:
            graph.fix()
            graph._let_go(file)
        return graph

    def write(self, file: HashingFile) -> None:
        """Write graph and walking codes in FAISS's own format; errors of the file pass through."""
        faiss = _faiss()
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write, _WRITE_BLOCK))

    def write_rest(self, file: HashingFile) -> None:
        """Write what codes have besides."""
        for start in range(0, len(self), _BLOCK):
            file.write(self._rest[start : min(start + _BLOCK, len(self))].tobytes())

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def fix(self) -> None:
        """Prepare for searching, until a node is added: the memory of codes and links stays where it is."""
        self._fixed = self.codes()
        self._walker = walker(_faiss(), self._index, self._fixed.walk) if self.codec.in_bytes else None

    def _let_go(self, file: Path) -> None:
        """Let FAISS forget what only it would walk by, twelve bytes a node; where each node's links begin is mapped."""
        if self._walker is not None and (starts := mapped_starts(file, self._index.hnsw)) is not None:
            self._walker = self._walker.reading(starts)
            _faiss().UInt64Vector().swap(self._index.hnsw.offsets)
            _faiss().Int32Vector().swap(self._index.hnsw.levels)

    def _unfix(self) -> None:
        self._fixed = self._walker = None

    def codes(self) -> Codes:
        """All codes, as views of the graph's own memory."""
        if self._fixed is not None:
            return self._fixed
        storage = _faiss().downcast_index(self._index.storage)
        count = len(self)
        width = widths(self.codec.storage, self.dimensions)[0]
        if not count:
            return Codes(np.empty((0, width), np.uint8), self._rest[:0])
        walk = _faiss().rev_swig_ptr(storage.codes.data(), count * width).reshape(count, width)
        return Codes(walk.view(np.uint8), self._rest[:count])

    def make_room_for(self, vectors: Vectors) -> bool:
        """Encode all vectors with wider steps if a component of these exceeds the limit. Return whether it did."""
        if self.codec.fits(vectors):
            return False
        wider, held = self.codec.widened(vectors), self.codes()
        for start in range(0, len(self), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(self)))
            self._overwrite(rows, wider.encode(self.codec.decode(held.at(rows))))
        self.codec = wider
        return True

    def _overwrite(self, nodes: Nodes, codes: Codes) -> None:
        held = self.codes()
        held.walk[nodes] = codes.walk
        held.rest[nodes] = codes.rest

    def add(self, codes: Codes, threads: int = 1) -> None:
        """Append nodes, with this many threads for this call."""
        use_threads(threads)
        self._unfix()
        count = len(self)
        self._index.add(np.ascontiguousarray(self.codec.for_walking(codes)))
        if count + len(codes) > self._room:
            self._room = max(_BLOCK, (count + len(codes)) * 5 // 4)
            grown = np.empty((self._room, codes.rest.shape[1]), np.uint8)
            grown[:count] = self._rest[:count]
            self._rest = grown
        self._rest[count : count + len(codes)] = codes.rest

    def search(
        self, query: Vectors, k: int, ef_search: int, allowed: Bytes | None = None
    ) -> tuple[Nodes, Scores]:
        """About the k best nodes with their cosines, in no order; `allowed` has a bit per node, lowest first."""
        wanted = max(k, min(2 * k + 20, ef_search)) if self.codec.in_bytes else k
        walk = self._walker or self._walk
        nodes = walk(self.codec.query(query), wanted, ef_search, allowed)
        return top(nodes, self.scores(nodes, query), k)

    def _walk(self, query: Vectors, count: int, ef_search: int, allowed: Bytes | None) -> Nodes:
        """Find nodes as a Walker does, by FAISS: for any storage, and while the graph grows."""
        faiss = _faiss()
        selector = faiss.IDSelectorBitmap(allowed) if allowed is not None else None
        parameters = faiss.SearchParametersHNSW(efSearch=ef_search, sel=selector)
        _, found = self._index.search(query, count, params=parameters)
        nodes: Nodes = found[0][found[0] >= 0]
        return nodes

    def search_exactly(self, query: Vectors, k: int, nodes: Nodes) -> tuple[Nodes, Scores]:
        """The k best of these nodes with their cosines, in no order, by comparing with each."""
        if self.codec.in_bytes and len(nodes) > _SCAN and self.codec.fits(query):
            found = self._scan(query, k, nodes)
            if found is not None:
                return found
        return top(nodes, self.scores(nodes, query), k)

    def _scan(self, query: Vectors, k: int, nodes: Nodes) -> tuple[Nodes, Scores] | None:
        """Compare bytes first, then score the best of those in full; None if others might have scored as well."""
        faiss = _faiss()
        use_threads(1)
        walked = faiss.IndexScalarQuantizer(
            self.dimensions, faiss.ScalarQuantizer.QT_8bit_direct, faiss.METRIC_L2
        )
        walked.add_sa_codes(self.codes().walk[nodes])
        distances, found = walked.search(self.codec.query(query), min(4 * k + 64, len(nodes)))
        chosen = nodes[found[0]]
        scores = self.scores(chosen, query)
        if len(chosen) < len(nodes):
            kth = float(np.partition(scores, len(scores) - k)[len(scores) - k])
            if self.codec.could_reach(float(distances[0, -1])) >= kth:
                return None
        return top(chosen, scores, k)

    def scores(self, nodes: Nodes, query: Vectors) -> Scores:
        """The cosine of each of these nodes, shape (len(nodes),)."""
        found = np.empty(len(nodes), np.float32)
        for start in range(0, len(nodes), _SCORED):
            codes = self.codes().at(nodes[start : start + _SCORED])
            found[start : start + _SCORED] = self.codec.products(codes, query)
        return found

    def vectors(self, nodes: Nodes) -> Vectors:
        """The vectors of these nodes as kept, shape (len(nodes), dimensions)."""
        return self.codec.decode(self.codes().at(nodes))

    def nearby(self) -> Nodes:
        """All nodes in the order that a breadth-first walk from the entry reaches them: what links to each other stands
        close together in it."""
        hnsw, count = self._index.hnsw, len(self)
        starts = _faiss().rev_swig_ptr(hnsw.offsets.data(), count + 1)[:count].astype(np.int64)
        links = _faiss().rev_swig_ptr(hnsw.neighbors.data(), int(hnsw.neighbors.size()))
        width = np.arange(int(hnsw.nb_neighbors(0)))
        order, reached = np.empty(count, np.int64), np.zeros(count, np.bool_)
        done = known = 0
        while known < count:
            if done == known:  # nothing leads on
                found = np.flatnonzero(~reached)[:1] if known else np.array([hnsw.entry_point])
            else:
                block = order[done : min(known, done + _BLOCK)]
                done += len(block)
                near = links[starts[block, None] + width]
                near = near[near >= 0]
                near = near[~reached[near]]
                found = near[np.sort(np.unique(near, return_index=True)[1])]
            order[known : known + len(found)] = found
            reached[found] = True
            known += len(found)
        return order

    def reorder(self, order: Nodes) -> None:
        """Renumber the nodes: `order[i]` becomes i. Needs memory for a second copy meanwhile."""
        self._unfix()
        self._index.permute_entries(order)
        self._rest = self._rest[order]
        self._room = len(order)

    def tombstone(self, nodes: Nodes) -> None:
        """Replace deleted vectors by the mean direction of their neighbours, so that searches still pass through."""
        gone = set(nodes.tolist())
        for node in gone:
            near = [other for other in self._neighbours(node) if other not in gone]
            mean = self.vectors(np.array(near, np.int64)).sum(axis=0) if near else self._nowhere
            length = max(float(np.linalg.norm(mean)), 1e-6)
            self._overwrite(np.array([node]), self.codec.encode((mean / np.float32(length))[None, :]))

    @property
    def _nowhere(self) -> Vectors:
        """The vector of a tombstone without neighbours: all components are equal, and no text's vector is near it."""
        return np.ones(self.dimensions, np.float32)

    def _neighbours(self, node: int) -> list[int]:
        hnsw = self._index.hnsw
        start = int(hnsw.offsets.at(node))
        links = _faiss().rev_swig_ptr(hnsw.neighbors.data(), int(hnsw.neighbors.size()))
        return [int(link) for link in links[start : start + int(hnsw.nb_neighbors(0))] if link >= 0]


def _check_entry(hnsw: Any, count: int) -> None:
    """Raise ValueError unless a walk may begin: FAISS takes an entry of -1, from which ours would read outside."""
    entry, top_level = int(hnsw.entry_point), int(hnsw.max_level)
    if count and not (0 <= entry < count and int(hnsw.levels.at(entry)) == top_level + 1):
        raise ValueError(f"the entry {entry} is no node of the highest level")


def top(nodes: Nodes, scores: Scores, k: int) -> tuple[Nodes, Scores]:
    """The k best and all that equal the last of them, in no order."""
    if k >= len(nodes):
        return nodes, scores
    kept = scores >= np.partition(scores, len(scores) - k)[len(scores) - k]
    return nodes[kept], scores[kept]


def use_threads(count: int) -> None:
    """Set how many threads FAISS uses for calls from this thread; OpenMP keeps the figure per thread."""
    _faiss().omp_set_num_threads(max(1, count))


def bytes_per_vector(dimensions: int, settings: VectorSettings) -> int:
    """Return bytes on disk for each vector: code, 2 M links of 4 bytes, links of higher levels, level, offset, ids."""
    links = 8 * settings.m + 8 * settings.m // max(1, settings.m - 1)
    return sum(widths(settings.storage, dimensions)) + links + 32
