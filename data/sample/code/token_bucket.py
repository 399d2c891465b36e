"""A token bucket: allow short bursts, but hold a steady average rate.

Picture a bucket that holds at most `capacity` tokens and is refilled at `rate` tokens per second. Each request takes
one token out. While tokens are left the request may pass; an empty bucket means that the caller has to wait. A quiet
client saves up tokens and may then send `capacity` requests at once, which is what makes this kinder to people than a
fixed window ("100 per minute"), where a client can send 100 requests at 11:59:59 and 100 more one second later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class TokenBucket:
    """Limit how often something may happen. Safe to share between threads."""

    def __init__(self, rate: float, capacity: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start full. `rate` is in tokens per second.

        The clock is monotonic, because the wall clock jumps when the machine synchronises its time, and a jump
        backwards would block every client for as long as the jump.
        """
        if rate <= 0 or capacity < 1:
            raise ValueError("rate must be positive and capacity at least 1")
        self._rate = rate
        self._capacity = capacity
        self._clock = clock
        self._tokens = capacity
        self._updated = clock()
        self._lock = threading.Lock()

    def take(self, tokens: float = 1) -> bool:
        """Take tokens if there are enough; False means that the request is to be refused with status 429."""
        with self._lock:
            self._refill()
            if self._tokens < tokens:
                return False
            self._tokens -= tokens
            return True

    def wait_time(self, tokens: float = 1) -> float:
        """Seconds until this many tokens will be there: the value for a Retry-After header."""
        with self._lock:
            self._refill()
            return max(0.0, (tokens - self._tokens) / self._rate)

    def _refill(self) -> None:
        # Refilling lazily, from the time that has passed, needs neither a timer nor a background thread per client.
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
