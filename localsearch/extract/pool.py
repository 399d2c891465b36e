"""Worker processes and the queue in front of them."""

from __future__ import annotations

import os
import queue
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

import msgspec

from localsearch.errors import ExtractionError, UnavailableError
from localsearch.extract import wire
from localsearch.extract.limits import failure
from localsearch.settings import ExtractSettings
from localsearch.types import Extract

Outcome = tuple[Extract, ...] | ExtractionError
START_S = 60
"""Seconds a worker may take to start on a busy machine."""


class Worker:
    """One process that reads files, started anew after it has died or left."""

    def __init__(self, settings: ExtractSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        self.confinement: dict[str, str] = {}

    def read(self, path: Path) -> Outcome:
        """What is in a file, or why that cannot be said; never raises for the file's sake."""
        try:
            descriptor = _open(path)
        except ExtractionError as error:
            return error
        try:
            return self._ask(descriptor, path)
        except ExtractionError as error:
            return error
        finally:
            os.close(descriptor)

    def start(self) -> None:
        """Start the process unless it runs; UnavailableError when no process can be had."""
        if self._process is not None:
            return
        ours, theirs = socket.socketpair()
        with theirs:
            self._errors.truncate(0)
            self._process = subprocess.Popen(
                [sys.executable, "-SP", "-m", "localsearch.extract.worker", str(theirs.fileno()),
                 msgspec.json.encode(self._settings).decode()],
                pass_fds=[theirs.fileno()], env=_environment(), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=self._errors, start_new_session=True, cwd="/",
            )  # fmt: skip
        self._connection = ours
        try:
            hello = self._receive(time.monotonic() + START_S)
        except (EOFError, OSError, msgspec.DecodeError) as error:
            raise UnavailableError(
                f"the readers of files cannot be started: {self._end(error).message}",
                hint="Run `localsearch doctor`; installing localsearch anew mends a damaged installation.",
            ) from None
        self.confinement = hello.confinement

    def stop(self) -> None:
        """End the process now, whatever it does."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None

    def close(self) -> None:
        self.stop()
        self._errors.close()

    def _ask(self, descriptor: int, path: Path) -> Outcome:
        self.start()
        assert self._connection is not None
        job = msgspec.msgpack.encode(wire.Job(os.fsencode(path.name).decode("utf-8", "replace")))
        deadline = time.monotonic() + self._settings.wall_s
        try:
            socket.send_fds(self._connection, [job], [descriptor])
            reply = self._receive(deadline)
        except (EOFError, OSError, msgspec.DecodeError) as error:
            raise self._end(error) from None
        if reply.leaving:
            self.stop()
        if reply.rule:
            return ExtractionError(reply.reason, hint=reply.hint, rule=reply.rule)
        return tuple(wire.unpack(found) for found in reply.found)

    def _receive(self, deadline: float) -> wire.Reply:
        assert self._connection is not None
        return msgspec.msgpack.decode(wire.receive(self._connection, deadline), type=wire.Reply)

    def _end(self, error: Exception) -> ExtractionError:
        """Clear away a worker that died or hangs, and say which of the limits it met."""
        assert self._process is not None
        if isinstance(error, EOFError):
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        status = self._process.poll()
        self.stop()
        if isinstance(error, TimeoutError):
            return failure("timeout", f"reading it took longer than {self._settings.wall_s} s")
        return self._cause(status)

    def _cause(self, status: int | None) -> ExtractionError:
        from signal import SIGABRT, SIGALRM, SIGKILL, SIGXCPU, Signals

        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 2000))
        words = self._errors.read().decode("utf-8", "replace").strip()
        if status == -SIGXCPU:
            return failure("cpu", f"reading it took more than {self._settings.cpu_s} s of processor time")
        if status == -SIGALRM:
            return failure("timeout", f"reading it took longer than {self._settings.wall_s} s")
        if ("memory" in words and status in (-SIGABRT, 1)) or status == -SIGKILL:
            return failure("memory", f"reading it takes more than {self._settings.memory_mb} MB of memory")
        ended = Signals(-status).name if status is not None and status < 0 else f"status {status}"
        return failure(
            "crash", f"the reader died of it ({ended}) {words.splitlines()[-1] if words else ''}".strip()
        )


def _open(path: Path) -> int:
    """A descriptor on a regular file; nothing that blocks or acts on being opened is ever opened."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise failure("special", "not a regular file")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise failure("missing", "it was gone when it was to be read") from None
    except OSError as error:
        raise failure("unreadable", error.strerror or str(error)) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise failure("special", "not a regular file")
    return descriptor


def _environment() -> dict[str, str]:
    """A small environment: where Python finds its modules, one locale, and nothing of the user's."""
    home = str(Path(__file__).resolve().parents[2])
    places = [home, *(place for place in sys.path if place and place != home)]
    kept = {name: os.environ[name] for name in ("PATH", "TESSDATA_PREFIX") if name in os.environ}
    return kept | {
        "PYTHONPATH": os.pathsep.join(places),
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        "RAYON_NUM_THREADS": "1",
        "TOKIO_WORKER_THREADS": "1",
    }


def confinement(settings: ExtractSettings) -> dict[str, str]:
    """What confines the readers of files here, by measure, and what a worker could still do when it tried."""
    worker = Worker(settings)
    try:
        worker.start()
        return worker.confinement
    finally:
        worker.close()


class Extractor:
    """Reads files in reused, confined worker processes.

        with Extractor(settings.extract) as extractor:
            for path, outcome in extractor.extract_many(paths):
                if isinstance(outcome, ExtractionError): ...

    Workers start at the first file. Threads may share one extractor.
    """

    def __init__(self, settings: ExtractSettings) -> None:
        self._settings = settings
        self._count = settings.workers or max(1, min(8, len(os.sched_getaffinity(0))))
        self._idle: queue.LifoQueue[Worker] = queue.LifoQueue()
        self._workers = [Worker(settings) for _ in range(self._count)]
        for worker in self._workers:
            self._idle.put(worker)

    def __enter__(self) -> Extractor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers; files being read are given up."""
        for worker in self._workers:
            worker.close()

    def extract(self, path: Path) -> tuple[Extract, ...]:
        """The documents in a file; ExtractionError with `data["rule"]`, a word of limits.HINTS, when there are none.

        A container gives one Extract for each member it holds.
        """
        outcome = self._read(Path(path))
        if isinstance(outcome, ExtractionError):
            raise outcome
        return outcome

    def extract_many(self, paths: Iterable[Path]) -> Iterator[tuple[Path, Outcome]]:
        """Read files side by side; results as they come, each with its path, a failure as a value.

        `paths` is asked in the caller's thread, at most four per worker ahead. Closing the generator waits for the
        files being read, at most for the wall limit. Raises UnavailableError when no worker can be started.
        """
        todo: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[Path, Outcome | UnavailableError]] = queue.SimpleQueue()
        threads = [threading.Thread(target=self._work, args=(todo, done), daemon=True) for _ in self._workers]
        source, waiting = iter(paths), 0
        try:
            for thread in threads:
                thread.start()
            while True:
                path: Path | None
                while waiting < 4 * self._count and (path := next(source, None)) is not None:
                    todo.put(Path(path))
                    waiting += 1
                if not waiting:
                    return
                path, outcome = done.get()
                if isinstance(outcome, UnavailableError):
                    raise outcome
                yield path, outcome
                waiting -= 1
        finally:
            _drain(todo)
            for _ in threads:
                todo.put(None)
            for thread in threads:
                thread.join()

    def _work(
        self,
        todo: queue.SimpleQueue[Path | None],
        done: queue.SimpleQueue[tuple[Path, Outcome | UnavailableError]],
    ) -> None:
        while (path := todo.get()) is not None:
            try:
                done.put((path, self._read(path)))
            except UnavailableError as error:
                done.put((path, error))

    def _read(self, path: Path) -> Outcome:
        worker = self._idle.get()
        try:
            return worker.read(path)
        finally:
            self._idle.put(worker)


def _drain(todo: queue.SimpleQueue[Path | None]) -> None:
    try:
        while True:
            todo.get_nowait()
    except queue.Empty:
        return
