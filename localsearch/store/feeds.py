"""How far an engine of vectors has been fed, and what is to be sent to it next.

A feed begins with every chunk that has a vector, by id, and goes on with `vector_changes`. A change names a chunk; what
is sent is what the database has of it at that moment, so that a batch may be sent again, late, or twice. A batch is
recorded as `sending` before it is sent and confirmed after, by whoever holds the feed: another holder's confirmation is
refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np

from localsearch.errors import ConflictError
from localsearch.store.database import Database
from localsearch.store.embeddings import Embeddings
from localsearch.types import ChunkFields, Feed, FeedBatch, Ids, Vectors

_COLUMNS = "id, alias, collection, filled, complete, position, expected, sending, revision"
_CHANGES = 4
"""Changes read for each row of a batch: a new chunk is named up to three times."""


class VersionFeed:
    """The feed of one version's vectors. `date` is SQL over `documents AS d`: when a document is from; `speaking` are
    names of metadata that may speak for a field. Any thread may read; the writer of the index alone writes."""

    def __init__(self, embeddings: Embeddings, version_id: int, date: str, speaking: Sequence[str]) -> None:
        self._embeddings = embeddings
        self._db: Database = embeddings.db
        self.version_id = version_id
        named = " OR ".join(f"instr(d.metadata, '\"{name}\"')" for name in speaking)
        self._fields = (
            "SELECT c.id, d.id, lower(d.collection), lower(d.type), lower(IFNULL(d.language, '')), d.size,"
            f" CAST(IFNULL({date}, 0) AS INTEGER), CAST(IFNULL(d.modified, 0) AS INTEGER),"
            f" ({date}) IS NULL OR d.modified IS NULL OR {named}"
            " FROM chunks AS c JOIN documents AS d ON d.id = c.document_id WHERE c.id IN ({})"
        )
        self._known: tuple[int | None, Feed | None] = (None, None)

    # -- reading

    def active(self) -> Feed | None:
        """The feed that searches rely on; None before there is one. Kept until the next commit."""
        state = self._db.state
        if state is None or self._known[0] != state:
            self._known = (state, self._one("version_id = ? AND state = 'active'", self.version_id))
        return self._known[1]

    def now(self) -> Feed | None:
        """The same as this moment's database has it."""
        return self._one("version_id = ? AND state = 'active'", self.version_id)

    def building(self) -> Feed | None:
        """The feed of a collection that is being built beside it."""
        return self._one("version_id = ? AND state = 'building'", self.version_id)

    def behind(self, feed: Feed) -> int:
        """Changes, and vectors of a beginning, that the engine has not confirmed."""
        ours = "seq > ? AND (version_id IS NULL OR version_id = ?)"
        left = int(
            self._db.one(
                f"SELECT count(*) FROM vector_changes WHERE {ours}", (feed.position, self.version_id)
            )
        )
        if feed.complete:
            return left
        return left + int(self._db.one("SELECT count(*) FROM chunks WHERE id > ?", (feed.filled,)))

    def vectors_of(self, ids: Ids) -> tuple[Ids, Vectors]:
        """Vectors of these chunks: ids (n,) that have one, ascending, and vectors (n, dimensions)."""
        return self._embeddings.vectors_of(self.version_id, ids)

    def count(self) -> int:
        """Chunks that have a vector."""
        chunks = int(self._db.one("SELECT count(*) FROM chunks WHERE hash <> x''"))
        return chunks - self._embeddings.pending_count(self.version_id)

    def collections(self) -> set[str]:
        """The collections that the feeds of this index know, of all versions."""
        return {row[0] for row in self._db.query("SELECT collection FROM feeds")}

    def chunks_of(self, documents: Ids, most: int) -> Ids | None:
        """The chunks of these documents, ascending; None where they are more than `most`."""
        rows = self._db.among(
            f"SELECT id FROM chunks WHERE document_id IN ({{}}) ORDER BY id LIMIT {most + 1}",
            documents.tolist(),
        )
        return None if len(rows) > most else np.array([row[0] for row in rows], np.int64)

    def embedded(self) -> Ids:
        """Every chunk that has a vector, ascending."""
        return self._embeddings.embedded_ids(self.version_id)

    def fed_between(self, feed: Feed, low: int, high: int) -> Ids:
        """The chunks in [low, high) that were confirmed, ascending."""
        rows = self._db.query(
            "SELECT chunk_id FROM fed WHERE feed_id = ? AND chunk_id >= ? AND chunk_id < ? ORDER BY chunk_id",
            (feed.id, low, high),
        )
        return np.array([row[0] for row in rows], np.int64)

    def windows(self, feed: Feed, most: int) -> list[int]:
        """Chunk ids that part what was confirmed into stretches of `most`, from 0 to beyond the last id of all."""
        rows = self._db.query(
            "SELECT chunk_id FROM (SELECT chunk_id, row_number() OVER (ORDER BY chunk_id) AS n FROM fed"
            " WHERE feed_id = ?) WHERE n % ? = 0",
            (feed.id, most),
        )
        return [0, *(row[0] for row in rows), 1 << 62]

    def batch(self, feed: Feed, most: int) -> FeedBatch | None:
        """What to send next, at most this many rows and as many deletions; None when all is confirmed."""
        with self._db.snapshot():
            if not feed.complete:
                rows = self._db.query(
                    "SELECT id FROM chunks WHERE id > ? ORDER BY id LIMIT ?", (feed.filled, most)
                )
                ids = np.array([row[0] for row in rows], np.int64)
                filled = int(ids[-1]) if len(ids) else feed.filled
                return self._batch(feed, ids, filled, not len(ids), feed.position, gone=False)
            rows = self._db.query(
                "SELECT seq, CASE WHEN IFNULL(version_id, ?1) = ?1 THEN chunk_id END FROM vector_changes"
                " WHERE seq > ?2 ORDER BY seq LIMIT ?3",
                (self.version_id, feed.position, _CHANGES * most),
            )
            if not rows:
                return None
            last, kept = feed.position, set[int]()
            for seq, chunk_id in rows:
                if chunk_id is not None and chunk_id not in kept and len(kept) == most:
                    break
                last = int(seq)
                kept |= set() if chunk_id is None else {chunk_id}
            return self._batch(feed, np.array(sorted(kept), np.int64), feed.filled, True, last, gone=True)

    def again(self, feed: Feed, ids: Ids) -> FeedBatch:
        """These chunks as the database has them, whatever was confirmed before: to mend what an engine lacks."""
        with self._db.snapshot():
            return self._batch(feed, ids, feed.filled, feed.complete, feed.position, gone=True, all_gone=True)

    def _batch(
        self,
        feed: Feed,
        ids: Ids,
        filled: int,
        complete: bool,
        position: int,
        *,
        gone: bool,
        all_gone: bool = False,
    ) -> FeedBatch:
        held, vectors = self.vectors_of(ids)
        fields = {row[0]: row[1:] for row in self._db.among(self._fields, held)}
        confirmed = np.array(
            [
                row[0]
                for row in self._db.among(
                    f"SELECT chunk_id FROM fed WHERE feed_id = {feed.id} AND chunk_id IN ({{}})", ids
                )
            ],
            np.int64,
        )
        missing = np.setdiff1d(ids, held) if gone else np.empty(0, np.int64)
        known_gone = np.intersect1d(missing, confirmed)
        return FeedBatch(
            held,
            vectors,
            tuple(_fields(*fields[i]) for i in held.tolist()),
            missing if feed.sending or all_gone else known_gone,
            filled,
            complete,
            position,
            len(np.setdiff1d(held, confirmed)) - len(known_gone),
        )

    # -- writing

    def begin(self, alias: str, collection: str, holder: str, *, building: bool = False) -> Feed:
        """A feed from the start, in place of the one there is in that state."""
        state = "building" if building else "active"
        with self._db.write() as connection:
            self._delete(connection, state)
            position = connection.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'vector_changes'"
            ).fetchone()
            connection.execute(
                "INSERT INTO feeds (version_id, alias, collection, state, position, holder) VALUES (?, ?, ?, ?, ?, ?)",
                (self.version_id, alias, collection, state, position[0] if position else 0, holder),
            )
        found = self.building() if building else self.now()
        assert found is not None
        return found

    def hold(self, feed: Feed, holder: str) -> None:
        """Feed it from now on; whoever did before has its confirmations refused."""
        with self._db.write() as connection:
            connection.execute("UPDATE feeds SET holder = ? WHERE id = ?", (holder, feed.id))

    def sending(self, feed: Feed, holder: str) -> None:
        """Record that a batch is about to be sent. ConflictError when another holds the feed."""
        self._update(feed, holder, "sending = 1, revision = revision + 1", ())

    def confirmed(self, feed: Feed, batch: FeedBatch, holder: str) -> None:
        """Record that the engine has a batch. ConflictError when another holds the feed."""
        with self._db.write() as connection:
            self._update(
                feed,
                holder,
                "sending = 0, revision = revision + 1, filled = ?, complete = ?, position = max(position, ?),"
                " expected = expected + ?",
                (batch.filled, batch.complete, batch.position, batch.more),
            )
            connection.executemany(
                "INSERT OR IGNORE INTO fed VALUES (?, ?)", [(feed.id, i) for i in batch.ids.tolist()]
            )
            connection.executemany(
                "DELETE FROM fed WHERE feed_id = ? AND chunk_id = ?",
                [(feed.id, i) for i in batch.gone.tolist()],
            )
            self._trim(connection, batch.position)

    @staticmethod
    def _trim(connection: sqlite3.Connection, position: int) -> None:
        """Forget changes that every feed has. That of a retired version is not waited for: going back begins anew."""
        connection.execute(
            "DELETE FROM feeds WHERE position < ? AND version_id IN (SELECT id FROM versions WHERE state = 'retired')",
            (position,),
        )
        connection.execute("DELETE FROM vector_changes WHERE seq <= (SELECT min(position) FROM feeds)")

    def publish(self, feed: Feed, holder: str) -> None:
        """Make the feed that is being built the active one."""
        with self._db.write() as connection:
            self._delete(connection, "active")
            self._update(feed, holder, "state = 'active', revision = revision + 1", ())

    def drop(self, feed: Feed) -> None:
        """Forget a feed, and, with the last one, its log."""
        with self._db.write() as connection:
            connection.execute("DELETE FROM feeds WHERE id = ?", (feed.id,))
            connection.execute("DELETE FROM vector_changes WHERE NOT EXISTS (SELECT 1 FROM feeds)")

    def _delete(self, connection: sqlite3.Connection, state: str) -> None:
        connection.execute("DELETE FROM feeds WHERE version_id = ? AND state = ?", (self.version_id, state))

    def _update(self, feed: Feed, holder: str, changes: str, values: Sequence[Any]) -> None:
        with self._db.write() as connection:
            done = connection.execute(
                f"UPDATE feeds SET {changes} WHERE id = ? AND holder = ?", (*values, feed.id, holder)
            )
            if done.rowcount != 1:
                raise ConflictError(
                    "Another process feeds these vectors now.",
                    hint="One index has one writer: end the other.",
                )

    def _one(self, where: str, *values: Any) -> Feed | None:
        rows = self._db.query(f"SELECT {_COLUMNS} FROM feeds WHERE {where}", values)
        if not rows:
            return None
        number, alias, collection, filled, complete, position, expected, sending, revision = rows[0]
        return Feed(
            number, alias, collection, filled, bool(complete), position, expected, bool(sending), revision
        )


def stop_feeding(db: Database) -> None:
    """Forget every feed and its log, where vectors are kept in this process again."""
    if db.one("SELECT 1 FROM feeds LIMIT 1"):
        with db.write() as connection:
            connection.execute("DELETE FROM feeds")
            connection.execute("DELETE FROM vector_changes")


def _fields(
    document: int, collection: str, kind: str, language: str, size: int, date: int, modified: int, loose: int
) -> ChunkFields:
    return ChunkFields(document, collection, kind, language, size, date, modified, bool(loose))
