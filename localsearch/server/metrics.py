"""Metrics in Prometheus' format, and the five minutes that alerts and charts look back on.

Any thread may count. `render` takes a snapshot, which reads databases: not for the event loop.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from localsearch.caches import CacheStats
from localsearch.derived.usage import NOTHING, Usage
from localsearch.vectors import VectorState

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
WINDOW_S = 300.0
MOST_SAMPLES = 100_000
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is read from the engine when somebody scrapes. None where nothing is known yet.

    `stale_s` is the time since the index last changed or was checked.
    """

    documents: int = 0
    chunks: int = 0
    embedded_chunks: int = 0
    coverage: float = 1.0
    files: Mapping[str, int] | None = None
    bytes: int = 0
    stale_s: float | None = None
    disk_free: float = 1.0
    caches: Mapping[str, CacheStats] | None = None
    jobs: Mapping[str, int] | None = None
    cost: Usage = NOTHING
    quality: float | None = None
    recall: float | None = None
    alerts: Mapping[tuple[str, str], int] | None = None
    state: int | None = None
    replica: ReplicaReading | None = None
    vectors: VectorState | None = None


@dataclass(frozen=True, slots=True)
class ReplicaReading:
    """How a reader stands. `lag_s` is the time since it was seen to have what its source has."""

    lag_s: float
    shipped_s: float
    taken: int
    fetched_bytes: int
    failing: bool


class Window:
    """Durations and outcomes of the last five minutes. Any thread may add and read: each step on a deque is atomic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._searches: deque[tuple[float, float]] = deque(maxlen=MOST_SAMPLES)
        self._answers: deque[tuple[float, bool]] = deque(maxlen=MOST_SAMPLES)

    def search(self, seconds: float) -> None:
        self._searches.append((self._clock(), seconds))

    def answer(self, failed: bool) -> None:
        self._answers.append((self._clock(), failed))

    def add(self, searches_s: Iterable[float], answers: int, failed: int) -> None:
        """Add what another process has measured in the last second or so."""
        for seconds in searches_s:
            self.search(seconds)
        for number in range(answers):
            self.answer(number < failed)

    def take(self) -> tuple[list[float], int, int]:
        """Seconds of the searches, the number of answers and of those that failed, since the last call."""
        seconds = [self._searches.popleft()[1] for _ in range(len(self._searches))]
        failed = [self._answers.popleft()[1] for _ in range(len(self._answers))]
        return seconds, len(failed), sum(failed)

    def durations_ms(self, within_s: float = WINDOW_S) -> list[float]:
        """Durations of the searches that ended within the last `within_s` seconds."""
        since = self._clock() - within_s
        return [seconds * 1000 for at, seconds in list(self._searches) if at >= since]

    def error_rate(self) -> float:
        """The share of answers that were the server's fault; 0 without any."""
        since = self._clock() - WINDOW_S
        recent = [failed for at, failed in list(self._answers) if at >= since]
        return sum(recent) / len(recent) if recent else 0.0


def percentile(values: list[float], share: float) -> float:
    """The value below which this share lies, by linear interpolation; 0 for none."""
    return round(float(np.percentile(values, share * 100)), 3) if values else 0.0


