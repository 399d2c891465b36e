"""Documents, their text and their chunks, and the log of changes that derived indexes replay."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from localsearch.errors import DamagedError
from localsearch.store.database import LISTED, Database, listed
from localsearch.store.digests import is_as_stored, keeping_digest, renew_row_digest, store_digest
from localsearch.store.documents import (
    COLUMNS,
    DocumentRow,
    NewDocument,
    file_name,
    from_row,
    insert,
)
from localsearch.store.embedded_text import embedded_text, embedding_hash
from localsearch.store.indexed import indexed
from localsearch.store.scope import path_scope_sql, scope_sql
from localsearch.types import Chunk, Ids, IndexedChunk, Place, Scope

_MOST_COPIES = 1000
"""Copies of one file by whose names it is found."""
SEGMENT = 32_768
"""Characters of text in one row of `bodies`."""
_SEGMENT_BITS = 20


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A stored chunk with its text."""

    id: int
    document_id: int
    start: int
    stop: int
    place: Place
    text: str


_LOG = logging.getLogger("localsearch.store")
_MANY = 2_000
"""Documents from which it pays to know all that have copies."""
_BLOCK = 65_536
"""Rows that are turned into numbers together."""
_PLACES = msgspec.json.Decoder(Place)
_PLACE_FIELDS = tuple(column.name for column in fields(Place))
_place_values = attrgetter(*_PLACE_FIELDS)


class FacetColumns(NamedTuple):
    """The values of documents that facets count, a column each, in one order. `paths` are their own, "" for those that
    may not be seen, None for documents without one; `copies` the further paths of some, by their place in that order.
    `years` are what metadata says, `dates` seconds since 1970, `floating` whether they were written without a zone.
    """

    types: Sequence[str]
    paths: Sequence[str | None]
    languages: Sequence[str]
    tags: Sequence[str]
    years: Sequence[int | float | None]
    dates: Sequence[float | None]
    floating: Sequence[int]
    copies: Mapping[int, Sequence[str]]


