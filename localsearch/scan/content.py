"""Reading a file's bytes safely: never a pipe or a device, and noticing a change while it is read."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localsearch.errors import ExtractionError
from localsearch.platform.beneath import open_beneath

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
_BLOCK = 1 << 20


def content_hash(path: Path) -> bytes:
    """BLAKE2b digest of a file's bytes, 16 bytes long.

    Raises FileNotFoundError when the file is gone, and ExtractionError with the rule `unreadable`, `special` (not a
    regular file) or `changed` (written to while it was read).
    """
    with opened(path) as handle:
        return open_hash(handle, path)


def open_hash(handle: int, path: Path) -> bytes:
    """The same of a file that is open; `path` is for messages."""
    digest = hashlib.blake2b(digest_size=16)
    buffer = memoryview(bytearray(_BLOCK))
    before = os.fstat(handle)
    try:
        while count := os.readv(handle, [buffer]):
            digest.update(buffer[:count])
    except OSError as error:
        raise _unreadable(path, error) from error
    check_unchanged(path, before, os.fstat(handle))
    return digest.digest()


def open_below(folder: int, relative: bytes, path: Path) -> int:
    """Open a regular file below an open folder, no link followed; raises as `content_hash` does."""
    try:
        return open_beneath(folder, relative)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ELOOP, errno.ENOTDIR, errno.EXDEV):
            raise ExtractionError(
                f"{path} is not the file that was found: {error.strerror}",
                rule="special",
                hint="Somebody put something else in its place; it is looked at again at the next run.",
            ) from error
        if error.errno == errno.ESTALE:
            raise _changed(path) from error
        raise _unreadable(path, error) from error


def head(path: Path, length: int = 4096) -> bytes:
    """The first bytes of a regular file; raises as `content_hash` does."""
    with opened(path) as handle:
        try:
            return os.read(handle, length)
        except OSError as error:
            raise _unreadable(path, error) from error


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A file descriptor of a regular file, opened without waiting and without following a link."""
    try:
        handle = os.open(path, _FLAGS)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ExtractionError(
                f"{path} is not a regular file", rule="special", hint="Name a regular file."
            )
        yield handle
    finally:
        os.close(handle)


def check_unchanged(path: Path, before: os.stat_result, after: os.stat_result) -> None:
    """Raise ExtractionError with the rule `changed` when size or time of a file differ."""
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise _changed(path)


def _changed(path: Path) -> ExtractionError:
    return ExtractionError(
        f"{path} changed while it was read", rule="changed", hint="It is tried again on the next run."
    )


def _unreadable(path: Path, error: OSError) -> ExtractionError:
    return ExtractionError(
        f"{path} cannot be read: {error.strerror}",
        rule="unreadable",
        hint="Check its permissions and its disk.",
    )
