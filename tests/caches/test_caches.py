"""Caches: what they hold, when they let go, and that a cached answer is the answer."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localsearch.caches import (
    ENTRY_OVERHEAD,
    CacheStats,
    MemoryCache,
    QueryLog,
    ResultCache,
    VectorCache,
    canonical,
)
from localsearch.types import Vectors


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class HashEncoder:
    """A small real encoder: unit vectors drawn from the text's hash, counting how often it is asked."""

    name = "hash"
    dimensions = 32
    max_tokens = 64

    def __init__(self, fingerprint: str = "hash-1") -> None:
        self.fingerprint = fingerprint
        self.asked = 0

    def encode_query(self, text: str) -> Vectors:
        self.asked += 1
        drawn = np.random.default_rng(abs(hash((self.fingerprint, text)))).normal(size=self.dimensions)
        return (drawn / np.linalg.norm(drawn)).astype(np.float32)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self.encode_query(text) for text in texts])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def bytes_cache(clock: Clock, cap: int = 10_000, ttl: float = 60.0) -> MemoryCache[bytes]:
    return MemoryCache(cap, ttl, len, clock)


def test_memory_cache_counts_hits_misses_size_and_age(clock: Clock) -> None:
    cache = bytes_cache(clock)
    cache.put("a", b"x" * 100)
    clock.now += 7
    assert cache.get("a") == b"x" * 100
    assert cache.get("b") is None
    assert cache.stats() == CacheStats(1, 1, 0, 1, 100 + ENTRY_OVERHEAD, 7.0)


def test_memory_cache_forgets_what_has_expired(clock: Clock) -> None:
    cache = bytes_cache(clock, ttl=60)
    cache.put("a", b"1")
    cache.put("short", b"2", ttl_s=5)
    clock.now += 59.9
    assert cache.get("a") == b"1"
    assert cache.get("short") is None
    clock.now += 0.1
    assert cache.get("a") is None
    assert cache.stats().entries == 0
    assert cache.stats().bytes == 0


def test_memory_cache_evicts_the_least_recently_used(clock: Clock) -> None:
    cache = bytes_cache(clock, cap=3 * (100 + ENTRY_OVERHEAD))
    for key in "abc":
        cache.put(key, b"x" * 100)
    assert cache.get("a") is not None
    cache.put("d", b"x" * 100)
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]
    assert cache.stats().evicted == 1


def test_a_value_larger_than_the_cap_is_not_kept_and_evicts_nothing(clock: Clock) -> None:
    cache = bytes_cache(clock, cap=1000)
    cache.put("a", b"x" * 100)
    cache.put("huge", b"x" * 1000)
    assert cache.get("huge") is None
    assert cache.get("a") == b"x" * 100


def test_replacing_a_key_counts_its_size_once(clock: Clock) -> None:
    cache = bytes_cache(clock)
    cache.put("a", b"x" * 500)
    cache.put("a", b"x" * 30)
    assert cache.stats().bytes == 30 + ENTRY_OVERHEAD


@given(st.lists(st.tuples(st.sampled_from("pgd"), st.integers(0, 9), st.integers(0, 400)), max_size=60))
def test_memory_cache_never_exceeds_its_cap_and_its_bytes_add_up(steps: list[tuple[str, int, int]]) -> None:
    cache: MemoryCache[bytes] = MemoryCache(2000, 60, len, Clock())
    held: dict[int, bytes] = {}
    for verb, key, size in steps:
        if verb == "p":
            cache.put(key, b"x" * size)
            held[key] = b"x" * size
        elif verb == "d":
            cache.discard(key)
            held.pop(key, None)
        else:
            assert cache.get(key) in (None, held.get(key))
        assert cache.stats().bytes <= 2000
    kept = [cache.get(key) for key in range(10)]
    assert cache.stats().bytes == sum(len(value) + ENTRY_OVERHEAD for value in kept if value is not None)


