"""Cache in memory, with a cap in bytes, a time to live in seconds, and counters."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V")
Clock = Callable[[], float]

ENTRY_OVERHEAD = 200
"""Bytes that one entry costs beyond its value: the key, the slot and the bookkeeping."""


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Counters since the start, and what is held now. `age_s` is that of the oldest entry, 0 when empty."""

    hits: int
    misses: int
    evicted: int
    entries: int
    bytes: int
    age_s: float


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V
    size: int
    made: float
    expires: float


class MemoryCache(Generic[V]):
    """Hold values until they expire or `max_bytes` is reached; the least recently used go first.

    `size_of` gives the bytes of a value. A cap of 0 holds nothing.
    """

    def __init__(
        self, max_bytes: int, ttl_s: float, size_of: Callable[[V], int], clock: Clock = time.time
    ) -> None:
        self._cap, self._ttl, self._size_of, self._clock = max_bytes, ttl_s, size_of, clock
        self._entries: OrderedDict[Hashable, _Entry[V]] = OrderedDict()
        self._lock = threading.Lock()
        self._bytes = self._hits = self._misses = self._evicted = 0

    def get(
        self, key: Hashable, valid: Callable[[V], bool] | None = None, *, count_miss: bool = True
    ) -> V | None:
        """The value, or None when it is absent, has expired or is not `valid`. Counts a hit or a miss.

        `count_miss` False is for a caller who asks again after a miss, so that one question counts once.
        """
        with self._lock:
            entry = self._entries.get(key)
            dead = entry is not None and (
                entry.expires <= self._clock() or (valid is not None and not valid(entry.value))
            )
            if entry is None or dead:
                self._drop(key)
                self._misses += count_miss
                return None
            self._entries.move_to_end(key)
            self._hits += 1
            return entry.value

    def put(self, key: Hashable, value: V, *, made: float | None = None, ttl_s: float | None = None) -> None:
        """Keep `value`. One larger than the whole cap is not kept. `made` dates it, else now."""
        size = self._size_of(value) + ENTRY_OVERHEAD
        born = self._clock() if made is None else made
        with self._lock:
            self._drop(key)
            if size > self._cap:
                return
            self._entries[key] = _Entry(value, size, born, born + (self._ttl if ttl_s is None else ttl_s))
            self._bytes += size
            while self._bytes > self._cap:
                self._drop(next(iter(self._entries)))
                self._evicted += 1

    def discard(self, key: Hashable) -> None:
        """Forget one key, if it is held."""
        with self._lock:
            self._drop(key)

    def clear(self) -> int:
        """Forget every entry and return how many. Counters stay."""
        with self._lock:
            gone = len(self._entries)
            self._entries.clear()
            self._bytes = 0
            return gone

    def stats(self) -> CacheStats:
        with self._lock:
            oldest = min((entry.made for entry in self._entries.values()), default=None)
            age = 0.0 if oldest is None else max(0.0, self._clock() - oldest)
            return CacheStats(self._hits, self._misses, self._evicted, len(self._entries), self._bytes, age)

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size
