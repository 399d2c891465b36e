"""Publishing a snapshot of an index: what is new is copied, then the manifest gets its name, then the old goes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localsearch.errors import ConflictError, DamagedError, LockedError, StorageError, UsageError
from localsearch.platform.disk import (
    disk_full,
    free_bytes,
    link_or_copy,
    open_private,
    sync_file,
    sync_path,
    write_errors,
    write_file,
)
from localsearch.release import __version__
from localsearch.replication.capture import Captured, capture
from localsearch.replication.identity import make_identity
from localsearch.replication.manifest import (
    FILES,
    MANIFEST,
    PREVIOUS,
    Manifest,
    Part,
    ShippedFile,
    decode,
    encode,
    part_path,
)
from localsearch.settings import Settings
from localsearch.store import Database
from localsearch.store.database import FILE
from localsearch.types import Progress, Report, no_report
from localsearch.upkeep.backup import clear_remains, sha256_of

PART = 256 << 10
"""Bytes of a part of the database, which changes here and there; all other files are shipped whole."""
_SCRATCH = ".localsearch-ship-"
_NEW = ".new-"
_LOCK = ".ship.lock"
_SPARE = 16 << 20
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Shipped:
    """What one run published: bytes copied and bytes of the whole, and how long writers waited for it."""

    target: str
    state: str
    documents: int
    copied: int
    bytes: int
    locked_s: float
    seconds: float
    changed: bool


def ship(
    settings: Settings,
    db: Database,
    target: Path,
    report: Report = no_report,
    *,
    verify: bool = False,
) -> Shipped:
    """Publish the present state of an index in a folder, from which readers take it; `verify` reads what is there.

    Raises ConflictError for a folder that holds another index, a later epoch or a later state, LockedError while
    another process ships there, UnavailableError, DiskFullError, StorageError.
    """
    began = time.monotonic()
    identity = make_identity(settings.home)
    with write_errors(target):
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
    clear_remains(settings.home, _SCRATCH)
    with (
        _sole(target),
        write_errors(settings.home),
        tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-", dir=settings.home) as scratch,
    ):
        published = read_published(target)
        report(Progress("ship", 0, 3, "steps", "capturing"))
        captured = capture(settings, db, Path(scratch))
        report(Progress("ship", 1, 3, "steps", "copying"))
        manifest = _manifest(captured, identity.id, identity.epoch, settings.server.primary)
        if published:
            check_follows(published, manifest, target)
        copied = _put_parts(captured.folder, manifest, target, verify=verify)
        changed = published is None or not _same(published, manifest)
        report(Progress("ship", 2, 3, "steps", "publishing"))
        if changed:
            _publish(target, manifest)
        _clear(target)
    total = sum(file.bytes for file in manifest.files)
    seconds = round(time.monotonic() - began, 3)
    locked_s = round(captured.locked_s, 4)
    return Shipped(
        str(target), str(manifest.state), captured.documents, copied, total, locked_s, seconds, changed
    )


def read_published(target: Path, name: str = MANIFEST) -> Manifest | None:
    """The manifest of a folder, None where nothing was published yet. Raises DamagedError, FormatError."""
    try:
        return decode((target / name).read_bytes(), str(target / name))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{target / name} cannot be read: {error.strerror}.", hint="Check it.") from error


def check_follows(published: Manifest, manifest: Manifest, target: Path) -> None:
    """Raise ConflictError unless a snapshot may take the place of the published one."""
    if published.id != manifest.id:
        raise ConflictError(
            f"{target} holds another index, {published.id}; this one is {manifest.id}.",
            hint="Ship to another folder. An index that was restored from a backup has a new identity.",
        )
    if published.epoch > manifest.epoch:
        raise ConflictError(
            f"{target} is shipped to by another primary since epoch {published.epoch}; this one is of epoch"
            f" {manifest.epoch}: a reader was promoted in its place.",
            hint="Stop writing here. Follow the new primary from an empty home folder instead.",
        )
    if published.state.order > manifest.state.order:
        raise ConflictError(
            f"{target} holds state {published.n}, which is later than state {manifest.n} of this index:"
            " it went back, as when an older copy of its folder was put in place.",
            hint="Bring the later state back, or ship to a new folder and begin the readers anew.",
        )


def _same(published: Manifest, manifest: Manifest) -> bool:
    return (
        published.state == manifest.state
        and published.contents == manifest.contents
        and published.primary == manifest.primary
    )


@contextmanager
def _sole(target: Path) -> Iterator[None]:
    """Ship to a folder alone. Raises LockedError."""
    with write_errors(target):
        descriptor = os.open(target / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise LockedError(
            f"Another process ships to {target}.", hint="Wait for it to finish, or ship elsewhere."
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


def _manifest(captured: Captured, id: str, epoch: int, primary: str) -> Manifest:
    folder = captured.folder
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = (_file(folder, path, captured.known) for path in paths)
    return Manifest(
        __version__, id, epoch, captured.n, time.time(), captured.documents, primary, tuple(files)
    )


def _file(folder: Path, path: Path, known: dict[str, str]) -> ShippedFile:
    name, size = path.relative_to(folder).as_posix(), path.stat().st_size
    if name == FILE:
        return _cut(name, path)
    digest = known.get(name) or sha256_of(path)
    return ShippedFile(name, size, digest, (Part(digest, size),))


def _cut(name: str, path: Path) -> ShippedFile:
    """The database in parts, so that those that did not change are not shipped again."""
    whole, parts = hashlib.sha256(), []
    with path.open("rb") as file:
        while block := file.read(PART):
            whole.update(block)
            parts.append(Part(hashlib.sha256(block).hexdigest(), len(block)))
    return ShippedFile(name, path.stat().st_size, whole.hexdigest(), tuple(parts))


def _put_parts(folder: Path, manifest: Manifest, target: Path, *, verify: bool) -> int:
    """Copy the parts that the target lacks, durably; returns their bytes."""
    places = {
        part.sha256: (file.path, at)
        for file in manifest.files
        for part, at in zip(file.parts, _offsets(file.parts), strict=True)
    }
    missing = [part for part in manifest.parts.values() if not _has(target, part, verify=verify)]
    total = sum(part.bytes for part in missing)
    if total + _SPARE > free_bytes(target):
        raise disk_full(target, f"{total / 1e6:,.1f} MB are to be copied; free some space and ship again.")
    with write_errors(target):
        for part in missing:
            path, at = places[part.sha256]
            _put(folder / path, at, part, target / part_path(part.sha256), whole=path != FILE)
        for parent in {(target / part_path(part.sha256)).parent for part in missing}:
            sync_path(parent)
        sync_path(target)
    return total


def _offsets(parts: tuple[Part, ...]) -> Iterator[int]:
    at = 0
    for part in parts:
        yield at
        at += part.bytes


def _has(target: Path, part: Part, *, verify: bool) -> bool:
    path = target / part_path(part.sha256)
    try:
        return path.stat().st_size == part.bytes and (not verify or sha256_of(path) == part.sha256)
    except FileNotFoundError:
        return False


def _put(source: Path, at: int, part: Part, target: Path, *, whole: bool) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = target.with_name(f"{_NEW}{target.name}")
    temporary.unlink(missing_ok=True)
    if whole and source.stat().st_dev == target.parent.stat().st_dev:
        link_or_copy(source, temporary)
    else:
        _copy(source, at, part, temporary)
    temporary.replace(target)


def _copy(source: Path, at: int, part: Part, target: Path) -> None:
    """Copy a part and hold it against its checksum, which may be of a time before the disk lost it."""
    digest, left = hashlib.sha256(), part.bytes
    with source.open("rb") as file, open_private(target) as copy:
        file.seek(at)
        while left and (block := file.read(min(left, _BLOCK))):
            digest.update(block)
            copy.write(block)
            left -= len(block)
        sync_file(copy)
    if digest.hexdigest() != part.sha256:
        raise DamagedError(f"{source.name} does not match its checksum.", hint="Run localsearch check.")


def _publish(target: Path, manifest: Manifest) -> None:
    with write_errors(target):
        try:
            write_file(target / PREVIOUS, (target / MANIFEST).read_bytes())
        except FileNotFoundError:
            pass
        write_file(target / MANIFEST, encode(manifest))


def _clear(target: Path) -> None:
    """Remove parts that neither the published snapshot nor the one before needs, and what a killed run left."""
    needed: set[str] = set()
    for name in (MANIFEST, PREVIOUS):
        if manifest := read_published(target, name):
            needed |= manifest.parts.keys()
    with write_errors(target):
        for path in (target / FILES).glob("*/*"):
            if path.name not in needed:
                path.unlink(missing_ok=True)


def check_target(target: Path, home: Path) -> None:
    """Raise UsageError for a folder to ship to that is no place for it."""
    inside = target == home or home in target.parents
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is no folder.", hint="Name a folder, which is made if need be.")
    if inside and target != home / "shipped":
        raise UsageError(f"{target} lies in the index folder.", hint="Ship to a folder elsewhere.")
    if target.is_dir() and not (target / FILES).exists() and _foreign(target):
        raise UsageError(f"{target} holds other files.", hint="Ship to an empty folder, or a new one.")


def _foreign(target: Path) -> bool:
    return any(path.name not in (_LOCK, MANIFEST, PREVIOUS, FILES) for path in target.iterdir())