def test_memory_cache_is_safe_to_share(clock: Clock) -> None:
    cache = bytes_cache(clock, cap=50_000)

    def work(seed: int) -> None:
        for step in range(2000):
            key = (seed * 31 + step * 7) % 97
            cache.put(key, b"x" * (key + 1))
            found = cache.get(key)
            assert found is None or len(found) == key + 1

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = cache.stats()
    assert stats.hits + stats.misses == 8000
    assert stats.bytes == sum(len(cache.get(key) or b"") + ENTRY_OVERHEAD for key in range(97))


def test_a_cached_vector_is_bit_for_bit_the_encoders(tmp_path: Path, clock: Clock) -> None:
    encoder = HashEncoder()
    cache = VectorCache(tmp_path, clock=clock)
    first, cached_first = cache.vector(encoder, "renew the certificate")
    again, cached_again = cache.vector(encoder, "renew the certificate")
    assert (cached_first, cached_again) == (False, True)
    assert encoder.asked == 1
    assert first.tobytes() == again.tobytes() == encoder.encode_query("renew the certificate").tobytes()
    with pytest.raises(ValueError):
        again[0] = 0.0


def test_vectors_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    encoder = HashEncoder()
    cache = VectorCache(tmp_path, clock=clock)
    kept, _ = cache.vector(encoder, "où est la gare \ud800")
    cache.close()
    clock.now += 3600
    again = VectorCache(tmp_path, clock=clock)
    found, hit = again.vector(encoder, "où est la gare \ud800")
    assert hit
    assert encoder.asked == 1
    assert found.tobytes() == kept.tobytes()
    assert again.stats() == CacheStats(1, 0, 0, 1, 32 * 4 + ENTRY_OVERHEAD, 3600.0)
    again.close()


def test_the_file_holds_no_query_text_and_is_private(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path)
    cache.vector(HashEncoder(), "my secret illness")
    cache.close()
    file = tmp_path / "query-vectors.db"
    assert b"illness" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600


def test_another_fingerprint_is_another_vector(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path)
    one, _ = cache.vector(HashEncoder("model-a"), "apple")
    two, hit = cache.vector(HashEncoder("model-b"), "apple")
    assert not hit
    assert one.tobytes() != two.tobytes()
    cache.close()


def test_expired_vectors_are_encoded_again_and_leave_the_disk(tmp_path: Path, clock: Clock) -> None:
    encoder = HashEncoder()
    cache = VectorCache(tmp_path, ttl_s=100, clock=clock)
    cache.vector(encoder, "apple")
    cache.flush()
    clock.now += 101
    assert cache.vector(encoder, "apple")[1] is False
    cache.vector(encoder, "pear")
    clock.now += 50
    cache.close()
    assert stored(tmp_path) == 2


def test_the_disk_cap_drops_the_oldest(tmp_path: Path, clock: Clock) -> None:
    encoder = HashEncoder()
    cache = VectorCache(tmp_path, disk_bytes=10 * (32 * 4 + ENTRY_OVERHEAD), memory_bytes=0, clock=clock)
    for number in range(100):
        clock.now += 1
        cache.vector(encoder, f"query {number}")
    cache.flush()
    assert stored(tmp_path) == 10
    assert cache.vector(encoder, "query 99")[1] is True
    assert cache.vector(encoder, "query 5")[1] is False
    cache.close()


def test_memory_only_needs_no_folder() -> None:
    encoder = HashEncoder()
    cache = VectorCache(None)
    cache.vector(encoder, "apple")
    assert cache.vector(encoder, "apple")[1] is True
    assert cache.clear() == 1
    assert cache.vector(encoder, "apple")[1] is False
    cache.close()


def test_clear_empties_memory_and_disk(tmp_path: Path) -> None:
    encoder = HashEncoder()
    cache = VectorCache(tmp_path)
    for number in range(70):
        cache.vector(encoder, f"query {number}")
    assert cache.clear() == 70
    assert stored(tmp_path) == 0
    assert cache.vector(encoder, "query 3")[1] is False
    cache.close()


@pytest.mark.parametrize("damage", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4080])
def test_a_damaged_file_is_replaced(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "query-vectors.db").write_bytes(damage)
    encoder = HashEncoder()
    cache = VectorCache(tmp_path)
    cache.vector(encoder, "apple")
    cache.close()
    again = VectorCache(tmp_path)
    assert again.vector(encoder, "apple")[1] is True
    again.close()


