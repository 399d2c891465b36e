"""The count guard: an engine's answer counts only where its rows were all there before and after. For this folder only.

While segments move between its nodes, Milvus answers from those that it has, and says nothing. Its count of rows comes
from the same segments as its answers. So a search is between two counts, both of which are to be what was confirmed,
with no batch sent meanwhile; else it is asked again, a few times, and then refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from localsearch.errors import VectorsUnavailableError
from localsearch.types import Feed
from localsearch.vectors.protocol import GuardCounts

T = TypeVar("T")

PAUSES_S = (0.03, 0.06, 0.12, 0.25, 0.5)
"""Seconds before each further try; a batch takes about a quarter of one."""


class CountGuard:
    """Asks between two counts. Safe to share between threads."""

    def __init__(self, feed: Callable[[], Feed | None], count: Callable[[], int]) -> None:
        """`feed` gives the feed as it is at this moment, `count` the rows that the engine searches."""
        self._feed, self._count = feed, count
        self._lock = threading.Lock()
        self._counts = GuardCounts()

    @property
    def counts(self) -> GuardCounts:
        """Searches so far, in this process."""
        return self._counts

    def whole(self, ask: Callable[[], T]) -> T:
        """What `ask` returns, if every row was there. VectorsUnavailableError where that cannot be told."""
        seen = ""
        for tries, pause in enumerate((0.0, *PAUSES_S)):
            time.sleep(pause)
            before = self._feed()
            if before is None:
                raise VectorsUnavailableError("No vectors have been sent to Milvus yet")
            if before.sending or not before.complete:
                seen = "vectors are being sent to it"
                continue
            if (rows := self._count()) == before.expected:
                found = ask()
                rows = self._count()
                if rows == before.expected and self._feed() == before:
                    self._tell(retried=tries > 0)
                    return found
            seen = f"it has {rows:,} rows of {before.expected:,}"
        with self._lock:
            self._counts = replace(self._counts, refused=self._counts.refused + 1)
        raise VectorsUnavailableError(f"Milvus cannot answer from all vectors now: {seen}")

    def _tell(self, *, retried: bool) -> None:
        with self._lock:
            counts = self._counts
            self._counts = replace(
                counts, whole=counts.whole + (not retried), retried=counts.retried + retried
            )
