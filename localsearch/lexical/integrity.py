"""Whether the files of a Tantivy index are what was written: each ends with the checksum of its contents."""

from __future__ import annotations

import errno
import json
import mmap
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from localsearch.errors import StorageError

_PARTS = ("idx", "pos", "term", "store", "fast", "fieldnorm")
_MAGIC = 1337
_TRAILER = struct.Struct("<II")
_STEP = 1 << 22
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES)
"""Errors that say nothing about the file."""


def problems(folder: Path) -> list[str]:
    """What is wrong with the files that meta.json names, one line each; empty when all is well.

    Reads every byte: about a second per gigabyte. Segments that a writer replaces meanwhile are not missed.
    """
    for _ in range(3):
        meta = _read(folder)
        if isinstance(meta, str):
            return [meta]
        try:
            files = list(_files(folder, meta))
        except (KeyError, TypeError, AttributeError) as error:
            return [f"meta.json does not tell its segments: {error}"]
        found = [line for file in files if (line := _problem(file))]
        if not found or _read(folder) == meta:
            return found
    return []


def file_names(folder: Path) -> list[str]:
    """The files that an index consists of by its meta.json, which comes first. Raises StorageError."""
    meta = _read(folder)
    if isinstance(meta, str):
        raise StorageError(f"{folder}: {meta}", hint="Run localsearch check --repair.")
    return ["meta.json", *(file.name for file in _files(folder, meta))]


def _read(folder: Path) -> dict[str, list[dict[str, object]]] | str:
    try:
        meta = json.loads((folder / "meta.json").read_bytes())
        meta["segments"] = list(meta["segments"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        _raise_if_passing(error)
        return f"meta.json cannot be read: {error}"
    return meta  # type: ignore[no-any-return]


def _files(folder: Path, meta: dict[str, list[dict[str, object]]]) -> Iterator[Path]:
    for segment in meta["segments"]:
        name = str(segment["segment_id"]).replace("-", "")
        yield from (folder / f"{name}.{part}" for part in _PARTS)
        deletes = segment.get("deletes")
        if isinstance(deletes, dict):
            yield folder / f"{name}.{deletes['opstamp']}.del"


def _problem(file: Path) -> str:
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _mismatch(file.name, data)
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        _raise_if_passing(error)
        return f"{file.name}: {error}"


def _raise_if_passing(error: Exception) -> None:
    if isinstance(error, OSError) and error.errno in _PASSING:
        raise StorageError(
            f"{error.filename}: {error.strerror}", hint="Raise the limit, then retry."
        ) from error


def _mismatch(name: str, data: mmap.mmap) -> str:
    """The file is body, JSON footer with the body's CRC-32, the footer's length, a magic number."""
    length, magic = _TRAILER.unpack(data[-_TRAILER.size :])
    end = len(data) - _TRAILER.size
    if magic != _MAGIC or length > end:
        return f"{name}: no footer"
    body = end - length
    expected = json.loads(data[body:end])["crc"]
    crc = 0
    for at in range(0, body, _STEP):
        crc = zlib.crc32(data[at : min(at + _STEP, body)], crc)
    return "" if crc == expected else f"{name}: checksum differs"
