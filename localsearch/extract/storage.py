"""A storage inside an OLE container as a container of its own, so that what is embedded is read as a file.

Reference: [MS-CFB]. Written in its version 4, whose sectors are as large as the streams that need no mini stream.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from localsearch.extract.packages import OLE

if TYPE_CHECKING:
    import olefile

_SECTOR = 4096
_PER_SECTOR = _SECTOR // 4
_DIRECTORY, _TABLE = struct.Struct("<64sHBBIII16sIQQIQ"), struct.Struct(f"<{_PER_SECTOR}I")
_HEADER = struct.Struct("<8s16sHHHHH6sIIIIIIIII")
_FREE, _END, _IS_TABLE, _NONE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
_IN_HEADER = 109
LARGEST = (_IN_HEADER - 1) * _PER_SECTOR * _SECTOR
"""Bytes that a container without further tables of sectors holds."""
MOST = 200
"""Streams and storages in one embedded object; documents have a dozen."""
_STORAGE, _ROOT = 1, 5


def as_file(file: olefile.OleFileIO, storage: Sequence[str], *, flat: bool = False) -> bytes:
    """The streams below a storage in a container of their own, short ones filled up with zeros; no storages if `flat`.

    ValueError beyond LARGEST and MOST, OSError for what cannot be read.
    """
    depth = len(storage)
    paths = [path for path in file.listdir(streams=True, storages=True) if path[:depth] == list(storage)]
    inner = {tuple(path[depth:]): path for path in paths if len(path) > depth}
    if flat:
        inner = {k: p for k, p in inner.items() if len(k) == 1 and file.get_type(p) != _STORAGE}
    if len(inner) > MOST:
        raise ValueError("an embedded object has too many parts")
    order: list[tuple[str, ...]] = [(), *inner]
    data = {key: b"" if file.get_type(path) == _STORAGE else _read(file, path) for key, path in inner.items()}
    data = {(): bytes(_SECTOR)} | data  # an empty mini stream, which some readers want to see
    sectors = [sector for key in order for sector in _cut(data[key])]
    if (len(sectors) + len(order)) * _SECTOR > LARGEST:
        raise ValueError("an embedded object is too large")
    chains, first = _chains([len(_cut(data[key])) for key in order])
    starts = dict(zip(order, first, strict=True))
    kinds = {key: file.get_type(path) for key, path in inner.items()}
    entries = b"".join(_entry(key, order, kinds, starts, data) for key in order)
    directory = _cut(entries + _unused() * (-len(order) % (_SECTOR // _DIRECTORY.size)))
    return _written(sectors, chains, directory)


def _read(file: olefile.OleFileIO, path: list[str]) -> bytes:
    data: bytes = file.openstream(path).read()
    return data.ljust(_SECTOR, b"\0") if data else data


def _cut(data: bytes) -> list[bytes]:
    return [data[at : at + _SECTOR].ljust(_SECTOR, b"\0") for at in range(0, len(data), _SECTOR)]


def _chains(lengths: list[int], at: int = 0) -> tuple[list[int], list[int]]:
    """The table of sectors for streams of so many sectors each, one after the other; where each begins."""
    table: list[int] = []
    first: list[int] = []
    for length in lengths:
        begins = at + len(table)
        first.append(begins if length else _END)
        table += [*range(begins + 1, begins + length), _END] if length else []
    return table, first


def _entry(
    key: tuple[str, ...],
    order: list[tuple[str, ...]],
    kinds: dict[tuple[str, ...], int],
    starts: dict[tuple[str, ...], int],
    data: dict[tuple[str, ...], bytes],
) -> bytes:
    """A directory entry; its siblings hang in one line in the order of their names."""
    children = [other for other in order if len(other) == len(key) + 1 and other[: len(key)] == key]
    child = order.index(min(children, key=_rank)) if children else _NONE
    name = (key[-1] if key else "Root Entry").encode("utf-16-le")[:62]
    kind = kinds.get(key, _ROOT)
    later = [o for o in order if key and len(o) == len(key) and o[:-1] == key[:-1] and _rank(o) > _rank(key)]
    right = order.index(min(later, key=_rank)) if later else _NONE
    start = 0 if kind == _STORAGE else starts[key]
    fields = (kind, 1, _NONE, right, child, b"", 0, 0, 0, start, len(data.get(key, b"")))
    return _DIRECTORY.pack(name, len(name) + 2, *fields)


def _rank(key: tuple[str, ...]) -> tuple[int, str]:
    return len(key[-1]), key[-1].upper()


def _unused() -> bytes:
    return _DIRECTORY.pack(b"", 0, 0, 0, _NONE, _NONE, _NONE, b"", 0, 0, 0, 0, 0)


def _written(sectors: list[bytes], chains: list[int], directory: list[bytes]) -> bytes:
    """Header, streams, directory, table of sectors."""
    table = chains + _chains([len(directory)], len(chains))[0]
    tables = 1
    while tables * _PER_SECTOR < len(table) + tables:
        tables += 1
    begins = len(table)
    table += [_IS_TABLE] * tables
    table += [_FREE] * (-len(table) % _PER_SECTOR)
    places = [*range(begins, begins + tables), *[_FREE] * (_IN_HEADER - tables)]
    header = _HEADER.pack(
        OLE, b"", 0x3E, 4, 0xFFFE, 12, 6, b"", len(directory), tables, len(chains), 0, _SECTOR, _END, 0, _END, 0
    )  # fmt: skip
    header += struct.pack(f"<{_IN_HEADER}I", *places)
    packed = b"".join(_TABLE.pack(*table[at : at + _PER_SECTOR]) for at in range(0, len(table), _PER_SECTOR))
    return header.ljust(_SECTOR, b"\0") + b"".join(sectors) + b"".join(directory) + packed
