"""A consistent state of a home folder, taken while another process may write to it.

A writer commits to SQLite first and to the word index after that. The database is locked for as long as it takes to see
that both hold the same changes, to link the files of words and vectors, which are never changed, and to begin a
reading transaction; what takes time, the copy of the database, comes after the lock.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from localsearch.errors import DamagedError, UnavailableError
from localsearch.lexical import open_lexical
from localsearch.lexical.integrity import file_names
from localsearch.platform.disk import link_or_copy, write_errors
from localsearch.settings import Settings
from localsearch.store import Corpus, Database
from localsearch.store.database import FILE, SERVICE, explain
from localsearch.text import Analyzer
from localsearch.upkeep.backup import copy_service
from localsearch.vectors import files as generations

_WAIT_S = 10.0
"""Seconds that the word index may take to hold what the database does."""
_POLL_S = 0.005
_LOCK_S = 30.0
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Captured:
    """A folder with the files of one state, `n` of the index; `known` are checksums by path that need no reading."""

    folder: Path
    n: int
    documents: int
    locked_s: float
    known: dict[str, str]


def capture(settings: Settings, db: Database, folder: Path) -> Captured:
    """Fill an empty folder, on the disk of the home folder, with one state of the index.

    Raises UnavailableError while the word index lags behind, StorageError.
    """
    home = settings.home
    # First: a job that ends meanwhile is done twice rather than never, and a key that is revoked is revoked later.
    if copy_service(home / SERVICE, folder / SERVICE):
        _without_jobs(folder / SERVICE)
    words = _Words(settings)
    words.wait(Corpus(db))
    with write_errors(folder), _write_lock(home / FILE) as unlock:
        words.wait(Corpus(db))
        _link_words(home, folder)
        _link_vectors(home, folder)
        with db.snapshot():
            number, documents = db.stored_number(), int(db.one("SELECT count(*) FROM documents"))
            locked_s = unlock()
            db.backup_to(folder / FILE)
    return Captured(folder, number, documents, locked_s, _known(folder))


Mark = tuple[object, ...]


def mark(home: Path, db: Database) -> Mark:
    """What differs after anything that a snapshot holds has changed; read without copying anything."""
    files = [home / "lexical" / "meta.json", home / SERVICE, *sorted(home.glob("vectors/*/manifest.json"))]
    return (db.hear(), *((file, state.st_mtime_ns, state.st_ino) for file in files if (state := _stat(file))))


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except FileNotFoundError:
        return None


class _Words:
    """The word index, as another process sees it; none where it is kept in memory."""

    def __init__(self, settings: Settings) -> None:
        kind, folder = settings.search.lexical_engine, settings.home / "lexical"
        self._index = None if kind == "rank-bm25" else open_lexical(kind, folder, Analyzer(), writable=False)

    def wait(self, corpus: Corpus) -> None:
        """Return when it holds every change. Raises UnavailableError when that takes long."""
        until = time.monotonic() + _WAIT_S
        while self._index and self._index.seq != corpus.seq:
            if time.monotonic() > until:
                raise UnavailableError(
                    "The word index lags behind the database, so there is no whole state to ship.",
                    hint="Wait until indexing has caught up, or run `localsearch check --repair`.",
                )
            time.sleep(_POLL_S)
            with suppress(DamagedError):  # while the writer makes it anew
                self._index.refresh()


@contextmanager
def _write_lock(file: Path) -> Iterator[Callable[[], float]]:
    """Keep every process from committing until the function that is given, or the block, ends; it tells how long."""
    try:
        with closing(sqlite3.connect(file, isolation_level=None, timeout=_LOCK_S)) as connection:
            # Checkpoints are the writer's: two at once can corrupt the log.
            connection.execute("PRAGMA wal_autocheckpoint=0")
            connection.execute("BEGIN IMMEDIATE")
            began = time.monotonic()

            def unlock() -> float:
                connection.execute("ROLLBACK")
                return time.monotonic() - began

            yield unlock
    except sqlite3.DatabaseError as error:
        raise explain(error, file) from error


def _link_words(home: Path, folder: Path) -> None:
    """Link the files of the word index; merging may replace some meanwhile, and then all are linked anew."""
    source, target = home / "lexical", folder / "lexical"
    for tried in range(_TRIES):
        if not source.is_dir():
            return
        try:
            target.mkdir(mode=0o700)
            shutil.copyfile(source / "meta.json", target / "meta.json")
            names = [name for name in file_names(target) if name != "meta.json"]
            for name in names:
                link_or_copy(source / name, target / name)
            (target / ".managed.json").write_text(json.dumps(["meta.json", *names]))
            return
        except FileNotFoundError:
            shutil.rmtree(target)
            if tried == _TRIES - 1:
                raise


def _link_vectors(home: Path, folder: Path) -> None:
    """Link the published generation of every version; one that is replaced meanwhile is linked anew."""
    for source in sorted((home / "vectors").glob("[0-9]*")):
        target = folder / "vectors" / source.name
        for tried in range(_TRIES):
            try:
                if (generation := generations.read_manifest(source)) is None:
                    break
                target.mkdir(mode=0o700, parents=True)
                for entry in generation.files:
                    link_or_copy(source / entry.name, target / entry.name)
                generations.write_manifest(target, generation)
                break
            except FileNotFoundError:
                shutil.rmtree(target, ignore_errors=True)
                if tried == _TRIES - 1:
                    raise


def _known(folder: Path) -> dict[str, str]:
    """Checksums that the manifests of vectors tell."""
    known = {}
    for version in folder.glob("vectors/*"):
        if generation := generations.read_manifest(version):
            for entry in generation.files:
                known[f"vectors/{version.name}/{entry.name}"] = entry.sha256
    return known


def _without_jobs(file: Path) -> None:
    """Leave the API keys alone in a copy of the server's database: jobs are the primary's."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("DELETE FROM jobs")
        connection.execute("VACUUM")
