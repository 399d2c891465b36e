"""Housekeeping in one thread: keys, alerts, samples for the charts, warming the caches.

It is handed the parts that it looks after and knows no route. `snapshot`, `latency` and `samples` may be read from any
thread; a snapshot reads databases, so not from the event loop.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from localsearch.caches import CacheStats
from localsearch.engine import Engine
from localsearch.errors import LocalSearchError
from localsearch.search import SearchQuery
from localsearch.server.alerts import Alerts
from localsearch.server.exchange import Engines
from localsearch.server.following import Follower
from localsearch.server.jobs import Jobs
from localsearch.server.keys import KeyRing
from localsearch.server.metrics import Snapshot, Window, percentile
from localsearch.server.readings import (
    RecallSample,
    caches,
    disk_free,
    generation,
    quality,
    replica,
    stale_s,
)
from localsearch.server.schemas.system import LatencyAnswer, Sample
from localsearch.server.shared.reports import OtherCaches
from localsearch.server.watching import Watching

TICK_S = 1.0
SNAPSHOT_S = 2.0
HISTORY_S = 3600.0

log = logging.getLogger("localsearch.housekeeping")


class Housekeeping:
    """How the server is doing, looked at from time to time."""

    def __init__(
        self,
        engines: Engines,
        window: Window,
        *,
        alerts: Alerts,
        jobs: Jobs,
        keyring: KeyRing,
        watching: Watching,
        others: OtherCaches,
        follower: Follower | None = None,
    ) -> None:
        """`others` are the caches of other processes of this server, if there are any."""
        self._engines, self._window, self._follower = engines, window, follower
        self._alerts, self._jobs, self._keyring, self._watching = alerts, jobs, keyring, watching
        self._others = others
        self._every = self._engine.settings.alerts.interval_s
        self.recall = RecallSample(lambda: self._engine)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._snapshot, self._taken = Snapshot(), float("-inf")
        self.samples: deque[Sample] = deque(maxlen=max(1, int(HISTORY_S / self._every)))
        self._hits = (0, 0)

    @property
    def _engine(self) -> Engine:
        return self._engines.now.engine

    @property
    def every_s(self) -> float:
        return self._every

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="localsearch-housekeeping", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def snapshot(self) -> Snapshot:
        """The state of the index and the queues, at most two seconds old."""
        with self._lock:
            if time.monotonic() - self._taken > SNAPSHOT_S:
                self._snapshot, self._taken = self._take(), time.monotonic()
            return self._snapshot

    def forget(self) -> None:
        """Make the next `snapshot` a new one."""
        with self._lock:
            self._taken = float("-inf")

    def caches(self) -> dict[str, CacheStats]:
        """Counters of every cache by name, those of all processes of this server."""
        return self._others.beside(caches(self._engine))

    def latency(self) -> LatencyAnswer:
        """Searches and errors of the last five minutes."""
        durations = self._window.durations_ms()
        return LatencyAnswer(
            searches=len(durations),
            p50_ms=percentile(durations, 0.5),
            p99_ms=percentile(durations, 0.99),
            error_rate=round(self._window.error_rate(), 6),
        )

    def _take(self) -> Snapshot:
        status = self._engine.status()
        return Snapshot(
            documents=status.documents,
            chunks=status.chunks,
            embedded_chunks=status.embedded_chunks,
            coverage=status.semantic_coverage,
            files=status.files,
            bytes=status.bytes,
            stale_s=stale_s(self._engine, self._watching.checked),
            quality=quality(self._engine),
            disk_free=disk_free(self._engine),
            caches=self.caches(),
            jobs={"queued": 0, "running": 0, "failed": 0} | self._jobs.counts(),
            cost=status.cost,
            vectors=status.vectors,
            recall=self.recall.value,
            alerts=self._alerts.firing(),
            state=self._engine.db.number,
            replica=replica(self._follower.status) if self._follower else None,
        )

    def _run(self) -> None:
        due, warmed = 0.0, object()
        while not self._stop.wait(TICK_S):
            with self._engines.lease():
                published = generation(self._engine)
            if published != warmed:
                warmed = published
                self._guarded(self._warm)
            self._guarded(self._keyring.refresh)
            self._guarded(self._engine.query_log.flush)
            if not self._jobs.busy:
                self._guarded(self._watching.refresh)
            if time.monotonic() >= due:
                due = time.monotonic() + self._every
                self._guarded(self.recall.measure)
                self._guarded(self._look)

    def _guarded(self, step: Callable[[], Any]) -> None:
        """One failing step must not end the housekeeping."""
        try:
            with self._engines.lease():
                step()
        except Exception:
            log.exception("housekeeping failed")

    def _look(self) -> None:
        now = self.snapshot()
        latency = self.latency()
        self._alerts.evaluate(
            {
                "error_rate": latency.error_rate,
                "p99_ms": latency.p99_ms if latency.searches else None,
                "stale_s": now.stale_s,
                "failed_files": float((now.files or {}).get("failed", 0)),
                "disk_free": now.disk_free,
                "recall": now.recall,
                "replica_lag_s": now.replica.lag_s if now.replica else None,
            }
        )
        self.samples.append(self._sample(now))

    def _sample(self, now: Snapshot) -> Sample:
        durations = self._window.durations_ms(self._every)
        return Sample(
            at=time.time(),
            searches=len(durations),
            p50_ms=percentile(durations, 0.5),
            p99_ms=percentile(durations, 0.99),
            hit_rate=self._hit_rate(),
            semantic_coverage=now.coverage,
        )

    def _hit_rate(self) -> float:
        """The share of searches since the last sample that were answered from a cache."""
        stats = self.caches()["answers"]
        hits, misses = stats.hits - self._hits[0], stats.misses - self._hits[1]
        self._hits = stats.hits, stats.misses
        return round(hits / (hits + misses), 4) if hits + misses else 0.0

    def _warm(self) -> None:
        """Ask the most frequent recent queries once, so that no person waits for them."""
        for query in self._engine.query_log.frequent(self._engine.settings.caches.warm):
            if self._stop.is_set():
                return
            # Warming may take a while, and a revoked key must end meanwhile.
            self._guarded(self._keyring.refresh)
            try:
                self._engine.answer(SearchQuery.of(query))
            except (LocalSearchError, msgspec.ValidationError) as error:
                log.debug("not warmed: %s", error)
