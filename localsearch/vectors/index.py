"""The vector index in this process: an immutable HNSW base, a delta of vectors added since, a mask of those removed.

Searches take no lock; changes take `_changing`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np

from localsearch.errors import ConflictError, DamagedError, ReadOnlyError
from localsearch.platform.cores import cores
from localsearch.platform.disk import write_errors
from localsearch.settings import VectorSettings
from localsearch.types import Cancelled, Ids, Ranking, Report, Scores, Vectors, never, no_report
from localsearch.vectors import files
from localsearch.vectors.base import Base, Fetch
from localsearch.vectors.build import (
    SLICE,
    Built,
    Work,
    check_vectors,
    from_base,
    from_stream,
)
from localsearch.vectors.delta import Delta, best
from localsearch.vectors.entries import Entries
from localsearch.vectors.files import Generation
from localsearch.vectors.graph import Graph, bytes_per_vector
from localsearch.vectors.protocol import Allowed, Source, VectorState

_TRIES = 20
_DELTA_SHARE = 0.02
"""A merge reads and writes the whole graph. With this share new, growing to a size costs 50 merges of that size."""


@dataclass(frozen=True, slots=True)
class _State:
    """All that a search reads. It is replaced as a whole; a running search keeps the one it started with."""

    base: Base | None
    delta: Delta


@dataclass(slots=True)
class _Build:
    """A build under way: what it started from, and the ids removed since."""

    removed: set[int] = field(default_factory=set)


class FaissIndex:
    """Cosine search over unit vectors by chunk id. Many threads may search while one writes."""

    compares_all = 20_000
    measures_recall = True

    def __init__(
        self, folder: Path, dimensions: int, settings: VectorSettings, base: Base | None, writable: bool
    ):
        self.folder = folder
        self.dimensions = dimensions
        self.settings = settings
        self.writable = writable
        self._state = _State(base, Delta.empty(dimensions))
        self._changing = threading.RLock()
        self._build: _Build | None = None

    @classmethod
    def open(
        cls, folder: Path, dimensions: int, settings: VectorSettings | None = None, *, writable: bool = True
    ) -> FaissIndex:
        """Open the published generation; an empty index where there is none.

        Raises DamagedError when a file is not what its manifest says, after setting it aside if writable: opening again
        then gives an empty index to rebuild. Raises FormatError for one written by a newer release.
        """
        if writable:
            with write_errors(folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        base = _open_base(folder, dimensions, writable)
        if writable:
            files.remove_orphans(folder, base.generation if base else None)
        return cls(folder, dimensions, settings or VectorSettings(), base, writable)

    def is_superseded(self) -> bool:
        """Whether another process has published a generation since this index was opened."""
        published = files.read_manifest(self.folder)
        return published is not None and published != self.generation

    @property
    def generation(self) -> Generation | None:
        """The published generation; None before the first merge."""
        base = self._state.base
        return base.generation if base else None

    def __len__(self) -> int:
        """Vectors that a search can find."""
        state = self._state
        return (state.base.count if state.base else 0) + len(state.delta)

    def base_ids(self) -> Ids:
        """The chunk ids in the published generation, those removed since included."""
        base = self._state.base
        return base.entries.ids[base.entries.ids >= 0] if base else np.empty(0, np.int64)

    def ids(self) -> Ids:
        """The chunk ids that a search can find, ascending."""
        state = self._state
        base = state.base.live_ids() if state.base else np.empty(0, np.int64)
        return np.sort(np.concatenate([base, state.delta.live_ids()]))

    def load(self, source: Source) -> None:
        """Come to the state of the database: tombstones and delta. Reads only the vectors that are missing here."""
        live = source.ids()
        self.set_live(live)
        if len(self) == len(live):  # none but these is held
            return
        for ids, vectors in source.stream(_without(live, self.ids())):
            self.add(ids, vectors)

    def update(self, gone: Ids, came: Ids, source: Source) -> None:
        """Hide the vectors of deleted chunks, and take those of new ones that the database has."""
        self.remove(gone)
        for ids, vectors in source.stream(came):
            self.add(ids, vectors)

    def catch_up(self, report: Report = no_report, cancelled: Cancelled = never) -> int:
        """Nothing is left to do: what is added is here."""
        return 0

    @property
    def state(self) -> VectorState:
        """How many vectors can be found. This process has them, so that nothing is behind."""
        return VectorState("faiss", len(self))

    def look(self) -> VectorState:
        """The same: there is nobody to ask."""
        return self.state

    def set_live(self, live_ids: Ids) -> None:
        """Hide every vector but these. Those of the base that were hidden before are found again."""
        with self._changing:
            state = self._state
            delta = state.delta.remove(_without(state.delta.live_ids(), live_ids))
            base = state.base.keep(_without(live_ids, delta.live_ids())) if state.base else None
            if self._build:
                self._build.removed |= set(_without(self.ids(), live_ids).tolist())
            self._state = _State(base, delta)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Make vectors searchable, shape (len(ids), dimensions), unit length; an id that is there is replaced,
        until the index is opened again: one id means one vector.

        They are kept as given until the next merge: give what the database gives back, and scores do not change with a
        restart.
        """
        ids = np.asarray(ids, np.int64)
        vectors = np.asarray(vectors, np.float32)
        check_vectors(ids, vectors, self.dimensions)
        if not len(ids):
            return
        with self._changing:
            state = self._state
            base = state.base.remove(ids) if state.base else None
            self._state = _State(base, state.delta.add(ids, vectors))

    def remove(self, ids: Ids) -> None:
        """Hide these vectors, from the next search on."""
        ids = np.asarray(ids, np.int64)
        with self._changing:
            state = self._state
            base = state.base.remove(ids) if state.base else None
            self._state = _State(base, state.delta.remove(ids))
            if self._build:
                self._build.removed |= set(ids.tolist())

    def search(
        self,
        query: Vectors,
        k: int,
        allowed: Allowed | None = None,
        fetch: Fetch | None = None,
        *,
        exact: bool = False,
    ) -> Ranking:
        """The k chunks nearest to the unit vector `query`, shape (dimensions,), with their cosines, best first.

        `allowed` says which may appear: k come back whenever k are allowed, and the very best when they are few.
        `fetch` gives full vectors, by which candidates are scored where the base has coarser ones. `exact` compares
        with every vector, to measure recall by.
        """
        state = self._state
        query = np.ascontiguousarray(query, np.float32)
        if k <= 0:
            return Ranking.empty()
        mask = None if allowed is None else allowed.mask
        delta = state.delta.search(query, k, mask)
        if state.base is None:
            return delta
        base = state.base.search(query, k, mask, fetch, exact=exact)
        if not len(delta):
            return base
        ids, scores = np.concatenate([delta.ids, base.ids]), np.concatenate([delta.scores, base.scores])
        return best(ids, scores, k)

    def score(self, query: Vectors, ids: Ids) -> Scores:
        """The cosine of each of these chunks, shape (len(ids),); NaN for one that has no vector here."""
        return np.asarray(self.vectors_of(ids) @ np.asarray(query, np.float32), np.float32)

    def vectors_of(self, ids: Ids) -> Vectors:
        """The vectors of these chunks as kept, shape (len(ids), dimensions); NaN where there is none."""
        ids = np.asarray(ids, np.int64)
        state = self._state
        found = np.full((len(ids), self.dimensions), np.nan, np.float32)
        rows = state.delta.find(ids)
        found[rows >= 0] = state.delta.vectors[rows[rows >= 0]]
        if state.base is not None:
            nodes = state.base.nodes_of(ids)
            found[nodes >= 0] = state.base.graph.vectors(nodes[nodes >= 0])
        return found

    def needs_merge(self) -> Literal["", "merge", "rebuild"]:
        """Whether the delta is due to be merged, or so much was deleted that the graph should be built anew."""
        state = self._state
        if state.base is not None and state.base.generation.count:
            dead = 1 - state.base.count / len(state.base.entries.ids)
            if dead > self.settings.tombstone_share:
                return "rebuild"
        share = int(_DELTA_SHARE * state.base.count) if state.base else 0
        return "merge" if len(state.delta) >= max(self.settings.merge_at, share) else ""

    def merge(
        self,
        *,
        queries: Vectors | None = None,
        report: Report = no_report,
        cancelled: Cancelled = never,
        threads: int = 0,
    ) -> Generation:
        """Build the next generation from this one: add the delta, take out the vectors of what was removed.

        Costs what the delta costs, not what the base does. For the rest see `build`.
        """
        with self._building():
            base, delta = self._state.base, self._state.delta
            stream = [(delta.live_ids(), delta.live_vectors())]
            total = len(delta) + (base.count if base else 0)
            work = self._work(total, queries, threads, report, cancelled)
            if base is None or self._is_built_otherwise(base.generation):
                held = _decoded(base) if base else iter(())
                return self._write(from_stream(chain(held, stream), self.dimensions, work))
            names = (self.folder / base.generation.graph.name, self.folder / base.generation.rest.name)
            graph = Graph.open(*names, base.graph.codec, mapped=False)
            return self._write(from_base(graph, base.entries, base.live, stream, work))

    def build(
        self,
        stream: Iterable[tuple[Ids, Vectors]],
        total: int,
        *,
        queries: Vectors | None = None,
        report: Report = no_report,
        cancelled: Cancelled = never,
        threads: int = 0,
    ) -> Generation:
        """Build the next generation from all vectors, beside the published one, in bounded memory.

        The stream must start after this is called; changes made meanwhile are kept. `queries`, shape (n, dimensions),
        are a hundred or more such as people ask, to choose efSearch by. Publish the result, or discard it.
        Raises DiskFullError before starting when room is short, CancelledError, ConflictError if one is being built.
        """
        with self._building():
            work = self._work(total, queries, threads, report, cancelled)
            return self._write(from_stream(stream, self.dimensions, work))

    def _is_built_otherwise(self, generation: Generation) -> bool:
        """Whether the settings ask for another kind of graph than this."""
        asked = (self.settings.storage, self.settings.m)
        return asked != (generation.storage, generation.m) or generation.nodes == 0

    def _work(
        self, total: int, queries: Vectors | None, threads: int, report: Report, cancelled: Cancelled
    ) -> Work:
        files.need_room(self.folder, total * bytes_per_vector(self.dimensions, self.settings))
        return Work(self.settings, threads or cores(), total, queries, report, cancelled)

    @contextmanager
    def _building(self) -> Iterator[None]:
        if not self.writable:
            raise ReadOnlyError("The index is open for reading only.", hint="Open it for writing.")
        with self._changing:
            if self._build:
                raise ConflictError(
                    "A vector index is being built already.", hint="Wait until it is published."
                )
            self._build = _Build()
        try:
            yield
        except BaseException:
            self._build = None
            raise

    def _write(self, built: Built) -> Generation:
        number = files.next_number(self.folder)
        entries = Entries.to_bytes(built.ids, built.nodes)
        return Generation(
            number,
            len(built.ids),
            len(built.graph),
            int(np.count_nonzero(built.ids < 0)),
            self.dimensions,
            self.settings.storage,
            built.graph.codec.limit,
            self.settings.m,
            self.settings.ef_construction,
            built.ef_search,
            built.recall,
            files.write_file(self.folder, f"{number}.graph", built.graph.write),
            files.write_file(self.folder, f"{number}.rest", built.graph.write_rest),
            files.write_bytes(self.folder, f"{number}.ids", entries),
        )

    def publish(self, generation: Generation) -> None:
        """Make it the one that is searched and that the next opening finds; the former is deleted.

        Searches go on throughout; each sees all of the former or all of the new one. When it fails (StorageError) the
        former stays and what was built is discarded.
        """
        try:
            former = self._swap(Base.open(self.folder, generation), generation)
        except BaseException:
            self.discard(generation)
            raise
        if former is not None and former.generation.number != generation.number:
            files.remove(self.folder, former.generation)

    def _swap(self, base: Base, generation: Generation) -> Base | None:
        with self._changing:
            former, delta = self._state.base, self._state.delta
            removed = self._build.removed if self._build else set()
            base = base.remove(np.array(sorted(removed), np.int64))
            delta = delta.without(base.nodes_of(delta.ids[: delta.count]) >= 0)
            files.write_manifest(self.folder, generation)
            self._state = _State(base, delta)
            self._build = None
        return former

    def discard(self, generation: Generation) -> None:
        """Delete a generation that was built and shall not be published.

        One whose manifest was written all the same, by a publishing that then failed, is left to the next opening.
        """
        self._build = None
        if _published(self.folder) != generation.number:
            files.remove(self.folder, generation)

    def check(self) -> list[str]:
        """Return what is wrong with the files and vectors, as sentences; empty when all is well. Reads every byte."""
        base = self._state.base
        if base is None:
            return []
        problems = []
        for entry in base.generation.files:
            try:
                files.verify(self.folder, entry, fully=True)
            except FileNotFoundError:
                problems.append(f"{self.folder / entry.name} is missing.")
            except DamagedError as error:
                problems.append(error.message)
        return problems or _check_vectors(base)