class Corpus:
    """Reading and writing documents. Writers take part in the caller's `Database.write()` transaction."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._copied: tuple[int | None, Ids] = (None, np.empty(0, np.int64))

    # -- writing

    def put(self, collection: str, document: NewDocument) -> tuple[int, Sequence[int]]:
        """Store a document in place of any with the same key; return its new id and those of its chunks."""
        with self.db.write() as connection:
            self.remove_keys(collection, [document.key])
            document_id = insert(connection, collection, document)
            segments = list(_segments(document_id, document.text))
            connection.executemany("INSERT INTO bodies VALUES (?, ?)", segments)
            texts = (document.text[chunk.start : chunk.end] for chunk in document.chunks)
            rows = _chunk_rows(
                document_id, None if document.left_out else document.stored_title, zip(document.chunks, texts)
            )
            chunk_ids = _insert_chunks(connection, rows)
            store_digest(connection, document_id, [row[1:] for row in (*segments, *rows)])
            connection.execute("INSERT INTO changes (document_id) VALUES (?)", (document_id,))
        return document_id, chunk_ids

    def rename(self, document_id: int, key: str, path: str) -> Sequence[int]:
        """Give a document another key and path: its file moved. Returns the ids of chunks that are to be embedded.

        Those are all of its chunks, made anew, where its title is the name of its file and that changed.
        """
        with self.db.write() as connection:
            self.remove(
                [
                    row.id
                    for row in self.matching([key], _collection(connection, document_id), below=False)
                    if row.id != document_id
                ]
            )
            connection.execute(
                "UPDATE documents SET key = ?, path = ? WHERE id = ?",
                (key, path, document_id),
            )
            renew_row_digest(connection, document_id)
            connection.execute("INSERT INTO changes (document_id) VALUES (?)", (document_id,))
            title, named, member = connection.execute(
                "SELECT title, named, member FROM documents WHERE id = ?", (document_id,)
            ).fetchone()
            name = file_name(path, member)
            return self.retitle(document_id, name) if named and name != title else []

    def retitle(self, document_id: int, title: str) -> Sequence[int]:
        """Give a document this title, and its chunks new ids, with the hashes of what is embedded under it.

        Returns the new ids. An id stands for one embedded text, so no index takes an old vector for a new chunk's.
        """
        with self.db.write() as connection, keeping_digest(connection, document_id):
            chunks = [(Chunk(row.start, row.stop, row.place), row.text) for row in self.chunks(document_id)]
            connection.execute("UPDATE documents SET title = ? WHERE id = ?", (title, document_id))
            connection.execute("DELETE FROM chunks WHERE document_id = ?", (document_id,))
            connection.execute("INSERT INTO changes (document_id) VALUES (?)", (document_id,))
            return _insert_chunks(connection, _chunk_rows(document_id, title, chunks))

    def touch(self, document_ids: Iterable[int]) -> None:
        """Note that what is known about these documents has changed, though they have not."""
        with self.db.write() as connection:
            connection.executemany(
                "INSERT INTO changes (document_id) VALUES (?)",
                [(document_id,) for document_id in document_ids],
            )

    def unname(self, collection: str, paths: Iterable[str]) -> None:
        """Delete the documents of files at these paths of which only the name is known."""
        with self.db.write() as connection:
            for path in paths:
                rows = connection.execute(
                    "SELECT id FROM documents WHERE collection = ? AND key = ? AND left_out <> ''",
                    (collection, path),
                )
                self.remove([row[0] for row in rows.fetchall()])

    def remove_keys(self, collection: str, keys: Sequence[str]) -> list[int]:
        """Delete documents by key; return the ids of those that existed."""
        with self.db.write() as connection:
            found: list[int] = []
            for key in keys:
                row = connection.execute(
                    "SELECT id FROM documents WHERE collection = ? AND key = ?", (collection, key)
                ).fetchone()
                if row:
                    found.append(row[0])
            self.remove(found)
        return found

    def remove(self, document_ids: Sequence[int]) -> None:
        """Delete documents with all that belongs to them; their vectors stay in the cache."""
        with self.db.write() as connection:
            for document_id in document_ids:
                low, high = _segment_range(document_id)
                connection.execute("DELETE FROM bodies WHERE id BETWEEN ? AND ?", (low, high))
                connection.execute("DELETE FROM documents WHERE id = ?", (document_id,))
                connection.execute("INSERT INTO changes (document_id) VALUES (?)", (document_id,))

    def forget_changes(self, up_to: int) -> None:
        """Drop the part of the log that every derived index holds, but never its newest entry."""
        with self.db.write() as connection:
            connection.execute(
                "DELETE FROM changes WHERE seq <= ? AND seq < (SELECT max(seq) FROM changes)", (up_to,)
            )

    # -- reading

    @property
    def seq(self) -> int:
        """The number of the latest change; it only grows."""
        return int(self.db.one("SELECT seq FROM sqlite_sequence WHERE name = 'changes'") or 0)

    @property
    def oldest_change(self) -> int | None:
        """The number of the first change that the log still holds."""
        found: int | None = self.db.one("SELECT min(seq) FROM changes")
        return found

    def changed_since(self, seq: int) -> list[int] | None:
        """Ids of documents changed after `seq`, or None when the log cannot tell.

        It cannot when it no longer reaches back that far, or never was there: then what asks is of another database.
        """
        oldest, newest = self.oldest_change, self.seq
        if seq > newest or (seq < newest and (oldest is None or oldest > seq + 1)):
            return None
        rows = self.db.query("SELECT DISTINCT document_id FROM changes WHERE seq > ?", (seq,))
        return [row[0] for row in rows]

    def changed_on_disk(self) -> Iterator[int]:
        """Return ids of documents whose digest differs. Reads every byte of them."""
        for document_id in self.document_ids():
            with self.db.snapshot() as connection:
                whole = is_as_stored(connection, document_id)
            if not whole:
                yield document_id

    def document_ids(self) -> list[int]:
        return [row[0] for row in self.db.query("SELECT id FROM documents ORDER BY id")]

    def find(self, collection: str, key: str) -> DocumentRow | None:
        rows = self.db.query(
            f"SELECT {COLUMNS} FROM documents WHERE collection = ? AND key = ?", (collection, key)
        )
        return from_row(rows[0]) if rows else None

    def copy_at(self, collection: str, key: str) -> DocumentRow | None:
        """The document whose file has a copy with this path, or a member of it named after `!/`."""
        path, _, member = key.partition("!/")
        rows = self.db.query(
            f"SELECT {', '.join('d.' + name for name in COLUMNS.split(', '))} FROM files AS f CROSS JOIN documents AS d"
            " ON d.collection = f.collection AND d.content_hash = f.content_hash"
            " WHERE f.collection = ? AND f.path = ? AND d.member = ? LIMIT 1",
            (collection, path, member),
        )
        return from_row(rows[0]) if rows else None

    def by_content(self, collection: str, content_hash: bytes) -> list[DocumentRow]:
        """The documents made from a file with this content."""
        rows = self.db.query(
            f"SELECT {COLUMNS} FROM documents WHERE collection = ? AND content_hash = ?",
            (collection, content_hash),
        )
        return [from_row(row) for row in rows]

    def matching(
        self, targets: Sequence[str], collection: str | None = None, *, below: bool = True
    ) -> list[DocumentRow]:
        """Documents with these ids, or whose file is at or below these paths, in one collection or in all.

        Without `below`, those with these ids alone.
        """
        found: dict[int, DocumentRow] = {}
        for target in targets:
            start = target.rstrip("/") + "/"
            rows = self.db.query(
                f"SELECT {COLUMNS} FROM documents WHERE (key = ? OR ? AND (path = ? OR substr(path, 1, ?) = ?))"
                " AND (? IS NULL OR collection = ?)",
                (target, below, target, len(start), start, collection, collection),
            )
            found.update((row.id, row) for row in map(from_row, rows))
        return list(found.values())

    def documents(self, ids: Iterable[int]) -> dict[int, DocumentRow]:
        """Rows by id; what does not exist is left out, and so, with a line in the log, what is damaged."""
        found: dict[int, DocumentRow] = {}
        for row in self.db.among(f"SELECT {COLUMNS} FROM documents WHERE id IN ({{}})", ids):
            try:
                document = from_row(row)
                found[document.id] = document
            except DamagedError as error:
                _LOG.warning("%s", error.message)
        return found

    def exist(self, ids: Iterable[int]) -> int:
        """How many of these documents the database has, whole or damaged."""
        return len(self.db.among("SELECT id FROM documents WHERE id IN ({})", ids))

    def select(self, clause: str, params: Sequence[Any]) -> NDArray[np.int64]:
        """Ids of the documents `d` that a WHERE clause matches, ascending."""
        return self.db.numbers(f"SELECT d.id FROM documents AS d WHERE {clause} ORDER BY d.id", params)

    def names_alone(self, collection: str) -> set[str]:
        """The paths of files of which only the name is known."""
        rows = self.db.query(
            "SELECT key FROM documents WHERE collection = ? AND left_out <> ''", (collection,)
        )
        return {row[0] for row in rows}

    def names_count(self) -> int:
        """How many documents are files of which only the name is known."""
        return int(self.db.one("SELECT count(*) FROM documents WHERE left_out <> ''"))

    def other_paths(self, document_ids: Iterable[int], scope: Scope | None = None) -> dict[int, list[str]]:
        """The paths of further copies of the files of these documents, as many as a person would keep."""
        found: dict[int, list[str]] = {}
        where, values = path_scope_sql(scope, "f.path") if scope and scope.paths else ("1", [])
        for id, path in self.db.among(
            "SELECT d.id, f.path FROM documents AS d CROSS JOIN files AS f ON f.content_hash = d.content_hash"
            f" AND f.collection = d.collection AND f.path <> d.path WHERE d.id IN ({{}}) AND {where} ORDER BY f.path",
            document_ids,
            values,
        ):
            if len(paths := found.setdefault(id, [])) < _MOST_COPIES:
                paths.append(path)
        return found

    def rows(self, clause: str, params: Sequence[Any], limit: int) -> list[DocumentRow]:
        """The documents `d` that a WHERE clause matches, by path, then those without one by id."""
        found = self.db.query(
            f"SELECT {COLUMNS} FROM documents AS d WHERE {clause} ORDER BY d.path IS NULL, d.path, d.key LIMIT ?",
            (*params, limit),
        )
        return [from_row(row) for row in found]

    def latest(self, clause: str, params: Sequence[Any], limit: int) -> list[DocumentRow]:
        """The documents `d` that a WHERE clause matches, those first whose files changed last."""
        found = self.db.query(
            f"SELECT {COLUMNS} FROM documents AS d WHERE {clause} ORDER BY d.modified DESC, d.id DESC LIMIT ?",
            (*params, limit),
        )
        return [from_row(row) for row in found]

    def any(self, clause: str, params: Sequence[Any]) -> bool:
        """Whether a WHERE clause matches any document `d`."""
        return self.db.one(f"SELECT 1 FROM documents AS d WHERE {clause} LIMIT 1", params) is not None

    def _with_copies(self, ids: Sequence[int]) -> Iterable[int]:
        """Those of these documents whose file has further copies: of many looked for once in each state of the index,
        all where nothing tells that state, or they are few."""
        state = self.db.state
        if state is None or len(ids) < _MANY:
            return ids
        if self._copied[0] != state:
            found = self.db.numbers(
                "SELECT d.id FROM documents AS d CROSS JOIN files AS f ON f.content_hash = d.content_hash"
                " AND f.collection = d.collection AND f.path <> d.path"
            )
            self._copied = (state, np.unique(found))
        return np.intersect1d(ids, self._copied[1]).tolist()  # type: ignore[no-any-return]

    def facet_columns(
        self,
        document_ids: Iterable[int],
        dated: str,
        params: Sequence[Any],
        scope: Scope | None = None,
    ) -> FacetColumns:
        """Return what facets are counted from, with the paths of a scope; `dated` are the columns of a year and a date
        over `d`."""
        seen, values = path_scope_sql(scope, "d.path") if scope and scope.paths else ("1", [])
        rows = self.db.query(
            "SELECT d.id, d.type, iif(d.path IS NULL OR "
            + seen
            + ", d.path, ''), d.language, d.tags, "
            + dated
            + f" FROM documents AS d WHERE d.id IN ({LISTED})",
            [*values, *params, listed(document_ids)],
        )
        ids, types, paths, languages, tags, years, dates, floating = zip(*rows) if rows else [()] * 8
        others = self.other_paths(self._with_copies(ids), scope)
        copies = {at: others[id] for at, id in enumerate(ids) if id in others}
        return FacetColumns(types, paths, languages, tags, years, dates, floating, copies)

    def facet_dates(self, document_ids: Iterable[int], dated: str, params: Sequence[Any]) -> dict[int, float]:
        """The date of each of these documents by which it is filtered and counted; those without one are left out."""
        rows = self.db.query(
            f"SELECT d.id, {dated} FROM documents AS d WHERE d.id IN ({LISTED})",
            [*params, listed(document_ids)],
        )
        return {id: date for id, _, date, _ in rows if date is not None}

    def paths_where(self, document_ids: Iterable[int], clause: str, params: Sequence[Any]) -> dict[int, str]:
        """A path of each of these documents for which a condition on `f.path` holds, its own if that does."""
        rows = self.db.query(
            "SELECT d.id, f.path FROM documents AS d CROSS JOIN files AS f ON f.content_hash = d.content_hash"
            f" AND f.collection = d.collection WHERE d.id IN ({LISTED}) AND {clause}"
            " ORDER BY f.path = d.path, f.path DESC",
            [listed(document_ids), *params],
        )
        return dict(rows)

    def newest(
        self, document_ids: Iterable[int], limit: int, date: str, params: Sequence[Any]
    ) -> list[tuple[int, int]]:
        """Those of these documents whose date, an expression over `d`, is the latest, each with its first chunk."""
        return self.db.query(
            "SELECT d.id, min(c.id) FROM documents AS d JOIN chunks AS c ON c.document_id = d.id"
            f" WHERE d.id IN ({LISTED}) GROUP BY d.id"
            f" ORDER BY coalesce({date}, d.indexed) DESC, d.id LIMIT ?",
            (listed(document_ids), *params, limit),
        )

    def text(self, document_id: int, start: int = 0, stop: int | None = None) -> str:
        """The characters [start, stop) of a document's text."""
        first, last = _segment_range(document_id)
        if stop is not None:
            last = first + max(stop - 1, 0) // SEGMENT
        offset = start // SEGMENT
        rows = self.db.query(
            "SELECT text FROM bodies WHERE id BETWEEN ? AND ? ORDER BY id", (first + offset, last)
        )
        text = "".join(row[0] for row in rows)
        skipped = offset * SEGMENT
        return text[start - skipped : None if stop is None else stop - skipped]

    def chunk_rows(self, chunk_ids: Iterable[int]) -> dict[int, ChunkRow]:
        """Chunks with their text, by id; what does not exist is left out."""
        with self.db.snapshot():  # or another text could come between a chunk and its own
            rows = self.db.among(
                "SELECT id, document_id, start, stop, place FROM chunks WHERE id IN ({})", chunk_ids
            )
            segments = self._segments_of(rows)
        return {
            row[0]: ChunkRow(row[0], row[1], row[2], row[3], _place(row[4]), _slice(segments, *row[1:4]))
            for row in rows
        }

    def _segments_of(self, rows: Sequence[tuple[int, int, int, int, str]]) -> dict[int, str]:
        """The segments of text that these chunks touch, in one look-up."""
        wanted = {key for _, document, start, stop, _ in rows for key in _segment_keys(document, start, stop)}
        return dict(self.db.among("SELECT id, text FROM bodies WHERE id IN ({})", wanted))

    def chunks(self, document_id: int) -> list[ChunkRow]:
        """All chunks of a document in order."""
        text, rows = self._cut(document_id)
        return [ChunkRow(i, document_id, a, b, _place(place), text[a:b]) for i, a, b, place in rows]

    def _cut(self, document_id: int) -> tuple[str, list[tuple[int, int, int, str]]]:
        """A document's text; of each of its chunks the id, where it starts and ends, and its place in JSON."""
        rows = self.db.query(
            "SELECT id, start, stop, place FROM chunks WHERE document_id = ? ORDER BY id", (document_id,)
        )
        return self.text(document_id) if rows else "", rows

    def embedded_texts(self, chunk_ids: Iterable[int]) -> dict[int, str]:
        """What is embedded for these chunks, by id; what does not exist is left out."""
        with self.db.snapshot():
            chunks = self.chunk_rows(chunk_ids)
            documents = self.documents({chunk.document_id for chunk in chunks.values()})
        return {
            id: embedded_text(documents[chunk.document_id].title, chunk.place.heading, chunk.text)
            for id, chunk in chunks.items()
            if chunk.document_id in documents
        }

    def indexed_chunks(self, document_ids: Iterable[int]) -> Iterator[IndexedChunk]:
        """Return these documents as the lexical index takes them."""
        document_ids = list(document_ids)
        copies = self.other_paths(document_ids)
        for document in self.documents(document_ids).values():
            text, rows = self._cut(document.id)
            pieces = ((i, _place(place), text[start:stop]) for i, start, stop, place in rows)
            yield from indexed(document, document.title, document.id, pieces, copies.get(document.id, ()))

    def owners(self) -> NDArray[np.int32]:
        """The document of each chunk, shape (highest chunk id + 1,); 0 where there is no chunk. Both are below 2^31."""
        with self.db.snapshot() as connection:
            highest = connection.execute("SELECT max(id) FROM chunks").fetchone()[0]
            found = np.zeros(0 if highest is None else int(highest) + 1, np.int32)
            # One number for both takes half the time. The index over documents alone is read, so ids come unsorted.
            rows = chain.from_iterable(connection.execute("SELECT id << 32 | document_id FROM chunks"))
            while len(both := np.fromiter(islice(rows, _BLOCK), np.int64)):
                found[both >> 32] = both & 0xFFFF_FFFF
        return found

    def chunk_ids(self, document_ids: Iterable[int]) -> list[tuple[int, int]]:
        """Chunk id and document id of every chunk of these documents."""
        return self.db.query(
            f"SELECT id, document_id FROM chunks WHERE document_id IN ({LISTED}) ORDER BY id",
            (listed(document_ids),),
        )

    def document_count(self) -> int:
        return int(self.db.one("SELECT count(*) FROM documents"))

    def counts(self) -> tuple[int, int]:
        """How many documents were read, and how many chunks they have."""
        names = self.names_count()
        chunks = int(self.db.one("SELECT count(*) FROM chunks"))
        return self.document_count() - names, chunks - self.not_embedded()

    def not_embedded(self) -> int:
        """How many chunks have no text to embed: those of files of which only the name is known."""
        return int(self.db.one("SELECT count(*) FROM chunks WHERE hash = x''"))

    def collections(self, scope: Scope | None = None) -> list[str]:
        """Names of the collections that hold documents, or documents of a scope."""
        where, values = scope_sql(scope) if scope else ("1", [])
        rows = self.db.query(
            f"SELECT DISTINCT d.collection FROM documents AS d WHERE {where} ORDER BY d.collection", values
        )
        return [row[0] for row in rows]

    def tally(self, column: Literal["collection", "type"], scope: Scope | None = None) -> dict[str, int]:
        """How many documents of a scope were read and have each value, most first."""
        where, values = scope_sql(scope) if scope else ("1", [])
        return dict(
            self.db.query(
                f"SELECT d.{column}, count(*) FROM documents AS d WHERE d.left_out = '' AND {where}"
                " GROUP BY 1 ORDER BY 2 DESC, 1",
                values,
            )
        )

    def changed(self, scope: Scope | None = None) -> float | None:
        """When a document of a scope was last stored, in seconds since 1970."""
        where, values = scope_sql(scope) if scope else ("1", [])
        found: float | None = self.db.one(
            f"SELECT max(d.indexed) FROM documents AS d WHERE {where}", tuple(values)
        )
        return found

    def holds(self, scope: Scope | None, document_id: int) -> bool:
        """Whether a document may be seen."""
        if not scope:
            return True
        where, values = scope_sql(scope)
        return self.any(f"d.id = ? AND {where}", [document_id, *values])

    def length(self, document_id: int) -> int:
        """Characters of a document's text."""
        first, last = _segment_range(document_id)
        rows = self.db.query(
            "SELECT id, text FROM bodies WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1", (first, last)
        )
        return (rows[0][0] - first) * SEGMENT + len(rows[0][1]) if rows else 0

    def places(self, document_id: int) -> list[tuple[int, int, Place]]:
        """Start, stop and place of every chunk of a document, in order."""
        rows = self.db.query(
            "SELECT start, stop, place FROM chunks WHERE document_id = ? ORDER BY start, id", (document_id,)
        )
        return [(start, stop, _place(place)) for start, stop, place in rows]


