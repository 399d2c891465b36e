"""One file with everything that cannot be made again: the databases, with their checksums. The rest is derived.

The file is a tar archive of `manifest.json`, `index.db` and, where a server or a key has made one, `service.db`. It is
written under another name, verified and renamed: a backup that was interrupted never has the name of one.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec

from localsearch.errors import ConflictError, DamagedError, FormatError, UsageError
from localsearch.platform.disk import free_bytes, sync_file, sync_path, write_error
from localsearch.release import __version__
from localsearch.store import Database
from localsearch.store.database import FILE, IDENTITY, SERVICE, explain
from localsearch.store.foreign import check_rows, check_schema, check_service
from localsearch.store.migrations import check_format
from localsearch.store.schema import MIGRATIONS
from localsearch.types import Progress, Report, no_report
from localsearch.upkeep.trust import Brought, brought

FORMAT = 1
_MANIFEST = "manifest.json"
_PARTIAL = ".localsearch-backup-"
_SCRATCH = ".localsearch-restore-"
_BLOCK = 1 << 20
_MOST_MEMBERS = 16
_LONGEST_MANIFEST = 1 << 20


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A finished backup or restore. `service` tells whether API keys and jobs came along.

    `brought` is what a restored one brings that acts by itself; it waits for confirmation while `held`.
    """

    file: str
    documents: int
    bytes: int
    sha256: str
    service: bool = False
    brought: Brought = field(default_factory=Brought)
    held: bool = False


def backup(db: Database, target: Path, report: Report = no_report) -> BackupReport:
    """Write a consistent copy of a live index to one file. Raises UsageError if the file exists, DiskFullError."""
    target = target.absolute()
    if target.exists():
        raise UsageError(f"{target} exists.", hint="Choose another name; nothing is overwritten.")
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent} is no folder.", hint="Make it first.")
    clear_remains(target.parent)
    with tempfile.TemporaryDirectory(prefix=f"{_PARTIAL}{os.getpid()}-", dir=target.parent) as scratch:
        copy = Path(scratch) / FILE
        report(Progress("backup", 0, 3, "steps", "copying"))
        # Before the index: a job that ends meanwhile is done twice rather than never.
        service = copy_service(db.file.with_name(SERVICE), copy.with_name(SERVICE))
        db.backup_to(copy)
        report(Progress("backup", 1, 3, "steps", "verifying"))
        documents = verified(copy)
        parts = [copy, copy.with_name(SERVICE)] if service else [copy]
        digests = {part.name: sha256_of(part) for part in parts}
        report(Progress("backup", 2, 3, "steps", "packing"))
        packed = Path(scratch) / "packed"
        _pack(parts, packed, _manifest(parts, digests, documents))
        os.link(packed, target)
    sync_path(target.parent)
    return BackupReport(str(target), documents, target.stat().st_size, digests[FILE], service)


def restore(source: Path, home: Path, report: Report = no_report, *, trust: bool = False) -> BackupReport:
    """Unpack a backup into an empty or new folder, after checking every byte; derived indexes come back by themselves.

    What an earlier index left in the folder is removed first, its log above all, which would be replayed into the
    restored database. Keys and jobs that are there already are the newer ones and stay. Without `trust`, folders
    that it names are not read and jobs not run before `confirm`. Raises ConflictError when the folder holds an index,
    DamagedError for what is no whole backup, DiskFullError.
    """
    if (home / FILE).exists():
        raise ConflictError(
            f"{home} holds an index already.", hint="Restore into an empty folder with --home."
        )
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    for remains in home.glob(_SCRATCH + "*"):
        shutil.rmtree(remains)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=home) as scratch:
        copy = Path(scratch) / FILE
        report(Progress("restore", 0, 2, "steps", "unpacking"))
        digests = _unpack(source, copy.parent)
        report(Progress("restore", 1, 2, "steps", "verifying"))
        documents = verified(copy)
        service = SERVICE in digests and not (home / SERVICE).exists()
        if service:
            _check_service(copy.with_name(SERVICE))
        with _explained(copy):
            came = brought(copy.parent, hold=not trust, service=service)
            for name in digests:
                sync_path(copy.with_name(name))
        _clear(home)
        if service:
            _put(copy.with_name(SERVICE), home)
        _put(copy, home)
    sync_path(home)
    size = source.stat().st_size
    return BackupReport(str(source), documents, size, digests[FILE], service, came, held=not trust)


