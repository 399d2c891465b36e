"""The queue in front of the worker processes."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from localsearch.errors import ExtractionError, UnavailableError
from localsearch.extract.limits import failure
from localsearch.extract.process import OpenFile, Outcome, Worker
from localsearch.platform.cores import cores
from localsearch.settings import ChunkSettings, ExtractSettings
from localsearch.types import Cancelled, Extract, never

_LOG = logging.getLogger("localsearch.extract")
AHEAD, _MOST_AHEAD = 32, 128
"""Files given to each worker that the caller has not seen, and to all: they go on while the caller stores what came."""
HELD = 32_000_000
"""Characters of text that wait for the caller, from which workers wait too."""
PATIENCE_S = 0.3
"""Seconds between looks at whether to stop, and how long a file being read may then still take."""


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

    Workers start at the first file. Threads may share one extractor. With `cut` each document comes with its chunks,
    without its blocks.
    """

    def __init__(self, settings: ExtractSettings, cut: ChunkSettings | None = None) -> None:
        self._settings = settings
        self._count = settings.workers or min(8, cores())
        self._idle: queue.LifoQueue[Worker] = queue.LifoQueue()
        self._workers = [Worker(settings, cut) for _ in range(self._count)]
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

    def extract_many(
        self, paths: Iterable[Path | OpenFile], cancelled: Cancelled = never
    ) -> Iterator[tuple[Path, Outcome]]:
        """Read files side by side; results as they come, each with its path, a failure as a value.

        A file that the caller has opened is read through that descriptor. `paths` is asked in the caller's thread, some
        files ahead, and no more text waits than `HELD` and a file for each worker. When `cancelled` says so, or the
        generator is closed, files that are being read are given up within a second. Raises UnavailableError when no
        worker can be started.
        """
        run = _Run()
        threads = [threading.Thread(target=self._work, args=(run,), daemon=True) for _ in self._workers]
        for thread in threads:
            thread.start()
        try:
            yield from self._results(run, iter(paths), cancelled)
        finally:
            run.end(threads)

    def _results(
        self, run: _Run, paths: Iterator[Path | OpenFile], cancelled: Cancelled
    ) -> Iterator[tuple[Path, Outcome]]:
        waiting, most = 0, max(4 * self._count, min(AHEAD * self._count, _MOST_AHEAD))
        while not cancelled():
            while waiting < most and (path := next(paths, None)) is not None:
                run.waiting.put(path)
                waiting += 1
            if not waiting:
                return
            try:
                done, outcome = run.done.get(timeout=PATIENCE_S)
            except queue.Empty:
                continue
            waiting -= 1
            run.hold(-_size(outcome))
            if isinstance(outcome, UnavailableError):
                raise outcome
            yield done, outcome

    def _work(self, run: _Run) -> None:
        while (file := run.waiting.get()) is not None and run.may_read():
            path = file.path if isinstance(file, OpenFile) else file
            worker = self._idle.get()
            run.busy.add(worker)
            try:
                outcome = worker.read(file)
                run.hold(_size(outcome))
                run.done.put((path, outcome))
            except UnavailableError as error:
                run.done.put((path, error))
            except Exception as error:  # whatever it is, the caller waits for an outcome
                _LOG.exception("reading %s", path)
                run.done.put((path, failure("crash", f"an unexpected {type(error).__name__}")))
            finally:
                run.busy.discard(worker)
                self._idle.put(worker)

    def _read(self, path: Path) -> Outcome:
        worker = self._idle.get()
        try:
            return worker.read(path)
        finally:
            self._idle.put(worker)


class _Run:
    """One call of extract_many: what is to be read, what came of it, and which workers are at it."""

    def __init__(self) -> None:
        self.waiting: queue.SimpleQueue[Path | OpenFile | None] = queue.SimpleQueue()
        self.done: queue.SimpleQueue[tuple[Path, Outcome | UnavailableError]] = queue.SimpleQueue()
        self.busy: set[Worker] = set()
        self._held, self._ended = 0, False
        self._changed = threading.Condition()

    def hold(self, characters: int) -> None:
        """So much more text waits for the caller."""
        with self._changed:
            self._held += characters
            self._changed.notify_all()

    def may_read(self) -> bool:
        """Wait until there is room for what is read next; False when the run ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._held < HELD or self._ended)
            return not self._ended

    def end(self, threads: list[threading.Thread]) -> None:
        """Let the threads finish; after a moment, give up the files that they are still reading."""
        _drain(self.waiting)
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for _ in threads:
            self.waiting.put(None)
        deadline = time.monotonic() + PATIENCE_S
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
        for worker in tuple(self.busy):
            worker.give_up()
        for thread in threads:
            thread.join()


def _size(outcome: Outcome | UnavailableError) -> int:
    """Characters of what was read."""
    return sum(len(extract.text) for extract in outcome) if isinstance(outcome, tuple) else 0


def _drain(waiting: queue.SimpleQueue[Path | OpenFile | None]) -> None:
    try:
        while True:
            waiting.get_nowait()
    except queue.Empty:
        return
