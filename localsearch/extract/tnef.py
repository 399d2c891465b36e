"""winmail.dat: what Outlook wraps a message's text and files in ([MS-OXTNEF])."""

from __future__ import annotations

import struct
from typing import Any

from localsearch.extract.mapi import (
    BODY,
    FILE_DATA,
    FILE_NAME,
    KEPT_CODE_PAGE,
    LONG_FILE_NAME,
    SUBJECT,
    Letter,
    value_of,
)

_SIGNATURE = b"\x78\x9f\x3e\x22"
_SUBJECT, _BODY, _MESSAGE, _CODE_PAGE = 0x8004, 0x800C, 0x9003, 0x9007
_BEGIN_FILE, _FILE_TITLE, _FILE_DATA, _FILE_PROPERTIES = 0x9002, 0x8010, 0x800F, 0x9005
_SIZES = {0x02: 2, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 2, 0x14: 8, 0x40: 8, 0x48: 16}
_TEXTS_AND_BYTES = frozenset([0x0D, 0x1E, 0x1F, 0x102])
_MANY = 0x1000


def is_tnef(data: bytes) -> bool:
    """Whether bytes are such a file."""
    return data.startswith(_SIGNATURE)


def read_tnef(data: bytes) -> Letter:
    """The message in the file; ValueError when its first attributes are damaged, a note when later ones are."""
    properties: dict[int, Any] = {}
    files: list[dict[int, Any]] = []
    letter, at = Letter(properties), 6
    while at + 9 <= len(data):
        _, name, _, size = struct.unpack_from("<BHHI", data, at)
        value = data[at + 9 : at + 9 + size]
        if len(value) < size:
            letter.notes.append("winmail.dat breaks off")
        at += 9 + size + 2
        if name == _BEGIN_FILE:
            files.append({})
        try:
            _take(properties, files, name, value)
        except (struct.error, IndexError):
            letter.notes.append("winmail.dat is damaged: some of its properties were not read")
    for number, file in enumerate(files, 1):
        _add_file(letter, file, number)
    return letter


def _take(properties: dict[int, Any], files: list[dict[int, Any]], name: int, value: bytes) -> None:
    if name in (_SUBJECT, _BODY):
        properties.setdefault(SUBJECT if name == _SUBJECT else BODY, value.rstrip(b"\0"))
    elif name == _CODE_PAGE:
        properties[KEPT_CODE_PAGE] = struct.unpack_from("<I", value)[0]
    elif name == _MESSAGE:
        properties.update(_properties(value))
    elif name == _FILE_TITLE and files:
        files[-1].setdefault(FILE_NAME, value.rstrip(b"\0"))
    elif name == _FILE_DATA and files:
        files[-1].setdefault(FILE_DATA, value)
    elif name == _FILE_PROPERTIES and files:
        files[-1].update(_properties(value))


def _add_file(letter: Letter, file: dict[int, Any], number: int) -> None:
    one = Letter(file | {KEPT_CODE_PAGE: letter.properties.get(KEPT_CODE_PAGE)})
    name = one.text(LONG_FILE_NAME, FILE_NAME) or f"part {number}"
    data = file.get(FILE_DATA)
    if isinstance(data, bytes) and is_tnef(data[16:20]):  # behind the identifier of its interface
        letter.letters.append(read_tnef(data[16:]))
    elif isinstance(data, bytes) and data:
        letter.files.append((name, data))
    else:
        letter.notes.append(f"{name} is not kept in winmail.dat")


def _properties(data: bytes) -> dict[int, Any]:
    """Properties by id; of one with several values, the first."""
    found: dict[int, Any] = {}
    (count,), at = struct.unpack_from("<I", data), 4
    for _ in range(count):
        kind, id = struct.unpack_from("<HH", data, at)
        at += 4
        if id >= 0x8000:
            at = _after_name(data, at)
        base = kind & ~_MANY
        values = 1
        if kind & _MANY or base in _TEXTS_AND_BYTES:
            values = struct.unpack_from("<I", data, at)[0]
            at += 4
        for index in range(values):
            size = _SIZES.get(base)
            if size is None:
                size = struct.unpack_from("<I", data, at)[0]
                at += 4
            if at + size > len(data):
                return found
            if not index:
                found[id] = value_of(base, data[at : at + size])
            at += (size + 3) & ~3
    return found


def _after_name(data: bytes, at: int) -> int:
    """The offset after a named property's name: 16 bytes of its set, then a number or a text."""
    kind, size = struct.unpack_from("<II", data, at + 16)
    return at + 24 + ((size + 3) & ~3 if kind else 0)
