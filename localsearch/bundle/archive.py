"""The tar file of a bundle: packed by name and pinned times, held against its manifest, and unpacked without trust."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localsearch.bundle.installer.layout import SCRATCH, alone
from localsearch.bundle.installer.manifest import (
    MANIFEST,
    InstallError,
    Manifest,
    Pin,
    compare,
    read_manifest,
)
from localsearch.bundle.installer.steps import Installed, Say, install, rollback
from localsearch.errors import DamagedError, LocalSearchError, UsageError
from localsearch.platform.disk import sync_file, sync_path, write_error

_LONGEST_MANIFEST = 1 << 22
_MOST_MEMBERS = 5000
_LONGEST_END = 1 << 16
"""Zero bytes that may follow the last member: two blocks, and what fills a record."""
_COPY_AGAIN = "Copy it again, or ask who built it."


@contextmanager
def _explained() -> Iterator[None]:
    """Errors of the installer as those of this program."""
    try:
        yield
    except InstallError as error:
        raise LocalSearchError(str(error), hint=error.hint) from error


@contextmanager
def _parsed(source: Path) -> Iterator[None]:
    try:
        yield
    except InstallError as error:
        raise DamagedError(f"{source}: {error}", hint=error.hint) from error
    except (tarfile.TarError, EOFError, ValueError, RecursionError, OverflowError) as error:
        raise DamagedError(f"{source} is no whole bundle: {str(error)[:200]}", hint=_COPY_AGAIN) from error


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
        os.link(partial, target)  # unlike a rename, it replaces nothing
    except FileExistsError as error:
        raise UsageError(f"{target} exists.", hint="Choose another name; nothing is overwritten.") from error
    except OSError as error:
        raise write_error(target.parent, error) from error
    finally:
        partial.unlink(missing_ok=True)
    sync_path(target.parent)
    return sha256(target)


def verify(source: Path, digest: str = "") -> Manifest:
    """The manifest of an archive in which every file is as it was built. Raises UsageError, DamagedError.

    `digest` is the SHA-256 that `bundle build` told, carried here by another way than the archive.
    """
    if not source.is_file():
        raise UsageError(f"There is no file {source}.", hint="Name an archive that `bundle build` wrote.")
    if digest and sha256(source) != digest.strip().lower():
        raise DamagedError(f"{source} has another SHA-256.", hint=_COPY_AGAIN)
    with _opened(source) as (tar, members):
        manifest = read_manifest(_manifest(tar, members))
        compare(manifest, set(members), lambda name: _digest(tar, members[name]))
    return manifest


def install_archive(
    source: Path, folder: Path, home: Path | None = None, digest: str = "", say: Say = print
) -> Installed:
    """Verify an archive, unpack it beside what it is for, and install it. Raises as `verify`, or LocalSearchError."""
    say(f"Checking {source}")
    manifest = verify(source, digest)
    with (
        _explained(),
        alone(folder) as layout,
        tempfile.TemporaryDirectory(prefix=SCRATCH, dir=layout.folder) as scratch,
    ):
        _unpack(source, manifest, Path(scratch))
        return install(Path(scratch), layout, home, say)


def roll_back(folder: Path, say: Say = print) -> Installed:
    """Return an installation to the release before. Raises LocalSearchError."""
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", hint="Name the one that was installed into.")
    with _explained(), alone(folder) as layout:
        return rollback(layout, say)


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _opened(source: Path) -> Iterator[tuple[tarfile.TarFile, dict[str, tarfile.TarInfo]]]:
    """An archive and its members: plain files below one folder, by their names in it, and nothing after them."""
    with _parsed(source), open(source, "rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
        found: dict[str, tarfile.TarInfo] = {}
        tops = set()
        while (member := tar.next()) is not None:
            top, _, name = member.name.partition("/")
            tops.add(top)
            if not member.isreg() or member.issparse() or name in found or len(found) == _MOST_MEMBERS:
                raise ValueError(f"{member.name[:100]} is not what a bundle holds")
            found[name] = member
        if MANIFEST not in found or len(tops) != 1 or tops & {"", ".", ".."}:
            raise ValueError(f"it has no {MANIFEST} in one folder")
        file.seek(tar.offset)
        end = file.read(_LONGEST_END + 1)
        if len(end) > _LONGEST_END or end.strip(b"\0"):
            raise ValueError("something follows its end")
        yield tar, found


def _manifest(tar: tarfile.TarFile, members: dict[str, tarfile.TarInfo]) -> bytes:
    member = members[MANIFEST]
    file = tar.extractfile(member)
    if file is None or member.size > _LONGEST_MANIFEST:
        raise ValueError(f"{MANIFEST} is too long")
    return file.read(_LONGEST_MANIFEST)


def _digest(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Pin:
    file = tar.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} cannot be read")
    return Pin(hashlib.file_digest(file, "sha256").hexdigest(), member.size)  # type: ignore[arg-type]


def _unpack(source: Path, manifest: Manifest, folder: Path) -> None:
    """Write the files that a manifest lists below a folder, by its names; what they hold is verified there again."""
    needed = sum(pin.bytes for pin in manifest.files.values())
    free = shutil.disk_usage(folder).free
    if free < needed:
        message = (
            f"{folder.parent} has {free / 1e6:,.0f} MB free, {needed / 1e6:,.0f} MB are needed to unpack"
        )
        raise InstallError(message, "Free some space, or name another folder.")
    with _opened(source) as (tar, members):
        for name in (*manifest.files, MANIFEST):
            file = tar.extractfile(members[name])
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as copy:
                shutil.copyfileobj(file, copy)  # type: ignore[arg-type]
