"""Opening files below a folder so that no link can lead out of it, however names change meanwhile.

Linux 5.6 has a call for it, openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS. Where that is missing or forbidden
each part of the path is opened from the one before with O_NOFOLLOW, which allows the same paths.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct

_LIBC = ctypes.CDLL(None, use_errno=True)
_OPENAT2 = 437
_HOW = struct.Struct("=QQQ")
_BENEATH, _NO_SYMLINKS, _NO_MAGICLINKS = 0x08, 0x04, 0x02
_MISSING = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG})
_PATH = getattr(os, "O_PATH", os.O_RDONLY)
_FOLDER = _PATH | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW


def open_folder(path: str | bytes) -> int:
    """A descriptor of the folder that a path leads to now, through links as well."""
    return os.open(path, _FOLDER)


def open_beneath(folder: int, path: bytes, *, by_call: bool = True) -> int:
    """Open a regular file below an open folder for reading; nothing that waits or acts on being opened is opened.

    `path` is relative. Raises OSError: ELOOP or ENOTDIR where a link stands in the way, EXDEV for a path that leads
    out, EINVAL for what is no regular file.
    """
    parts = path.split(b"/")
    if path.startswith(b"/") or b".." in parts or set(parts) <= {b"", b"."}:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    # First the name alone: opening a device may act on it.
    looked = _resolve(folder, path, _PATH | os.O_CLOEXEC | os.O_NOFOLLOW, by_call)
    try:
        _check_regular(looked)
        opened = _resolve(folder, path, _FILE, by_call)
        try:
            if not os.path.sameopenfile(looked, opened):
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            _check_regular(opened)
        except BaseException:
            os.close(opened)
            raise
        return opened
    finally:
        os.close(looked)


def list_beneath(folder: int, path: bytes) -> int:
    """Open a folder below an open one, or with an empty path that one, so that it can be listed.

    Raises OSError as `open_beneath` does.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    return _resolve(folder, path, flags, True) if path else os.open(b".", flags, dir_fd=folder)


def open_true(path: bytes) -> int:
    """Open a regular file by an absolute path in which no part is a link. Raises OSError as `open_beneath` does."""
    top = open_folder("/")
    try:
        return open_beneath(top, path.lstrip(b"/"))
    finally:
        os.close(top)


def true_path(descriptor: int) -> bytes:
    """Where an open file or folder is now, links resolved."""
    return os.readlink(f"/proc/self/fd/{descriptor}".encode())


def _check_regular(descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "a link stands in its place")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file")


def _resolve(folder: int, path: bytes, flags: int, by_call: bool) -> int:
    if by_call and hasattr(os, "O_PATH"):
        how = _HOW.pack(flags, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
        found = _LIBC.syscall(_OPENAT2, folder, path, how, ctypes.c_size_t(_HOW.size))
        if found >= 0:
            return int(found)
        number = ctypes.get_errno()
        if number not in _MISSING:
            raise OSError(number, os.strerror(number))
    return _walk(folder, path, flags)


def _walk(folder: int, path: bytes, flags: int) -> int:
    """Open part after part, none of them a link."""
    *folders, name = [part for part in path.split(b"/") if part not in (b"", b".")]
    at = os.dup(folder)
    try:
        for part in folders:
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)
