"""Archives and compressed files: what they hold, each member a document of its own."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import IO

from localsearch.errors import ExtractionError
from localsearch.extract.kinds import COMPRESSED
from localsearch.extract.limits import failure
from localsearch.extract.packages import DAMAGE, open_package
from localsearch.extract.source import Source, clean_name, read_member, unread
from localsearch.types import Extract

_Opener = Callable[[], IO[bytes]]
_SKIPPED = frozenset(["__MACOSX", ".git", ".hg", ".svn", "node_modules", "__pycache__", ".DS_Store"])
_DAMAGE = (tarfile.TarError, *DAMAGE)


def read_zip(source: Source) -> list[Extract]:
    """Members of a zip archive; what cannot be read is told by a note in its place."""
    package = open_package(source.data)
    members = [info for info in package.infolist() if not info.is_dir() and not _skipped(info.filename)]
    return _all(source, ((info.filename, info.flag_bits & 1, _zip_opener(package, info)) for info in members))


def _zip_opener(package: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Opener:
    return lambda: package.open(info)


def read_tar(source: Source) -> list[Extract]:
    """Members of a tar archive; links and devices in it are left out."""
    return _all(source, _tar_members(source))


def _tar_members(source: Source) -> Iterator[tuple[str, int, _Opener]]:
    try:
        with tarfile.open(fileobj=io.BytesIO(source.data), mode="r:") as archive:
            for info in archive:
                if info.isreg() and not _skipped(info.name):
                    yield info.name, 0, _tar_opener(archive, info)
    except _DAMAGE as error:
        raise failure("damaged", f"the archive breaks off: {error}") from None


def _tar_opener(archive: tarfile.TarFile, info: tarfile.TarInfo) -> _Opener:
    def opened() -> IO[bytes]:
        file = archive.extractfile(info)
        if file is None:
            raise OSError("no content")
        return file

    return opened


def _all(source: Source, members: Iterable[tuple[str, int, _Opener]]) -> list[Extract]:
    """The documents in all members; what the archive's end, or a limit, cut off is told in a note."""
    found: list[Extract] = []
    try:
        for name, encrypted, opener in members:
            if source.budget.members <= 0:
                raise failure("bomb", f"it holds more than {source.limits.members} members")
            source.budget.members -= 1
            found += _member(source, name, bool(encrypted), opener)
    except ExtractionError as error:
        if not any(extract.text for extract in found):
            raise
        found.append(unread("", error))
    if not found:
        raise failure("empty", "the archive holds no files")
    return _with_text(found)


def _with_text(found: list[Extract]) -> list[Extract]:
    """The same, unless nothing could be read: then the reason of the first is that of the archive."""
    if any(extract.text for extract in found):
        return found
    reasons = [note for extract in found for note in extract.notes]
    rule = found[0].type
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    raise failure(rule, f"nothing in it could be read: {reasons[0]}{more}")


def _member(source: Source, name: str, encrypted: bool, opener: _Opener) -> list[Extract]:
    if encrypted:
        return [unread(clean_name(name), failure("encrypted", "it asks for a password"))]
    try:
        with opener() as file:
            data = _bounded(file, source)
    except (*_DAMAGE, NotImplementedError, RuntimeError) as error:
        return [unread(clean_name(name), failure("damaged", f"could not be unpacked: {error}"))]
    return read_member(source, data, name)


def _bounded(file: IO[bytes], source: Source) -> bytes:
    """All that a stream unpacks to, within the budget; its memory is never more than that."""
    data = file.read(source.budget.bytes + 1)
    source.budget.take(len(data))
    return data


def read_compressed(source: Source, kind: str) -> list[Extract]:
    """What a gzip, bzip2 or xz file holds, read as the type that its name without the last suffix tells."""
    if source.depth > source.limits.depth:
        raise failure("bomb", f"nested more than {source.limits.depth} deep")
    stream = io.BytesIO(source.data)
    file: IO[bytes] = {"gzip": _gzip, "bzip2": bz2.BZ2File, "xz": lzma.LZMAFile}[kind](stream)  # type: ignore[operator]
    try:
        data = _bounded(file, source)
    except _DAMAGE as error:
        raise failure("damaged", f"could not be unpacked: {error}") from None
    return source.read(source.inside(data, _inner_name(source.name)))


def _gzip(stream: io.BytesIO) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=stream)


def _inner_name(name: str) -> str:
    path = PurePosixPath(name)
    suffix = path.suffix.lower().lstrip(".")
    if suffix in ("tgz", "tbz2", "tbz", "txz"):
        return path.stem + ".tar"
    return path.stem if suffix in COMPRESSED else path.name


def _skipped(name: str) -> bool:
    return not _SKIPPED.isdisjoint(name.replace("\\", "/").split("/"))
