"""Archives and compressed files: what they hold, each member a document of its own."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import IO, Any

from localsearch.errors import ExtractionError
from localsearch.extract.codepage import DOS, likeliest
from localsearch.extract.kinds import COMPRESSED
from localsearch.extract.limits import failure
from localsearch.extract.packages import DAMAGE, open_package
from localsearch.extract.source import Source, check_secret, clean_name, read_member, unread
from localsearch.types import Extract

_Opener = Callable[[], IO[bytes]]
_SKIPPED = frozenset(["__MACOSX", ".git", ".hg", ".svn", "node_modules", "__pycache__", ".DS_Store"])
_STEP = 8192
"""Bytes unpacked at once: no more than that is lost before a fault within a stream."""
_NOTHING = frozenset(["damaged", "empty", "no-text"])
"""Rules of what cannot be read of a file that breaks off, because it breaks off."""
_DAMAGE = (tarfile.TarError, *DAMAGE)


def read_zip(source: Source) -> list[Extract]:
    """Members of a zip archive; what cannot be read is told by a note in its place."""
    package = open_package(source.data).archive
    infos = package.infolist()
    names = dict(zip(map(id, infos), zip_names(infos)))
    members = [info for info in infos if not info.is_dir() and not _skipped(names[id(info)])]
    return _all(
        source, ((names[id(info)], info.flag_bits & 1, _zip_opener(package, info)) for info in members)
    )


def zip_names(infos: list[zipfile.ZipInfo]) -> list[str]:
    """Names of members as their writer saw them: those not marked as UTF-8 are in one code page of his, often DOS's.

    APPNOTE 4.4.4, bit 11, and 4.6.9, the Info-ZIP Unicode Path.
    """
    raw = [b"" if info.flag_bits & 0x800 else _raw_name(info) for info in infos]
    unmarked = b"\n".join(name for name in raw if not name.isascii())
    encoding = _name_encoding(unmarked) if unmarked else ""
    found = []
    for info, name in zip(infos, raw):
        decoded = info.filename if name.isascii() else name.decode(encoding, "replace").replace("\\", "/")
        found.append(_unicode_path(info.extra, name) or decoded)
    return found


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    try:
        return info.orig_filename.encode("cp437")
    except UnicodeEncodeError:
        return b""


def _name_encoding(names: bytes) -> str:
    try:
        names.decode("utf-8")
    except UnicodeDecodeError:
        return likeliest(names, among=DOS)
    return "utf-8"


def _unicode_path(extra: bytes, name: bytes) -> str:
    """The name in an extra field 0x7075, if it is that of these bytes."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == 0x7075 and len(field) > 5 and struct.unpack_from("<L", field, 1)[0] == zlib.crc32(name):
            return field[5:].decode("utf-8", "replace")
    return ""


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


def read_7z(source: Source) -> list[Extract]:
    """Members of a 7z archive; needs py7zr, the extra [archives]."""
    try:
        import py7zr
        from py7zr.io import BytesIOFactory
    except ImportError:
        raise failure("unsupported", "a 7z archive: pip install 'localsearch[archives]' to read it") from None
    from py7zr.exceptions import ArchiveError, PasswordRequired

    try:
        with py7zr.SevenZipFile(io.BytesIO(source.data)) as archive:
            if archive.needs_password():
                raise failure("encrypted", "it asks for a password")
            source.budget.take(sum(info.uncompressed for info in archive.list() if not info.is_directory))
            names = [info.filename for info in archive.list() if not info.is_directory]
            wanted = [name for name in names if not _skipped(name)]
            factory = BytesIOFactory(source.limits.unpacked)
            archive.extract(targets=wanted, factory=factory)
    except PasswordRequired:
        raise failure("encrypted", "it asks for a password") from None
    except (ArchiveError, lzma.LZMAError, OSError, EOFError, ValueError, KeyError) as error:
        raise failure("damaged", f"could not be unpacked: {error}") from None
    buffers = {name: factory.products[name] for name in wanted if name in factory.products}
    unpacked = sum(buffer.size() for buffer in buffers.values())
    source.budget.bytes += unpacked  # each member takes its own again as it is read
    return _all(source, ((name, 0, _buffer_opener(buffer)) for name, buffer in buffers.items()))


def _buffer_opener(buffer: Any) -> _Opener:
    def opened() -> IO[bytes]:
        buffer.seek(0)
        return io.BytesIO(buffer.read())

    return opened


def read_rar(source: Source) -> list[Extract]:
    """Members of a RAR archive; needs libarchive and libarchive-c, the extra [archives]."""
    try:
        import libarchive
    except (ImportError, OSError, AttributeError, TypeError):
        raise failure(
            "unsupported",
            "a RAR archive: install libarchive and pip install 'localsearch[archives]' to read it",
        ) from None
    try:
        return _all(source, _rar_members(source, libarchive))
    except libarchive.ArchiveError as error:
        rule = (
            "encrypted"
            if "encrypt" in str(error).lower() or "passphrase" in str(error).lower()
            else "damaged"
        )
        raise failure(rule, f"could not be unpacked: {error}") from None


def _rar_members(source: Source, libarchive: Any) -> Iterator[tuple[str, int, _Opener]]:
    with libarchive.memory_reader(source.data) as archive:
        for entry in archive:
            if not entry.isfile or _skipped(entry.pathname):
                continue
            data = bytearray()
            for block in entry.get_blocks():
                data += block
                if len(data) > source.budget.bytes:
                    break
            yield entry.pathname, 0, partial(io.BytesIO, bytes(data))


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
    """What a gzip, bzip2 or xz file holds, read as the type that its name without the last suffix tells.

    Of a file that breaks off, or goes on with what is no gzip, what comes before is read, with a note.
    """
    if source.depth > source.limits.depth:
        raise failure("bomb", f"nested more than {source.limits.depth} deep")
    stream = io.BytesIO(source.data)
    file = {"gzip": _gzip, "bzip2": bz2.BZ2File, "xz": lzma.LZMAFile}[kind](stream)  # type: ignore[operator]
    data, damage = _as_far_as_it_goes(file, source)
    if damage and not data:
        raise failure("damaged", f"could not be unpacked: {damage}")
    name = _inner_name(source.name)
    check_secret(name, data)
    inside = source.inside(data, name)
    return _read_cut(inside, damage) if damage else source.read(inside)


def _read_cut(source: Source, damage: str) -> list[Extract]:
    """The documents in what a stream unpacked to before its damage, which the first that is no member tells."""
    error = failure("damaged", f"could not be unpacked to its end: {damage}")
    try:
        found = source.read(source)
    except ExtractionError as other:
        if other.data["rule"] not in _NOTHING:
            raise
        raise error from None
    if not any(extract.text.strip() for extract in found):
        raise error
    for index, extract in enumerate(found):
        if not extract.member:
            found[index] = replace(extract, notes=(*extract.notes, error.message))
            return found
    return [*found, unread("", error)]


def _as_far_as_it_goes(
    file: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile, source: Source
) -> tuple[bytes, str]:
    """What a stream unpacks to, within the budget, and what its damage is, if it has any."""
    unpacked = io.BytesIO()
    try:
        while True:
            part = file.read1(min(_STEP, source.budget.bytes + 1))  # read() drops what precedes the damage
            source.budget.take(len(part))
            if not part:
                return unpacked.getvalue(), ""
            unpacked.write(part)
    except _DAMAGE as error:
        return unpacked.getvalue(), str(error) or type(error).__name__


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
