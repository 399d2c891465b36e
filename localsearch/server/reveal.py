"""Showing a file in the file manager of whoever runs the server, on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from localsearch.errors import NotFoundError

WAIT_S = 10
"""Seconds that a file manager may take to answer."""
_MANAGER = "org.freedesktop.FileManager1"


def can_reveal() -> bool:
    """Whether there is a program that could do it."""
    return any(shutil.which(command[0]) for command in _commands(Path("/")))


def reveal(path: str) -> None:
    """Show the folder of a file with the file chosen in it, where the file manager can. No shell is asked.

    Raises NotFoundError where no file manager answers: on a machine without a desktop, say.
    """
    for command in _commands(Path(path)):
        if _done(command):
            return
    raise NotFoundError("No file manager answered.", hint="The server has no desktop; copy the path instead.")


def _commands(path: Path) -> Iterator[Sequence[str]]:
    """The ways of this platform, best first."""
    if sys.platform == "darwin":
        yield ("open", "-R", str(path))
    elif sys.platform == "win32":
        yield ("explorer", f"/select,{path}")
    else:
        place = ("--session", "--dest", _MANAGER, "--object-path", f"/{_MANAGER.replace('.', '/')}")
        # An address has no quotes of its own: they are percent-encoded.
        uri = path.as_uri().replace("'", "%27")
        yield ("gdbus", "call", *place, "--method", f"{_MANAGER}.ShowItems", f"['{uri}']", "")
        yield ("xdg-open", str(path.parent))


def _done(command: Sequence[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    try:
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=WAIT_S, cwd=os.sep,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return run.returncode == 0 or command[0] == "explorer"  # which answers 1 when it has shown it
