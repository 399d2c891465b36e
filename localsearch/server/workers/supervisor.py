"""The process that starts the others, replaces those that die, and ends them in order.

It opens no index and loads next to nothing: what it holds in memory, the others cannot use.

It holds the sockets: what clients and readers have sent to a process that dies before taking it waits for the next.
"""

from __future__ import annotations

import fcntl
import logging
import multiprocessing
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from localsearch.errors import UnavailableError
from localsearch.platform.cores import cores
from localsearch.server import logs
from localsearch.server.listener import listening
from localsearch.server.run_token import RunToken
from localsearch.server.shared.board import Board
from localsearch.server.shared.plan import PRIMARY, Plan
from localsearch.server.workers.process import Failed, Ready, Stopping, Work, run
from localsearch.settings import ServerSettings, Settings

log = logging.getLogger("localsearch.server")

MOST_BY_DEFAULT = 4
"""Processes, whatever the cores, where the settings name no number: each costs memory."""
BACKLOG = 2048
_STEADY_S = 10.0
"""Seconds of life after which a process that dies is replaced at once."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_LONGEST_PLACE = 70
"""Bytes of a folder's name."""
_MORE_S = 15.0
"""Seconds more than requests may take, after which a process that does not end is killed."""


def worker_count(settings: ServerSettings) -> int:
    """How many processes answer: as the settings say, else by the cores; 1 where sockets cannot be shared."""
    if not hasattr(socket, "AF_UNIX") or not hasattr(os, "setsid"):
        return 1
    return settings.workers or min(cores(), MOST_BY_DEFAULT)


@dataclass(slots=True)
class _Worker:
    """One place: the process that has it, and when the next one is due if that has died."""

    place: int
    process: BaseProcess | None = None
    pipe: Connection | None = None
    started: float = 0.0
    was_ready: bool = False
    deaths: int = 0
    due: float | None = field(default=0.0)


