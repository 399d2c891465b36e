"""One SQLite file: one connection that writes, one read-only connection per reading thread.

Only the writing connection checkpoints, since SQLite before 3.51.3 can corrupt its log when two do at once.
After an I/O error nothing more is written until the index is reopened, since a failed fsync may have lost data that a
later commit would claim to hold.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from localsearch.errors import DamagedError, ReadOnlyError, StorageError, no_text
from localsearch.platform.counts import Count
from localsearch.platform.disk import disk_full, free_bytes, is_full
from localsearch.store.migrations import check_format, migrate
from localsearch.types import Ids

FILE = "index.db"
SERVICE = "service.db"
"""Beside it, the server's API keys and jobs."""
IDENTITY = "identity.json"
"""Beside it, which index this is, for copies of it; in no backup, since what is restored goes another way."""
REPLICA = "replica"
"""Beside it in a folder that follows a primary: the snapshots of it. There is no `FILE` then."""
_NUMBER = "state"
"""The row of `settings` that counts the transactions that changed anything."""
WAL_STEP = 4 << 20
"""Bytes of the log after which it is moved into the database, again and again while readers keep it from ending."""
WAL_LIMIT = 32 << 20
"""Bytes of the log from which a writer waits for readers, so that it can end."""
_PAGE = 8192
_LEAST_ROOM = 128 << 10
"""Bytes: a step by which SQLite lets its files grow is 32 kB."""
"""Bytes of a page of a new database: a vector of 384 dimensions takes 631 of them, and 684 of pages of 4,096."""
_BOUND = 64
"""Ids up to which a statement is prepared for their number."""
_WAIT_MS = 30_000
_WAIT_FOR_READERS_MS = 5_000

LISTED = "SELECT value FROM json_each(?)"
"""What stands in a statement for any number of ids, bound as `listed` gives them. Written into the statement they would
make it another one each time, of which Python keeps the last 128 prepared, with all their ids."""


def listed(ids: Iterable[int]) -> str:
    """Ids as `LISTED` takes them."""
    return f"[{','.join(str(int(i)) for i in ids)}]"


