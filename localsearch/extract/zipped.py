"""Zip packages in memory, read without what zipfile does for archives of every kind.

Reference: PKWARE APPNOTE 4.3. Office documents are small and many: zipfile takes half of the time for one. It is asked
for whatever is not plain, such as encryption, Zip64, other methods and damage, so that its errors are the errors.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from functools import cached_property
from typing import IO, Final

_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s4x2H4x3L3H8xL")
_LOCAL = struct.Struct("<4s22x2H")
_STORED, _DEFLATED = 0, 8
_SIZE: Final = 4
_SIZES = 0xFFFFFFFF
_UTF8, _PLAIN = 0x800, 0x80E
"""Flags: the name is UTF-8; those that change nothing in how a plain member is read."""

_Member = tuple[int, int, int, int, int, int, bytes]
"""Flags, method, checksum, packed size, size, place and name, as the directory has them; a class would take longer."""


class Zipped:
    """The members of a package by their names; the last one of those that share a name, as zipfile does.

    Opening raises what zipfile raises for what is no zip file.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        listed = _listed(data)
        self._members = listed or {}
        self._names = list(self.archive.namelist() if listed is None else self._members)

    @cached_property
    def archive(self) -> zipfile.ZipFile:
        """The same package for whoever needs all that zipfile tells of its members."""
        return zipfile.ZipFile(io.BytesIO(self._data))

    def names(self) -> list[str]:
        """The names of all members, in the order of the directory."""
        return self._names

    def size(self, name: str) -> int:
        """Bytes that a member unpacks to by its own account; KeyError if it is not there."""
        member = self._members.get(name)
        return self.archive.getinfo(name).file_size if member is None else member[_SIZE]

    def open(self, name: str) -> IO[bytes]:
        """A member to be read in pieces."""
        return self.archive.open(name)

    def read(self, name: str, most: int) -> bytes:
        """A member's first bytes, up to `most` of them; KeyError if it is not there, else what zipfile raises."""
        data = self.whole(name, most)
        if data is None:
            with self.archive.open(name) as file:
                data = file.read(most)
        return data

    def whole(self, name: str, most: int) -> bytes | None:
        """A plain member of at most so many bytes; None for any other."""
        member = self._members.get(name)
        return None if member is None or member[_SIZE] > most else _unpacked(self._data, member)


def _listed(data: bytes) -> dict[str, _Member] | None:
    """The directory of a plain package, which ends with it; None for any other."""
    begins = len(data) - _END.size
    if begins < 0 or data[begins : begins + 4] != b"PK\5\6":
        return None
    _, disk, first, here, count, length, offset, comment = _END.unpack_from(data, begins)
    if disk or first or here != count or comment or offset + length != begins or count == 0xFFFF:
        return None
    members: dict[str, _Member] = {}
    at = offset
    while at < begins:
        if at + _CENTRAL.size > begins:
            return None
        mark, flags, method, check, packed, size, named, extra, remark, place = _CENTRAL.unpack_from(data, at)
        at += _CENTRAL.size
        raw = data[at : at + named]
        if mark != b"PK\1\2" or _SIZES in (packed, size, place) or b"\0" in raw:
            return None
        try:
            name = raw.decode("utf-8" if flags & _UTF8 or raw.isascii() else "cp437")
        except UnicodeDecodeError:
            return None
        members[name] = (flags, method, check, packed, size, place, raw)
        at += named + extra + remark
    return members if at == begins and len(members) == count else None


def _unpacked(data: bytes, member: _Member) -> bytes | None:
    """The bytes of a plain member that is as its entry tells; None for any other."""
    flags, method, check, length, size, at, name = member
    if flags & ~_PLAIN or method not in (_STORED, _DEFLATED) or at + _LOCAL.size > len(data):
        return None
    mark, named, extra = _LOCAL.unpack_from(data, at)
    at += _LOCAL.size
    if mark != b"PK\3\4" or data[at : at + named] != name:
        return None
    at += named + extra
    packed = data[at : at + length]
    if method == _DEFLATED:
        try:
            packed = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)
        except zlib.error:
            return None
    return packed if len(packed) == size and zlib.crc32(packed) == check else None
