"""What the processes that read tell the one that writes, every second: durations, questions, caches, cost.

What can be added up where it is counted (the metrics of requests) is not here: it is in files that all map.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from localsearch.caches import CacheStats


@dataclass(frozen=True, slots=True)
class Report:
    """Of one process since its last report; but `caches` since its start, with what is held now.

    `clears` is the number of clearings that it had heard of: what it remembers from before a later one is dropped.
    """

    place: int
    pid: int
    clears: int
    searches_s: list[float] = field(default_factory=list)
    answers: int = 0
    failed: int = 0
    questions: list[str] = field(default_factory=list)
    asked: dict[bytes, float] = field(default_factory=dict)
    texts: int = 0
    tokens: int = 0
    cpu_s: float = 0.0
    caches: dict[str, CacheStats] = field(default_factory=dict)
    warm: bool = False


class OtherCaches:
    """The caches of the other processes, as they last told. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: dict[int, tuple[int, Mapping[str, CacheStats]]] = {}
        self._before: dict[str, CacheStats] = {}

    def told(self, report: Report) -> None:
        """Take in a report; of a process that has replaced another, what that one counted stays counted."""
        with self._lock:
            pid, former = self._now.get(report.place, (report.pid, {}))
            if pid != report.pid:
                ended = {name: _ended(stats) for name, stats in former.items()}
                self._before = added(self._before, ended)
            self._now[report.place] = (report.pid, report.caches)

    def beside(self, own: Mapping[str, CacheStats]) -> dict[str, CacheStats]:
        """This process's caches and all others', added up by name."""
        with self._lock:
            total = added(own, self._before)
            for _, caches in self._now.values():
                total = added(total, caches)
            return total


def added(one: Mapping[str, CacheStats], other: Mapping[str, CacheStats]) -> dict[str, CacheStats]:
    """Caches by name, those of one name added up; the age is the older one's."""
    total = dict(one)
    for name, stats in other.items():
        known = total.get(name)
        total[name] = stats if known is None else _sum(known, stats)
    return total


def _sum(one: CacheStats, other: CacheStats) -> CacheStats:
    return CacheStats(
        one.hits + other.hits,
        one.misses + other.misses,
        one.evicted + other.evicted,
        one.entries + other.entries,
        one.bytes + other.bytes,
        max(one.age_s, other.age_s),
    )


def _ended(stats: CacheStats) -> CacheStats:
    return CacheStats(stats.hits, stats.misses, stats.evicted, 0, 0, 0.0)
