"""How much one client may ask, and how much the server does at once. Both belong to the event loop alone."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from localsearch.server.problems import Headers, HttpError, busy, retry_after

MOST_CLIENTS = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """`rate` requests a second on average, `burst` at once. Rate 0 is no limit."""

    rate: float
    burst: int


@dataclass(slots=True)
class Bucket:
    """The tokens that one client had at a moment of the clock."""

    tokens: float
    filled: float


class TokenBuckets:
    """One bucket per client, the least recently seen forgotten first: a forgotten client starts with a full one.

    Not safe between threads; it belongs to the event loop.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = MOST_CLIENTS) -> None:
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._clock, self._most = clock, most

    def take(self, client: str, allowance: Allowance) -> Headers:
        """Take one token; the RateLimit-* headers for the answer. Raises 429 with Retry-After when there is none."""
        if allowance.rate <= 0:
            return []
        with self._bucket(client, allowance) as bucket:
            self._refill(bucket, allowance)
            return self._taken(bucket, allowance)

    def _taken(self, bucket: Bucket, allowance: Allowance) -> Headers:
        if bucket.tokens < 1:
            wait = (1 - bucket.tokens) / allowance.rate
            raise HttpError(
                429,
                "too_many_requests",
                f"More than {allowance.rate:g} requests a second.",
                hint="Wait as long as Retry-After says. The limit is limits.rate in settings.toml.",
                headers=[retry_after(wait), *_headers(bucket, allowance)],
            )
        bucket.tokens -= 1
        return _headers(bucket, allowance)

    def close(self) -> None:
        """Nothing to let go of."""

    def __len__(self) -> int:
        return len(self._buckets)

    @contextmanager
    def _bucket(self, client: str, allowance: Allowance) -> Iterator[Bucket]:
        """The bucket of a client, a full one where it has none; it is kept as the block leaves it."""
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._buckets[client] = Bucket(float(allowance.burst), self._clock())
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(client)
        yield bucket

    def _refill(self, bucket: Bucket, allowance: Allowance) -> None:
        now = self._clock()
        earned = max(0.0, now - bucket.filled) * allowance.rate
        bucket.tokens = min(float(allowance.burst), bucket.tokens + earned)
        bucket.filled = now


def _headers(bucket: Bucket, allowance: Allowance) -> Headers:
    """Seconds in RateLimit-Reset are until the bucket is full again."""
    full_in = (allowance.burst - bucket.tokens) / allowance.rate
    return [
        (b"ratelimit-limit", str(allowance.burst).encode()),
        (b"ratelimit-remaining", str(int(bucket.tokens)).encode()),
        (b"ratelimit-reset", str(int(full_in + 0.999)).encode()),
    ]


class RequestQueue:
    """At most `concurrency` requests run at once. At most `capacity` others wait, each no longer than `wait_s` seconds.

    Belongs to the event loop. Without contention it costs no timer.
    """

    def __init__(self, concurrency: int, wait_s: float, capacity: int = 256) -> None:
        self._semaphore = asyncio.Semaphore(concurrency)
        self._wait_s, self._capacity = wait_s, capacity
        self.waiting = 0
        self.running = 0

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Raises 503 with Retry-After when the wait is over or the queue is full."""
        await self._acquire()
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._semaphore.release()

    async def _acquire(self) -> None:
        if not self._semaphore.locked():
            await self._semaphore.acquire()
            return
        if self.waiting >= self._capacity:
            raise _overloaded()
        self.waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._semaphore.acquire()
        except TimeoutError:
            raise _overloaded() from None
        finally:
            self.waiting -= 1


def _overloaded() -> HttpError:
    return busy(
        "overloaded", "Too many requests are being answered already.", 1, hint="Try again after Retry-After."
    )
