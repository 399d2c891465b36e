"""What a backup brings that acts by itself: folders that are kept current, jobs that wait, keys that open the server.

A backup may come from another machine or from somebody else. So its folders are not read and its jobs do not run until
somebody confirms them; what came is told, keys by name and scope.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from localsearch.store import Database, Ledger
from localsearch.store.database import FILE, SERVICE, explain
from localsearch.store.service_schema import HELD, UNFINISHED


@dataclass(frozen=True, slots=True)
class Brought:
    """Folders, the work of unfinished jobs, and valid keys as `id (scope, name)`."""

    roots: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


def brought(folder: Path, *, hold: bool, service: bool) -> Brought:
    """What the databases of a folder bring; with `hold` its folders and jobs wait for `confirm` from now on."""
    with closing(_opened(folder / FILE)) as index:
        roots = tuple(path for (path,) in index.execute("SELECT path FROM roots ORDER BY path"))
        if hold:
            # Where a root led is told by the backup, too, and is not to be believed.
            index.execute(
                "UPDATE roots SET options = json_set(json_remove(options, '$.true'), '$.held', json('true'))"
            )
    if not service:
        return Brought(roots)
    with closing(_opened(folder / SERVICE)) as connection:
        marks = ", ".join("?" * len(UNFINISHED))
        jobs = connection.execute(
            f"SELECT kind, substr(CAST(payload AS TEXT), 1, 200) FROM jobs WHERE state IN ({marks}) ORDER BY id",
            UNFINISHED,
        ).fetchall()
        keys = connection.execute("SELECT id, scope, name FROM keys WHERE revoked IS NULL ORDER BY created")
        told = tuple(f"{id} ({scope}, {name})" for id, scope, name in keys)
        if hold:
            connection.execute(f"UPDATE jobs SET state = ? WHERE state IN ({marks})", (HELD, *UNFINISHED))
    return Brought(roots, tuple(f"{kind} {payload}" for kind, payload in jobs), told)


def confirm(db: Database, home: Path) -> Brought:
    """Let folders be read and jobs run that a restore has held back; returns them."""
    ledger = Ledger(db)
    held = [(collection, path, how) for collection, path, how in ledger.roots() if how.get("held")]
    for collection, path, how in held:
        ledger.put_root(collection, path, {name: value for name, value in how.items() if name != "held"})
    return Brought(tuple(path for _, path, _ in held), _release(home / SERVICE))


def _release(file: Path) -> tuple[str, ...]:
    if not file.exists():
        return ()
    try:
        with closing(_opened(file)) as connection:
            jobs = connection.execute("SELECT kind FROM jobs WHERE state = ? ORDER BY id", (HELD,)).fetchall()
            connection.execute("UPDATE jobs SET state = 'queued' WHERE state = ?", (HELD,))
    except sqlite3.DatabaseError as error:
        raise explain(error, file) from error
    return tuple(kind for (kind,) in jobs)


def _opened(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=30
    )
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA synchronous=FULL")
    return connection
