"""Feed an engine from the log of changes in the database, mend it, and build it anew. For this folder only."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from localsearch.errors import VectorsUnavailableError
from localsearch.types import (
    Cancelled,
    Feed,
    FeedBatch,
    Ids,
    Progress,
    Report,
    Vectors,
    never,
    no_report,
)
from localsearch.vectors.milvus_server import MOST, MilvusServer

BATCH = 1_000
"""Rows sent at once: 1.5 MB of vectors, a bound on memory and on what is sent again after a crash."""
_SHOWN_S = 10.0
"""Seconds that an engine may take to show what it confirmed, before the batch counts as not sent."""
_LOOKS_S = 0.02
SEALED = 1_024
"""Rows sent in a row from which segments are sealed after them: Milvus builds no graph of fewer."""
_INDEXED_S = 600.0
"""Seconds that a build waits for the graphs of its rows; it is published without them then."""
_LOADED_S = 60.0
"""Seconds that stored rows may take to come into memory, before those that are not there count as lost."""
_PAUSE = 0.25
"""Of the time that a batch took, how long searches have the engine to themselves before the next."""


class FeedLog(Protocol):
    """What the database knows of a feed; `store.VersionFeed` implements it."""

    def active(self) -> Feed | None: ...
    def now(self) -> Feed | None: ...
    def building(self) -> Feed | None: ...
    def behind(self, feed: Feed) -> int: ...
    def count(self) -> int: ...
    def collections(self) -> set[str]: ...
    def vectors_of(self, ids: Ids) -> tuple[Ids, Vectors]: ...
    def chunks_of(self, documents: Ids, most: int) -> Ids | None: ...
    def embedded(self) -> Ids: ...
    def fed_between(self, feed: Feed, low: int, high: int) -> Ids: ...
    def windows(self, feed: Feed, most: int) -> list[int]: ...
    def batch(self, feed: Feed, most: int) -> FeedBatch | None: ...
    def again(self, feed: Feed, ids: Ids) -> FeedBatch: ...
    def begin(self, alias: str, collection: str, holder: str, *, building: bool = False) -> Feed: ...
    def hold(self, feed: Feed, holder: str) -> None: ...
    def sending(self, feed: Feed, holder: str) -> None: ...
    def confirmed(self, feed: Feed, batch: FeedBatch, holder: str) -> None: ...
    def publish(self, feed: Feed, holder: str) -> None: ...
    def drop(self, feed: Feed) -> None: ...


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection that was built and is not searched yet."""

    name: str
    count: int


