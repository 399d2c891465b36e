"""Keep the ledger: every file seen, its state and the reason, and the roots that are kept current.

`indexing` writes it. Anything may read it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localsearch.store.database import Database
from localsearch.store.scope import path_scope_sql
from localsearch.types import Scope


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file seen. `state` is indexed, skipped or failed; `content_hash` names the content that is searchable.

    An indexed or skipped one with the rule `image` holds pictures of text that were not read.
    A failed file that still has a content hash is stale: its last good content stays searchable. `notes` say what of an
    indexed file could not be read, each with its place.
    """

    collection: str
    raw: bytes
    path: str
    root: str
    size: int
    mtime_ns: int
    content_hash: bytes | None
    state: str
    rule: str = ""
    reason: str = ""
    tries: int = 0
    notes: tuple[str, ...] = ()
    inode: int = 0


REREAD = -1
"""A size that no file has: its content is known, and yet it is to be read again."""
_COLUMNS = (
    "collection, raw, path, root, size, mtime_ns, content_hash, state, rule, reason, tries, inode, notes"
)
_NOTED = "state = 'indexed' AND notes != '[]'"
NOTES, NOTE_CHARS = 50, 500
"""Notes kept of one file, and characters of one."""


class Ledger:
    """Reading and writing the ledger inside the caller's transaction."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def put(self, row: FileRow) -> None:
        with self.db.write() as connection:
            connection.execute(
                f"INSERT INTO files ({_COLUMNS}, seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (collection, raw) DO UPDATE SET path = excluded.path, root = excluded.root,"
                " size = excluded.size, mtime_ns = excluded.mtime_ns, content_hash = excluded.content_hash,"
                " state = excluded.state, rule = excluded.rule, reason = excluded.reason,"
                " tries = excluded.tries, inode = excluded.inode, notes = excluded.notes, seen = excluded.seen",
                (
                    row.collection,
                    row.raw,
                    row.path,
                    row.root,
                    row.size,
                    row.mtime_ns,
                    row.content_hash,
                    row.state,
                    row.rule,
                    row.reason,
                    row.tries,
                    row.inode,
                    _notes_json(row.notes),
                    time.time(),
                ),
            )

    def stamp(self, collection: str, inodes: Mapping[bytes, int]) -> None:
        """Note the inodes of files that were dealt with before they were noted."""
        with self.db.write() as connection:
            connection.executemany(
                "UPDATE files SET inode = ? WHERE collection = ? AND raw = ?",
                [(inode, collection, raw) for raw, inode in inodes.items()],
            )

    def remove(self, collection: str, raws: list[bytes]) -> None:
        with self.db.write() as connection:
            connection.executemany(
                "DELETE FROM files WHERE collection = ? AND raw = ?", [(collection, raw) for raw in raws]
            )

    def forget(self, paths: Sequence[str], collection: str | None = None, *, below: bool = True) -> None:
        """Delete every row and root at or below these paths, in one collection or in all.

        Without `below`, the rows of these files alone.
        """
        with self.db.write() as connection:
            if not below:
                connection.executemany(
                    "DELETE FROM files WHERE path = ? AND (? IS NULL OR collection = ?)",
                    [(path, collection, collection) for path in paths],
                )
                return
            for path in paths:
                start = path.rstrip("/") + "/"
                for table in ("files", "roots"):
                    connection.execute(
                        f"DELETE FROM {table} WHERE (path = ? OR substr(path, 1, ?) = ?)"
                        " AND (? IS NULL OR collection = ?)",
                        (path, len(start), start, collection, collection),
                    )

    def get(self, collection: str, raw: bytes) -> FileRow | None:
        rows = self.db.query(
            f"SELECT {_COLUMNS} FROM files WHERE collection = ? AND raw = ?", (collection, raw)
        )
        return _file_row(rows[0]) if rows else None

    def under(self, collection: str, folder: bytes) -> dict[bytes, FileRow]:
        """All files seen at or below a path, by raw path."""
        below = folder.rstrip(b"/") + b"/"
        rows = self.db.query(
            f"SELECT {_COLUMNS} FROM files WHERE collection = ? AND (raw = ? OR (raw >= ? AND raw < ?))",
            (collection, folder, below, below[:-1] + b"0"),
        )
        return {row[1]: _file_row(row) for row in rows}

    def at(self, path: str) -> list[FileRow]:
        """The file with this path, once per collection that holds it."""
        rows = self.db.query(f"SELECT {_COLUMNS} FROM files WHERE path = ?", (path,))
        return [_file_row(row) for row in rows]

    def holders(self, collection: str, content_hash: bytes) -> list[FileRow]:
        """The files whose searchable content this is, by path."""
        rows = self.db.query(
            f"SELECT {_COLUMNS} FROM files WHERE collection = ? AND content_hash = ? ORDER BY path",
            (collection, content_hash),
        )
        return [_file_row(row) for row in rows]

    def scans(self, limit: int = -1) -> list[FileRow]:
        """Files with pictures of text that were not read, those seen last first."""
        rows = self.db.query(
            f"SELECT {_COLUMNS} FROM files WHERE rule = 'image' AND state IN ('indexed', 'skipped')"
            " ORDER BY seen DESC, path LIMIT ?",
            (limit,),
        )
        return [_file_row(row) for row in rows]

    def counts(self, scope: Scope | None = None) -> dict[str, int]:
        """How many files of a scope are in each state."""
        counts = {"indexed": 0, "skipped": 0, "failed": 0}
        where, values = _seen(scope)
        counts.update(
            self.db.query(f"SELECT state, count(*) FROM files AS f WHERE {where} GROUP BY state", values)
        )
        return counts

    def noted_count(self, scope: Scope | None = None) -> int:
        """How many indexed files of a scope have notes: something of them could not be read."""
        where, values = _seen(scope)
        return int(self.db.one(f"SELECT count(*) FROM files AS f WHERE {_NOTED} AND {where}", values))

    def troubled(self, state: str, limit: int = -1) -> list[FileRow]:
        """Files in a state, or `noted` ones, those seen last first; all of them without a limit.

        Names of secrets are never listed; `by_rule` counts them.
        """
        where, values = (_NOTED, ()) if state == "noted" else ("state = ? AND rule <> 'secret'", (state,))
        rows = self.db.query(
            f"SELECT {_COLUMNS} FROM files WHERE {where} ORDER BY seen DESC, path LIMIT ?", (*values, limit)
        )
        return [_file_row(row) for row in rows]

    def by_rule(self) -> Iterator[tuple[str, str, int]]:
        """State, rule and count of every kind of file that was not indexed."""
        yield from self.db.query(
            "SELECT state, rule, count(*) FROM files WHERE state != 'indexed' GROUP BY state, rule"
        )

    def put_root(self, collection: str, path: str, options: Mapping[str, Any]) -> None:
        with self.db.write() as connection:
            connection.execute(
                "INSERT INTO roots VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET options = excluded.options",
                (collection, path, json.dumps(options)),
            )

    def drop_root(self, collection: str, path: str) -> None:
        """Delete a root, and none of its files."""
        with self.db.write() as connection:
            connection.execute("DELETE FROM roots WHERE collection = ? AND path = ?", (collection, path))

    def remember(self, name: str, value: str) -> None:
        """Keep a choice that was made for this index while it was in use."""
        with self.db.write() as connection:
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def remembered(self, name: str) -> str:
        """A choice that was kept; empty where none was made."""
        return str(self.db.one("SELECT value FROM settings WHERE name = ?", (name,)) or "")

    def roots(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Collection, path and options of everything that was indexed."""
        rows = self.db.query("SELECT collection, path, options FROM roots ORDER BY path")
        return [(collection, path, json.loads(options)) for collection, path, options in rows]

    def trusted_roots(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Those that may be read: not the ones that a backup brought and nobody has confirmed."""
        return [root for root in self.roots() if not root[2].get("held")]

    def leads_to(self, collection: str, path: str) -> str:
        """Where a root, or what lies below one, led when it was indexed, links resolved; empty where not known."""
        for name, root, how in self.trusted_roots():
            true = how.get("true")
            if true and name == collection and (path == root or path.startswith(root.rstrip("/") + "/")):
                return str(true) + path[len(root) :]
        return ""


def _seen(scope: Scope | None) -> tuple[str, list[Any]]:
    """Whether a row of `files AS f` is of a scope, to stand after WHERE, and its parameters."""
    if not scope:
        return "1", []
    where, values = path_scope_sql(scope, "f.path") if scope.paths else ("1", [])
    if scope.collections:
        where += " AND f.collection IN (SELECT value FROM json_each(?))"
        values.append(json.dumps(scope.collections))
    return where, values


def _file_row(row: Sequence[Any]) -> FileRow:
    *columns, inode, notes = row
    values = (*columns, () if notes == "[]" else tuple(json.loads(notes)), inode)
    return FileRow(*values)


def _notes_json(notes: Sequence[str]) -> str:
    """What is kept of the notes of one file: as many as a person would read, and how many more there are."""
    kept = [note if len(note) <= NOTE_CHARS else note[: NOTE_CHARS - 1] + "…" for note in notes[:NOTES]]
    more = len(notes) - len(kept)
    return json.dumps([*kept, *([f"and {more:,} more notes"] if more else [])], ensure_ascii=False)