def _open_base(folder: Path, dimensions: int, writable: bool) -> Base | None:
    """The published generation. A reader tries again when another process published a new one meanwhile."""
    for _ in range(_TRIES):
        generation = None
        try:
            generation = files.read_manifest(folder)
            return _base_of(folder, dimensions, generation) if generation else None
        except DamagedError as error:
            damage = error
            if writable:
                files.set_aside(folder, generation)
                raise
            if generation is None or _published(folder) in (None, generation.number):
                raise
    raise damage


def _published(folder: Path) -> int | None:
    try:
        generation = files.read_manifest(folder)
    except DamagedError:
        return None
    return generation.number if generation else None


def _base_of(folder: Path, dimensions: int, generation: Generation) -> Base:
    if generation.dimensions != dimensions:
        raise DamagedError(
            f"The vector index in {folder} has {generation.dimensions} dimensions, not {dimensions}.",
            hint="It was set aside; it is rebuilt from the database.",
        )
    return Base.open(folder, generation)


def _decoded(base: Base) -> Iterator[tuple[Ids, Vectors]]:
    """The live vectors of a base, in batches."""
    entries = np.flatnonzero(base.live)
    for start in range(0, len(entries), SLICE):
        rows = entries[start : start + SLICE]
        yield base.entries.ids[rows], base.graph.vectors(base.entries.nodes[rows].astype(np.int64))


def _check_vectors(base: Base) -> list[str]:
    ids = base.entries.ids[base.entries.ids >= 0]
    problems = ["Two vectors have one chunk id."] if len(np.unique(ids)) != len(ids) else []
    for some, vectors in _decoded(base):
        lengths = np.linalg.norm(vectors, axis=1)
        wrong = ~(np.abs(lengths - 1) < 0.05)
        if wrong.any():
            problems.append(
                f"The vector of chunk {some[wrong][0]} has length {lengths[wrong][0]:.3f}, not 1."
            )
    return problems


def _without(ids: Ids, others: Ids) -> Ids:
    """Those of `ids` that are not among `others`; an id occurs once in each."""
    return np.setdiff1d(ids, others, assume_unique=True) if len(others) else ids
