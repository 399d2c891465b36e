"""Numpy's matrix products on the calling thread while a search runs.

The products of a search are small, and several searches run at once: spread over all cores, they take three times the
processor time of the whole rest of the search, most of it waiting for each other.
"""

from __future__ import annotations

import threading
from contextlib import ContextDecorator
from typing import Any

from threadpoolctl import ThreadpoolController

_NUMPY = "libscipy_openblas"
"""What numpy's own wheels multiply with. A numpy built against another library keeps that library's threads."""


class SmallProducts(ContextDecorator):
    """While anybody is inside, numpy multiplies on one thread; when the last one leaves, as it did before.

    The number of threads belongs to the whole process: whoever uses localsearch inside a program of their own has it
    back as soon as no search runs. Saving and restoring it by each search alone would lose it where two overlap. A
    limit that the program has set itself, with threadpoolctl, stands.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._libraries: list[Any] | None = None
        self._taken: list[tuple[Any, int]] = []

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._take()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._give_back()

    def _numpy(self) -> list[Any]:
        """Looked up once: finding the libraries of a process takes milliseconds, setting a number microseconds."""
        if self._libraries is None:
            self._libraries = list(ThreadpoolController().select(prefix=_NUMPY).lib_controllers)
        return self._libraries

    def _take(self) -> None:
        for library in self._numpy():
            former = library.get_num_threads()
            library.set_num_threads(1)
            if library.get_num_threads() != former:
                self._taken.append((library, former))

    def _give_back(self) -> None:
        for library, former in self._taken:
            # threadpoolctl lets one thread at a time set the number, and the last to leave may not be that one.
            library.clear_controlling_thread(force=True)
            library.set_num_threads(former)
            library.clear_controlling_thread()
        self._taken.clear()


small_products = SmallProducts()
"""One for the process, since what it limits is the process's."""
