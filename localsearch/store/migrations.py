"""Bring a database to this release's schema. Called by `Database` when it opens, and by `upkeep.backup` on a copy.

sqlite-utils keeps the record of what has run. Why not its own `Migrations`: docs/decisions/storage.md.
"""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

from localsearch.errors import FormatError
from localsearch.store.schema import MIGRATIONS

if TYPE_CHECKING:
    import sqlite_utils


def migrate(connection: sqlite3.Connection) -> list[str]:
    """Apply the migrations that this database lacks; return their names.

    Each runs with its record in one transaction. Raises FormatError for a database of a newer release.
    """
    done = check_format(connection)
    missing = [(name, script) for name, script in MIGRATIONS if name not in done]
    if missing:
        columns = {"name": str, "applied": float}
        _record(connection).create(columns, pk="name", not_null={"applied"}, if_not_exists=True)
    return [name for name, script in missing if _apply(connection, name, script)]


def check_format(connection: sqlite3.Connection) -> set[str]:
    """Return the migrations that the database has. Raises FormatError when this release does not know one of them."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchone():
        return set()
    done = {name for (name,) in connection.execute("SELECT name FROM migrations")}
    newer = done - {name for name, _ in MIGRATIONS}
    if newer:
        raise FormatError(
            f"This index was written by a newer release (it has {min(newer)}).",
            hint="Upgrade localsearch, or index into another --home.",
        )
    return done


def run_script(connection: sqlite3.Connection, script: str) -> None:
    """Run statements parted by semicolons inside the caller's transaction, which `executescript` would commit.

    A trigger holds semicolons of its own: SQLite says where a statement is complete.
    """
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if part.strip() and sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def _record(connection: sqlite3.Connection) -> sqlite_utils.db.Table:
    """The table of what has run. No plugin of sqlite-utils that happens to be installed is loaded.

    Imported where a migration is to run alone: it takes a sixth of the time that a search on the command line does, and
    brings pandas where that is installed.
    """
    import sqlite_utils

    return sqlite_utils.Database(connection, execute_plugins=False).table("migrations")


def _apply(connection: sqlite3.Connection, name: str, script: str) -> bool:
    """Run one migration; false when another process was first, which only a write lock can rule out."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        record = _record(connection)
        first = not record.count_where("name = ?", [name])
        if first:
            run_script(connection, script)
            record.insert({"name": name, "applied": time.time()})
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return first
