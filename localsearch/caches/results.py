"""Cache answers. Each is valid while the index stays as it was."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Generic

import msgspec

from localsearch.caches.memory import CacheStats, Clock, MemoryCache, V
from localsearch.errors import UsageError, no_text


class ResultCache(Generic[V]):
    """Answers by request, each valid for one `stamp` only.

    The stamp is whatever names the state that an answer depends on: the number of the last change, the active
    version, how much of it is embedded. A write changes the stamp, and the old answer can no longer be reached.
    An entry lives about as long as the index has lately stayed unchanged, between `min_ttl_s` and `max_ttl_s`:
    where changes are frequent, dead answers do not fill the memory.
    """

    def __init__(
        self,
        max_bytes: int,
        size_of: Callable[[V], int],
        *,
        min_ttl_s: float = 10.0,
        max_ttl_s: float = 3600.0,
        clock: Clock = time.time,
    ) -> None:
        self._entries: MemoryCache[tuple[Hashable, V]] = MemoryCache(
            max_bytes, max_ttl_s, lambda pair: size_of(pair[1]), clock
        )
        self._min, self._max, self._clock = min_ttl_s, max_ttl_s, clock
        self._lock = threading.Lock()
        self._stamp: Hashable = None
        self._changed = clock()
        self._interval = max_ttl_s

    def get(self, key: Hashable, stamp: Hashable, *, count_miss: bool = True) -> V | None:
        """The answer to this request as the index stands, or None; `count_miss` as in `MemoryCache.get`."""
        self._observe(stamp)
        found = self._entries.get(key, lambda kept: kept[0] == stamp, count_miss=count_miss)
        return None if found is None else found[1]

    def put(self, key: Hashable, stamp: Hashable, value: V) -> None:
        """Keep an answer that was made while the index was at `stamp`."""
        self._entries.put(key, (stamp, value), ttl_s=self.ttl_s)

    @property
    def ttl_s(self) -> float:
        """How long an entry made now will live, in seconds."""
        with self._lock:
            quiet = self._clock() - self._changed
            return min(self._max, max(self._min, self._interval, quiet))

    def clear(self) -> int:
        return self._entries.clear()

    def stats(self) -> CacheStats:
        """Counters; an entry found with an old stamp counts as a miss."""
        return self._entries.stats()

    def _observe(self, stamp: Hashable) -> None:
        with self._lock:
            if stamp == self._stamp:
                return
            now = self._clock()
            if self._stamp is not None:
                # A moving average that forgets: one burst of writes shortens it, a quiet hour restores it.
                self._interval = 0.7 * self._interval + 0.3 * (now - self._changed)
            self._stamp, self._changed = stamp, now


LONGEST_KEY = 1024
"""Bytes of a request that is itself what its answer is kept under; caches count values, not keys."""


def short_key(request: bytes) -> bytes:
    """The request, or the SHA-256 of a long one."""
    return request if len(request) <= LONGEST_KEY else hashlib.sha256(request).digest()


def canonical(request: Any) -> bytes:
    """One spelling for equal requests: JSON with keys in order. UsageError for what JSON cannot hold."""
    try:
        return msgspec.json.encode(request, order="deterministic")
    except UnicodeEncodeError as error:
        raise no_text(error) from None
    except (TypeError, RecursionError) as error:
        raise UsageError(f"A request that is no JSON: {error}", hint="Use text, numbers and lists.") from None
