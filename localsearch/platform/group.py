"""What a process and everything that it has started use together, and a bound for it. Linux tells; see proc(5).

A limit of setrlimit(2) is each process's own: two children have twice as much. Here a parent adds up what all of them
use, at most five times a second and only while there are any. Between two looks they may use more than the bound.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOOK_S = 0.2
"""Seconds between two looks."""
_PROC = Path("/proc")
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a group may use: bytes of resident memory, processor seconds, processes."""

    memory: int
    cpu_s: float
    processes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a group uses. `pids` are its processes, those among them that have ended and wait to be noticed."""

    memory: int
    cpu_s: float
    pids: tuple[int, ...]


class Exceeded(Exception):
    """A group is over its bound; `what` is a field of Bound."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class GroupWatch:
    """Holds a process and its descendants to one bound, for one piece of work.

    Processor seconds count from the first look that finds descendants.
    """

    def __init__(self, leader: int, bound: Bound, clock: Callable[[], float] = time.monotonic) -> None:
        self._leader, self._bound, self._clock = leader, bound, clock
        self._next = clock() + LOOK_S
        self._before: float | None = None

    def look(self) -> None:
        """Raise Exceeded when the group is over its bound; nothing is read more often than every LOOK_S."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + LOOK_S
        if not self.has_children():
            return
        used = usage(self._leader)
        if self._before is None:
            self._before = used.cpu_s
        if len(used.pids) > self._bound.processes:
            raise Exceeded("processes")
        if used.cpu_s - self._before > self._bound.cpu_s:
            raise Exceeded("cpu_s")
        # Pages that a fork shares with its parent were counted twice; what tells them apart takes longer to read.
        if used.memory > self._bound.memory and _proportional(used.pids) > self._bound.memory:
            raise Exceeded("memory")

    def has_children(self) -> bool:
        """Whether something that was started is still there."""
        return has_children(self._leader)


def adopt() -> None:
    """Become the parent of descendants whose own parent ends, so that none can leave by that."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def has_children(leader: int) -> bool:
    """Whether a process has started another that is not gone; False for one that is gone itself, or is not told of."""
    try:
        for thread in (_PROC / str(leader) / "task").iterdir():
            with suppress(ProcessLookupError):
                if (thread / "children").read_bytes():
                    return True
    except FileNotFoundError:
        # A kernel without these lists has the process nevertheless: then all are looked through.
        return (_PROC / str(leader) / "stat").exists() and len(_group(leader)) > 1
    except OSError:
        pass
    return False


def usage(leader: int) -> Usage:
    """What the group of a process uses now: memory of its own, in bytes, and processor seconds since each began."""
    group = _group(leader)
    page, ticks = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
    return Usage(
        sum(_own_pages(pid) for pid in group) * page,
        sum(sum(int(field) for field in fields[11:15]) for fields in group.values()) / ticks,
        tuple(group),
    )


def kill(leader: int) -> None:
    """End a process, its group, and descendants that have left the group."""
    others = [pid for pid in _group(leader) if pid != leader]
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    for pid in others:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _group(leader: int) -> dict[int, list[str]]:
    """The fields of /proc/PID/stat after the name, of the leader, its group, and all that descend from these."""
    everyone = dict(_stats())
    found = {pid: fields for pid, fields in everyone.items() if pid == leader or int(fields[2]) == leader}
    while more := {
        pid: fields for pid, fields in everyone.items() if pid not in found and int(fields[1]) in found
    }:
        found |= more
    return found


def _stats() -> Iterator[tuple[int, list[str]]]:
    for name in os.listdir(_PROC) if _PROC.is_dir() else ():
        if name.isdigit():
            with suppress(OSError, IndexError):
                text = (_PROC / name / "stat").read_text("utf-8", "replace")
                yield int(name), text.rpartition(")")[2].split()


def _own_pages(pid: int) -> int:
    """Resident pages that are not of files; 0 for a process that has ended."""
    try:
        _, resident, shared, *_ = (_PROC / str(pid) / "statm").read_text("ascii").split()
    except (OSError, ValueError):
        return 0
    return int(resident) - int(shared)


def _proportional(pids: tuple[int, ...]) -> int:
    """Bytes of resident memory, of what processes share only the part of each; see proc_pid_smaps(5)."""
    total = 0
    for pid in pids:
        try:
            rows = (_PROC / str(pid) / "smaps_rollup").read_text("utf-8", "replace").splitlines()
            total += next(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))
        except (OSError, StopIteration):
            total += _own_pages(pid) * os.sysconf("SC_PAGE_SIZE")
    return total
