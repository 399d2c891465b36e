"""All that is said to FAISS: an HNSW graph over positions 0..n-1, inner product on unit vectors.

FAISS is imported when first needed: a small index, which is searched exactly, never needs it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from localsearch.errors import DamagedError
from localsearch.settings import VectorSettings
from localsearch.types import Scores, Vectors

if TYPE_CHECKING:
    from localsearch.vectors.files import HashingFile

Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]

_WRITE_BLOCK = 1 << 20


def _faiss() -> Any:
    """FAISS, untyped: its stubs leave out what is used here."""
    return import_module("faiss")


class Graph:
    """An HNSW graph with its vectors. Searching is safe from many threads; adding is not."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self.dimensions = int(index.d)

    @classmethod
    def new(cls, dimensions: int, settings: VectorSettings) -> Graph:
        """An empty graph."""
        faiss = _faiss()
        kind = faiss.METRIC_INNER_PRODUCT
        if settings.storage == "fp32":
            index = faiss.IndexHNSWFlat(dimensions, settings.m, kind)
        else:
            scalars = faiss.ScalarQuantizer
            code = scalars.QT_fp16 if settings.storage == "fp16" else scalars.QT_8bit
            index = faiss.IndexHNSWSQ(dimensions, code, settings.m, kind)
        index.hnsw.efConstruction = settings.ef_construction
        return cls(index)

    @classmethod
    def open(cls, file: Path, *, mapped: bool = True) -> Graph:
        """Read a graph; mapped, its pages are shared with the file cache and it cannot be added to."""
        faiss = _faiss()
        try:
            return cls(faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC if mapped else 0))
        except RuntimeError as error:
            raise DamagedError(
                f"{file} is not a vector index.", hint="Run `localsearch check --repair`."
            ) from error

    def write(self, file: HashingFile) -> None:
        """Write in FAISS's own format; errors of the file pass through."""
        faiss = _faiss()
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write, _WRITE_BLOCK))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def trained(self) -> bool:
        return bool(self._index.is_trained)

    def train(self, sample: Vectors) -> None:
        """Learn the range of each dimension, where storage needs it."""
        self._index.train(np.ascontiguousarray(sample, np.float32))

    def add(self, vectors: Vectors, threads: int = 1) -> None:
        """Append vectors, with this many threads for this call."""
        use_threads(threads)
        self._index.add(np.ascontiguousarray(vectors, np.float32))

    def search(
        self, query: Vectors, k: int, breadth: int, allowed: NDArray[np.uint8] | None = None
    ) -> tuple[Positions, Scores]:
        """About the k best positions, best first; `allowed` has one bit per position, lowest bit first."""
        faiss = _faiss()
        selector = faiss.IDSelectorBitmap(allowed) if allowed is not None else None
        parameters = faiss.SearchParametersHNSW(efSearch=breadth, sel=selector)
        scores, positions = self._index.search(query[None, :], k, params=parameters)
        found = positions[0] >= 0
        return positions[0][found], scores[0][found]

    def search_exactly(self, query: Vectors, k: int, keep: Mask) -> tuple[Positions, Scores]:
        """The k best positions among those that the mask, shape (len(self),), keeps, by comparing with each."""
        faiss = _faiss()
        storage = faiss.downcast_index(self._index.storage)
        bits = np.packbits(keep, bitorder="little")
        parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        scores, positions = storage.search(query[None, :], k, params=parameters)
        found = positions[0] >= 0
        return positions[0][found], scores[0][found]

    def vectors(self, positions: Positions) -> Vectors:
        """The vectors as stored, decoded, shape (len(positions), dimensions)."""
        found: Vectors = self._index.reconstruct_batch(np.ascontiguousarray(positions, np.int64))
        return found

    def haunt(self, positions: Positions) -> None:
        """Replace deleted vectors by the mean of what they are linked to: paths lead on, their content is gone."""
        faiss = _faiss()
        storage = faiss.downcast_index(self._index.storage)
        width = int(storage.code_size)
        codes = faiss.rev_swig_ptr(storage.codes.data(), len(self) * width).reshape(-1, width)
        gone = set(positions.tolist())
        for position in positions.tolist():
            near = np.array([other for other in self._neighbours(position) if other not in gone], np.int64)
            mean = self.vectors(near).mean(axis=0) if len(near) else np.zeros(self.dimensions, np.float32)
            code = storage.sa_encode(np.ascontiguousarray(mean[None, :], np.float32))
            codes[position] = code.view(np.uint8).reshape(-1)

    def _neighbours(self, position: int) -> list[int]:
        faiss = _faiss()
        hnsw = self._index.hnsw
        start = int(hnsw.offsets.at(position))
        links = faiss.rev_swig_ptr(hnsw.neighbors.data(), int(hnsw.neighbors.size()))
        return [int(link) for link in links[start : start + int(hnsw.nb_neighbors(0))] if link >= 0]


def use_threads(count: int) -> None:
    """Set how many threads FAISS uses for calls from this thread; OpenMP keeps the figure per thread."""
    _faiss().omp_set_num_threads(max(1, count))


def bytes_per_vector(dimensions: int, settings: VectorSettings) -> int:
    """Disk that a vector takes: its code, 2 M links of 4 bytes and a few above, level, offset and chunk id."""
    width = {"fp32": 4, "fp16": 2, "int8": 1}[settings.storage]
    return dimensions * width + 8 * settings.m + 8 * settings.m // max(1, settings.m - 1) + 32