def test_a_file_held_by_another_process_is_waited_out_and_not_lost(tmp_path: Path) -> None:
    encoder = HashEncoder()
    cache = VectorCache(tmp_path)
    cache.vector(encoder, "apple")
    cache.flush()
    other = sqlite3.connect(tmp_path / "query-vectors.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    vector, hit = cache.vector(encoder, "pear")
    assert not hit
    assert vector.shape == (32,)
    other.execute("ROLLBACK")
    other.close()
    cache.close()
    assert stored(tmp_path) == 2


def stored(folder: Path) -> int:
    db = sqlite3.connect(folder / "query-vectors.db")
    try:
        return int(db.execute("SELECT count(*) FROM query_vectors").fetchone()[0])
    finally:
        db.close()


def test_a_write_makes_old_answers_unreachable(clock: Clock) -> None:
    cache: ResultCache[bytes] = ResultCache(10_000, len, clock=clock)
    cache.put("q", 1, b"old")
    assert cache.get("q", 1) == b"old"
    assert cache.get("q", 2) is None
    cache.put("q", 2, b"new")
    assert cache.get("q", 2) == b"new"
    assert cache.get("q", 1) is None


def test_an_answer_that_was_overtaken_by_a_write_is_never_served(clock: Clock) -> None:
    cache: ResultCache[bytes] = ResultCache(10_000, len, clock=clock)
    assert cache.get("q", 5) is None
    cache.put("q", 4, b"made before the write, stored after it")
    assert cache.get("q", 5) is None
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.entries) == (0, 2, 0)


def test_answers_live_as_long_as_the_index_lately_stayed_the_same(clock: Clock) -> None:
    cache: ResultCache[bytes] = ResultCache(10_000, len, min_ttl_s=10, max_ttl_s=1000, clock=clock)
    cache.get("q", 0)
    assert cache.ttl_s == 1000
    for seq in range(1, 60):
        clock.now += 2
        cache.get("q", seq)
    assert cache.ttl_s == 10
    cache.put("q", 59, b"answer")
    clock.now += 9
    assert cache.get("q", 59) == b"answer"
    clock.now += 2
    assert cache.get("q", 59) is None
    clock.now += 389
    assert cache.ttl_s == 400
    clock.now += 9000
    assert cache.ttl_s == 1000


def test_equal_requests_have_one_spelling() -> None:
    one = {"query": "x", "filters": {"b": 1, "a": {"$gte": 2, "$lt": 3}}}
    two = {"filters": {"a": {"$lt": 3, "$gte": 2}, "b": 1}, "query": "x"}
    assert canonical(one) == canonical(two)
    assert canonical({"query": "x", "limit": 5}) != canonical({"query": "x", "limit": 6})


def test_the_log_orders_by_how_often(tmp_path: Path, clock: Clock) -> None:
    log = QueryLog(tmp_path, clock=clock)
    for times, query in [(3, "three"), (1, "one"), (5, "five")]:
        for _ in range(times):
            log.record({"query": query, "limit": 5})
    assert log.frequent(2) == [{"query": "five", "limit": 5}, {"query": "three", "limit": 5}]
    log.close()
    again = QueryLog(tmp_path, clock=clock)
    again.record({"query": "three", "limit": 5})
    again.flush()
    again.record({"query": "three", "limit": 5})
    again.record({"query": "three", "limit": 5})
    assert [request["query"] for request in again.frequent(10)] == ["three", "five", "one"]
    again.close()


def test_old_habits_fade(tmp_path: Path, clock: Clock) -> None:
    log = QueryLog(tmp_path, clock=clock)
    for _ in range(8):
        log.record("old habit")
    log.flush()
    clock.now += 3.5 * 7 * 86_400
    log.record("new")
    assert log.frequent(2) == ["new", "old habit"]
    log.close()


def test_the_log_remembers_a_bounded_number(tmp_path: Path, clock: Clock) -> None:
    log = QueryLog(tmp_path, keep=20, clock=clock)
    for number in range(200):
        clock.now += 60
        log.record(number)
    assert log.frequent(100) == list(range(199, 179, -1))
    log.clear()
    assert log.frequent(100) == []
    log.close()
