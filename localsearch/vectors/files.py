"""The files of a generation: written once, checksummed, named by a manifest that is replaced atomically.

    FOLDER/manifest.json     which generation is published, with the size and checksums of its files
    FOLDER/7.graph           the HNSW graph and its vectors, as FAISS writes them
    FOLDER/7.rest            what storage keeps of each component besides: a second byte, or four bits
    FOLDER/7.ids             chunk ids (int64, little-endian; -1 where a vector was deleted), then their nodes (int32),
                             then the order that sorts the ids (int64); earlier releases wrote none, and read none
    FOLDER/damaged-*         what did not match its manifest, set aside
    FOLDER/*.new             being written; left by a crash, removed at the next opening

CRC-32 is compared at every opening: it finds any damage of up to 32 bits in a row for certain, others with a chance of
missing of 2^-32, at several GB/s. SHA-256 is compared by `check`.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from localsearch.errors import DamagedError, DiskFullError, FormatError
from localsearch.platform.disk import free_bytes, open_private, rename, sync_file, sync_path, write_errors
from localsearch.settings import Storage

FORMAT = 2
"""1 has no int12, and is read as before."""
MANIFEST = "manifest.json"
_NAME = re.compile(r"[0-9]{1,18}\.(?:graph|rest|ids)")
_BLOCK = 1 << 22
_FULL_HINT = "Make room; indexing goes on where it stopped."
_HINT = "It was set aside; run `localsearch check --repair`, which rebuilds it from the database."


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as it was written."""

    name: str
    size: int
    crc32: int
    sha256: str


class Generation(msgspec.Struct, frozen=True, rename={"tombstones": "ghosts"}):
    """One immutable HNSW index: its files and how it was built.

    `count` chunks share `nodes` distinct vectors. `tombstones` is how many nodes stand where a vector was deleted; the
    manifest calls it `ghosts`, as earlier releases wrote it. `limit` is the largest component of any vector, where they
    are kept as bytes.
    """

    number: int
    count: int
    nodes: int
    tombstones: int
    dimensions: int
    storage: Storage
    limit: float
    m: int
    ef_construction: int
    ef_search: int
    recall: float
    graph: StoredFile
    rest: StoredFile
    ids: StoredFile

    @property
    def files(self) -> tuple[StoredFile, StoredFile, StoredFile]:
        return self.graph, self.rest, self.ids


@dataclass(frozen=True, slots=True)
class _Manifest:
    format: int
    check: str
    generation: Generation


class HashingFile:
    """A file being written that knows its size and checksums."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self.size = 0
        self.crc32 = 0

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._sha256.update(data)
        self.crc32 = zlib.crc32(data, self.crc32)
        self.size += len(data)
        return len(data)

    def entry(self, name: str) -> StoredFile:
        return StoredFile(name, self.size, self.crc32, self._sha256.hexdigest())


def write_file(folder: Path, name: str, produce: Callable[[HashingFile], None]) -> StoredFile:
    """Write FOLDER/NAME through a temporary name, durably; nothing is left behind by a failure.

    Raises DiskFullError or StorageError.
    """
    temporary = folder / f"{name}.new"
    try:
        with write_errors(folder, full_hint=_FULL_HINT), open_private(temporary) as file:
            hashing = HashingFile(file)
            produce(hashing)
            sync_file(file)
        with write_errors(folder, full_hint=_FULL_HINT):
            rename(temporary, folder / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return hashing.entry(name)


def write_bytes(folder: Path, name: str, data: bytes) -> StoredFile:
    """Write FOLDER/NAME with this content, as `write_file` does."""

    def produce(file: HashingFile) -> None:
        file.write(data)

    return write_file(folder, name, produce)


def write_manifest(folder: Path, generation: Generation) -> None:
    """Publish a generation: from now on, opening the folder gives this one."""
    manifest = _Manifest(FORMAT, _check(generation), generation)
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    write_bytes(folder, MANIFEST, data)


def read_manifest(folder: Path) -> Generation | None:
    """The published generation; None if there is none. DamagedError, or FormatError for a newer release's."""
    try:
        data = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        return None
    try:
        if msgspec.json.decode(data).get("format", 0) > FORMAT:
            raise FormatError(
                f"{folder} was written by a newer release.", hint="Update localsearch, or use another --home."
            )
        manifest = msgspec.json.decode(data, type=_Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, TypeError, RecursionError) as error:
        raise DamagedError(f"{folder / MANIFEST} does not parse.", hint=_HINT) from error
    if manifest.check != _check(manifest.generation) or not 1 <= manifest.format <= FORMAT:
        raise DamagedError(f"{folder / MANIFEST} does not match its checksum.", hint=_HINT)
    if not all(_NAME.fullmatch(entry.name) for entry in manifest.generation.files):
        raise DamagedError(f"{folder / MANIFEST} names files that are none of an index.", hint=_HINT)
    return manifest.generation


