"""What `serve --follow` does beside answering: look for later states, take them, exchange the index for them."""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from localsearch.engine import Engine
from localsearch.engine.audit import AuditLog
from localsearch.errors import CancelledError, LocalSearchError, UnavailableError
from localsearch.replication.identity import Identity
from localsearch.replication.intake import Present
from localsearch.replication.replica import Replica, remove
from localsearch.replication.sources import Source
from localsearch.server.database import ServiceDatabase
from localsearch.server.exchange import Engines
from localsearch.settings import Settings
from localsearch.store.database import SERVICE

log = logging.getLogger("localsearch.replica")

_JITTER = 0.1
_LONGEST_WAIT_S = 60.0
_CLOSE_S = 0.2
"""Seconds between two looks whether a former index can be closed."""


@dataclass(frozen=True, slots=True)
class Following:
    """How a reader stands. Times are seconds since 1970; `error` is why it does not have what its source has."""

    source: str
    primary: str
    state: str
    shipped: float
    confirmed: float
    taken: int = 0
    fetched_bytes: int = 0
    error: str | None = None


class Follower:
    """Holds the snapshot that answers and takes the next ones in a thread of its own."""

    def __init__(self, settings: Settings, source: Source, clock: Callable[[], float] = time.time) -> None:
        self._settings, self._source, self._clock = settings, source, clock
        self._replica = Replica(settings.home)
        self._replica.make()
        self._present: Present | None = None
        self._engines: Engines | None = None
        self._engine: Engine | None = None
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._status: Following | None = None
        self._failures = 0

    @property
    def status(self) -> Following:
        """How it stands; only after `first`."""
        assert self._status
        return self._status

    @property
    def identity(self) -> Identity:
        """Which index answers; only after `first`."""
        assert self._present
        return _identity(self._present)

    def first(self, say: Callable[[str], None]) -> Engine:
        """The snapshot to begin with: that of the last run, else the first that the source has, waited for."""
        present = self._replica.current()
        if present is None:
            present = self._wait_for_first(say)
        self._replica.clear(present)
        engine = self._opened(present)
        self._engine = engine
        self._adopt(present)
        return engine

    def _wait_for_first(self, say: Callable[[str], None]) -> Present:
        said = ""
        while not self._stop.is_set():
            try:
                manifest = self._source.manifest(None)
                say(f"Taking state {manifest.n} from {self._source.name}.")
                taken = self._replica.take(manifest, self._replica.intake(self._source), None)
                self._replica.publish(taken)
                return taken
            except LocalSearchError as error:
                if (words := _words(error)) != said:
                    say(f"There is nothing to answer from yet. {words}")
                    said = words
                self._stop.wait(self._settings.server.follow_s)
        raise CancelledError("Stopped.", hint="It goes on where it was.")

    def start(self, engines: Engines) -> None:
        """Begin to follow."""
        self._engines = engines
        self._thread = threading.Thread(target=self._run, name="localsearch-follower", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End at the next part; what was fetched is kept."""
        self._stop.set()
        self._wake.set()
        if self._thread:
            self._thread.join()

    def close(self) -> None:
        """Stop, and close the index that answers. Nobody may be using it."""
        self.stop()
        if self._engines:
            self._close_former()
        if self._engine:
            self._engine.close()

    def hurry(self) -> None:
        """Look at the source now: somebody waits for a later state."""
        self._wake.set()

    def _run(self) -> None:
        due = 0.0
        while not self._stop.is_set():
            if time.monotonic() >= due or (self._wake.is_set() and not self._failures):
                self._wake.clear()
                self._look()
                due = time.monotonic() + self._pause()
            self._close_former()
            self._wake.wait(min(_CLOSE_S, max(0.0, due - time.monotonic())))
            if self._wake.is_set() and not self._stop.is_set():
                time.sleep(0.02)  # who waits wakes it many times a second
        self._close_former()

    def _pause(self) -> float:
        """Seconds until the next look, longer after failures, never those of all readers at once."""
        pause = min(self._settings.server.follow_s * 2 ** min(self._failures, 5), _LONGEST_WAIT_S)
        return float(max(0.05, pause)) * (1 + _JITTER * random.uniform(-1, 1))

    def _look(self) -> None:
        """Take what is new. Whatever goes wrong is told, and the present snapshot answers on."""
        try:
            self._take()
            self._failures = 0
        except CancelledError:
            return
        except LocalSearchError as error:
            self._failed(_words(error))
        except Exception as error:
            log.exception("following")
            self._failed(f"An unexpected {type(error).__name__}; the log has the details.")

    def _take(self) -> None:
        assert self._present
        manifest = self._source.manifest(self._present.manifest.state)
        if not self._replica.wants(manifest, self._present):
            self._confirm()
            return
        intake = self._replica.intake(self._source, self._stop.is_set)
        taken = self._replica.take(manifest, intake, self._present)
        try:
            engine = self._opened(taken)
        except BaseException:
            remove(taken.folder)
            raise
        self._exchange(taken, engine)
        intake.clear()
        self._confirm(taken=1, fetched=intake.fetched)

    def _opened(self, present: Present) -> Engine:
        """The index of a snapshot, with the models that are in memory already, and the API keys of its primary in
        place. Raises what opening raises."""
        settings = replace(self._settings, home=present.folder)
        former = self._engines.newest.engine if self._engines else None
        try:
            engine = Engine(settings, read_only=True, models=former.models if former else None)
        except sqlite3.Error as error:
            raise UnavailableError(f"The snapshot cannot be opened: {error}.", hint="Ship again.") from error
        if former:
            engine.share_model(former)
        engine.audit = AuditLog(self._settings.home, wanted=self._settings.audit)
        try:
            copy_keys(present.folder / SERVICE, self._settings.home)
        except sqlite3.Error as error:
            engine.close()
            raise UnavailableError(f"The API keys cannot be taken: {error}.", hint="Look again.") from error
        return engine

    def _exchange(self, taken: Present, engine: Engine) -> None:
        assert self._engines
        try:
            self._replica.publish(taken)
        except BaseException:
            engine.close()
            remove(taken.folder)
            raise
        self._engine = engine
        self._adopt(taken)
        self._engines.exchange(engine, _identity(taken))
        log.info("state %s answers", taken.manifest.state)

    def _adopt(self, present: Present) -> None:
        """Note what answers now."""
        self._present = present
        manifest, before = present.manifest, self._status
        self._status = Following(
            source=self._source.name,
            primary=self._settings.server.primary or manifest.primary or self._source.url,
            state=str(manifest.state),
            shipped=manifest.created,
            confirmed=before.confirmed if before else self._clock(),
            taken=before.taken if before else 0,
            fetched_bytes=before.fetched_bytes if before else 0,
        )

    def _confirm(self, taken: int = 0, fetched: int = 0) -> None:
        status = self.status
        if status.error:
            log.info("the source is followed again")
        self._status = replace(
            status,
            confirmed=self._clock(),
            taken=status.taken + taken,
            fetched_bytes=status.fetched_bytes + fetched,
            error=None,
        )

    def _failed(self, words: str) -> None:
        self._failures += 1
        if words != self.status.error:
            log.warning("not followed: %s", words)
        self._status = replace(self.status, error=words)

    def _close_former(self) -> None:
        assert self._engines
        for engine in self._engines.released():
            engine.close()
            remove(engine.settings.home)


def copy_keys(source: Path, home: Path) -> None:
    """Have the API keys of a snapshot in a home folder, in place of those that were there."""
    if not source.exists():
        return
    ServiceDatabase(home).close()  # it is made, or brought to this release's schema
    target = (home / SERVICE).absolute().as_uri()
    with closing(sqlite3.connect(target, uri=True, isolation_level=None, timeout=30)) as connection:
        connection.execute("ATTACH ? AS shipped", (f"{source.absolute().as_uri()}?mode=ro&immutable=1",))
        connection.execute("BEGIN IMMEDIATE")
        differ = connection.execute(
            "SELECT EXISTS (SELECT * FROM main.keys EXCEPT SELECT * FROM shipped.keys)"
            " OR EXISTS (SELECT * FROM shipped.keys EXCEPT SELECT * FROM main.keys)"
        ).fetchone()[0]
        if differ:
            connection.execute("DELETE FROM main.keys")
            connection.execute("INSERT INTO main.keys SELECT * FROM shipped.keys")
        connection.execute("COMMIT" if differ else "ROLLBACK")


def _identity(present: Present) -> Identity:
    return Identity(present.manifest.id, present.manifest.epoch)


def _words(error: LocalSearchError) -> str:
    return f"{error.message} {error.hint}".strip()