class Database:
    """The database file of a home folder. Writing is serialised; reading never waits for it."""

    def __init__(
        self,
        file: Path,
        *,
        read_only: bool = False,
        commits: Count | None = None,
        states: Count | None = None,
    ) -> None:
        """`commits` is counted up by the writer after each commit, and where it is shared, read by readers; so is
        `states`, the number of the state."""
        self.file = file
        self.read_only = read_only
        self._lock = threading.RLock()
        self._writing_thread: int | None = None
        self._local = threading.local()
        self._readers: dict[threading.Thread, sqlite3.Connection] = {}
        self._readers_lock = threading.Lock()
        self._failed: str | None = None
        self._checkpoint_at = WAL_STEP
        self._closed = False
        self._counted = not read_only or commits is not None
        self._commits, self._states = commits or Count(), states or Count()
        if not read_only:
            self._writer = self._open_writer()
            self._states.set(self._stored_number(self._writer))

    @classmethod
    def open(
        cls,
        home: Path,
        *,
        read_only: bool = False,
        commits: Count | None = None,
        states: Count | None = None,
    ) -> Database:
        """Open HOME/index.db, making and migrating it first unless read-only.

        Raises ReadOnlyError, DamagedError, DiskFullError or FormatError (made by a newer release).
        """
        file = home / FILE
        if read_only and not file.exists():
            raise ReadOnlyError(f"There is no index in {home}.", hint="Run `localsearch index PATH` first.")
        if file.exists() and file.stat().st_size == 0 and not file.with_name(FILE + "-wal").exists():
            raise DamagedError(
                f"{file} is empty: something has cut it to nothing.",
                hint="Restore a backup, or move the file away to begin anew.",
            )
        with _explained(file):
            return cls(file, read_only=read_only, commits=commits, states=states)

    def _open_writer(self) -> sqlite3.Connection:
        new = not self.file.exists()
        connection = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False, timeout=30)
        if new:
            os.chmod(self.file, 0o600)
            connection.execute(f"PRAGMA page_size={_PAGE}")
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=FAST"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA cache_size=-65536")
        connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT}")
        # SQLite swallows an error of its own checkpoints, and the next one would take lost pages for written.
        connection.execute("PRAGMA wal_autocheckpoint=0")
        migrate(connection)
        return connection

    def _open_reader(self) -> sqlite3.Connection:
        immutable = self.read_only and not os.access(self.file.parent, os.W_OK) and not self._log_size()
        uri = f"file:{_quoted(self.file)}?mode=ro" + ("&immutable=1" if immutable else "")
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30)
        connection.execute("PRAGMA cache_size=-8192")
        check_format(connection)
        return connection

    @property
    def reader(self) -> sqlite3.Connection:
        """This thread's read-only connection; inside its own `write()`, the writing one, which sees the changes."""
        if self._writing_thread == threading.get_ident():
            return self._writer
        if self._closed:
            raise _closed()
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            with _explained(self.file):
                connection = self._local.connection = self._open_reader()
            self._keep(connection)
        return connection

    def _keep(self, connection: sqlite3.Connection) -> None:
        """Keep a thread's connection for closing, and close those of threads that have ended."""
        with self._readers_lock:
            for thread in [thread for thread in self._readers if not thread.is_alive()]:
                self._readers.pop(thread).close()
            self._readers[threading.current_thread()] = connection

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        """All rows of a reading statement, as tuples."""
        with _explained(self.file):
            return self.reader.execute(sql, params).fetchall()

    def numbers(self, sql: str, params: Sequence[Any] = ()) -> Ids:
        """The first column of all rows of a reading statement, integers, shape (rows,). No row is kept meanwhile."""
        with _explained(self.file):
            return np.fromiter(map(itemgetter(0), self.reader.execute(sql, params)), np.int64)

    def among(self, sql: str, ids: Iterable[int], params: Sequence[Any] = ()) -> list[Any]:
        """All rows of a reading statement in which `{}` stands for a list of ids, before all parameters. A page's worth
        of them is bound, so that the statement is prepared once for all pages of that size."""
        wanted = [int(i) for i in ids]
        if not wanted:
            return []
        if len(wanted) <= _BOUND:
            return self.query(sql.format(",".join("?" * len(wanted))), [*wanted, *params])
        return self.query(sql.format(LISTED), [listed(wanted), *params])

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None."""
        with _explained(self.file):
            row = self.reader.execute(sql, params).fetchone()
        return None if row is None else row[0]

    @property
    def state(self) -> int | None:
        """A number that changes with every commit; None where others write uncounted, or this thread is about to."""
        writing = self._writing_thread == threading.get_ident()
        return self._commits.value if self._counted and not writing else None

    @property
    def number(self) -> int:
        """The number of the state that answers are of, or of a later one; it grows with each transaction that changed
        anything, in this process or another. Reads memory alone."""
        return self._states.value

    def hear(self) -> int:
        """Look up `number` where no writer shares it, and return it."""
        if not self._counted:
            self._states.set(self.stored_number())
        return self.number

    def stored_number(self) -> int:
        """The number of the state that this thread reads."""
        return self._stored_number(self.reader)

    def _stored_number(self, connection: sqlite3.Connection) -> int:
        with _explained(self.file):
            row = connection.execute("SELECT value FROM settings WHERE name = ?", (_NUMBER,)).fetchone()
        return int(row[0]) if row else 0

    def _count_state(self) -> None:
        """Number the state that the open transaction makes. Told before the commit: whoever reads it early is told
        too much rather than too little."""
        number = self._stored_number(self._writer) + 1
        self._writer.execute("REPLACE INTO settings (name, value) VALUES (?, ?)", (_NUMBER, str(number)))
        self._states.set(number)

    def changed_elsewhere(self) -> bool:
        """Whether another connection has committed since this thread asked last; true when it never asked."""
        version = self.one("PRAGMA data_version")
        before, self._local.data_version = getattr(self._local, "data_version", None), version
        return bool(before != version)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Read several statements from one state of the database."""
        connection = self.reader
        if connection.in_transaction:
            yield connection
            return
        with _explained(self.file):
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction: all of it or none. Nested use joins the outer one."""
        with self._lock:
            self._check_writable()
            if self._writing_thread is not None:
                yield self._writer
                return
            with self._noting_failure(), _explained(self.file):
                yield from self._transaction()
            self._end_log_if_long()

    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._writer.execute("BEGIN IMMEDIATE")
        self._writing_thread = threading.get_ident()
        before = self._writer.total_changes
        try:
            yield self._writer
            if self._writer.total_changes != before:
                self._count_state()
            self._writer.execute("COMMIT")
            self._commits.add()
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        finally:
            self._writing_thread = None

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Part of the open transaction that is undone alone when it raises. Only inside `write()`."""
        with _explained(self.file):
            self._writer.execute("SAVEPOINT part")
            try:
                yield
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK TO part")
                    self._writer.execute("RELEASE part")
                raise
            self._writer.execute("RELEASE part")

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            if error.data.get("io"):
                self._failed = error.message
            raise

    def stop(self, why: str) -> None:
        """Write nothing more until the index is opened again."""
        self._failed = why

    def _check_writable(self) -> None:
        if self.read_only:
            raise ReadOnlyError("This index is open for reading only.", hint="Open it without read_only.")
        if self._closed:
            raise _closed()
        if self._failed:
            raise StorageError(
                f"Writing stopped after a disk error: {self._failed}",
                hint="Check the disk, then restart: the index is checked and goes on from its last durable state.",
            )

    def _end_log_if_long(self) -> None:
        """Keep the log short. What was committed is durable in it already, so an error only stops later writes."""
        size = self._log_size()
        if size < self._checkpoint_at:
            return
        try:
            with self._noting_failure(), _explained(self.file):
                self._checkpoint(_WAIT_FOR_READERS_MS if size >= WAL_LIMIT else 0)
        except StorageError:
            pass
        self._checkpoint_at = self._log_size() + WAL_STEP

    def _checkpoint(self, wait_ms: int) -> None:
        """Move the log into the database file. Empty the log too, if all readers release it within this time."""
        self._writer.execute(f"PRAGMA busy_timeout={wait_ms}")
        try:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._writer.execute(f"PRAGMA busy_timeout={_WAIT_MS}")

    def _log_size(self) -> int:
        try:
            return self.file.with_name(FILE + "-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def size(self) -> int:
        """Bytes of the database file and its log."""
        files = (self.file, self.file.with_name(FILE + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def shrink(self) -> None:
        """Rewrite the file without free space; nothing deleted remains in it or in the log."""
        import sqlite_utils

        with self._lock:
            self._check_writable()
            with self._noting_failure(), _explained(self.file):
                sqlite_utils.Database(self._writer, execute_plugins=False).vacuum()
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def backup_to(self, file: Path) -> None:
        """Copy a consistent state into a new file with SQLite's own backup.

        In one step: between steps a writer may come in, after each of which SQLite starts again from the first page.
        """
        with _explained(self.file):
            target = sqlite3.connect(file)
            try:
                self.reader.backup(target)
            finally:
                target.close()

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with self._readers_lock:
                for connection in self._readers.values():
                    connection.close()
            if not self.read_only:
                self._writer.close()


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, each with what to do about it."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise explain(error, file) from error
    except UnicodeEncodeError as error:
        raise no_text(error) from None
    except OSError as error:
        if is_full(error):
            raise disk_full(file.parent) from error
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise _too_many_open(file) from error
        raise


def explain(error: sqlite3.DatabaseError, file: Path) -> StorageError | ReadOnlyError | sqlite3.DatabaseError:
    """The error of ours that says what this one of SQLite's means."""
    text = str(error)
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in text:
        return _closed()
    if "full" in text or ("I/O error" in text and _has_no_room(file.parent)):
        return disk_full(file.parent)
    if "unable to open" in text and _descriptors_are_out(file.parent):
        return _too_many_open(file)
    if "readonly" in text or "unable to open" in text:
        return ReadOnlyError(f"{file} cannot be opened for writing.", hint="Check the folder's permissions.")
    if "I/O error" in text:
        return StorageError(f"The disk failed while using {file}.", hint="Check the disk.", io=True)
    if "malformed" in text or "not a database" in text or "decode to UTF-8" in text:
        return DamagedError(
            f"{file} is damaged: {text}.",
            hint="Nothing was changed. Restore a backup with `localsearch restore`, or move the file away.",
        )
    return error


def _has_no_room(folder: Path) -> bool:
    """Whether a disk is full: SQLite calls it an I/O error where a file beside the database cannot grow."""
    with suppress(OSError):
        return free_bytes(folder) < _LEAST_ROOM
    return False


def _descriptors_are_out(folder: Path) -> bool:
    """Whether opening anything fails for want of a descriptor. Not tried on the database: closing would unlock it."""
    try:
        os.close(os.open(folder, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False


def _too_many_open(file: Path) -> StorageError:
    return StorageError(
        f"{file} cannot be opened: too many files are open.", hint="Raise the limit: ulimit -n 4096"
    )


def _closed() -> StorageError:
    return StorageError("The index is closed.", hint="Open it again.")


def _quoted(file: Path) -> str:
    return str(file).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
