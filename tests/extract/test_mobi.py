"""Kindle books whose text is packed by a dictionary of their own."""

from __future__ import annotations

import struct

import pytest

from localsearch.errors import ExtractionError
from localsearch.extract.limits import Limits
from localsearch.extract.read import read

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)
PHRASE = 0xFE
"""The code of an entry that is packed itself."""


def huff(length: int = 8) -> bytes:
    """Codes of eight bits: code b stands for entry 255 - b."""
    quick = struct.pack(">L", 0xFF << 8 | 0x80 | length) * 256
    return b"HUFF" + struct.pack(">LLL", 24, 24, 24 + len(quick)) + bytes(8) + quick + bytes(256)


def packed(text: bytes) -> bytes:
    return text  # code b of entry 255 - b, which holds the byte b


def cdic() -> bytes:
    """A dictionary of all bytes; one entry is the packed words "boil the kettle"."""
    entries = []
    for index in range(256):
        code = 255 - index
        plain = code != PHRASE
        data = bytes([code]) if plain else packed(b"boil the kettle")
        entries.append(struct.pack(">H", len(data) | (0x8000 if plain else 0)) + data)
    starts = [512 + sum(map(len, entries[:index])) for index in range(256)]
    return b"CDIC" + struct.pack(">LLL", 16, 256, 8) + struct.pack(">256H", *starts) + b"".join(entries)


def book(record: bytes, length: int, dictionary: bytes) -> bytes:
    title = b"Tea book"
    head = struct.pack(">HHLHHHH", 17480, 0, length, 1, 4096, 0, 0) + b"MOBI"
    head += struct.pack(">LLLL", 232, 2, 65001, 1)
    head = head.ljust(84, b"\0") + struct.pack(">LL", 248, len(title))
    head = head.ljust(0x70, b"\0") + struct.pack(">LL", 2, 2)
    records = [head.ljust(248, b"\0") + title, record, dictionary, cdic()]
    start = 78 + 8 * len(records) + 2
    places = [start + sum(map(len, records[:index])) for index in range(len(records))]
    table = b"".join(struct.pack(">LL", place, index) for index, place in enumerate(places))
    name = b"tea".ljust(60, b"\0") + b"BOOKMOBI" + bytes(8)
    return name + struct.pack(">H", len(records)) + table + b"\0\0" + b"".join(records)


def test_a_book_packed_by_a_dictionary() -> None:
    page = b"<html><body><h1>Tea</h1><p>First \xfe, then wait.</p></body></html>"
    (found,) = read(book(packed(page), len(page) + 14, huff()), "a.azw", LIMITS)
    assert found.type == "mobi"
    assert found.text == "Tea\n\nFirst boil the kettle, then wait."


def test_codes_without_length_are_damage_and_no_endless_loop() -> None:
    with pytest.raises(ExtractionError, match="dictionary is damaged"):
        read(book(b"<p>tea</p>", 10, huff(0)), "a.azw", LIMITS)