class Supervisor:
    """For the main thread of a process, which takes the signals while `run` lasts."""

    def __init__(
        self,
        settings: Settings,
        workers: int,
        listener: socket.socket,
        work: Work,
        say: Callable[[str], None],
    ) -> None:
        self._settings, self._listener, self._work, self._say = settings, listener, work, say
        self._folder = _private_folder()
        self._hold = _held(self._folder)
        self._private = socket.socket(socket.AF_UNIX)
        self._plan = Plan(self._folder, workers, PRIMARY, secrets.token_bytes(32), RunToken.new())
        self._plan.metrics.mkdir(mode=0o700)
        self._private.bind(str(self._plan.socket))
        self._plan.socket.chmod(0o600)
        self._board = Board(self._plan.board, workers)
        self._workers = [_Worker(place) for place in range(workers)]
        self._context = multiprocessing.get_context("spawn")
        self._stopping: float | None = None
        self._signals: list[int] = []
        self._failed: Failed | None = None
        self._said = False

    def run(self) -> None:
        """Serve until a signal; raises what kept the first process from starting."""
        self._private.listen(BACKLOG)
        self._listener.listen(BACKLOG)
        try:
            with self._taking_signals() as wake:
                while not self._over():
                    self._start_due()
                    self._look(wake)
        finally:
            self._kill()
            self._private.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._hold)
        if self._failed:
            raise self._failed.kind(self._failed.message, hint=self._failed.hint)

    def _over(self) -> bool:
        return self._stopping is not None and not any(worker.process for worker in self._workers)

    def _start_due(self) -> None:
        """Start what is due; those that read only after the one that writes has made the index what it must be."""
        if self._stopping is not None:
            return
        now, primary = time.monotonic(), self._workers[PRIMARY]
        for worker in self._workers:
            if worker.due is None or worker.due > now:
                continue
            if worker is primary or primary.was_ready:
                self._start(worker)

    def _start(self, worker: _Worker) -> None:
        ours, theirs = self._context.Pipe(duplex=False)
        plan = replace(self._plan, place=worker.place)
        again = worker.was_ready  # paths are indexed once: their job is kept
        work = replace(self._work, paths=() if again else self._work.paths)
        process = self._context.Process(
            target=run,
            args=(plan, self._settings, self._listener, self._private, theirs, work),
            name=f"localsearch-{worker.place}",
        )
        with _interrupts_held():
            process.start()
        theirs.close()
        worker.process, worker.pipe, worker.started, worker.due = process, ours, time.monotonic(), None

    def _look(self, wake: int) -> None:
        """Wait for something to happen, and do what follows from it."""
        for worker in self._workers:
            if worker.pipe:
                self._hear(worker, worker.pipe)
        sources: list[int | Connection] = [wake]
        sources += [one.pipe for one in self._workers if one.pipe]
        sources += [one.process.sentinel for one in self._workers if one.process]
        wait(sources, self._seconds())
        with suppress(BlockingIOError):
            os.read(wake, 64)
        for worker in self._workers:
            if worker.pipe:
                self._hear(worker, worker.pipe)
            if worker.process and not worker.process.is_alive():
                self._ended(worker, worker.process)
        self._obey()

    def _seconds(self) -> float | None:
        """How long nothing is due."""
        now = time.monotonic()
        if self._stopping is not None:
            return max(0.0, self._stopping - now)
        return min((max(0.05, one.due - now) for one in self._workers if one.due is not None), default=None)

    def _hear(self, worker: _Worker, pipe: Connection) -> None:
        try:
            while pipe.poll():
                message = pipe.recv()
                if isinstance(message, Ready):
                    worker.was_ready = True
                    if not self._said and message.lines:
                        self._said = True
                        for line in message.lines:
                            self._say(line)
                elif isinstance(message, Stopping) and self._stopping is None:
                    self._stop(signal.SIGTERM)
                elif isinstance(message, Failed):
                    self._fail(worker, message)
        except (EOFError, OSError):
            pipe.close()
            worker.pipe = None

    def _fail(self, worker: _Worker, failed: Failed) -> None:
        """What keeps the first process from starting ends the server; later it is tried again."""
        if self._said:
            log.error("a process could not start: %s %s", failed.message, failed.hint)
        elif worker.place == PRIMARY:
            self._failed = failed
            self._stop(signal.SIGTERM)

    def _ended(self, worker: _Worker, process: BaseProcess) -> None:
        process.join()
        self._board.leave(worker.place)
        worker.process = None
        if self._stopping is not None:
            return
        if process.exitcode == 0:
            self._stop(signal.SIGTERM)
            return
        if not self._said:
            message = f"The server's process ended with {process.exitcode} before it answered."
            self._failed = self._failed or Failed(UnavailableError, message, "The log above says why.")
            self._stop(signal.SIGTERM)
            return
        steady = time.monotonic() - worker.started >= _STEADY_S
        worker.deaths = 0 if steady else worker.deaths + 1
        pause = 0.0 if worker.deaths <= 1 else min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (worker.deaths - 2))
        worker.due = time.monotonic() + pause
        log.error(
            "process %s (%s) ended with %s; the next one starts in %.1f s",
            process.pid,
            "writes" if worker.place == PRIMARY else "reads",
            process.exitcode,
            pause,
        )

    def _obey(self) -> None:
        """Pass signals on; kill what has not ended in time."""
        signals, self._signals = self._signals, []
        for number in signals:
            self._stop(number)
        if self._stopping is not None and time.monotonic() >= self._stopping:
            self._kill()

    def _stop(self, number: int) -> None:
        """End all in order at the first signal; a second SIGINT ends them now."""
        if self._stopping is None:
            self._stopping = time.monotonic() + self._settings.server.limits.shutdown_s + _MORE_S
            self._listener.close()
        for worker in self._workers:
            if worker.process and worker.process.pid:
                with suppress(ProcessLookupError):
                    os.kill(worker.process.pid, number)

    def _kill(self) -> None:
        for worker in self._workers:
            if worker.process:
                worker.process.kill()
                worker.process.join()
                worker.process = None

    @contextmanager
    def _taking_signals(self) -> Iterator[int]:
        """Note signals, and make a descriptor readable for each."""
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        os.set_blocking(reading, False)

        def note(number: int, frame: FrameType | None) -> None:
            self._signals.append(number)
            os.write(writing, b"!")

        former = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield reading
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
            os.close(reading)
            os.close(writing)


def _private_folder() -> Path:
    """A new folder of this user's alone, with a name that leaves room for a socket's : 104 bytes on BSD."""
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if len(os.fsencode(place)) <= _LONGEST_PLACE:
            with suppress(OSError):
                return Path(tempfile.mkdtemp(prefix="localsearch-", dir=place))
    raise UnavailableError("There is no folder for temporary files.", hint="Set TMPDIR, or --workers 1.")


def _held(folder: Path) -> int:
    """A lock on a folder, by which systemd-tmpfiles(8) knows that it is in use, however old."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def serve_workers(
    settings: Settings, workers: int, work: Work | None = None, say: Callable[[str], None] = print
) -> None:
    """As `serve`, with this many processes, of which one opens the index for writing. For the main thread.

    Raises what `serve` raises, and what opening the index does.
    """
    settings, listener = listening(settings)
    handler = logs.set_up(settings.server)
    try:
        Supervisor(settings, workers, listener, work or Work(), say).run()
    finally:
        listener.close()
        logs.tear_down(handler)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """A process that starts meanwhile takes no SIGINT until it is ready for one; this one takes it afterwards."""
    resource_tracker.ensure_running()  # which lets SIGINT through when it starts
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
