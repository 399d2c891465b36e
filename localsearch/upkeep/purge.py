"""Delete a document so that none of its bytes stay: in the database, both indexes, the caches and the query log."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from localsearch.derived import Derived, Semantic
from localsearch.derived.embedder import rebuild
from localsearch.errors import ConflictError, UnavailableError
from localsearch.store import Database, Feedback, Ledger
from localsearch.store.database import SERVICE, explain
from localsearch.types import Progress, Report, never, no_report

_STEPS = 4
_TRIES = 600
_DUE = "purge_due"
"""Where a server keeps its jobs, if there ever was one."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What was purged: documents by id, and how many vectors no other chunk used (None where a server did it)."""

    documents: tuple[str, ...]
    vectors: int | None


def purge(
    derived: Derived,
    targets: Sequence[str],
    forget_queries: Callable[[], None],
    report: Report = no_report,
    collection: str | None = None,
    *,
    below: bool = True,
) -> Purged:
    """Delete documents by id, or by path with all below it, from every file of the home folder.

    Without `below` a target is an id and nothing else: whoever may store a document under an id may not delete what
    lies below a folder of that name.

    The deletion itself is one durable transaction. The word index and the vector index are then built anew without
    them and the database is rewritten, since all three keep deleted data until then; `finish` does that at the next
    opening when it was cut short.
    """
    corpus, db = derived.corpus, derived.corpus.db
    report(Progress("purge", 0, _STEPS, "steps", "deleting"))
    with db.write() as connection:
        rows = corpus.matching(targets, collection, below=below)
        corpus.remove([row.id for row in rows])
        Feedback(db).forget([row.key for row in rows])
        Ledger(db).forget(
            targets if below else [row.path for row in rows if row.path], collection, below=below
        )
        vectors = derived.embeddings.drop_unused()
        connection.execute("INSERT OR REPLACE INTO settings VALUES (?, 'yes')", (_DUE,))
    finish(derived, forget_queries, report)
    return Purged(tuple(row.key for row in rows), vectors)


def is_due(db: Database) -> bool:
    """Whether a purge was cut short after its deletion."""
    return db.one("SELECT 1 FROM settings WHERE name = ?", (_DUE,)) is not None


def finish(derived: Derived, forget_queries: Callable[[], None], report: Report = no_report) -> None:
    """Rewrite every file that may still hold bytes of what was deleted."""
    corpus, db = derived.corpus, derived.corpus.db
    derived.catch_up()
    corpus.forget_changes(corpus.seq)
    report(Progress("purge", 1, _STEPS, "steps", "word index"))
    derived.rebuild_lexical(no_report)
    report(Progress("purge", 2, _STEPS, "steps", "vector index"))
    semantic = derived.semantic
    if semantic and semantic.vectors.generation is not None:
        _rebuild_vectors(derived, semantic)
    _drop_other_vectors(db.file.parent / "vectors", str(semantic.version.id) if semantic else "")
    report(Progress("purge", 3, _STEPS, "steps", "database"))
    _forget_jobs(db.file.with_name(SERVICE))
    db.shrink()
    forget_queries()  # last, as questions are asked meanwhile
    with db.write() as connection:
        connection.execute("DELETE FROM settings WHERE name = ?", (_DUE,))
    report(Progress("purge", _STEPS, _STEPS, "steps"))


def _rebuild_vectors(derived: Derived, semantic: Semantic) -> None:
    """Publish a generation without the deleted vectors. One that is being built may hold them: wait for it first."""
    for _ in range(_TRIES):
        try:
            semantic.vectors.publish(rebuild(derived, semantic, no_report, never))
            return
        except ConflictError:
            time.sleep(1.0)
    raise UnavailableError(
        "The documents are deleted, but the vector index that still holds their vectors is being rebuilt.",
        hint="Open the index again: that finishes the purge.",
    )


def _forget_jobs(file: Path) -> None:
    """Overwrite the payloads and results of ended jobs: they hold documents, ids and paths."""
    if not file.exists():
        return
    connection = sqlite3.connect(file, isolation_level=None, timeout=30)
    try:
        connection.execute("PRAGMA secure_delete=ON")
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'jobs'").fetchone():
            connection.execute(
                "UPDATE jobs SET payload = NULL, result = NULL, error = NULL, progress = '{}'"
                " WHERE finished IS NOT NULL"
            )
    except sqlite3.DatabaseError as error:
        raise explain(error, file) from error
    finally:
        connection.close()


def _drop_other_vectors(folder: Path, active: str) -> None:
    """Remove graphs of versions not in use, which are made again when needed, and damaged ones that were set aside."""
    for version in folder.iterdir() if folder.exists() else ():
        if version.name != active:
            shutil.rmtree(version, ignore_errors=True)
            continue
        for damaged in version.glob("damaged-*"):
            damaged.unlink()
