"""What is in service.db: API keys and jobs. `server` fills it, `upkeep` keeps, restores and checks it."""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        hash BLOB NOT NULL,
        scope TEXT NOT NULL,
        created REAL NOT NULL,
        revoked REAL
    );
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        payload BLOB,
        size INTEGER NOT NULL,
        state TEXT NOT NULL,
        progress TEXT NOT NULL DEFAULT '{}',
        result TEXT,
        error TEXT,
        tries INTEGER NOT NULL DEFAULT 0,
        created REAL NOT NULL,
        started REAL,
        finished REAL
    );
    CREATE INDEX jobs_by_state ON jobs (state);
    CREATE TABLE totals (name TEXT PRIMARY KEY, value REAL NOT NULL);
    """,
    "DROP TABLE totals",  # index.db counts, since embedding happens without a server too
    "ALTER TABLE keys ADD COLUMN within TEXT NOT NULL DEFAULT '{}'",
)
"""Each runs once, with its number, in one transaction. None is ever edited."""

HELD = "held"
"""The state of a job that came with a backup: it does not run until somebody confirms it."""

UNFINISHED = ("queued", "running")
STATES = (*UNFINISHED, HELD, "done", "failed", "cancelled", "interrupted")
