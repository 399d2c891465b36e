"""The queue in front of the worker processes."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from localsearch.errors import ExtractionError, UnavailableError
from localsearch.extract.process import Outcome, Worker
from localsearch.settings import ExtractSettings
from localsearch.types import Extract


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
