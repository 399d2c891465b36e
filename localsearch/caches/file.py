"""A SQLite file that may be lost at any moment. For `caches` only."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


class LossyFile:
    """One SQLite file that may be lost: no waiting for the disk, replaced by an empty one when damaged.

    Where it cannot be used now (another process writes it, the disk is full), reads find nothing and writes are lost.
    """

    def __init__(
        self, path: Path, tables: str, functions: dict[str, tuple[int, Callable[..., Any]]] | None = None
    ) -> None:
        self._path, self._tables, self._functions = path, tables, functions or {}
        self._lock = threading.Lock()
        self._db = self._open()

    def one(self, sql: str, values: tuple[Any, ...]) -> Any:
        rows = self.all(sql, values)
        return rows[0] if rows else None

    def all(self, sql: str, values: tuple[Any, ...]) -> list[Any]:
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.DatabaseError as error:
                self._mend(error)
                return []

    def write(self, sql: str, rows: list[Any]) -> None:
        with self._lock:
            try:
                with self._db:
                    self._db.executemany(sql, rows)
            except sqlite3.DatabaseError as error:
                self._mend(error)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _open(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)
            return self._connect(str(self._path))
        except (sqlite3.OperationalError, OSError):
            return self._connect(":memory:")
        except sqlite3.DatabaseError:
            self._remove()
            self._path.touch(mode=0o600)
            return self._connect(str(self._path))

    def _connect(self, name: str) -> sqlite3.Connection:
        db = sqlite3.connect(name, check_same_thread=False, timeout=1.0)
        try:
            for function, (arguments, body) in self._functions.items():
                db.create_function(function, arguments, body, deterministic=True)
            db.execute("PRAGMA journal_mode = TRUNCATE")
            db.execute("PRAGMA synchronous = OFF")
            db.execute("PRAGMA secure_delete = ON")
            db.executescript(self._tables)
        except BaseException:
            db.close()
            raise
        return db

    def _mend(self, error: sqlite3.DatabaseError) -> None:
        """Replace a damaged file. An OperationalError is a passing state, not damage."""
        if isinstance(error, sqlite3.OperationalError | sqlite3.ProgrammingError):
            return
        self._db.close()
        self._remove()
        self._db = self._open()

    def _remove(self) -> None:
        for suffix in ("", "-journal"):
            with suppress(OSError):
                self._path.with_name(self._path.name + suffix).unlink()