def _chunk_rows(
    document_id: int, title: str | None, chunks: Iterable[tuple[Chunk, str]]
) -> list[tuple[int, int, int, str, bytes]]:
    """Rows of chunks, each with the hash of what is embedded for it; nothing is where there is no title."""
    rows, place, told = [], None, ""
    for chunk, text in chunks:
        digest = b"" if title is None else embedding_hash(embedded_text(title, chunk.place.heading, text))
        if chunk.place is not place:  # chunks in a row often share one
            place, told = chunk.place, _place_json(chunk.place)
        rows.append((document_id, chunk.start, chunk.end, told, digest))
    return rows


def _insert_chunks(
    connection: sqlite3.Connection, rows: Sequence[tuple[int, int, int, str, bytes]]
) -> Sequence[int]:
    """Store rows of chunks; returns their ids, which SQLite counts up in a transaction."""
    if not rows:
        return []
    connection.executemany(
        "INSERT INTO chunks (document_id, start, stop, place, hash) VALUES (?, ?, ?, ?, ?)", rows
    )
    (last,) = connection.execute("SELECT last_insert_rowid()").fetchone()
    return list(range(last - len(rows) + 1, last + 1))


def _collection(connection: sqlite3.Connection, document_id: int) -> str:
    row = connection.execute("SELECT collection FROM documents WHERE id = ?", (document_id,)).fetchone()
    return str(row[0])


