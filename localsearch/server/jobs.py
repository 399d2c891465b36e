"""Background work that survives a restart: kept in SQLite, done one after the other, its progress reported.

A job that a stop interrupted is queued again when the server starts: indexing goes on from where it was, and documents
that are there already are not stored twice. One that was under way at three unclean ends is marked interrupted, since
it may well have caused them. Any thread may call `Jobs`, except the event loop: calls wait for the database. The loop
may read `revision` and `busy`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from localsearch.errors import ConflictError, LocalSearchError, NotFoundError
from localsearch.server.database import ServiceDatabase
from localsearch.server.problems import busy
from localsearch.server.schemas.jobs import JobAnswer, JobProgress, JobState
from localsearch.types import Cancelled, Progress, Report

MOST_TRIES = 3
KEPT = 500
"""Finished jobs that are remembered."""
MOST_WAITING_BYTES = 256 << 20
_SAVE_EVERY_S = 2.0
_LEARN_S = 1.0
"""Seconds of a stage after which its rate tells how long it may take."""
_COLUMNS = "id, kind, state, progress, created, started, finished, tries, result, error"

T = TypeVar("T")

JobHandler = Callable[[Any, Report, Cancelled], Mapping[str, Any]]
"""Does a job's payload; returns what it came to."""

log = logging.getLogger("localsearch.jobs")


@dataclass(slots=True)
class _Running:
    """The job under way. `stop` is set when it must end, `cancelled` when a person asked for that."""

    job: JobAnswer
    stop: threading.Event
    cancelled: bool = False
    saved: float = 0.0
    stage: str = ""
    began: float = 0.0
    """When the stage began, by time.monotonic."""
    first: int = 0
    """How much was done of it then."""

    def left_s(self, step: Progress) -> float | None:
        """Seconds that the stage may take yet, once it has gone on for long enough to tell."""
        now = time.monotonic()
        if step.stage != self.stage:
            self.stage, self.began, self.first = step.stage, now, step.done
        done, spent = step.done - self.first, now - self.began
        if step.total is None or done <= 0 or spent < _LEARN_S:
            return None
        return round((step.total - step.done) * spent / done, 1)


