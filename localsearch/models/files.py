"""Files on disk: hashing, syncing, and one folder put in place whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localsearch.errors import DiskFullError, StorageError

BLOCK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn the system's write errors into DiskFullError and StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFullError(
                f"the disk is full while writing to {folder}",
                hint="Free some space, or choose another model folder with LOCALSEARCH_MODELS, and try again.",
            ) from error
        raise StorageError(
            f"cannot write to {folder}: {error.strerror or error}", hint="Check that the folder is writable."
        ) from error


@contextmanager
def staging(parent: Path) -> Iterator[Path]:
    """A temporary folder inside `parent`, removed afterwards whatever happens."""
    with storage_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".staging-", dir=parent))
        folder.chmod(0o755)  # it becomes the model's folder, which other users may read
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
            _sync(path)
        _sync(folder)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=".staging-", dir=target.parent))
            target.rename(old / target.name)
            folder.rename(target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            folder.rename(target)
        _sync(target.parent)


def write(path: Path, data: bytes) -> None:
    """Replace a small file atomically and durably."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # Windows cannot open a folder to sync it
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
