"""Building the folder of a snapshot beside the one that answers: what is here already is not fetched again.

Parts that were fetched are kept until the folder is whole, so that a transfer that was killed goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from localsearch.errors import CancelledError, DamagedError
from localsearch.platform.disk import (
    disk_full,
    free_bytes,
    link_or_copy,
    open_private,
    sync_file,
    sync_path,
    write_errors,
)
from localsearch.replication.manifest import Manifest, Part, ShippedFile
from localsearch.store.database import FILE
from localsearch.types import Cancelled, never
from localsearch.upkeep.backup import sha256_of

if TYPE_CHECKING:
    from localsearch.replication.sources import Source

_SPARE = 16 << 20
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Present:
    """A folder of files that were taken before, and what they are."""

    folder: Path
    manifest: Manifest


class Intake:
    """Takes snapshots from a source; `incoming` keeps parts by their SHA-256."""

    def __init__(self, source: Source, incoming: Path, cancelled: Cancelled = never) -> None:
        self._source, self._incoming, self._cancelled = source, incoming, cancelled
        self.fetched = 0
        """Bytes fetched so far."""

    def build(self, manifest: Manifest, folder: Path, present: Present | None) -> None:
        """Write every file of a snapshot into an empty folder, durably and each held against its checksum.

        Raises DamagedError for what is not whole, UnavailableError, DiskFullError, CancelledError.
        """
        known = {file.path: file for file in present.manifest.files} if present else {}
        with write_errors(folder.parent):
            self._incoming.mkdir(mode=0o700, exist_ok=True)
            self._check_room(manifest, known.values())
            folder.mkdir(mode=0o700)
            for file in manifest.files:
                (folder / file.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file(file, folder, present, known.get(file.path))
            for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
                sync_path(path)

    def clear(self, needed: Iterable[str] = ()) -> None:
        """Forget fetched parts, but for these."""
        keep = set(needed)
        with suppress(FileNotFoundError):
            for path in self._incoming.iterdir():
                if path.name not in keep:
                    path.unlink(missing_ok=True)

    def _check_room(self, manifest: Manifest, known: Iterable[ShippedFile]) -> None:
        here = {(file.path, file.sha256) for file in known}
        new = [file for file in manifest.files if (file.path, file.sha256) not in here]
        arriving = [
            part for file in new for part in file.parts if not (self._incoming / part.sha256).exists()
        ]
        wanted = sum(file.bytes for file in new) + max((part.bytes for part in arriving), default=0)
        if wanted + _SPARE > free_bytes(self._incoming):
            raise disk_full(
                self._incoming.parent,
                f"A snapshot of {wanted / 1e6:,.1f} MB waits; make room, and it is taken.",
            )

    def _file(
        self, file: ShippedFile, folder: Path, present: Present | None, known: ShippedFile | None
    ) -> None:
        target = folder / file.path
        if present and known and known.sha256 == file.sha256:
            link_or_copy(present.folder / file.path, target)
            return
        if file.path != FILE:
            self._fetch(file.parts[0])
            link_or_copy(self._incoming / file.sha256, target)
            return
        self._assemble(file, target, present, known)

    def _assemble(
        self, file: ShippedFile, target: Path, present: Present | None, known: ShippedFile | None
    ) -> None:
        """Put a file together from parts of the one before and those that were fetched."""
        places = dict(_places(known)) if known else {}
        whole = hashlib.sha256()
        before = (present.folder / file.path).open("rb") if present and known else None
        try:
            with open_private(target) as out:
                for part in file.parts:
                    block = _known(before, places.get(part.sha256), part) or self._bytes(part)
                    whole.update(block)
                    out.write(block)
                sync_file(out)
        finally:
            if before:
                before.close()
        if whole.hexdigest() != file.sha256:
            self.clear()  # what lies here may be what is wrong
            raise DamagedError(
                f"{file.path} of the snapshot does not match its checksum.", hint="Ship again with --verify."
            )

    def _bytes(self, part: Part) -> bytes:
        self._fetch(part)
        return (self._incoming / part.sha256).read_bytes()

    def _fetch(self, part: Part) -> None:
        """Have a part in `incoming`, whole and right; what a former try fetched of it is not fetched again."""
        target = self._incoming / part.sha256
        if target.exists():
            return
        partial = self._incoming / f"{part.sha256}.partial"
        with partial.open("ab") as file:
            os.chmod(partial, 0o600)
            if file.tell() > part.bytes:
                file.truncate(0)
            for block in self._source.read(part, file.tell()) if file.tell() < part.bytes else ():
                if self._cancelled():
                    raise CancelledError("Stopped.", hint="What was fetched is kept.")
                file.write(block)
                self.fetched += len(block)
                if file.tell() > part.bytes:
                    break
            sync_file(file)
            size = file.tell()
        if size != part.bytes or sha256_of(partial) != part.sha256:
            partial.unlink()
            raise DamagedError(
                f"A part of the snapshot in {self._source.name} is damaged ({part.sha256[:16]}, {size:,} of"
                f" {part.bytes:,} bytes).",
                hint="Ship again with --verify, which copies it anew.",
            )
        partial.replace(target)


def _places(file: ShippedFile) -> Iterator[tuple[str, int]]:
    at = 0
    for part in file.parts:
        yield part.sha256, at
        at += part.bytes


def _known(before: BinaryIO | None, at: int | None, part: Part) -> bytes | None:
    """A part of a file that is here, if its bytes are still what they were."""
    if before is None or at is None:
        return None
    before.seek(at)
    block = before.read(part.bytes)
    return block if hashlib.sha256(block).hexdigest() == part.sha256 else None
