"""A database that came from elsewhere: its schema must be ours to the letter, and its rows what ours can be.

A schema is code: triggers, views and virtual tables run when the database is used. Rows are values that every query
relies on. Both are held against what this release would have made, before the database gets its place.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing

from localsearch.errors import DamagedError, FormatError
from localsearch.store import service_schema
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
    " OR typeof(collection) <> 'text' OR typeof(root) <> 'text' OR typeof(rule) <> 'text' OR typeof(reason) <> 'text'"
    " OR typeof(size) <> 'integer' OR typeof(mtime_ns) <> 'integer' OR typeof(tries) <> 'integer'"
    " OR typeof(content_hash) NOT IN ('blob', 'null') OR state NOT IN ('indexed', 'skipped', 'failed')",
    "notes of files that are no list": "files WHERE CASE WHEN typeof(notes) = 'text' AND json_valid(notes)"
    " THEN json_type(notes) <> 'array' OR EXISTS (SELECT 1 FROM json_each(notes) WHERE type <> 'text') ELSE 1 END",
    "roots that are none": "roots WHERE typeof(collection) <> 'text' OR typeof(path) <> 'text'"
    " OR substr(path, 1, 1) <> '/'",
    "roots whose options are none": "roots WHERE CASE WHEN typeof(options) = 'text' AND json_valid(options)"
    " THEN json_type(options) <> 'object' OR EXISTS (SELECT 1 FROM json_tree(options) WHERE"
    " type NOT IN ('object', 'array', 'text', 'true', 'false') AND (fullkey <> '$.checked' OR type <> 'real'))"
    " ELSE 1 END",
    "feeds that are none": "feeds WHERE typeof(alias) <> 'text' OR typeof(collection) <> 'text'"
    " OR state NOT IN ('active', 'building') OR typeof(filled) <> 'integer' OR typeof(position) <> 'integer'"
    " OR typeof(expected) <> 'integer' OR typeof(revision) <> 'integer' OR typeof(holder) <> 'text'"
    " OR complete NOT IN (0, 1) OR sending NOT IN (0, 1)",
    "changes of vectors that are none": f"vector_changes WHERE seq NOT BETWEEN 1 AND {_HIGHEST}"
    " OR typeof(chunk_id) <> 'integer'",
    "judgements that are none": "feedback WHERE typeof(collection) <> 'text' OR typeof(query) <> 'text'"
    " OR typeof(key) <> 'text' OR relevant NOT IN (0, 1)",
    "changes that are none": f"changes WHERE seq NOT BETWEEN 1 AND {_HIGHEST} OR typeof(document_id) <> 'integer'",
    "settings that are none": "settings WHERE CASE WHEN typeof(name) = 'text' AND json_valid(value)"
    " THEN json_type(value) NOT IN ('object', 'integer', 'real') OR EXISTS (SELECT 1 FROM json_each(settings.value)"
    " WHERE type NOT IN ('integer', 'real')) ELSE 1 END",
}

_TEXTS = {
    "documents": "collection, key, title, path, member, type, language, author, tags, metadata",
    "bodies": "text",
    "chunks": "place",
    "files": "collection, path, root, rule, reason, notes",
    "roots": "collection, path, options",
    "versions": "model, precision, fingerprint",
    "feedback": "collection, query, key",
    "feeds": "alias, collection, holder",
    "settings": "name, value",
}
_STATES = ", ".join(f"'{state}'" for state in service_schema.STATES)
_IMPOSSIBLE_IN_SERVICE = {
    "keys that are none": "keys WHERE typeof(id) <> 'text' OR typeof(name) <> 'text' OR length(name) > 1000"
    " OR typeof(hash) <> 'blob' OR length(hash) <> 32 OR scope NOT IN ('read', 'write', 'admin')"
    " OR typeof(created) <> 'real' OR typeof(revoked) NOT IN ('real', 'null')",
    "keys whose limits are none": "keys WHERE CASE WHEN typeof(within) = 'text' AND json_valid(within)"
    " THEN json_type(within) <> 'object' OR EXISTS (SELECT 1 FROM json_tree(within) AS e WHERE NOT"
    " CASE e.type WHEN 'object' THEN e.key IS NULL WHEN 'array' THEN e.path = '$' AND e.key IN ('collections', 'paths')"
    " WHEN 'text' THEN e.path IN ('$.collections', '$.paths') ELSE 0 END) ELSE 1 END",
    "jobs that are none": f"jobs WHERE state NOT IN ({_STATES})"
    " OR kind NOT IN ('index', 'documents', 'forget', 'version')"
    " OR typeof(payload) NOT IN ('blob', 'null') OR typeof(size) <> 'integer' OR typeof(tries) <> 'integer'"
    " OR typeof(created) <> 'real' OR typeof(started) NOT IN ('real', 'null')"
    " OR typeof(finished) NOT IN ('real', 'null') OR id NOT BETWEEN 1 AND 1 << 52",
    "unfinished jobs without work": "jobs WHERE state IN ('queued', 'running', 'held') AND payload IS NULL",
    "jobs whose progress or result is no object": "jobs WHERE "
    + " OR ".join(
        f"CASE WHEN {column} IS NULL THEN 0 WHEN typeof({column}) = 'text' AND json_valid({column})"
        f" THEN json_type({column}) <> 'object' ELSE 1 END"
        for column in ("progress", "result", "error")
    ),
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


def check_service(connection: sqlite3.Connection) -> None:
    """Raise DamagedError unless a database is that of a server, schema and rows; FormatError for a newer one."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    known = service_schema.MIGRATIONS
    if version > len(known):
        raise FormatError(
            "The keys and jobs were written by a newer release.", hint="Upgrade localsearch to restore them."
        )
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as expected:
        for script in known[: max(version, 0)]:
            run_script(expected, script)
        if version < 1 or _objects(expected) != _objects(connection):
            raise _damaged("the schema of its keys and jobs is not that of localsearch")
    _check(connection, _IMPOSSIBLE_IN_SERVICE)


def check_rows(connection: sqlite3.Connection) -> None:
    """Raise DamagedError for rows that no release has written."""
    _check(connection, _IMPOSSIBLE)
    if connection.execute("PRAGMA foreign_key_check").fetchone():
        raise _damaged("it has rows that belong to none")
    _check_text(connection)


def _check_text(connection: sqlite3.Connection) -> None:
    """Raise DamagedError for text that is no UTF-8, which SQLite itself does not mind."""
    for table, columns in _TEXTS.items():
        there = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        if not (present := [column for column in columns.split(", ") if column in there]):
            continue  # an earlier release had none
        try:
            for _ in connection.execute(f"SELECT {', '.join(present)} FROM {table}"):
                pass
        except sqlite3.OperationalError as error:
            raise _damaged(f"it has {table} whose text is no UTF-8") from error


def _check(connection: sqlite3.Connection, impossible: Mapping[str, str]) -> None:
    for what, rows in impossible.items():
        try:
            found = connection.execute(f"SELECT 1 FROM {rows} LIMIT 1").fetchone()
        except sqlite3.OperationalError as error:
            if not str(error).startswith("no such"):
                raise
            continue  # an earlier release had no such table or column
        if found:
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
