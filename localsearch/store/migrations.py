"""Bring a database to this release's schema. Called by `Database` when it opens, and by `upkeep.backup` on a copy.

sqlite-utils keeps the record of what has run. Why not its own `Migrations`: docs/decisions/storage.md.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from localsearch.errors import FormatError
from localsearch.store.schema import MIGRATIONS


def migrate(connection: sqlite3.Connection) -> list[str]:
    """Apply the migrations that this database lacks; return their names.

    They run with their records in one transaction: all or none. Raises FormatError for a database of a newer release.
    """
    if len(check_format(connection)) == len(MIGRATIONS):
        return []
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = check_format(connection)  # another process may have been first
        missing = [(name, script) for name, script in MIGRATIONS if name not in done]
        for _, script in missing:
            run_script(connection, script)
        _record(connection, [name for name, _ in missing])
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return [name for name, _ in missing]


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


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Keep a package from being imported meanwhile, where no other thread could miss it.

    sqlite-utils loads pandas where that is installed, which takes a third of a second, and nothing here asks for it.
    """
    hidden = package not in sys.modules and threading.active_count() == 1
    if hidden:
        sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[package]


def _record(connection: sqlite3.Connection, names: list[str]) -> None:
    """Write down what has run. No plugin of sqlite-utils that happens to be installed is loaded.

    Imported where a migration is to run alone: it takes a sixth of the time that a search on the command line does.
    """
    with _without("pandas"):
        import sqlite_utils

    table = sqlite_utils.Database(connection, execute_plugins=False).table("migrations")
    table.create({"name": str, "applied": float}, pk="name", not_null={"applied"}, if_not_exists=True)
    table.insert_all({"name": name, "applied": time.time()} for name in names)