class Metrics:
    """The registry of one server."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        window: Window,
        folder: Path | None = None,
        pids: Callable[[], Iterable[int]] = lambda: (os.getpid(),),
    ) -> None:
        """`folder` is where the processes of one server count, each in files of its own: what PROMETHEUS_MULTIPROC_DIR
        was when prometheus_client was loaded. `pids` are those whose processor time and memory are told."""
        self.registry = CollectorRegistry()
        self.window = window
        self._folder, self._from_engine, self._pids = folder, _FromEngine(snapshot), pids
        self._requests = self._counter(
            "http_requests", "Answers by route, method and status.", "route", "method", "status"
        )
        self._seconds = self._histogram("http_request_seconds", "Time from request to answer.", "route")
        self._stages = self._histogram(
            "search_stage_seconds", "Time of each stage of an uncached search.", "stage"
        )
        self._search = self._histogram(
            "search_seconds", "Time of a search in the engine or its cache.", "cached"
        )
        self._limited = self._counter("rate_limited", "Requests refused with 429.")
        self._refused = self._counter("refused", "Requests refused by a guard.", "code")
        self._children: dict[tuple[str, ...], Any] = {}

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer."""
        key = (route, method, str(status))
        pair = self._children.get(key)
        if pair is None:
            pair = self._children[key] = (self._requests.labels(*key), self._seconds.labels(route))
        pair[0].inc()
        pair[1].observe(seconds)
        self.window.answer(status >= 500)

    def search(self, seconds: float, cached: bool) -> None:
        """Count one search."""
        key = ("search", str(cached).lower())
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._search.labels(key[1])
        child.observe(seconds)
        self.window.search(seconds)

    def stages(self, stages: Mapping[str, float]) -> None:
        """Count the stages of an uncached search, given in milliseconds."""
        for stage, milliseconds in stages.items():
            self._stages.labels(stage).observe(milliseconds / 1000)

    def refused(self, status: int, code: str) -> None:
        """Count a refusal by a guard or a limit."""
        if status == 429:
            self._limited.inc()
        self._refused.labels(code).inc()

    def render(self) -> bytes:
        """Everything, as Prometheus reads it: of all processes, where there are several."""
        told = CollectorRegistry()
        if self._folder:
            MultiProcessCollector(told, str(self._folder))  # type: ignore[no-untyped-call]
        else:
            told.register(_Counted(self.registry))
        told.register(self._from_engine)
        told.register(_Processes(list(self._pids())))
        PlatformCollector(registry=told)
        return generate_latest(told)

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"localsearch_{name}", help, labels, registry=self.registry)

    def _histogram(self, name: str, help: str, *labels: str) -> Histogram:
        return Histogram(f"localsearch_{name}", help, labels, registry=self.registry, buckets=BUCKETS_S)


class _Counted(Collector):
    """What this process has counted itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()


class _Processes(Collector):
    """prometheus_client's figures of a process, of several added up; start and limits are the least of them."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids

    def collect(self) -> Iterable[Metric]:
        found: dict[str, Metric] = {}
        for pid in self._pids:
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                known = found.setdefault(metric.name, metric)
                if known is not metric:
                    known.samples = [_joined(*pair) for pair in zip(known.samples, metric.samples)]
        return list(found.values())


def _joined(one: Sample, other: Sample) -> Sample:
    least = one.name in ("process_start_time_seconds", "process_max_fds")
    return one._replace(value=(min if least else add)(one.value, other.value))


