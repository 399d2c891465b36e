"""A database that came from elsewhere: its schema must be ours to the letter, and its rows what ours can be.

A schema is code: triggers, views and virtual tables run when the database is used. Rows are values that every query
relies on. Both are held against what this release would have made, before the database gets its place.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from localsearch.errors import DamagedError
from localsearch.store.migrations import run_script
from localsearch.store.schema import MIGRATIONS

_OF_SQLITE = frozenset({"sqlite_sequence", "sqlite_stat1", "sqlite_stat4"})
_HIGHEST = 1 << 42
"""Ids beyond it would not leave room for the segments of a document's text."""

_RECORD = [("name", "TEXT", 0, None, 1, 0), ("applied", "REAL", 1, None, 0, 0)]
"""Columns of the table of migrations, which releases have written in different words."""

_RECORD_INDEX = "sqlite_autoindex_migrations_1"

_IMPOSSIBLE = {
    "documents with a number that is none": f"documents WHERE id NOT BETWEEN 1 AND {_HIGHEST}",
    "documents without an id": "documents WHERE typeof(key) <> 'text' OR key = '' OR length(key) > 20000",
    "documents of no collection": "documents WHERE typeof(collection) <> 'text' OR collection = ''",
    "documents whose fields are no text": "documents WHERE typeof(title) <> 'text' OR typeof(member) <> 'text'"
    " OR typeof(type) <> 'text' OR typeof(language) <> 'text' OR typeof(author) <> 'text'"
    " OR typeof(path) NOT IN ('text', 'null')",
    "documents with a size or a date that is none": "documents WHERE typeof(size) <> 'integer'"
    " OR typeof(indexed) NOT IN ('real', 'integer') OR typeof(created) NOT IN ('real', 'integer', 'null')"
    " OR typeof(modified) NOT IN ('real', 'integer', 'null')",
    "documents whose metadata is no object": "documents WHERE CASE WHEN typeof(metadata) = 'text' AND"
    " json_valid(metadata) THEN json_type(metadata) <> 'object' ELSE 1 END",
    "documents whose tags are no list": "documents WHERE CASE WHEN typeof(tags) = 'text' AND"
    " json_valid(tags) THEN json_type(tags) <> 'array' ELSE 1 END",
    "chunks with a number that is none": f"chunks WHERE id NOT BETWEEN 1 AND {_HIGHEST}",
    "chunks that lie nowhere": "chunks WHERE typeof(start) <> 'integer' OR typeof(stop) <> 'integer' OR start < 0"
    " OR stop < start",
    "chunks with a place that is none": "chunks WHERE CASE WHEN typeof(place) = 'text' AND json_valid(place)"
    " THEN json_type(place) <> 'object' ELSE 1 END",
    "chunks without a hash": "chunks WHERE typeof(hash) <> 'blob' OR length(hash) <> 16",
    "chunks of no document": "chunks WHERE document_id NOT IN (SELECT id FROM documents)",
    "texts that are none": "bodies WHERE typeof(text) <> 'text'",
    "versions that are none": "versions WHERE typeof(model) <> 'text' OR typeof(dimensions) <> 'integer'"
    " OR dimensions NOT BETWEEN 1 AND 65536 OR state NOT IN ('building', 'ready', 'active', 'retired')",
    "vectors that are none": "vectors WHERE typeof(hash) <> 'blob' OR typeof(vector) <> 'blob'"
    " OR version_id NOT IN (SELECT id FROM versions)",
    "files that are none": "files WHERE typeof(raw) <> 'blob' OR typeof(path) <> 'text'"
    " OR state NOT IN ('indexed', 'skipped', 'failed')",
    "roots that are none": "roots WHERE typeof(path) <> 'text' OR substr(path, 1, 1) <> '/' OR NOT json_valid(options)",
}


def check_schema(connection: sqlite3.Connection) -> None:
    """Raise DamagedError unless the schema of an index is what its migrations make."""
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM migrations ORDER BY name")]
    except sqlite3.DatabaseError:
        names = []
    known = [name for name, _ in MIGRATIONS]
    columns = connection.execute("PRAGMA table_xinfo(migrations)").fetchall()
    if not names or names != known[: len(names)] or [tuple(column[1:]) for column in columns] != _RECORD:
        raise _damaged("its list of migrations is not one of localsearch")
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as expected:
        for _, script in MIGRATIONS[: len(names)]:
            run_script(expected, script)
        ours, theirs = _objects(expected), _objects(connection)
    if odd := sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)):
        raise _damaged(f"its schema is not that of localsearch ({odd[0][1][:60]})")


def check_plain(connection: sqlite3.Connection) -> None:
    """Raise DamagedError for a database that holds more than tables and indexes."""
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        if kind not in ("table", "index") or "VIRTUAL" in str(sql).upper().split():
            raise _damaged(f"it holds a {kind} that localsearch never makes ({str(name)[:60]})")


def check_rows(connection: sqlite3.Connection) -> None:
    """Raise DamagedError for rows that no release has written."""
    for what, rows in _IMPOSSIBLE.items():
        if connection.execute(f"SELECT 1 FROM {rows} LIMIT 1").fetchone():
            raise _damaged(f"it has {what}")


def _objects(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
    return {
        (str(kind), str(name)): " ".join(str(sql).split())
        for kind, name, table, sql in rows
        if name not in _OF_SQLITE
        and not ((table == "migrations" and kind == "table") or name == _RECORD_INDEX)
    }


def _damaged(what: str) -> DamagedError:
    return DamagedError(f"The database is no index of localsearch: {what}.", hint="Use another backup.")
