"""Runs of one ONNX Runtime session, many at once: each on one thread, small, so that a query never queues.

A session with one intra-op thread computes on the thread that calls it. Documents are encoded by background workers of
lower priority; a query runs on its caller's thread at once. Nothing spins, nothing waits for a barrier.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from localsearch import kernels
from localsearch.errors import ModelDamagedError
from localsearch.platform.cores import lower_priority

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Cost:
    """What encoding has cost so far: texts, tokens, and seconds of processor time."""

    texts: int = 0
    tokens: int = 0
    cpu_s: float = 0.0


class Tally:
    """What encoding has cost over any number of sessions; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cost = Cost()

    @property
    def cost(self) -> Cost:
        return self._cost

    def add(self, texts: int, tokens: int, cpu_s: float) -> None:
        """Count one run."""
        with self._lock:
            cost = self._cost
            self._cost = Cost(cost.texts + texts, cost.tokens + tokens, cost.cpu_s + cpu_s)


class Session:
    """One ONNX model in memory; `run` may be called from any number of threads and releases the GIL."""

    def __init__(self, path: Path, tally: Tally | None = None) -> None:
        """`tally` counts what this session does together with others."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        library = kernels.library()
        try:
            if library:
                options.register_custom_ops_library(str(library))
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the library raises its own, undocumented, kinds
            raise ModelDamagedError(
                f"{path} does not load: {error}",
                hint="Run: models verify, then pull or import the model again.",
            ) from error
        self._own = Tally()
        self._tallies = [self._own, tally] if tally else [self._own]

    @property
    def cost(self) -> Cost:
        return self._own.cost

    def run(self, inputs: dict[str, NDArray[np.int32]], *outputs: str) -> list[NDArray[np.float32]]:
        """The outputs named, of one pass over int32 inputs of shape (batch, length), on the calling thread."""
        began = time.thread_time()
        values = self._session.run(list(outputs), inputs)
        seconds, ids = time.thread_time() - began, next(iter(inputs.values()))
        for tally in self._tallies:
            tally.add(ids.shape[0], ids.size, seconds)
        return [np.asarray(value, np.float32) for value in values]


class Workers:
    """A fixed set of threads, made at first use. `background` lowers their priority where the system can (Linux)."""

    def __init__(self, count: int, background: bool) -> None:
        self.count = count
        self._background = background
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Results in order, with at most twice as many items under way as there are threads."""
        pool = self._started()
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * self.count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Wait for running work to end, and drop the rest."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _started(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(
                    self.count, "encode", initializer=lower_priority if self._background else _nothing
                )
            return self._pool


def _nothing() -> None:
    pass