class _FromEngine(Collector):
    """Gauges and counters that the engine keeps, read when somebody scrapes."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Metric]:
        """Names without reading the engine."""
        return list(_index(Snapshot()))

    def collect(self) -> Iterable[Metric]:
        now = self._snapshot()
        yield from _index(now)
        if now.replica:
            yield from _replica(now.replica)
        if now.vectors and now.vectors.backend != "faiss":
            yield from _engine(now.vectors)
        yield from _caches(now.caches or {})
        yield _labelled("jobs", "Jobs by state.", "state", now.jobs or {})
        yield _labelled("files", "Files seen, by what became of them.", "state", now.files or {})
        yield _labelled(
            "hosted_cost_dollars", "What the tokens embedded here cost elsewhere.", "price", now.cost.hosted
        )
        yield _alerts(now.alerts or {})


def _index(now: Snapshot) -> Iterable[Metric]:
    yield _gauge("documents", "Documents in the index.", now.documents)
    yield _gauge("chunks", "Chunks in the index.", now.chunks)
    yield _gauge("embedded_chunks", "Chunks that are found by meaning.", now.embedded_chunks)
    yield _gauge("semantic_coverage_ratio", "The share of chunks that are found by meaning.", now.coverage)
    yield _gauge("index_bytes", "What the index takes on disk.", now.bytes)
    yield _gauge("index_age_seconds", "Time since the index last changed or was checked.", now.stale_s)
    yield _gauge("disk_free_ratio", "The share of the disk that is free.", now.disk_free)
    yield _gauge("search_quality_score", "The share of judged hits that were relevant.", now.quality)
    yield _gauge(
        "vector_recall_ratio", "Recall at 10 of the vector index on recent real queries.", now.recall
    )
    yield _gauge(
        "state_number", "The number of the state that answers; it grows with each commit.", now.state
    )
    yield _counted("embedding_tokens", "Word pieces embedded.", now.cost.tokens)
    yield _counted("embedding_cpu_seconds", "Processor time spent on embedding.", now.cost.cpu_s)


def _replica(now: ReplicaReading) -> Iterable[Metric]:
    yield _gauge("replica_lag_seconds", "Time since it was seen to have what its source has.", now.lag_s)
    yield _gauge(
        "replica_snapshot_age_seconds", "Time since the primary shipped what answers.", now.shipped_s
    )
    yield _gauge("replica_failing", "1 while what the source has cannot be taken.", float(now.failing))
    yield _counted("replica_snapshots", "Snapshots taken since the start.", now.taken)
    yield _counted("replica_fetched_bytes", "Bytes fetched since the start.", now.fetched_bytes)


def _engine(now: VectorState) -> Iterable[Metric]:
    yield _gauge("engine_up", "1 while the engine of the vectors answers.", float(bool(now.reachable)))
    yield _gauge("engine_expected_rows", "Rows that the engine has confirmed.", now.count)
    yield _gauge("engine_rows", "Rows that the engine counts.", now.rows)
    yield _gauge("engine_lag_changes", "Changes that are still to come to the engine.", now.behind)
    guard = CounterMetricFamily(
        "localsearch_engine_searches", "Searches of the engine by what its count told.", labels=["outcome"]
    )
    for outcome, count in asdict(now.guard).items():
        guard.add_metric([outcome], count)
    yield guard


def _caches(caches: Mapping[str, CacheStats]) -> Iterable[Metric]:
    counters = {
        "hits": CounterMetricFamily("localsearch_cache_hits", "Found in a cache.", labels=["cache"]),
        "misses": CounterMetricFamily("localsearch_cache_misses", "Not found in a cache.", labels=["cache"]),
        "evicted": CounterMetricFamily(
            "localsearch_cache_evictions", "Dropped for want of room.", labels=["cache"]
        ),
    }
    gauges = {
        "entries": GaugeMetricFamily("localsearch_cache_entries", "Entries held.", labels=["cache"]),
        "bytes": GaugeMetricFamily("localsearch_cache_bytes", "Bytes held.", labels=["cache"]),
        "age_s": GaugeMetricFamily(
            "localsearch_cache_age_seconds", "Age of the oldest entry.", labels=["cache"]
        ),
    }
    for name, stats in caches.items():
        for field, family in (counters | gauges).items():
            family.add_metric([name], getattr(stats, field))
    yield from counters.values()
    yield from gauges.values()


def _alerts(alerts: Mapping[tuple[str, str], int]) -> Metric:
    family = GaugeMetricFamily(
        "localsearch_alert_firing", "1 while an alert fires.", labels=["alert", "severity"]
    )
    for (name, severity), firing in alerts.items():
        family.add_metric([name, severity], firing)
    return family


def _labelled(name: str, help: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"localsearch_{name}", help, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _gauge(name: str, help: str, value: float | None) -> Metric:
    """A gauge; one that is not known has no sample rather than a made-up number."""
    family = GaugeMetricFamily(f"localsearch_{name}", help)
    if value is not None:
        family.add_metric([], value)
    return family


def _counted(name: str, help: str, value: float) -> Metric:
    return CounterMetricFamily(f"localsearch_{name}", help, value=value)
