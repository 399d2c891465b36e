"""Numbers that all processes of a server see at once, in a file that each maps.

Each number has one writer. They outlive a process that dies, and end with the server.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from localsearch.platform.counts import Count, WriterCounts

_COMMITS, _CLEARS, _STATES, _FIRST_PLACE = 0, 1, 2, 3
_NUMBERS = 2
"""Numbers of a place: its process, and its open connections."""


def mapped(file: Path, size: int) -> mmap.mmap:
    """A file of this many bytes, zeros at first, in memory that is shared with whoever maps it."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size < size:
            os.truncate(descriptor, size)
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


class Board:
    """The numbers of a server with `workers` processes."""

    def __init__(self, file: Path, workers: int) -> None:
        self.workers = workers
        self._cells = memoryview(mapped(file, 8 * (_FIRST_PLACE + _NUMBERS * workers))).cast("Q")
        self.counts = WriterCounts(*map(self._count, (_COMMITS, _CLEARS, _STATES)))
        """What the process that writes tells those that read."""
        self._pids = [self._count(_FIRST_PLACE + _NUMBERS * place) for place in range(workers)]
        self._connections = [self._count(_FIRST_PLACE + 1 + _NUMBERS * place) for place in range(workers)]

    def enter(self, place: int) -> None:
        """Note that this process has this place."""
        self._connections[place].set(0)
        self._pids[place].set(os.getpid())

    def leave(self, place: int) -> None:
        """Note that nobody has this place."""
        self._pids[place].set(0)

    def hold(self, place: int, connections: int) -> None:
        """Note how many connections this place's process has."""
        self._connections[place].set(connections)

    def has_most(self, place: int) -> bool:
        """Whether another process that lives has fewer connections than this place's."""
        own = self._connections[place].value
        return any(
            self._connections[other].value < own
            for other in range(self.workers)
            if other != place and self._pids[other].value
        )

    def pids(self) -> list[int]:
        """The processes that are there."""
        return [pid for count in self._pids if (pid := count.value)]

    def _count(self, cell: int) -> Count:
        return Count(self._cells[cell : cell + 1])
