"""Outlook messages in files of their own, .msg ([MS-OXMSG])."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from localsearch.extract.compound import compound
from localsearch.extract.limits import failure
from localsearch.extract.mapi import DISPLAY_NAME, FILE_DATA, FILE_NAME, LONG_FILE_NAME, Letter, value_of
from localsearch.extract.outlook import letter_extracts
from localsearch.extract.source import Source
from localsearch.types import Extract

if TYPE_CHECKING:
    import olefile

    Storage = tuple[str, ...]
_STREAM = "__substg1.0_"
_FIXED = "__properties_version1.0"
_EMBEDDED = f"{_STREAM}{FILE_DATA:04X}000D"
_INLINE = frozenset([0x02, 0x03, 0x0A, 0x0B, 0x40])


def read_msg(source: Source) -> list[Extract]:
    """An Outlook message with what is attached to it."""
    try:
        letter = _Reader(compound(source.data)).letter((), 32)
    except (OSError, struct.error, IndexError, ValueError) as error:
        raise failure("damaged", f"no readable Outlook message: {error}") from None
    return letter_extracts(source, letter, None, "msg", "")


class _Reader:
    """Reads storages of an OLE file as MAPI objects."""

    def __init__(self, file: olefile.OleFileIO) -> None:
        self._file = file
        self._entries: dict[Storage, set[str]] = {}
        for entry in file.listdir(streams=True, storages=True):
            for depth in range(len(entry)):
                self._entries.setdefault(tuple(entry[:depth]), set()).add(entry[depth])

    def letter(self, storage: Storage, header: int) -> Letter:
        """The message in a storage; `header` is the length of what precedes its properties' table."""
        letter = Letter(self._properties(storage, header))
        for name in sorted(self._entries.get(storage, ())):
            if name.startswith("__recip_version1.0_"):
                letter.recipients.append(self._properties((*storage, name), 8))
            elif name.startswith("__attach_version1.0_"):
                self._attach(letter, (*storage, name))
        return letter

    def _attach(self, letter: Letter, storage: Storage) -> None:
        own = self._properties(storage, 8)
        one = Letter(letter.properties | own)  # type: ignore[operator]
        name = one.text(LONG_FILE_NAME, FILE_NAME, DISPLAY_NAME) if own else ""
        data = own.get(FILE_DATA)
        inside = (*storage, _EMBEDDED)
        if _FIXED in self._entries.get(inside, ()):
            letter.letters.append(self.letter(inside, 24))
        elif isinstance(data, bytes) and data:
            letter.files.append((name or f"part {len(letter.files) + 1}", data))
        else:
            letter.notes.append(f"{name or 'an embedded object'} could not be read: it is not kept as a file")

    def _properties(self, storage: Storage, header: int) -> dict[int, Any]:
        found: dict[int, Any] = {}
        entries = self._entries.get(storage, ())
        if _FIXED in entries:
            table = self._file.openstream([*storage, _FIXED]).read()
            for at in range(header, len(table) - 15, 16):
                kind, id = struct.unpack_from("<HH", table, at)
                if kind in _INLINE:
                    found[id] = value_of(kind, table[at + 8 : at + 16])
        for name in sorted(entries):
            if name.startswith(_STREAM) and len(name) == len(_STREAM) + 8 and not name.endswith("000D"):
                id, kind = int(name[-8:-4], 16), int(name[-4:], 16)
                if not kind & 0x1000:
                    found[id] = value_of(kind, self._file.openstream([*storage, name]).read())
        return found
