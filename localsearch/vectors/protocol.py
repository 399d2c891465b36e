"""What search and the writer ask of an index of vectors, and the values that pass between them.

Two implement it: `FaissIndex`, in this process, and `MilvusIndex`, a server. Either answers by chunk id and cosine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

import numpy as np

from localsearch.types import Cancelled, Ids, Ranking, Report, Scores, Vectors, never, no_report
from localsearch.vectors.base import Fetch
from localsearch.vectors.delta import Mask, inside

Built = TypeVar("Built")
Backend = Literal["faiss", "milvus"]


class Allowed(Protocol):
    """Which chunks a search may find, in the form that an index wants: a mask, or an expression for an engine."""

    @property
    def mask(self) -> Mask:
        """Shape (highest allowed chunk id + 1,) or longer. Costs a byte for each chunk: ask where it is used."""

    @property
    def expression(self) -> str:
        """A condition on the fields of an engine that all allowed chunks meet, and perhaps others; "" for none."""

    def documents(self, most: int) -> Ids | None:
        """The documents whose chunks may be found, ascending; None where they are more than `most` or not known."""

    def holds(self, ids: Ids) -> Mask:
        """Whether each of these chunks is allowed, shape (len(ids),)."""


class Source(Protocol):
    """The vectors of one version in the database."""

    def ids(self) -> Ids:
        """Every chunk that has one, ascending."""

    def stream(self, ids: Ids) -> Iterator[tuple[Ids, Vectors]]:
        """Those of these chunks that there are, in batches."""


@dataclass(frozen=True, slots=True)
class Masked:
    """What a mask allows, where no filter made it."""

    mask: Mask
    expression: str = ""

    def documents(self, most: int) -> Ids | None:
        return None

    def holds(self, ids: Ids) -> Mask:
        return inside(self.mask, ids)


@dataclass(frozen=True, slots=True)
class GuardCounts:
    """Searches of an engine by what its count of rows told: `whole`, `retried` and then whole, or `refused`."""

    whole: int = 0
    retried: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class VectorState:
    """How an index of vectors stands: `count` vectors can be found, `behind` changes are still to come to it.

    `reachable` is None for an engine that nobody has asked yet, `rows` what it counted when it was last looked at.
    `problem` says in one line why it cannot be searched.
    """

    backend: Backend
    count: int
    behind: int = 0
    reachable: bool | None = True
    rows: int | None = None
    problem: str = ""
    guard: GuardCounts = field(default_factory=GuardCounts)


class VectorIndex(Protocol[Built]):
    """Vectors of one version by chunk id. Many threads may search while one writes.

    `Built` is what a build makes and a publishing takes: files of a graph, or a collection of an engine. Whatever asks
    an engine raises VectorsUnavailableError when that is away or may have answered from a part of its vectors.
    """

    dimensions: int
    compares_all: int
    """Vectors up to which an exact search is cheap."""
    measures_recall: bool
    """Whether exact searches may be sampled while it serves."""

    def __len__(self) -> int:
        """Vectors that a search can find."""

    @property
    def generation(self) -> object | None:
        """Which build answers; None before the first."""

    @property
    def state(self) -> VectorState:
        """How it stands. Waits for nothing."""

    def look(self) -> VectorState:
        """How it stands now: an engine is asked for its count first, within its deadline."""

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

        k come back whenever k are allowed. `fetch` gives full vectors, by which candidates are scored where the index
        has coarser ones. `exact` compares with every vector that is allowed.
        """

    def score(self, query: Vectors, ids: Ids) -> Scores:
        """The cosine of each of these chunks, shape (len(ids),); NaN for one without a vector."""

    def vectors_of(self, ids: Ids) -> Vectors:
        """The vectors of these chunks, shape (len(ids), dimensions); NaN where there is none."""

    def ids(self) -> Ids:
        """Every chunk id that is held, ascending. Reads them all: for checks and samples."""

    def is_superseded(self) -> bool:
        """Whether another process has published a build that this one must open anew."""

    # -- for the writer

    def load(self, source: Source) -> None:
        """Come to the state of the database, when it is opened."""

    def update(self, gone: Ids, came: Ids, source: Source) -> None:
        """Follow the log of changes: these chunks are deleted, and these are new; some have a vector already."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Take vectors that the database has just stored, unit length, shape (len(ids), dimensions)."""

    def catch_up(self, report: Report = no_report, cancelled: Cancelled = never) -> int:
        """Send an engine what the log of changes has for it; returns how many changes are left."""

    def needs_merge(self) -> Literal["", "merge", "rebuild"]:
        """Whether a build is due: from what is here, or from the database."""

    def merge(
        self, *, queries: Vectors | None = None, report: Report = no_report, cancelled: Cancelled = never
    ) -> Built:
        """Build anew from what is here."""

    def build(
        self,
        stream: Iterable[tuple[Ids, Vectors]],
        total: int,
        *,
        queries: Vectors | None = None,
        report: Report = no_report,
        cancelled: Cancelled = never,
    ) -> Built:
        """Build anew from all vectors of the database, beside what is searched. Publish the result, or discard it."""

    def publish(self, built: Built, /) -> None:
        """Search it from now on; the former is deleted."""

    def discard(self, built: Built, /) -> None:
        """Delete what was built and shall not be published."""

    def check(self) -> list[str]:
        """Return what is wrong, as sentences; empty when all is well."""


def completed(ids: Ids, found: Ids, vectors: Vectors, dimensions: int) -> Vectors:
    """Rows for each of `ids` from those that were found (ascending), NaN where there is none."""
    rows = np.full((len(ids), dimensions), np.nan, np.float32)
    if len(found):
        at = np.minimum(np.searchsorted(found, ids), len(found) - 1)
        here = found[at] == ids
        rows[here] = vectors[at[here]]
    return rows
