"""How many cores this process has, and which threads get them first. Imports nothing of localsearch."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

_NICE = 5
"""Steps of niceness, of 19, by which a background thread gives way to searches."""


def cores() -> int:
    """Cores this process may use: its affinity, and the container's CPU quota rounded up."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(allowed, _quota() or allowed))


def lower_priority() -> None:
    """Let this thread give way to searches. Linux only: elsewhere a priority belongs to the whole process.

    A thread that gives way further already, as in a program started with nice, stays: the system forbids to raise it.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        present = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, max(present, _NICE))


def _quota() -> int | None:
    """Cores granted by cgroup v2, or None where there is no limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return None if limit == "max" else -(-int(limit) // int(period))
    except (OSError, ValueError):
        return None
