"""Durable files, the errors of a disk, and sizes. Everything that writes a file of its own comes here.

A name is durable once its file is synced, renamed and its folder synced (rename(2), fsync(2)).
This module imports the error tree only. It may be called from every folder above `platform`.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from localsearch.errors import DiskFullError, ReadOnlyError, StorageError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS})
_FULL_HINT = "Free some space and run it again; it goes on."
_FAILED_HINT = "Check the folder's permissions and disk."


def is_full(error: OSError) -> bool:
    """Whether the system refused for want of room: no space, or a quota used up."""
    return error.errno in _FULL


def disk_full(folder: Path, hint: str = _FULL_HINT) -> DiskFullError:
    """Return the error for a folder whose disk is full."""
    return DiskFullError(f"the disk is full while writing to {folder}", hint=hint)


def write_error(folder: Path, error: OSError, *, full_hint: str = _FULL_HINT) -> StorageError:
    """Return DiskFullError where room is wanting, StorageError for any other refusal to write."""
    if is_full(error):
        return disk_full(folder, full_hint)
    return StorageError(f"cannot write to {folder}: {error.strerror or error}", hint=_FAILED_HINT)


def open_error(folder: Path, error: OSError) -> StorageError | ReadOnlyError:
    """Return the error for a folder whose files cannot be opened: ReadOnlyError where writing is forbidden."""
    if error.errno in _FORBIDDEN:
        return ReadOnlyError(f"{folder} cannot be written.", hint="Check the folder's permissions.")
    if is_full(error):
        return disk_full(folder)
    what = error.filename or folder
    return StorageError(
        f"{what} cannot be opened: {error.strerror or error}.", hint="Check the disk and limits."
    )


@contextmanager
def write_errors(folder: Path, *, full_hint: str = _FULL_HINT) -> Iterator[None]:
    """Turn every OSError of the block into what `write_error` says of it."""
    try:
        yield
    except OSError as error:
        raise write_error(folder, error, full_hint=full_hint) from error


def open_private(path: Path) -> BinaryIO:
    """Open a new or emptied file for writing that only its owner can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def sync_file(file: IO[bytes] | IO[str]) -> None:
    """Make what was written to an open file durable."""
    file.flush()
    os.fsync(file.fileno())


def sync_path(path: Path) -> None:
    """Make a closed file durable, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def rename(source: Path, target: Path) -> None:
    """Give a synced file its final name, durably; a file of that name is replaced."""
    source.replace(target)
    sync_path(target.parent)


def make_private(folder: Path, *, without: Path | None = None) -> None:
    """Take a folder and all in it from others, whatever the umask was; links are not followed.

    What other programs own, or remove meanwhile, is left alone, and so is the folder `without`.
    """
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if without is None or Path(parent, name) != without]
        for name in (".", *folders, *files):
            with suppress(OSError):
                entry = os.lstat(path := os.path.join(parent, name))
                if not stat.S_ISLNK(entry.st_mode) and entry.st_mode & 0o077:
                    os.chmod(path, stat.S_IMODE(entry.st_mode) & 0o700)


def write_file(path: Path, data: bytes) -> None:
    """Replace a small file, whole or not at all, durably; only its owner can read it. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open_private(temporary) as file:
            file.write(data)
            sync_file(file)
        rename(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that is never changed a second name; a copy where the disk has no such names. Raises OSError."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)
        sync_path(target)


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write to the folder's disk."""
    return shutil.disk_usage(folder).free


def free_share(folder: Path) -> float:
    """The share of the folder's disk that this user may still write, 0..1; 1 where the disk has no size."""
    usage = os.statvfs(folder)
    return usage.f_bavail / usage.f_blocks if usage.f_blocks else 1.0


def folder_bytes(folder: Path, *, without: str = "") -> int:
    """Bytes of all files below a folder, but for one of its entries; 0 where there is no folder.

    A file that goes meanwhile, as those of a word index do when it is merged, counts nothing.
    """
    total = 0
    for parent, folders, files in os.walk(folder):
        if parent == str(folder) and without in folders:
            folders.remove(without)
        for name in files:
            with suppress(OSError):
                state = os.stat(os.path.join(parent, name))
                total += state.st_size if stat.S_ISREG(state.st_mode) else 0
    return total


def drop(folder: Path) -> None:
    """Remove a folder that somebody may yet write to: its name is free at once, and any rest goes next time.

    Raises StorageError where the folder around it may not be written.
    """
    for remains in folder.parent.glob(f".{folder.name}-dropped-*"):
        shutil.rmtree(remains, ignore_errors=True)
    aside = folder.with_name(f".{folder.name}-dropped-{secrets.token_hex(4)}")
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return
    except OSError as error:
        raise write_error(folder.parent, error) from error
    shutil.rmtree(aside, ignore_errors=True)
