"""Work that a search has done in another thread, while a core is free for that.

With as many searches under way as there are cores, another thread only adds waiting for each other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from localsearch.platform.cores import cores

P = ParamSpec("P")
R = TypeVar("R")
_THREADS = 8


class SearchExecutor:
    """Threads shared by all searches. Safe to share between threads; close it when done."""

    def __init__(self, share: int = 0) -> None:
        """`share` is how many cores these searches have; 0: all of this process's."""
        self._cores = share or cores()
        self._lock = threading.Lock()
        self._searches = 0
        self._pool = ThreadPoolExecutor(_THREADS, "localsearch-beside")

    @contextmanager
    def search(self) -> Iterator[None]:
        """Count a search as under way."""
        with self._lock:
            self._searches += 1
        try:
            yield
        finally:
            with self._lock:
                self._searches -= 1

    def start(self, work: Callable[P, R], *args: P.args, **named: P.kwargs) -> Future[R]:
        """Have work done in another thread, or at once when no core is free; what it raises comes with the result."""
        if self._searches < self._cores:
            return self._pool.submit(work, *args, **named)
        done: Future[R] = Future()
        try:
            done.set_result(work(*args, **named))
        except Exception as error:
            done.set_exception(error)
        return done

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
