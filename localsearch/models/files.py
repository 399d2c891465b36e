"""Hash model files, and put a model's folder in place whole or not at all. For `models` only."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from localsearch.platform.disk import rename, sync_path, write_errors

BLOCK = 1 << 20
FULL_HINT = "Free some space, or choose another model folder with LOCALSEARCH_MODELS, and try again."


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def storage_errors(folder: Path) -> AbstractContextManager[None]:
    """Turn the system's write errors into DiskFullError, which names the other way out, and StorageError."""
    return write_errors(folder, full_hint=FULL_HINT)


@contextmanager
def staging(parent: Path) -> Iterator[Path]:
    """A temporary folder inside `parent`, removed afterwards whatever happens."""
    with storage_errors(parent):
        parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        if parent.stat().st_uid == os.geteuid() and parent.stat().st_mode & 0o022:
            parent.chmod(parent.stat().st_mode & 0o755)  # who can write there can put another model in
        folder = Path(tempfile.mkdtemp(prefix=".staging-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, target: Path) -> None:
    """Rename a finished folder into place, its content synced first; an older one there is replaced.

    Not atomic for a replacement (two renames), but a reader sees the old model, none, or the new one: never half.
    """
    with storage_errors(target.parent):
        for path in sorted(folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)  # other users may read a model, whatever the umask
            sync_path(path)
        folder.chmod(0o755)
        sync_path(folder)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=".staging-", dir=target.parent))
            target.rename(old / target.name)
            rename(folder, target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            rename(folder, target)
