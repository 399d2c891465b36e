"""HOME/service.db: API keys and jobs.

Apart from index.db for one reason: a key can be made or revoked from the command line while a server owns the index.
Any process may write here, so it keeps SQLite's rollback journal, in which concurrent writers are safe everywhere.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localsearch.errors import DamagedError, FormatError, StorageError
from localsearch.platform.disk import disk_full
from localsearch.store.database import SERVICE
from localsearch.store.migrations import run_script
from localsearch.store.service_schema import MIGRATIONS


class ServiceDatabase:
    """The file, open. One connection, used by one thread at a time; every write is durable when it returns."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.file = home / SERVICE
        self._lock = threading.Lock()
        with _explained(self.file):
            self._connection = self._open()

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows, as tuples."""
        with self._lock, _explained(self.file):
            return self._connection.execute(sql, values).fetchall()

    def write(self, sql: str, values: Sequence[Any] = ()) -> int:
        """One durable statement; the number of rows it changed, or for INSERT the new row's number."""
        with self._lock, _explained(self.file):
            cursor = self._connection.execute(sql, values)
            return int(cursor.lastrowid or 0) if sql.startswith("INSERT") else cursor.rowcount

    def changed(self) -> tuple[int, int]:
        """Two numbers, one of which differs after a write by any process."""
        with self._lock, _explained(self.file):
            row = self._connection.execute("PRAGMA data_version").fetchone()
            return int(row[0]), self._connection.total_changes

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _open(self) -> sqlite3.Connection:
        self.file.touch(mode=0o600)
        connection = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            _migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _migrate(connection: sqlite3.Connection) -> None:
    if _format(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(_format(connection), len(MIGRATIONS)):
            run_script(connection, MIGRATIONS[number])
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _format(connection: sqlite3.Connection) -> int:
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > len(MIGRATIONS):
        raise FormatError(f"{SERVICE} was written by a newer release.", hint="Update localsearch.")
    return found


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise disk_full(file.parent) from error
        raise StorageError(f"{file}: {error}", hint="Check the disk and the folder's permissions.") from error
    except sqlite3.DatabaseError as error:
        raise DamagedError(
            f"{file} is damaged: {error}", hint="Move it away; keys and unfinished jobs in it are lost."
        ) from error
