"""How many cores this process has."""

from __future__ import annotations

import os
from pathlib import Path


def cores() -> int:
    """Cores this process may use: its affinity, and the container's CPU quota rounded up."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(allowed, _quota() or allowed))


def _quota() -> int | None:
    """Cores granted by cgroup v2, or None where there is no limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return None if limit == "max" else -(-int(limit) // int(period))
    except (OSError, ValueError):
        return None