class Jobs:
    """The queue and the one thread that works it off."""

    def __init__(self, db: ServiceDatabase, handlers: Mapping[str, JobHandler], most_queued: int) -> None:
        self._db, self._handlers, self._most = db, handlers, most_queued
        self._running: _Running | None = None
        self._lock = threading.Lock()
        self._news = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.revision = 0
        """Grows with every change of any job."""

    def start(self) -> None:
        """Queue again what an earlier process left unfinished, and begin."""
        self._recover()
        self._thread = threading.Thread(target=self._run, name="localsearch-jobs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop at the next unit of work. What is unfinished stays queued for the next start."""
        with self._news:
            self._stopping = True
            if self._running:
                self._running.stop.set()
            self._news.notify_all()
        if self._thread:
            self._thread.join()

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return self._running is not None

    def submit(self, kind: str, payload: Any) -> JobAnswer:
        """Queue a job, durably. Raises 503 with Retry-After when the queue is full."""
        body = msgspec.json.encode(payload)
        with self._lock:
            waiting, bytes_waiting = self._waiting()
            if waiting >= self._most or bytes_waiting + len(body) > MOST_WAITING_BYTES:
                raise busy(
                    "queue_full", f"{waiting} jobs are waiting already.", 10, "Wait for some to finish."
                )
            number = self._db.write(
                "INSERT INTO jobs (kind, payload, size, state, created) VALUES (?, ?, ?, 'queued', ?)",
                (kind, body, len(body), time.time()),
            )
        self._notify()
        return self.get(number)

    def get(self, id: int) -> JobAnswer:
        """One job as it stands now. Raises NotFoundError."""
        running = self._running
        if running and running.job.id == id:
            return running.job
        rows = self._db.query(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (id,)) if id < 1 << 63 else []
        if not rows:
            raise NotFoundError(f"There is no job {id}.", hint="GET /jobs lists them.")
        return _job(rows[0])

    def list(self, state: JobState | None = None, limit: int = 50) -> list[JobAnswer]:
        """Jobs, newest first."""
        where, values = ("WHERE state = ?", [state]) if state else ("", [])
        rows = self._db.query(
            f"SELECT {_COLUMNS} FROM jobs {where} ORDER BY id DESC LIMIT ?", [*values, limit]
        )
        running = self._running
        return [running.job if running and running.job.id == row[0] else _job(row) for row in rows]

    def cancel(self, id: int) -> JobAnswer:
        """Stop a job: at once if it waits, else at its next unit of work. Raises ConflictError when it has ended."""
        with self._lock:
            running = self._running
            if running and running.job.id == id:
                running.cancelled = True
                running.stop.set()
                return running.job
            gone = self._db.write(
                "UPDATE jobs SET state = 'cancelled', finished = ?, payload = NULL"
                " WHERE id = ? AND state IN ('queued', 'held')",
                (time.time(), min(id, (1 << 63) - 1)),
            )
        job = self.get(id)
        if not gone:
            raise ConflictError(
                f"Job {id} is {job.state} already.", hint="Only waiting and running jobs can be stopped."
            )
        self._notify()
        return job

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        return dict(self._db.query("SELECT state, count(*) FROM jobs GROUP BY state"))

    # -- the thread

    def _recover(self) -> None:
        """Jobs that were running when the process died have used up a try; after too many they rest."""
        self._db.write(
            "UPDATE jobs SET state = 'interrupted', finished = ?, payload = NULL, error = ?"
            " WHERE state = 'running' AND tries >= ?",
            (
                time.time(),
                _error_json("interrupted", f"The server ended {MOST_TRIES} times during this job."),
                MOST_TRIES,
            ),
        )
        self._db.write("UPDATE jobs SET state = 'queued' WHERE state = 'running'")

    def _run(self) -> None:
        while not self._stopping:
            try:
                id = self._next()
                if id is not None:
                    self._do(id)
            except LocalSearchError as error:
                log.error("the queue of jobs cannot be used: %s", error)
                time.sleep(1.0)
            finally:
                self._running = None
                self._changed()

    def _next(self) -> int | None:
        """Wait for a job. None when it is time to stop."""
        with self._news:
            while not self._stopping:
                rows = self._db.query("SELECT id FROM jobs WHERE state = 'queued' ORDER BY id LIMIT 1")
                if rows:
                    return int(rows[0][0])
                self._news.wait(5.0)
            return None

    def _do(self, id: int) -> None:
        with self._lock:
            taken = self._db.write(
                "UPDATE jobs SET state = 'running', tries = tries + 1, started = ?"
                " WHERE id = ? AND state = 'queued'",
                (time.time(), id),
            )
            if not taken:
                return
            running = self._running = _Running(self.get(id), threading.Event())
        if self._stopping:
            running.stop.set()
        self._changed()
        log.info("job %s started: %s", id, running.job.kind)
        self._finish(running, *self._outcome(running))

    def _outcome(self, running: _Running) -> tuple[str, str | None, str | None]:
        """Do the work; the state it ends in, its result and its error as JSON."""
        payload = self._db.query("SELECT payload FROM jobs WHERE id = ?", (running.job.id,))[0][0]
        try:
            result = self._handlers[running.job.kind](
                msgspec.json.decode(payload), lambda step: self._progress(running, step), running.stop.is_set
            )
        except LocalSearchError as error:
            if running.stop.is_set() and error.code == "cancelled":
                return self._stopped(running), None, None
            return "failed", None, _error_json(error.code, error.message, error.hint)
        except Exception:
            log.exception("job %s failed", running.job.id)
            return (
                "failed",
                None,
                _error_json("internal", "Something went wrong inside.", "The log has the details."),
            )
        if running.stop.is_set() and result.get("cancelled"):
            return self._stopped(running), msgspec.json.encode(result).decode(), None
        return "done", msgspec.json.encode(result).decode(), None

    def _stopped(self, running: _Running) -> str:
        """A person's cancel ends a job; the server's own stop only postpones it."""
        return "cancelled" if running.cancelled else "queued"

    def _finish(self, running: _Running, state: str, result: str | None, error: str | None) -> None:
        ended = None if state == "queued" else time.time()
        step = msgspec.json.encode(running.job.progress).decode()
        self._db.write(
            "UPDATE jobs SET state = ?, result = ?, error = ?, progress = ?, finished = ?,"
            " tries = CASE ? WHEN 'queued' THEN tries - 1 ELSE tries END,"
            " payload = CASE ? WHEN 'queued' THEN payload END WHERE id = ?",
            (state, result, error, step, ended, state, state, running.job.id),
        )
        self._db.write(
            "DELETE FROM jobs WHERE finished IS NOT NULL AND id NOT IN"
            " (SELECT id FROM jobs WHERE finished IS NOT NULL ORDER BY id DESC LIMIT ?)",
            (KEPT,),
        )
        log.info("job %s %s", running.job.id, state)

    def _progress(self, running: _Running, step: Progress) -> None:
        progress = JobProgress(
            stage=step.stage,
            done=step.done,
            total=step.total,
            unit=step.unit,
            detail=step.detail,
            left_s=running.left_s(step),
        )
        running.job = msgspec.structs.replace(running.job, progress=progress)
        self.revision += 1
        now = time.monotonic()
        if now - running.saved > _SAVE_EVERY_S:
            running.saved = now
            self._db.write(
                "UPDATE jobs SET progress = ? WHERE id = ?",
                (msgspec.json.encode(progress).decode(), running.job.id),
            )

    def _waiting(self) -> tuple[int, int]:
        row = self._db.query("SELECT count(*), coalesce(sum(size), 0) FROM jobs WHERE state = 'queued'")[0]
        return int(row[0]), int(row[1])

    def _notify(self) -> None:
        self._changed()
        with self._news:
            self._news.notify_all()

    def _changed(self) -> None:
        self.revision += 1


def _job(row: tuple[Any, ...]) -> JobAnswer:
    id, kind, state, progress, created, started, finished, tries, result, error = row
    return JobAnswer(
        id=id,
        kind=kind,
        state=state,
        progress=_read(progress, JobProgress) or JobProgress(),
        created=created,
        started=started,
        finished=finished,
        tries=tries,
        result=_read(result, dict[str, Any]),
        error=_read(error, dict[str, str]),
    )


def _read(text: str | None, kind: type[T]) -> T | None:
    """A column of JSON; None where there is none, or one that another program wrote."""
    try:
        return msgspec.json.decode(text, type=kind) if text else None
    except msgspec.DecodeError:
        return None


def _error_json(code: str, message: str, hint: str = "") -> str:
    return msgspec.json.encode({"code": code, "message": message, "hint": hint}).decode()


ENDED: frozenset[str] = frozenset({"done", "failed", "cancelled", "interrupted"})
