"""Processes of this program beside this one: the command that runs a module of ours, and the environment it gets."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def module_command(name: str, *arguments: str) -> list[str]:
    """What runs a module of ours in a Python of its own, without site-packages' hooks and the current folder."""
    return [sys.executable, "-SP", "-m", name, *arguments]


ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "RAYON_NUM_THREADS": "1",
    "TOKIO_WORKER_THREADS": "1",
}
"""For the environment of processes of which there is one for each core."""


def environment(*names: str) -> dict[str, str]:
    """Where Python finds its modules, one locale, and nothing of the user's but these names."""
    home = str(Path(__file__).resolve().parents[2])
    places = [home, *(place for place in sys.path if place and place != home)]
    return {name: os.environ[name] for name in names if name in os.environ} | {
        "PYTHONPATH": os.pathsep.join(places),
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "RUST_BACKTRACE": "0",
    }
