"""Counters that several processes may share: one 64-bit number each, in memory that all of them map.

A number is written by one process alone, and read whole by the others: eight aligned bytes are.
Imports nothing of localsearch.
"""

from __future__ import annotations

from dataclasses import dataclass, field


class Count:
    """One counter; in this process's memory unless a cell of shared memory is given."""

    __slots__ = ("_cell",)

    def __init__(self, cell: memoryview | None = None) -> None:
        """`cell` is a view of format Q with one element."""
        self._cell = memoryview(bytearray(8)).cast("Q") if cell is None else cell

    @property
    def value(self) -> int:
        number: int = self._cell[0]
        return number

    def add(self, more: int = 1) -> None:
        """Only for the one process that writes this counter."""
        self._cell[0] += more

    def set(self, value: int) -> None:
        """As `add`."""
        self._cell[0] = value


@dataclass(frozen=True, slots=True)
class WriterCounts:
    """What the writer of an index tells its readers: `commits` grows after each commit, `clears` before caches that
    hold what was forgotten must not answer any more; `commits` grows after `clears` does. `states` is the number of
    the database's state, which outlives the process."""

    commits: Count = field(default_factory=Count)
    clears: Count = field(default_factory=Count)
    states: Count = field(default_factory=Count)

    def clear(self) -> None:
        """Have every reader forget what it has cached, before its next answer."""
        self.clears.add()
        self.commits.add()