@contextmanager
def _explained(copy: Path) -> Iterator[None]:
    """Say what stands in the way of writing to a copy of the database."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise explain(error, copy) from error
    except OSError as error:
        raise write_error(copy.parent, error) from error


def clear_restored(home: Path) -> None:
    """Remove what a restore left that was killed after its last step: beside an index, nothing is being restored."""
    if (home / FILE).exists():
        for remains in home.glob(_SCRATCH + "*"):
            shutil.rmtree(remains, ignore_errors=True)


def _put(copy: Path, home: Path) -> None:
    os.chmod(copy, 0o600)
    os.rename(copy, home / copy.name)


def copy_service(file: Path, copy: Path) -> bool:
    """Copy the server's database, which any process may be writing; false where there is none."""
    if not file.exists():
        return False
    mode = "rw" if os.access(file, os.W_OK) else "ro"
    try:
        with (
            closing(sqlite3.connect(f"{file.as_uri()}?mode={mode}", uri=True, timeout=30)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            _integral(target)
    except sqlite3.DatabaseError as error:
        raise explain(error, file) from error
    return True


def clear_remains(folder: Path, prefix: str = _PARTIAL) -> None:
    """Remove what was left by those that were killed: folders named after processes that are gone."""
    for remains in folder.glob(prefix + "*"):
        pid = remains.name.removeprefix(prefix).partition("-")[0]
        if pid.isdigit() and not _is_alive(int(pid)):
            shutil.rmtree(remains, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _clear(home: Path) -> None:
    """Remove what belongs to a database that is no longer here."""
    for name in (FILE + "-wal", FILE + "-shm", FILE + "-journal", IDENTITY):
        (home / name).unlink(missing_ok=True)
    for folder in ("lexical", "vectors"):
        shutil.rmtree(home / folder, ignore_errors=True)
    sync_path(home)


def _manifest(parts: Sequence[Path], digests: Mapping[str, str], documents: int) -> bytes:
    return json.dumps(
        {
            "format": FORMAT,
            "release": __version__,
            "schema": MIGRATIONS[-1][0],
            "created": time.time(),
            "documents": documents,
            "files": {
                part.name: {"sha256": digests[part.name], "bytes": part.stat().st_size} for part in parts
            },
        }
    ).encode()


def _pack(parts: Sequence[Path], packed: Path, manifest: bytes) -> None:
    with open(packed, "xb") as file:
        os.chmod(packed, 0o600)
        with tarfile.open(fileobj=file, mode="w") as tar:
            entry = tarfile.TarInfo(_MANIFEST)
            entry.size = len(manifest)
            tar.addfile(entry, io.BytesIO(manifest))
            for part in parts:
                tar.add(part, part.name)
        sync_file(file)


class _Part(msgspec.Struct):
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    bytes: Annotated[int, msgspec.Meta(ge=0)]


class _Manifest(msgspec.Struct):
    format: int
    release: str
    files: dict[str, _Part]


def _unpack(source: Path, folder: Path) -> dict[str, str]:
    """Write the parts of a backup into a folder, each held against its size and checksum; returns these by name."""
    try:
        with tarfile.open(source, "r:") as tar:
            members = _members(tar)
            manifest = msgspec.json.decode(_read(tar, members, _MANIFEST), type=_Manifest)
            if manifest.format > FORMAT:
                raise FormatError(
                    f"{source} was written by release {manifest.release[:50]}.",
                    hint="Upgrade localsearch to restore it.",
                )
            digests = {name: manifest.files[name].sha256 for name in _parts(manifest.files)}
            for name, digest in digests.items():
                _unpack_part(tar, members[name], manifest.files[name].bytes, folder / name)
                if sha256_of(folder / name) != digest:
                    raise DamagedError(
                        f"{source} is damaged: its checksum differs.", hint="Use another backup."
                    )
        return digests
    except FileNotFoundError as error:
        raise UsageError(f"There is no file {source}.", hint="Name a file that `backup` wrote.") from error
    except OSError as error:
        raise write_error(folder, error) from error
    except (
        tarfile.TarError,
        EOFError,
        KeyError,
        ValueError,
        TypeError,
        RecursionError,
        OverflowError,
    ) as error:
        raise DamagedError(
            f"{source} is not a whole backup: {str(error)[:200]}.", hint="Use another backup."
        ) from error


def _members(tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """The first few members by name, each a plain file that takes the room it says."""
    found: dict[str, tarfile.TarInfo] = {}
    for _ in range(_MOST_MEMBERS):
        if (member := tar.next()) is None:
            break
        if not member.isreg() or member.issparse() or member.name in found:
            raise ValueError("it holds what no backup does")
        found[member.name] = member
    return found


def _read(tar: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], name: str) -> bytes:
    if members[name].size > _LONGEST_MANIFEST:
        raise ValueError(f"{name} is too long")
    return _member(tar, members[name]).read(_LONGEST_MANIFEST)


def _parts(files: Mapping[str, object]) -> list[str]:
    """The index, which every backup has, and the server's database where it is listed."""
    return [FILE, SERVICE] if SERVICE in files else [FILE]


def _unpack_part(tar: tarfile.TarFile, member: tarfile.TarInfo, size: int, target: Path) -> None:
    """Write a member of the size that the manifest and the archive both tell, and no byte more."""
    if member.size != size:
        raise ValueError(f"{target.name} is not of the size that its manifest tells")
    if size > free_bytes(target.parent):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with open(target, "xb") as file:
        body = _member(tar, member)
        while block := body.read(_BLOCK):
            file.write(block)
        sync_file(file)


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> io.BufferedReader:
    file = tar.extractfile(member)
    if file is None:
        raise KeyError(member.name)
    return file  # type: ignore[return-value]


def verified(copy: Path) -> int:
    """How many documents a copy of the database holds, after SQLite has checked all of it."""
    connection = sqlite3.connect(f"file:{copy}?mode=ro&immutable=1", uri=True)
    try:
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
        check_format(connection)
        check_schema(connection)
        _integral(connection)
        check_rows(connection)
        return int(connection.execute("SELECT count(*) FROM documents").fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise DamagedError(
            f"The copy of the database is damaged: {error}.", hint="Run localsearch check."
        ) from error
    finally:
        connection.close()


def _check_service(copy: Path) -> None:
    """Raise DamagedError for a server's database that is none."""
    try:
        with closing(sqlite3.connect(f"file:{copy}?mode=ro&immutable=1", uri=True)) as connection:
            check_service(connection)
            _integral(connection)
    except sqlite3.DatabaseError as error:
        raise DamagedError(f"{SERVICE} is damaged: {error}.", hint="Use another backup.") from error


def _integral(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise DamagedError(f"The copy of the database is damaged: {verdict}.", hint="Run localsearch check.")


def sha256_of(file: Path) -> str:
    with open(file, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
