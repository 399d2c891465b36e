"""A home folder that follows a primary: which snapshot answers, which may come next, and how it becomes a primary.

HOME/replica/current.json     the manifest of the snapshot that answers, and its folder; replaced by a rename
HOME/replica/N/               the files of a snapshot, read and never written
HOME/replica/incoming/        parts that were fetched for the next one
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from localsearch.errors import ConflictError, DamagedError, NotFoundError
from localsearch.platform.disk import sync_path, write_errors, write_file
from localsearch.replication.identity import Identity, State, write_identity
from localsearch.replication.intake import Intake, Present
from localsearch.replication.manifest import Manifest, decode, encode
from localsearch.store.database import FILE, REPLICA, SERVICE
from localsearch.store.foreign import check_schema, check_service
from localsearch.store.migrations import check_format
from localsearch.types import Cancelled, never
from localsearch.upkeep.backup import verified

if TYPE_CHECKING:
    from localsearch.replication.sources import Source

_CURRENT = "current.json"
_INCOMING = "incoming"
_BEGIN_ANEW = "To follow it all the same, remove {folder} and start again."


class _Current(msgspec.Struct, frozen=True):
    folder: str
    manifest: bytes


@dataclass(frozen=True, slots=True)
class Promoted:
    """What a reader's home became."""

    state: str
    documents: int
    before: int


class Replica:
    """The snapshots in a home folder that follows. One process at a time takes new ones."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / REPLICA

    def make(self) -> None:
        """Make the folder. Raises ConflictError where the home folder holds an index of its own."""
        if (self.home / FILE).exists():
            raise ConflictError(
                f"{self.home} holds an index of its own, so it cannot follow another.",
                hint="Follow from an empty folder, with --home.",
            )
        with write_errors(self.home):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def current(self) -> Present | None:
        """The snapshot that answers, None before the first. Raises DamagedError."""
        file = self.folder / _CURRENT
        try:
            found = msgspec.json.decode(file.read_bytes(), type=_Current)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise DamagedError(f"{file} is damaged.", hint=_BEGIN_ANEW.format(folder=self.folder)) from error
        return Present(self.folder / found.folder, decode(found.manifest, str(file)))

    def wants(self, manifest: Manifest, present: Present | None) -> bool:
        """Whether a published snapshot is to be taken. Raises ConflictError for one that must not be."""
        if present is None:
            return True
        have = present.manifest
        if manifest.id != have.id:
            raise ConflictError(
                f"The source is another index now, {manifest.id} instead of {have.id}, as after restoring a backup.",
                hint=_BEGIN_ANEW.format(folder=self.folder),
            )
        if manifest.epoch < have.epoch:
            raise ConflictError(
                f"The source is of epoch {manifest.epoch}, before epoch {have.epoch}: it was replaced as the"
                " primary, and what it writes now is not taken.",
                hint="Follow the primary of the later epoch.",
            )
        if manifest.state.order < have.state.order:
            raise ConflictError(
                f"The source went back to state {manifest.n} from {have.n}, as when an older copy is put in place.",
                hint=_BEGIN_ANEW.format(folder=self.folder),
            )
        return manifest.state != have.state or manifest.contents != have.contents

    def take(self, manifest: Manifest, intake: Intake, present: Present | None) -> Present:
        """Build the folder of a snapshot and check it; it does not answer before `publish`."""
        folder = self.folder / str(self._next())
        try:
            intake.build(manifest, folder, present)
            _check(folder, first=present is None or present.manifest.id != manifest.id)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Present(folder, manifest)

    def publish(self, taken: Present) -> None:
        """Have this snapshot answer from now on, after a restart too."""
        current = _Current(taken.folder.name, encode(taken.manifest))
        with write_errors(self.folder):
            write_file(self.folder / _CURRENT, msgspec.json.encode(current))

    def intake(self, source: Source, cancelled: Cancelled = never) -> Intake:
        """What takes snapshots from a source into this folder."""
        return Intake(source, self.folder / _INCOMING, cancelled)

    def clear(self, keep: Present) -> None:
        """Remove what no process uses: all but this snapshot. For the start, before anything else is open."""
        for path in self.folder.iterdir():
            if path.name.isdecimal() and path != keep.folder:
                shutil.rmtree(path, ignore_errors=True)

    def _next(self) -> int:
        return 1 + max((int(path.name) for path in self.folder.iterdir() if path.name.isdecimal()), default=0)


def _check(folder: Path, *, first: bool) -> None:
    """Hold a snapshot against what this release writes: the first one row by row, later ones by their schema, since
    their bytes are what the primary's were. Raises DamagedError, FormatError."""
    if first:
        verified(folder / FILE)
    else:
        with closing(_opened(folder / FILE)) as connection:
            check_format(connection)
            check_schema(connection)
    if (folder / SERVICE).exists():
        with closing(_opened(folder / SERVICE)) as connection:
            check_service(connection)


def _opened(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def promote(home: Path) -> Promoted:
    """Make a home folder that followed a primary one itself, of the next epoch.

    Whatever it had not taken from the old primary is not in it. Killed before its end, it may be run again. Raises
    NotFoundError where nothing was taken yet.
    """
    replica = Replica(home)
    present = replica.current()
    if present is None:
        raise NotFoundError(
            f"{home} follows no primary, or has taken nothing yet.",
            hint="Name a reader's folder with --home.",
        )
    manifest = present.manifest
    identity = Identity(manifest.id, manifest.epoch + 1)
    with write_errors(home):
        write_identity(home, identity)  # first: without an index it does nothing
        names = [*sorted({file.path.partition("/")[0] for file in manifest.files} - {FILE}), FILE]
        for name in names:
            _move(present.folder / name, home / name)
        sync_path(home)
    shutil.rmtree(replica.folder, ignore_errors=True)
    return Promoted(str(State(identity.id, identity.epoch, manifest.n)), manifest.documents, manifest.epoch)


def _move(source: Path, target: Path) -> None:
    """Give a file or a folder its place, in that of what is there; none where it has been moved before."""
    if not source.exists():
        return
    if target.is_dir():
        shutil.rmtree(target)
    with suppress(FileNotFoundError):
        source.replace(target)


def answering(home: Path) -> Path:
    """The folder to read: of a home folder that follows a primary, that of its present snapshot; else itself."""
    present = None if (home / FILE).exists() else Replica(home).current()
    return present.folder if present else home


def remove(folder: Path) -> None:
    """Remove the files of a snapshot that nobody reads any more."""
    shutil.rmtree(folder, ignore_errors=True)
