"""MilvusIndex: vectors in a Milvus server, fed from the log of changes; scores are those of the database's vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Literal

import numpy as np

from localsearch.errors import ReadOnlyError, VectorsUnavailableError
from localsearch.types import Cancelled, Feed, Ids, Ranking, Report, Scores, Vectors, never, no_report
from localsearch.vectors.base import Fetch
from localsearch.vectors.delta import best
from localsearch.vectors.feeder import Collection, Feeder, FeedLog
from localsearch.vectors.guard import CountGuard
from localsearch.vectors.milvus_server import MOST, MilvusServer
from localsearch.vectors.protocol import Allowed, Source, VectorState, completed

COMPARED = 2_000
"""Allowed chunks up to which their vectors are read from the database and compared: exact, without the engine."""
LISTED = 10_000
"""Documents up to which a filter is sent as their list, whatever it asks."""
_OFTEN = 20
"""A filter that selects one document for every so many chunks is not listed: enough of the nearest are among them."""
_LISTED_AT_LAST = 1_000_000
"""Documents up to which lists are asked one after the other where nothing else fills the page."""
_SPARE = 8
"""Candidates scored beyond those asked for: some may be gone."""
_BATCH = 2_000


class MilvusIndex:
    """Vectors of one version in Milvus. Many threads may search; the writer of the index feeds it.

    The writer's database tells how far that is. A reader's may be an older copy, so it asks Milvus, where the writer
    publishes it.

    What the engine finds are candidates. Each is held against the filter and read from the database, which drops what
    is deleted or unknown there and gives exact scores.
    """

    compares_all = COMPARED
    measures_recall = False

    def __init__(
        self, server: MilvusServer, log: FeedLog, alias: str | None, dimensions: int, *, writable: bool = True
    ) -> None:
        """`alias` names the collections of this version in the engine; None where this index has no name yet."""
        self.server = server
        self.log = log
        self.dimensions = dimensions
        self.feeder = Feeder(server, log, alias, dimensions) if writable and alias else None
        self._now: Callable[[], Feed | None] = log.now if writable else self._published
        self._seen: Feed | None = None
        self._guard = CountGuard(self._now, self._count)
        self._problem = ""
        self._reachable: bool | None = None
        self._rows: int | None = None

    def __len__(self) -> int:
        feed = self.log.active()
        return feed.expected if feed else 0

    @property
    def generation(self) -> object | None:
        """The collection that is searched."""
        feed = self.log.active()
        return feed.collection if feed else None

    @property
    def state(self) -> VectorState:
        """How the engine stood when it was last asked, and how far it is fed."""
        feed = self._seen or self.log.now()
        behind = self.log.behind(feed) if feed else self.log.count()
        count = feed.expected if feed else 0
        return VectorState(
            "milvus", count, behind, self._reachable, self._rows, self._problem, self._guard.counts
        )

    def look(self) -> VectorState:
        """How the engine stands now: its rows are counted first."""
        try:
            if self._now() is not None:
                self._rows = self._count()
                self._note(None)
        except VectorsUnavailableError as error:
            self._rows = None
            self._note(error)
        return self.state

    # -- searching

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

        What few documents hold is compared without the engine. Of all others k come back whenever k are allowed, up to
        the 16,384 that Milvus gives. Raises VectorsUnavailableError when the engine is away or has only a part.
        """
        query = np.ascontiguousarray(query, np.float32)
        if k <= 0:
            return Ranking.empty()
        if exact:
            return self._compared(query, k, allowed, self.log.embedded())
        documents = None if allowed is None else allowed.documents(LISTED)
        if allowed is not None and documents is not None:
            chunks = self.log.chunks_of(documents, COMPARED) if len(documents) <= COMPARED else None
            if chunks is not None:
                return self._compared(query, k, allowed, chunks)
            if len(documents) * _OFTEN >= len(self):
                documents = None
        return self._asked(lambda: self._found(query, k, allowed, documents, fetch or self.log.vectors_of))

    def _compared(self, query: Vectors, k: int, allowed: Allowed | None, chunks: Ids) -> Ranking:
        """The best of these chunks by the vectors of the database, in bounded memory."""
        found = Ranking.empty()
        if allowed is not None:
            chunks = chunks[allowed.holds(chunks)]
        for start in range(0, len(chunks), _BATCH):
            ids, vectors = self.log.vectors_of(chunks[start : start + _BATCH])
            found = best(np.concatenate([found.ids, ids]), np.concatenate([found.scores, vectors @ query]), k)
        return found

    def _found(
        self, query: Vectors, k: int, allowed: Allowed | None, documents: Ids | None, fetch: Fetch
    ) -> Ranking:
        """Ask for more until k are allowed and known to the database, or the engine has no more."""
        expression = _listed(documents) if documents is not None else allowed.expression if allowed else ""
        wanted = min(k + _SPARE, MOST)
        while True:
            found = self.server.search(self._name(), query, wanted, expression)
            ranking = self._verified(query, k, allowed, found.ids, fetch)
            if len(ranking) >= k or len(found) < wanted:
                return ranking
            if wanted == MOST:
                return self._by_lists(query, k, allowed, ranking, fetch)
            passed = max(len(ranking), 1) / len(found)
            wanted = min(MOST, max(2 * wanted, round(1.3 * k / passed)))

    def _by_lists(
        self, query: Vectors, k: int, allowed: Allowed | None, found: Ranking, fetch: Fetch
    ) -> Ranking:
        """The best under a filter that the fields hardly tell: ask for its documents, list by list."""
        documents = None if allowed is None else allowed.documents(_LISTED_AT_LAST)
        if documents is None:
            return found
        for start in range(0, len(documents), LISTED):
            some = self.server.search(
                self._name(), query, min(k + _SPARE, MOST), _listed(documents[start : start + LISTED])
            )
            more = self._verified(query, k, allowed, np.setdiff1d(some.ids, found.ids), fetch)
            found = best(
                np.concatenate([found.ids, more.ids]), np.concatenate([found.scores, more.scores]), k
            )
        return found

    def _verified(self, query: Vectors, k: int, allowed: Allowed | None, ids: Ids, fetch: Fetch) -> Ranking:
        """The k best of these candidates, in the engine's order, by exact scores; those that count alone."""
        if allowed is not None:
            ids = ids[allowed.holds(ids)]
        for most in (k + _SPARE, len(ids)):
            known, vectors = fetch(ids[:most])
            if len(known) >= min(k, len(ids)) or most >= len(ids):
                break
        return best(known, vectors @ query, k)

    def score(self, query: Vectors, ids: Ids) -> Scores:
        """The cosine of each of these chunks, shape (len(ids),); NaN for one without a vector."""
        return np.asarray(self.vectors_of(ids) @ np.asarray(query, np.float32), np.float32)

    def vectors_of(self, ids: Ids) -> Vectors:
        """The database's vectors of these chunks, shape (len(ids), dimensions); NaN where there is none."""
        ids = np.asarray(ids, np.int64)
        return completed(ids, *self.log.vectors_of(ids), self.dimensions)

    def ids(self) -> Ids:
        """Every chunk id that the engine holds, ascending. Raises VectorsUnavailableError when it has only a part."""
        feed = self.log.now()
        if feed is None:
            return np.empty(0, np.int64)
        bounds = self.log.windows(feed, MOST // 2)
        return self._guard.whole(
            lambda: np.concatenate(
                [self.server.ids_between(feed.collection, low, high) for low, high in pairwise(bounds)]
            )
        )

    def is_superseded(self) -> bool:
        """Never: the alias and the database tell each search what there is."""
        return False

    def _name(self) -> str:
        feed = self.log.active()
        if feed is None:
            raise VectorsUnavailableError("No vectors have been sent to Milvus yet")
        return feed.alias

    def _published(self) -> Feed | None:
        """The feed as its writer has published it."""
        known = self.log.active()
        self._seen = self.server.published(known.alias) if known else None
        return self._seen

    def _count(self) -> int:
        return self.server.count(self._name())

    def _asked(self, ask: Callable[[], Ranking]) -> Ranking:
        feed = self.log.now() if self.feeder else None
        if feed is not None and not feed.expected and not feed.sending:
            return Ranking.empty()
        try:
            found = self._guard.whole(ask)
        except VectorsUnavailableError as error:
            self._note(error)
            raise
        self._note(None)
        return found

    def _note(self, error: VectorsUnavailableError | None) -> None:
        self._problem = error.message if error else ""
        self._reachable = error is None

    # -- for the writer

    def load(self, source: Source) -> None:
        """Nothing to read: the database's log tells what the engine lacks, when it is fed."""

    def update(self, gone: Ids, came: Ids, source: Source) -> None:
        """Nothing to do: the transaction that changed the chunks has logged them."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Nothing to do: the transaction that stored the vectors has logged them."""

    def catch_up(self, report: Report = no_report, cancelled: Cancelled = never) -> int:
        """Send the engine what the log has for it; returns how many changes are left."""
        try:
            left = self._writer().catch_up(report, cancelled)
        except VectorsUnavailableError as error:
            self._note(error)
            raise
        self._note(None)
        return left

    def needs_merge(self) -> Literal["", "merge", "rebuild"]:
        """Never: Milvus merges its segments by itself."""
        return ""

    def merge(
        self, *, queries: Vectors | None = None, report: Report = no_report, cancelled: Cancelled = never
    ) -> Collection:
        """As `build`: the database has all that the engine has."""
        return self._writer().build(report, cancelled)

    def build(
        self,
        stream: Iterable[tuple[Ids, Vectors]],
        total: int,
        *,
        queries: Vectors | None = None,
        report: Report = no_report,
        cancelled: Cancelled = never,
    ) -> Collection:
        """Make a collection from the database, beside the one that is searched. The log gives its rows and fields."""
        return self._writer().build(report, cancelled)

    def publish(self, built: Collection) -> None:
        """Have the alias name it, so that it is searched from now on; the former is dropped."""
        self._writer().publish(built)

    def discard(self, built: Collection) -> None:
        """Drop what was built."""
        self._writer().discard(built)

    def check(self) -> list[str]:
        """Return what is wrong with the collection, as sentences; empty when all is well."""
        feed = self._now()
        if feed is None:
            return ["No vectors have been sent to Milvus yet."] if self.log.count() else []
        if (target := self.server.target(feed.alias)) != feed.collection:
            return [f"The alias {feed.alias} names {target or 'nothing'} instead of {feed.collection}."]
        rows = self.server.count(feed.alias)
        if rows != feed.expected and not feed.sending:
            return [f"Milvus counts {rows:,} rows; {feed.expected:,} were confirmed."]
        return []

    def _writer(self) -> Feeder:
        if self.feeder is None:
            raise ReadOnlyError("The index is open for reading only.", hint="Open it for writing.")
        return self.feeder


def _listed(documents: Ids) -> str:
    return f"document in {documents.tolist()}"
