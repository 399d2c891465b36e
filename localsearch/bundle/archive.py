"""The tar file of a bundle: packed by name and pinned times, and held against its manifest without unpacking it."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localsearch.bundle.installer import MANIFEST, InstallError, compare, read_manifest
from localsearch.errors import DamagedError, LocalSearchError, UsageError
from localsearch.platform.disk import sync_file, sync_path, write_error

_LONGEST_MANIFEST = 1 << 22
_MOST_MEMBERS = 5000


@contextmanager
def explained(what: Path) -> Iterator[None]:
    """Errors of reading a bundle as those of this program."""
    try:
        yield
    except InstallError as error:
        raise DamagedError(f"{what}: {error}", hint=error.hint) from error
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise DamagedError(f"{what} is no whole bundle: {str(error)[:200]}", hint="Copy it again.") from error


def pack(folder: Path, target: Path, top: str, changed: int) -> str:
    """Write all files of a folder below the name `top`; the same content gives the same bytes. Returns the SHA-256."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        with open(partial, "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                    entry = tar.gettarinfo(path, f"{top}/{path.relative_to(folder).as_posix()}")
                    entry.uid = entry.gid = 0
                    entry.uname = entry.gname = ""
                    entry.mtime, entry.mode = changed, 0o644
                    with open(path, "rb") as content:
                        tar.addfile(entry, content)
            sync_file(file)
        os.replace(partial, target)
    except OSError as error:
        raise write_error(target, error) from error
    finally:
        partial.unlink(missing_ok=True)
    sync_path(target.parent)
    return sha256(target)


def verify(source: Path, digest: str = "") -> dict[str, Any]:
    """The manifest of an archive in which every file is as it was built. Raises UsageError, DamagedError.

    `digest` is the SHA-256 that `bundle build` told, carried here by another way than the archive.
    """
    if not source.is_file():
        raise UsageError(f"There is no file {source}.", hint="Name an archive that `bundle build` wrote.")
    if digest and sha256(source) != digest.lower():
        raise DamagedError(f"{source} has another SHA-256.", hint="Copy it again, or ask who built it.")
    with explained(source), tarfile.open(source, "r:") as tar:
        members = _members(tar)
        manifest = read_manifest(_content(tar, members[MANIFEST], _LONGEST_MANIFEST))
        compare(manifest, set(members), lambda name: _digest(tar, members[name]))
    return manifest


def unpack(source: Path, folder: Path) -> Path:
    """Unpack an archive that was verified; returns the bundle's folder."""
    try:
        with explained(source), tarfile.open(source, "r:") as tar:
            tar.extractall(folder, filter="data")
    except OSError as error:
        raise write_error(folder, error) from error
    return next(path for path in folder.iterdir() if (path / MANIFEST).is_file())


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _members(tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """Plain files below one folder, by their name in it."""
    found: dict[str, tarfile.TarInfo] = {}
    tops = set()
    while (member := tar.next()) is not None:
        top, _, name = member.name.partition("/")
        tops.add(top)
        if not member.isreg() or member.issparse() or name in found or len(found) == _MOST_MEMBERS:
            raise ValueError(f"{member.name[:100]} is not what a bundle holds")
        found[name] = member
    if MANIFEST not in found or len(tops) != 1 or tops & {"", ".", ".."}:
        raise ValueError(f"it has no {MANIFEST}")
    return found


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, most: int) -> bytes:
    file = tar.extractfile(member)
    if file is None or member.size > most:
        raise ValueError(f"{member.name} is too long")
    return file.read(most)


def _digest(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[str, int]:
    file = tar.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} cannot be read")
    return hashlib.file_digest(file, "sha256").hexdigest(), member.size  # type: ignore[arg-type]


def as_error(error: InstallError) -> LocalSearchError:
    """What the installer says, as an error of the command line."""
    return LocalSearchError(str(error), hint=error.hint)