def _segments(document_id: int, text: str) -> Iterator[tuple[int, str]]:
    first, _ = _segment_range(document_id)
    for number, start in enumerate(range(0, len(text), SEGMENT)):
        yield first + number, text[start : start + SEGMENT]


def _segment_keys(document_id: int, start: int, stop: int) -> range:
    first, _ = _segment_range(document_id)
    return range(first + start // SEGMENT, first + max(stop - 1, start) // SEGMENT + 1)


def _slice(segments: Mapping[int, str], document_id: int, start: int, stop: int) -> str:
    keys = _segment_keys(document_id, start, stop)
    text = segments.get(keys[0], "") if len(keys) == 1 else "".join(segments.get(key, "") for key in keys)
    skipped = start // SEGMENT * SEGMENT
    return text[start - skipped : stop - skipped]


def _segment_range(document_id: int) -> tuple[int, int]:
    return document_id << _SEGMENT_BITS, ((document_id + 1) << _SEGMENT_BITS) - 1


def _place_json(place: Place) -> str:
    values = zip(_PLACE_FIELDS, _place_values(place))
    return msgspec.json.encode({name: value for name, value in values if value}).decode()


@lru_cache(256)
def _place(text: str) -> Place:
    """Where a chunk stands; nowhere in particular if the database is damaged, which `check` tells by its digests."""
    try:
        return _PLACES.decode(text)
    except (msgspec.DecodeError, TypeError, RecursionError):
        return Place()
