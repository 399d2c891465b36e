"""Cache query vectors, in memory and in one SQLite file."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

import numpy as np

from localsearch.caches.file import LossyFile
from localsearch.caches.memory import ENTRY_OVERHEAD, CacheStats, Clock, MemoryCache
from localsearch.types import Encoder, Vectors

FLUSH_AT = 64
_VECTORS = """
    CREATE TABLE IF NOT EXISTS query_vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL, made REAL NOT NULL)
        WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS query_vectors_by_made ON query_vectors (made);
"""


class VectorCache:
    """Query vectors by model fingerprint and text: memory in front of `folder`/query-vectors.db.

    The text itself is not stored, only its hash. Vectors keep all their float32 bits, so an answer made from a
    cached vector is the answer. `folder` None keeps memory only. A damaged file is replaced by an empty one.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        memory_bytes: int = 16 << 20,
        disk_bytes: int = 256 << 20,
        ttl_s: float = 30 * 86_400.0,
        clock: Clock = time.time,
    ) -> None:
        self._clock, self._ttl, self._disk_bytes = clock, ttl_s, disk_bytes
        self._memory: MemoryCache[Vectors] = MemoryCache(memory_bytes, ttl_s, _vector_bytes, clock)
        self._file = LossyFile(folder / "query-vectors.db", _VECTORS) if folder else None
        self._dirty: dict[bytes, tuple[bytes, float]] = {}
        self._lock = threading.Lock()
        self._disk_hits = self._misses = 0

    def vector(self, encoder: Encoder, text: str) -> tuple[Vectors, bool]:
        """The query's vector, shape (dimensions,), and whether it came from the cache."""
        key = _digest(encoder.fingerprint, text)
        found = self._memory.get(key)
        if found is None:
            found = self._from_disk(key)
        if found is not None:
            return found, True
        made = np.array(encoder.encode_query(text), dtype=np.float32)
        made.flags.writeable = False
        self._keep(key, made)
        return made, False

    def flush(self) -> None:
        """Write what is only in memory, and forget on disk what is expired or beyond the cap."""
        with self._lock:
            dirty, self._dirty = self._dirty, {}
        if self._file and dirty:
            rows = [(key, vector, made) for key, (vector, made) in dirty.items()]
            self._file.write("INSERT OR REPLACE INTO query_vectors VALUES (?, ?, ?)", rows)
            self._trim(len(rows[0][1]))

    def clear(self) -> int:
        """Forget every vector, on disk as well. Return how many were in memory."""
        with self._lock:
            self._dirty.clear()
        if self._file:
            self._file.write("DELETE FROM query_vectors", [()])
        return self._memory.clear()

    def stats(self) -> CacheStats:
        """Hits count both levels; entries and bytes are those in memory."""
        memory = self._memory.stats()
        with self._lock:
            hits, misses = memory.hits + self._disk_hits, self._misses
        return CacheStats(hits, misses, memory.evicted, memory.entries, memory.bytes, memory.age_s)

    def close(self) -> None:
        self.flush()
        if self._file:
            self._file.close()

    def _from_disk(self, key: bytes) -> Vectors | None:
        with self._lock:
            row = self._dirty.get(key)
        if row is None and self._file:
            row = self._file.one(
                "SELECT vector, made FROM query_vectors WHERE key = ? AND made > ?",
                (key, self._clock() - self._ttl),
            )
        with self._lock:
            self._disk_hits += row is not None
            self._misses += row is None
        if row is None:
            return None
        vector = np.frombuffer(row[0], dtype="<f4")
        self._memory.put(key, vector, made=row[1])
        return vector

    def _keep(self, key: bytes, vector: Vectors) -> None:
        now = self._clock()
        self._memory.put(key, vector, made=now)
        if self._file is None:
            return
        with self._lock:
            self._dirty[key] = (vector.astype("<f4").tobytes(), now)
            full = len(self._dirty) >= FLUSH_AT
        if full:
            self.flush()

    def _trim(self, vector_bytes: int) -> None:
        assert self._file is not None
        rows = max(1, self._disk_bytes // (vector_bytes + ENTRY_OVERHEAD))
        self._file.write(
            "DELETE FROM query_vectors WHERE made <= ? OR key IN"
            " (SELECT key FROM query_vectors ORDER BY made DESC LIMIT -1 OFFSET ?)",
            [(self._clock() - self._ttl, rows)],
        )


def _digest(fingerprint: str, text: str) -> bytes:
    return hashlib.blake2b(f"{fingerprint}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _vector_bytes(vector: Vectors) -> int:
    return int(vector.nbytes)
