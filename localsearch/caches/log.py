"""Log the queries that people ask. The server warms the caches with them after a start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from localsearch.caches.file import LossyFile
from localsearch.caches.memory import Clock
from localsearch.caches.results import canonical

HALF_LIFE_S = 7 * 86_400.0
LONGEST = 8 * 1024
"""Bytes of a request that is remembered."""
_LOG = """
    CREATE TABLE IF NOT EXISTS query_log (request BLOB PRIMARY KEY, score REAL NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS query_log_by_score ON query_log (score);
"""


class QueryLog:
    """How often each request was asked, weighted towards the recent, in `folder`/query-log.db.

    A request is any JSON value. Its weight halves every week without being asked. At most `keep` are remembered, and
    none of more than LONGEST bytes: nobody asks it a second time by hand.
    What is recorded stays in memory until `flush`, the last `keep` of it; what is cleared comes from neither.
    """

    def __init__(self, folder: Path | None, *, keep: int = 2000, clock: Clock = time.time) -> None:
        self._file = (
            LossyFile(folder / "query-log.db", _LOG, {"add_weights": (2, _add_weights)}) if folder else None
        )
        self._keep, self._clock = keep, clock
        self._fresh: dict[bytes, float] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        if self._file:
            self._file.write("DELETE FROM query_log WHERE length(request) > ?", [(LONGEST,)])

    def record(self, request: Any) -> None:
        """Count one request, in memory."""
        # Instead of fading every old row, a new asking weighs more the later it comes: the order is the same.
        key, weight = canonical(request), _log_weight(self._clock())
        if len(key) > LONGEST:
            return
        with self._lock:
            known = self._fresh.pop(key, None)
            if known is None and len(self._fresh) >= self._keep:
                del self._fresh[next(iter(self._fresh))]
            self._fresh[key] = weight if known is None else _add_weights(known, weight)

    def frequent(self, limit: int) -> list[Any]:
        """The most frequent recent requests, best first."""
        self.flush()
        if self._file is None:
            return []
        rows = self._file.all("SELECT request FROM query_log ORDER BY score DESC LIMIT ?", (limit,))
        return [msgspec.json.decode(row[0]) for row in rows]

    def flush(self) -> None:
        """Write what was recorded since the last time; no clearing happens between taking it and writing it."""
        with self._writing:
            with self._lock:
                fresh, self._fresh = self._fresh, {}
            if self._file and fresh:
                self._write(self._file, fresh)

    def _write(self, file: LossyFile, fresh: dict[bytes, float]) -> None:
        file.write(
            "INSERT INTO query_log VALUES (?, ?) ON CONFLICT (request) DO UPDATE SET score = add_weights(score, ?)",
            [(key, weight, weight) for key, weight in fresh.items()],
        )
        file.write(
            "DELETE FROM query_log WHERE request IN"
            " (SELECT request FROM query_log ORDER BY score DESC LIMIT -1 OFFSET ?)",
            [(self._keep,)],
        )

    def take(self) -> dict[bytes, float]:
        """What was recorded since the last time, by another log to be added; it is forgotten here."""
        with self._lock:
            fresh, self._fresh = self._fresh, {}
        return fresh

    def add(self, taken: Mapping[bytes, float], valid: Callable[[], bool]) -> None:
        """Record what another log gave, if it is `valid` at this moment: no clearing happens between."""
        with self._lock:
            if not valid():
                return
            for key, weight in taken.items():
                known = self._fresh.get(key)
                self._fresh[key] = weight if known is None else _add_weights(known, weight)
            for key in list(self._fresh)[: max(0, len(self._fresh) - self._keep)]:
                del self._fresh[key]

    def clear(self) -> None:
        """Forget every request, written or not."""
        with self._writing:
            with self._lock:
                self._fresh.clear()
            if self._file:
                self._file.write("DELETE FROM query_log", [()])

    def close(self) -> None:
        self.flush()
        if self._file:
            self._file.close()


def _log_weight(now: float) -> float:
    """Return the base-2 logarithm of the weight of one request at `now`: half-lives since a fixed day."""
    return (now - 1_700_000_000.0) / HALF_LIFE_S


def _add_weights(score: float, more: float) -> float:
    """log2(2**score + 2**more), without leaving the range of a float."""
    return float(np.logaddexp2(score, more))