class Feeder:
    """Feeds the collections of one version. One thread feeds at a time; another waits for it."""

    def __init__(self, server: MilvusServer, log: FeedLog, alias: str, dimensions: int) -> None:
        self.server = server
        self.log = log
        self.alias = alias
        self.dimensions = dimensions
        self.holder = secrets.token_hex(8)
        self._holds: int | None = None
        self._feeding = threading.RLock()

    def catch_up(self, report: Report = no_report, cancelled: Cancelled = never) -> int:
        """Send what the log has, batch by batch; returns how many changes are left.

        Begins with a new collection where there is none, or where the engine has lost it. Raises
        VectorsUnavailableError when the engine is away: the same call goes on from there.
        """
        with self._feeding:
            feed = self._ready()
            sent = self._drain(feed, report, cancelled)
            if not cancelled() and sent.complete and not self.agrees(sent):
                self.reconcile(cancelled)
            now = self.log.now()
            return self.log.behind(now) if now else 0

    def _ready(self) -> Feed:
        """The active feed, held by us, with its collection there, named by the alias, and told to readers."""
        feed = self.log.now()
        begun = (
            feed is None
            or feed.alias != self.alias
            or feed.collection not in self.server.collections()
            or self._is_overtaken(feed)
        )
        if feed is None or begun:
            feed = self._begin(building=False)
        self.server.point(self.alias, feed.collection)
        if self._holds != feed.id:
            self.log.hold(feed, self.holder)
            self._holds = feed.id
            if (
                cut := self.log.building()
            ) is not None:  # a build that a crash has cut, which would keep the log
                self.log.drop(cut)
                self.server.drop(cut.collection)
            self.server.load(feed.collection)
        if self.server.published(feed.collection) != feed:
            self.server.publish(feed)
        if begun:
            self._drop_strays()
        return feed

    def _is_overtaken(self, feed: Feed) -> bool:
        """Whether the collection was fed beyond this database: it was the primary's, and a reader was promoted.

        Rows of it may have other fields here, and which ones nothing tells. The database confirms before it publishes,
        and is read last.
        """
        if self._holds == feed.id or (told := self.server.published(feed.collection)) is None:
            return False
        now = self.log.now()
        return now is not None and told.revision > now.revision

    def _begin(self, *, building: bool) -> Feed:
        collection = f"{self.alias}_{secrets.token_hex(4)}"
        self.server.create(collection, self.dimensions)
        feed = self.log.begin(self.alias, collection, self.holder, building=building)
        self.server.publish(feed)
        return feed

    def _drop_strays(self) -> None:
        """Drop collections of this index that no feed knows: of deleted versions, or left by a crash."""
        known, ours = self.log.collections(), self.alias.rpartition("_v")[0] + "_v"
        for name in self.server.collections():
            if name.startswith(ours) and name not in known:
                self.server.drop(name)

    def _drain(self, feed: Feed, report: Report, cancelled: Cancelled) -> Feed:
        """Send batches until there is none; returns the feed as it is then."""
        done, total = 0, 0
        while not cancelled() and (batch := self.log.batch(feed, BATCH)) is not None:
            began = time.monotonic()
            feed = self._send(feed, batch)
            done += len(batch.ids)
            total = total or done + self.log.behind(feed)
            if done > BATCH:
                report(Progress("vectors", done, max(total, done), "chunks"))
            if len(batch.ids) == BATCH:
                time.sleep(_PAUSE * (time.monotonic() - began))
        if done >= SEALED:
            self.server.seal(feed.collection)
        return feed

    def _send(self, feed: Feed, batch: FeedBatch) -> Feed:
        """Send one batch, wait until it can be seen, and record that. Readers are told before and after."""
        if len(batch.ids) or len(batch.gone):
            self.log.sending(feed, self.holder)
            self.server.publish(self._read(feed))
            self.server.apply(feed.collection, batch)
            self._wait_for(feed.collection, feed.expected + batch.more)
        self.log.confirmed(feed, batch, self.holder)
        feed = self._read(feed)
        self.server.publish(feed)
        return feed

    def _read(self, feed: Feed) -> Feed:
        """The same feed, active or building, as the database has it now."""
        now = self.log.now()
        found = now if now is not None and now.id == feed.id else self.log.building()
        assert found is not None
        return found

    def _wait_for(self, collection: str, rows: int) -> None:
        """Wait until what was sent can be searched. A count alone cannot tell: a batch may put as many as it deletes.

        Where the rows are not those expected in the end, `reconcile` mends them.
        """
        until = time.monotonic() + _SHOWN_S
        while self.server.count(collection, settled=True) != rows and time.monotonic() < until:
            time.sleep(_LOOKS_S)

    def agrees(self, feed: Feed) -> bool:
        """Whether the engine counts the rows that were confirmed."""
        until = time.monotonic() + _SHOWN_S
        while self.server.count(feed.collection) != feed.expected:
            if time.monotonic() > until:
                return False
            time.sleep(_LOOKS_S)
        return True

    def reconcile(self, cancelled: Cancelled = never) -> int:
        """Hold every id of the engine against those confirmed, and send what differs again; returns how many did.

        An id that came back, as a replayed upsert brings it, is deleted; one that is missing is put. Raises
        VectorsUnavailableError while the engine loads.
        """
        with self._feeding:
            if (feed := self.log.now()) is None:
                return 0
            odd = self._differing(feed, cancelled)
            for start in range(0, len(odd), BATCH):
                if cancelled():
                    break
                feed = self._send(feed, self.log.again(feed, odd[start : start + BATCH]))
            return len(odd)

    def _differing(self, feed: Feed, cancelled: Cancelled) -> Ids:
        """The ids that are in the engine or confirmed, and not both, read between two counts that are the same.

        What a server does not find that has a part of its segments in memory is not lost.
        """
        bounds = self.log.windows(feed, MOST // 2)
        until = time.monotonic() + _LOADED_S
        while not cancelled():
            if (rows := self._rows_when_loaded(feed.collection, until, cancelled)) is not None:
                odd = [self._odd_between(feed, low, high) for low, high in pairwise(bounds)]
                if self.server.count(feed.collection) == rows and self.server.is_loaded(feed.collection):
                    return np.concatenate(odd)
            if time.monotonic() > until:
                raise VectorsUnavailableError("Milvus has a part of its rows in memory and loads the others")
            time.sleep(_LOOKS_S)
        return np.empty(0, np.int64)

    def _rows_when_loaded(self, collection: str, until: float, cancelled: Cancelled) -> int | None:
        """The rows of the engine, once it has in memory what it stores; None while it starts, or if cancelled."""
        while self.server.unloaded(collection) and time.monotonic() < until:
            if cancelled():
                return None
            time.sleep(10 * _LOOKS_S)
        return self.server.count(collection, settled=True) if self.server.is_loaded(collection) else None

    def _odd_between(self, feed: Feed, low: int, high: int) -> Ids:
        held = self.server.ids_between(feed.collection, low, high)
        return np.setxor1d(held, self.log.fed_between(feed, low, high))

    def build(self, report: Report = no_report, cancelled: Cancelled = never) -> Collection:
        """Make a second collection from the database, beside the one that is searched."""
        with self._feeding:
            self._ready()
            feed = self._begin(building=True)
            self._drop_strays()
            feed = self._drain(feed, report, cancelled)
            self.wait_for_graphs(feed, cancelled)
            return Collection(feed.collection, feed.expected)

    def wait_for_graphs(self, feed: Feed, cancelled: Cancelled = never) -> None:
        """Wait until what was sealed is searched by its graph, for ten minutes at most."""
        until = time.monotonic() + _INDEXED_S
        while self.server.unindexed(feed.collection, SEALED) and time.monotonic() < until:
            if cancelled():
                return
            time.sleep(10 * _LOOKS_S)

    def publish(self, built: Collection) -> None:
        """Have the alias name it and drop the former. Raises VectorsUnavailableError; the former answers then."""
        with self._feeding:
            feed, former = self.log.building(), self.log.now()
            if feed is None or feed.collection != built.name:
                return
            feed = self._drain(feed, no_report, never)
            self.server.point(self.alias, feed.collection)
            self.log.publish(feed, self.holder)
            self._holds = feed.id
            self.server.publish(self._read(feed))
            if former is not None:
                self.server.drop(former.collection)

    def discard(self, built: Collection) -> None:
        """Drop a collection that shall not be searched."""
        with self._feeding:
            feed = self.log.building()
            if feed is not None and feed.collection == built.name:
                self.log.drop(feed)
            try:
                self.server.drop(built.name)
            except VectorsUnavailableError:
                return  # the next beginning drops what no feed knows
