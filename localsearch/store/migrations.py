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
    check_format(connection)
    record = _record(connection)
    record.create({"name": str, "applied": float}, pk="name", not_null={"applied"}, if_not_exists=True)
    done = {row["name"] for row in record.rows}
    return [name for name, script in MIGRATIONS if name not in done and _apply(connection, name, script)]


def check_format(connection: sqlite3.Connection) -> None:
    """Raise FormatError when the database holds a migration that this release does not know."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchone():
        return
    known = {name for name, _ in MIGRATIONS}
    newer = [name for (name,) in connection.execute("SELECT name FROM migrations") if name not in known]
    if newer:
        raise FormatError(
            f"This index was written by a newer release (it has {newer[0]}).",
            hint="Upgrade localsearch, or index into another --home.",
        )


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

    Imported by whoever writes: it takes a sixth of the time that a search on the command line does.
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
