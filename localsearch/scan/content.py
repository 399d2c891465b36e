"""Read a file's bytes safely: never from a pipe or a device, and notice a change while reading."""

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

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY
_BLOCK = 1 << 20
_RECORDINGS = (
    b"ID3",
    b"OggS",
    b"fLaC",
    b"FORM",
    b"RIFF",
    b"\x30\x26\xb2\x75",
    b"\xff\xfb",
    b"\xff\xf3",
    b"\xff\xf2",
)
_DATABASES = (b"SQLite format 3\0",)
_CONTROLS = bytes([*range(9), 11, *range(14, 27), *range(28, 32), 127])
"""Bytes that text in ASCII or any code page has none of."""


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
    before = os.fstat(handle)
    buffer = memoryview(bytearray(min(_BLOCK, before.st_size + 1)))
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


def is_readable(first: bytes) -> bool:
    """Whether a file that begins so is text, or a database whose text is read; not one that is empty."""
    if first.startswith(_DATABASES):
        return True
    control = len(first) - len(first.translate(None, _CONTROLS))
    return bool(first) and control * 50 <= len(first)


def is_recording(first: bytes) -> bool:
    """Whether a file that begins so is music or a film of a format whose tags are read."""
    return first.startswith(_RECORDINGS) or first[4:8] == b"ftyp"


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
