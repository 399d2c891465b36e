"""Embedding versions, their vectors by the hash of what was embedded, and which chunks still lack one."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from localsearch import quantize
from localsearch.store.database import LISTED, Database, listed
from localsearch.types import Ids, Vectors

_BATCH = 500
_TOKENS, _SECONDS = "embedding tokens", "embedding cpu seconds"


@dataclass(frozen=True, slots=True)
class Version:
    """An embedding version. `state` is building, ready, active or retired; one at most is active."""

    id: int
    model: str
    precision: str
    fingerprint: str
    dimensions: int
    state: str
    created: float
    activated: float | None

    @property
    def name(self) -> str:
        """How people call it: number, model and precision."""
        return f"{self.id}-{self.model}-{self.precision}"


@dataclass(frozen=True, slots=True)
class PendingChunk:
    """A chunk to embed: where its text is and the hash of what is embedded."""

    chunk_id: int
    document_id: int
    hash: bytes


class Embeddings:
    """Versions and vectors. Vectors are stored in 12 bits a component: cosines change by less than 0.001."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._sizes: dict[int, int] = {}

    # -- versions

    def versions(self) -> list[Version]:
        rows = self.db.query(
            "SELECT id, model, precision, fingerprint, dimensions, state, created, activated FROM versions ORDER BY id"
        )
        return [Version(*row) for row in rows]

    def active(self) -> Version | None:
        return next((version for version in self.versions() if version.state == "active"), None)

    def begin(self, model: str, precision: str, fingerprint: str, dimensions: int) -> Version:
        """The version with this fingerprint, made as `building` with every chunk pending if it is new.

        The first version of an index is active at once.
        """
        with self.db.write() as connection:
            row = connection.execute(
                "SELECT id, state FROM versions WHERE fingerprint = ?", (fingerprint,)
            ).fetchone()
            if row is None:
                first = connection.execute("SELECT count(*) FROM versions").fetchone()[0] == 0
                state = "active" if first else "building"
                cursor = connection.execute(
                    "INSERT INTO versions (model, precision, fingerprint, dimensions, state, created, activated)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        model,
                        precision,
                        fingerprint,
                        dimensions,
                        state,
                        time.time(),
                        time.time() if first else None,
                    ),
                )
                version_id = int(cursor.lastrowid or 0)
                self.expect_all(version_id)
            else:
                version_id = int(row[0])
        return self.version(version_id)

    def version(self, version_id: int) -> Version:
        """One version by id. Raises StopIteration when there is none: ids come from this class."""
        return next(version for version in self.versions() if version.id == version_id)

    def expect_all(self, version_id: int) -> None:
        """Mark every chunk whose vector this version lacks as pending."""
        with self.db.write() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO pending (version_id, chunk_id) SELECT ?, c.id FROM chunks AS c WHERE"
                " c.hash <> x'' AND NOT EXISTS (SELECT 1 FROM vectors AS v WHERE v.version_id = ? AND v.hash = c.hash)",
                (version_id, version_id),
            )

    def set_state(self, version_id: int, state: str) -> None:
        with self.db.write() as connection:
            connection.execute("UPDATE versions SET state = ? WHERE id = ?", (state, version_id))

    def activate(self, version_id: int) -> None:
        """Make this the active version in one step; the one that was active is retired."""
        with self.db.write() as connection:
            connection.execute("UPDATE versions SET state = 'retired' WHERE state = 'active'")
            # Later than any before, even if the clock was set back: going back goes by the order.
            connection.execute(
                "UPDATE versions SET state = 'active', activated ="
                " max(?, (SELECT coalesce(max(activated), 0) FROM versions) + 0.001) WHERE id = ?",
                (time.time(), version_id),
            )
            self.expect_all(version_id)

    def drop(self, version_id: int) -> None:
        """Delete a version with its vectors."""
        with self.db.write() as connection:
            connection.execute("DELETE FROM versions WHERE id = ?", (version_id,))
            connection.execute("DELETE FROM settings WHERE name = ?", (_calibration(version_id),))

    def calibration(self, version_id: int) -> dict[str, Any] | None:
        """Return what `keep_calibration` last stored for this version."""
        text = self.db.one("SELECT value FROM settings WHERE name = ?", (_calibration(version_id),))
        found: dict[str, Any] | None = None if text is None else json.loads(text)
        return found

    def keep_calibration(self, version_id: int, values: Mapping[str, float]) -> None:
        """Keep what the cosines of this version mean, derived from its vectors, until they have changed much."""
        with self.db.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO settings VALUES (?, ?)",
                (_calibration(version_id), json.dumps(dict(values))),
            )

    # -- what lacks a vector

    def expect(self, chunk_ids: Sequence[int]) -> None:
        """Note new chunks as pending in every live version, except where the cache has their vector."""
        with self.db.write() as connection:
            live = connection.execute("SELECT id FROM versions WHERE state != 'retired'")
            for (version_id,) in live.fetchall():
                connection.executemany(
                    "INSERT INTO pending (version_id, chunk_id) SELECT ?1, c.id FROM chunks AS c WHERE c.id = ?2"
                    " AND c.hash <> x''"
                    " AND NOT EXISTS (SELECT 1 FROM vectors AS v WHERE v.version_id = ?1 AND v.hash = c.hash)",
                    [(version_id, chunk_id) for chunk_id in chunk_ids],
                )

    def pending(self, version_id: int, limit: int) -> list[PendingChunk]:
        """Chunks without a vector; those that changed last come first."""
        rows = self.db.query(
            "SELECT c.id, c.document_id, c.hash FROM pending AS p JOIN chunks AS c ON c.id = p.chunk_id"
            " WHERE p.version_id = ? ORDER BY p.chunk_id DESC LIMIT ?",
            (version_id, limit),
        )
        return [PendingChunk(*row) for row in rows]

    def pending_among(self, version_id: int, chunk_ids: Sequence[int]) -> list[PendingChunk]:
        """Return those of these chunks that lack a vector."""
        rows = self.db.query(
            "SELECT c.id, c.document_id, c.hash FROM pending AS p JOIN chunks AS c ON c.id = p.chunk_id"
            f" WHERE p.version_id = ? AND p.chunk_id IN ({LISTED})",
            (version_id, listed(chunk_ids)),
        )
        return [PendingChunk(*row) for row in rows]

    def pending_count(self, version_id: int) -> int:
        return int(self.db.one("SELECT count(*) FROM pending WHERE version_id = ?", (version_id,)))

    # -- what it cost

    def progress(self, version_id: int) -> tuple[int, int, str]:
        """Three values of which one changes whenever vectors of this version come or go, or are calibrated."""
        newest = int(self.db.one("SELECT max(id) FROM vectors") or 0)
        calibration = self.db.one("SELECT value FROM settings WHERE name = ?", (_calibration(version_id),))
        return newest, self.pending_count(version_id), str(calibration or "")

    def spent(self) -> tuple[int, float]:
        """Tokens embedded and seconds of processor time, in all."""
        kept = dict(
            self.db.query("SELECT name, value FROM settings WHERE name IN (?, ?)", (_TOKENS, _SECONDS))
        )
        return int(kept.get(_TOKENS, 0)), float(kept.get(_SECONDS, 0.0))

    def spend(self, tokens: int, cpu_s: float) -> None:
        """Add to what was spent."""
        with self.db.write() as connection:
            before, seconds = self.spent()
            connection.executemany(
                "INSERT OR REPLACE INTO settings VALUES (?, ?)",
                [(_TOKENS, before + tokens), (_SECONDS, seconds + cpu_s)],
            )

    # -- vectors

    def put(self, version_id: int, vectors: Mapping[bytes, Vectors], done: Sequence[int]) -> list[int]:
        """Store vectors by hash and take these chunks off the pending list.

        Returns those of the chunks that still exist. The vector of one that was deleted meanwhile is not kept: it may
        have been purged.
        """
        with self.db.write() as connection:
            chosen = connection.execute(
                f"SELECT id, hash FROM chunks WHERE id IN ({LISTED})", (listed(done),)
            )
            found = dict(chosen)
            kept = {digest: vectors[digest] for digest in {*found.values()} & {*vectors}}
            stored = quantize.to_bytes(np.stack([*kept.values()])) if kept else []
            connection.executemany(
                "INSERT OR IGNORE INTO vectors (version_id, hash, vector, crc) VALUES (?, ?, ?, ?)",
                [(version_id, digest, blob, zlib.crc32(blob)) for digest, blob in zip(kept, stored)],
            )
            connection.executemany(
                "DELETE FROM pending WHERE version_id = ? AND chunk_id = ?", [(version_id, i) for i in done]
            )
            return list(found)

    def embedded_ids(self, version_id: int) -> Ids:
        """Ids of all chunks that have a vector, ascending."""
        return self.db.numbers(
            "SELECT id FROM chunks WHERE hash <> x'' EXCEPT SELECT chunk_id FROM pending WHERE version_id = ?"
            " ORDER BY 1",
            (version_id,),
        )

    def embedded_among(self, version_id: int, chunks: Ids) -> Ids:
        """Those that have a vector of these chunks, all that there are, ascending. Reads the others alone."""
        without = self.db.numbers(
            "SELECT id FROM chunks WHERE hash = x'' UNION ALL SELECT chunk_id FROM pending WHERE version_id = ?",
            (version_id,),
        )
        return np.setdiff1d(chunks, without, assume_unique=True) if len(without) else chunks

    def vectors_of(self, version_id: int, chunk_ids: Sequence[int] | Ids) -> tuple[Ids, Vectors]:
        """Vectors of these chunks: ids of shape (n,) that have one, ascending, and vectors (n, dimensions)."""
        dimensions = self._dimensions(version_id)
        rows = self.db.query(
            "SELECT c.id, v.vector FROM chunks AS c JOIN vectors AS v ON v.hash = c.hash AND v.version_id = ?"
            f" WHERE c.id IN ({LISTED}) ORDER BY c.id",
            (version_id, listed(chunk_ids)),
        )
        ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        return ids, quantize.from_bytes([row[1] for row in rows], dimensions)

    def _dimensions(self, version_id: int) -> int:
        """The dimensions of a version's vectors, looked up once: ids of versions are never reused."""
        if version_id not in self._sizes:
            found = self.db.one("SELECT dimensions FROM versions WHERE id = ?", (version_id,))
            if found is None:
                return 0
            self._sizes[version_id] = int(found)
        return self._sizes[version_id]

    def of(self, version_id: int, chunks: Ids | None = None) -> VersionVectors:
        """The vectors of one version; `chunks` are the ids of all chunks, ascending, where they are known."""
        return VersionVectors(self, version_id, chunks)

    def stream(self, version_id: int, chunk_ids: Ids) -> Iterator[tuple[Ids, Vectors]]:
        """Vectors of many chunks in batches of bounded size."""
        for start in range(0, len(chunk_ids), _BATCH):
            ids, vectors = self.vectors_of(version_id, chunk_ids[start : start + _BATCH])
            if len(ids):
                yield ids, vectors

    def drop_unused(self) -> int:
        """Delete cached vectors, and bits of tokens, that no chunk uses any more; return how many vectors."""
        with self.db.write() as connection:
            connection.execute("DELETE FROM tokens WHERE hash NOT IN (SELECT hash FROM chunks)")
            cursor = connection.execute(
                "DELETE FROM vectors WHERE hash NOT IN (SELECT hash FROM chunks)",
            )
            return cursor.rowcount

    def forget(self, version_id: int, rows: Sequence[int]) -> int:
        """Delete these rows of `vectors` and note their chunks as pending; returns how many there were."""
        with self.db.write() as connection:
            connection.executemany("DELETE FROM vectors WHERE id = ?", [(row,) for row in rows])
            self.expect_all(version_id)
        return len(rows)


@dataclass(frozen=True, slots=True)
class VersionVectors:
    """The vectors of one version, as an index of vectors is filled with them."""

    embeddings: Embeddings
    version_id: int
    chunks: Ids | None = None

    def ids(self) -> Ids:
        """Every chunk that has one, ascending."""
        if self.chunks is None:
            return self.embeddings.embedded_ids(self.version_id)
        return self.embeddings.embedded_among(self.version_id, self.chunks)

    def stream(self, ids: Ids) -> Iterator[tuple[Ids, Vectors]]:
        """Those of these chunks that there are, in batches of bounded size."""
        return self.embeddings.stream(self.version_id, ids)


def _calibration(version_id: int) -> str:
    """The name among the settings; ids of versions are never reused."""
    return f"calibration-{version_id}"
