"""What a snapshot consists of: its state, and each file with its size and SHA-256, cut into parts that are shipped.

    DEST/files/ab/abcd…     a part, named by its SHA-256; a file that never changes is one part
    DEST/manifest.json      the published snapshot, replaced by a rename
    DEST/previous.json      the one before, whose parts are kept for readers that are taking it

Names sort so that a tool that copies in order copies the manifest last.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated

import msgspec

from localsearch.errors import DamagedError, FormatError
from localsearch.replication.identity import State
from localsearch.store.database import FILE, SERVICE

FORMAT = 1
MANIFEST, PREVIOUS, FILES = "manifest.json", "previous.json", "files"
LONGEST = 256 << 20
"""Bytes of a manifest: some 300 for each megabyte of the database."""
_NAME = re.compile(
    rf"{re.escape(FILE)}|{re.escape(SERVICE)}|lexical/[A-Za-z0-9_.][A-Za-z0-9_.-]*|vectors/[0-9]{{1,18}}/[a-z0-9.]+"
)
_Size = Annotated[int, msgspec.Meta(ge=0)]
_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Part(msgspec.Struct, frozen=True, array_like=True):
    """Bytes that are shipped as one, by their SHA-256."""

    sha256: _Digest
    bytes: _Size


class ShippedFile(msgspec.Struct, frozen=True):
    """A file of an index: its path in the folder, and the parts that it consists of, in order."""

    path: str
    bytes: _Size
    sha256: _Digest
    parts: tuple[Part, ...]


class Manifest(msgspec.Struct, frozen=True):
    """A snapshot. `created` is seconds since 1970; `primary` is the address that takes writes, empty if unknown."""

    release: str
    id: str
    epoch: int
    n: int
    created: float
    documents: int
    primary: str
    files: tuple[ShippedFile, ...]

    @property
    def state(self) -> State:
        return State(self.id, self.epoch, self.n)

    @property
    def parts(self) -> dict[str, Part]:
        """Every part by its SHA-256."""
        return {part.sha256: part for file in self.files for part in file.parts}

    @property
    def contents(self) -> frozenset[tuple[str, str]]:
        """What two snapshots of equal content have in common."""
        return frozenset((file.path, file.sha256) for file in self.files)


class _Envelope(msgspec.Struct, frozen=True):
    format: int
    check: str
    manifest: msgspec.Raw


def encode(manifest: Manifest) -> bytes:
    """The bytes of a manifest, which hold their own checksum."""
    body = msgspec.json.encode(manifest)
    return msgspec.json.encode(_Envelope(FORMAT, _check(body), msgspec.Raw(body)))


def decode(data: bytes, where: str) -> Manifest:
    """The manifest of these bytes. Raises DamagedError, saying `where`, or FormatError for a newer release's."""
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
        if envelope.format > FORMAT:
            raise FormatError(f"{where} was written by a newer release.", hint="Update localsearch here.")
        body = bytes(envelope.manifest)
        if envelope.check != _check(body):
            raise msgspec.ValidationError("it does not match its checksum")
        manifest = msgspec.json.decode(body, type=Manifest)
        _check_names(manifest)
        return manifest
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedError(
            f"{where} is no whole manifest: {str(error)[:200]}.", hint="Ship again: localsearch ship DEST"
        ) from error


def _check_names(manifest: Manifest) -> None:
    paths = [file.path for file in manifest.files]
    odd = [path for path in paths if not _NAME.fullmatch(path) or ".." in path]
    sizes = [file.path for file in manifest.files if sum(part.bytes for part in file.parts) != file.bytes]
    if odd or sizes or FILE not in paths or len(set(paths)) != len(paths):
        raise msgspec.ValidationError(f"its list of files cannot be ({(odd or sizes or ['twice'])[0][:60]})")
    if State.parse(str(manifest.state)) is None:
        raise msgspec.ValidationError("its state cannot be")


def part_path(sha256: str) -> Path:
    """Where a part lies below DEST."""
    return Path(FILES, sha256[:2], sha256)


def _check(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()
