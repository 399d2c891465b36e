"""Token buckets that all processes of a server take from: a client has one, whichever process it meets.

A table of sets in mapped memory; a client's hash names its set, and in a full set the least recently seen client is
forgotten. One set is locked while a token is taken, by a lock of the system's that ends with its process.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from localsearch.server.limits import Allowance, Bucket, TokenBuckets
from localsearch.server.shared.board import mapped

SETS = 2048
WAYS = 8
"""Clients of one set; in all 16,384."""
_WORDS = 3
"""Of a client: its hash, its tokens, and when they were counted."""


class SharedBuckets(TokenBuckets):
    """For one thread of each process. Exact: no two processes give away the same token."""

    def __init__(self, file: Path, secret: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        """`secret` keeps clients from choosing whom they share a set with. The clock is the machine's."""
        super().__init__(clock)
        self._secret = secret[: hashlib.blake2b.MAX_KEY_SIZE]
        memory = memoryview(mapped(file, 8 * SETS * WAYS * _WORDS))
        self._hashes, self._numbers = memory.cast("Q"), memory.cast("d")
        self._locks = os.open(file, os.O_RDWR | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self._locks)

    def __len__(self) -> int:
        return sum(1 for at in range(0, len(self._hashes), _WORDS) if self._hashes[at])

    @contextmanager
    def _bucket(self, client: str, allowance: Allowance) -> Iterator[Bucket]:
        digest = hashlib.blake2b(client.encode("utf-8", "surrogatepass"), digest_size=8, key=self._secret)
        name = int.from_bytes(digest.digest(), "little") or 1
        number = name % SETS
        fcntl.lockf(self._locks, fcntl.LOCK_EX, 1, number)
        try:
            at, known = self._find(name, number)
            hashes, numbers = self._hashes, self._numbers
            if known:
                bucket = Bucket(numbers[at + 1], numbers[at + 2])
            else:
                bucket = Bucket(float(allowance.burst), self._clock())
            try:
                yield bucket
            finally:
                hashes[at] = name
                numbers[at + 1], numbers[at + 2] = bucket.tokens, bucket.filled
        finally:
            fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, number)

    def _find(self, name: int, number: int) -> tuple[int, bool]:
        """Where a client is in its set, or where it goes, and whether it is known."""
        places = range(number * WAYS * _WORDS, (number + 1) * WAYS * _WORDS, _WORDS)
        for at in places:
            if self._hashes[at] == name:
                return at, True
        return min(places, key=lambda at: self._numbers[at + 2] if self._hashes[at] else -1.0), False