def _check(generation: Generation) -> str:
    return hashlib.blake2b(msgspec.json.encode(generation), digest_size=16).hexdigest()


def verify(folder: Path, entry: StoredFile, *, fully: bool = False) -> None:
    """Compare a file with its entry. Raises DamagedError; FileNotFoundError if it is gone."""
    with (folder / entry.name).open("rb") as file:
        if os.fstat(file.fileno()).st_size != entry.size:
            raise DamagedError(f"{folder / entry.name} has the wrong size.", hint=_HINT)
        crc32, sha256 = _digests(file, fully) if entry.size else (0, hashlib.sha256().hexdigest())
    if crc32 != entry.crc32 or (fully and sha256 != entry.sha256):
        raise DamagedError(f"{folder / entry.name} does not match its checksum.", hint=_HINT)


def _digests(file: BinaryIO, fully: bool) -> tuple[int, str]:
    crc32, sha256 = 0, hashlib.sha256()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
        for start in range(0, len(view), _BLOCK):
            with view[start : start + _BLOCK] as block:
                crc32 = zlib.crc32(block, crc32)
                if fully:
                    sha256.update(block)
    return crc32, sha256.hexdigest()


def set_aside(folder: Path, generation: Generation | None) -> None:
    """Rename damaged files, so that they are neither trusted nor lost. Those set aside earlier are replaced."""
    names = [MANIFEST, *(entry.name for entry in (generation.files if generation else ()))]
    with write_errors(folder, full_hint=_FULL_HINT):
        for name in names:
            if (folder / name).exists():
                (folder / name).replace(folder / f"damaged-{name}")
        sync_path(folder)


def remove_orphans(folder: Path, generation: Generation | None) -> list[str]:
    """Remove files that no manifest names, left by a crash; returns their names."""
    kept = {MANIFEST, *(entry.name for entry in (generation.files if generation else ()))}
    orphans = [
        path
        for path in folder.iterdir()
        if path.suffix in (".graph", ".rest", ".ids", ".new") and path.name not in kept
    ]
    orphans = [path for path in orphans if not path.name.startswith("damaged-")]
    for path in orphans:
        path.unlink(missing_ok=True)
    return sorted(path.name for path in orphans)


def next_number(folder: Path) -> int:
    """A number for a new generation, above that of any file here."""
    stems = [path.name.split(".")[0].removeprefix("damaged-") for path in folder.iterdir()]
    return 1 + max((int(stem) for stem in stems if stem.isdecimal()), default=0)


def remove(folder: Path, generation: Generation) -> None:
    """Remove a generation's files. Searches that hold them open go on."""
    for entry in generation.files:
        (folder / entry.name).unlink(missing_ok=True)


def need_room(folder: Path, size: int) -> None:
    """Raise DiskFullError unless this many bytes, and a little more, are free."""
    free = free_bytes(folder)
    if free < size + (16 << 20):
        raise DiskFullError(
            f"A new vector index needs {size / 1e6:.0f} MB in {folder}; {free / 1e6:.0f} MB are free.",
            hint="Make room; until then search goes on with the index there is.",
            needed=size,
            free=free,
        )
