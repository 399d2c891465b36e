"""Kindle books without copy protection: .mobi, .azw, .azw3 and .prc, whose text is HTML in compressed records.

Palm database, PalmDOC and HUFF/CDIC compression, EXTH metadata: https://wiki.mobileread.com/wiki/MOBI
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import Any

from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean
from localsearch.extract.fields import front_matter
from localsearch.extract.html import read_markup
from localsearch.extract.limits import failure
from localsearch.extract.source import Source
from localsearch.types import Extract

_EXTH = {
    100: "author",
    101: "publisher",
    103: "description",
    105: "tags",
    106: "created",
    503: "title",
    524: "language",
}
_NOISE = re.compile(r"<mbp:pagebreak[^>]*>|<guide>.*?</guide>|<reference[^>]*>", re.I | re.S)
_SPLIT = re.compile(r"(?=<\?xml[^>]*encoding)|(?=<html[ >])", re.I)
_DAMAGE = (struct.error, IndexError, ValueError, KeyError)


def read_mobi(source: Source) -> list[Extract]:
    """The book's text with its headings; of a file that holds the book in both formats, the older one."""
    try:
        records = list(_records(source.data))
        head = records[0]
        compression, _, length, count, _, protection = struct.unpack_from(">HHLHHH", head)
        if protection:
            raise failure("encrypted", "the book is copy-protected")
        mobi = head[16:20] == b"MOBI"
        codepage = struct.unpack_from(">L", head, 28)[0] if mobi else 1252
        unpack = _unpacker(compression, head, records)
        flags = struct.unpack_from(">H", head, 0xF2)[0] if mobi and len(head) >= 0xF4 else 0
        parts: list[bytes] = []
        for record in records[1 : count + 1]:
            text = unpack(_without_trailers(record, flags))
            source.budget.take(len(text))
            parts.append(text)
    except _DAMAGE as error:
        raise failure("damaged", f"no readable Kindle book: {error}") from None
    raw = b"".join(parts)[:length] if mobi else b"".join(parts)
    book = raw.decode("utf-8" if codepage == 65001 else "cp1252", "replace")
    title, metadata = _described(head) if mobi else ("", {})
    builder = Builder(source.limits.text)
    for page in _SPLIT.split(_NOISE.sub(" ", clean(book))):
        if page.strip():
            read_markup(page, builder)
    if builder.empty:
        raise failure("no-text", "the book holds no text")
    return [builder.extract("mobi", title=title, metadata=metadata)]


def _records(data: bytes) -> Iterator[bytes]:
    (count,) = struct.unpack_from(">H", data, 76)
    starts = [struct.unpack_from(">L", data, 78 + 8 * index)[0] for index in range(count)]
    for start, end in zip(starts, [*starts[1:], len(data)]):
        yield data[start:end]


def _unpacker(compression: int, head: bytes, records: list[bytes]) -> Callable[[bytes], bytes]:
    if compression == 1:
        return bytes
    if compression == 2:
        return palmdoc
    if compression == 17480:
        first, count = struct.unpack_from(">LL", head, 0x70)
        return Huffman(records[first], records[first + 1 : first + count]).unpack
    raise ValueError(f"compression {compression} is not known")


def _without_trailers(record: bytes, flags: int) -> bytes:
    """A text record without the entries at its end, one for each bit of the flags but the lowest."""
    end = len(record)
    for _ in range((flags >> 1).bit_count()):
        size = 0
        for byte in record[max(0, end - 4) : end]:
            size = 0 if byte & 0x80 else size
            size = size << 7 | byte & 0x7F
        end -= size
    if flags & 1 and end > 0:
        end -= (record[end - 1] & 3) + 1
    return record[: max(0, end)]


def palmdoc(data: bytes) -> bytes:
    """PalmDOC compression undone: literals, distances back, and a space with a letter."""
    out = bytearray()
    at = 0
    while at < len(data):
        byte = data[at]
        at += 1
        if 1 <= byte <= 8:
            out += data[at : at + byte]
            at += byte
        elif byte < 0x80:
            out.append(byte)
        elif byte >= 0xC0:
            out += bytes((32, byte ^ 0x80))
        elif at < len(data):
            pair = byte << 8 | data[at]
            at += 1
            distance, length = pair >> 3 & 0x7FF, (pair & 7) + 3
            if not 0 < distance <= len(out):
                raise ValueError("it refers to what is not there")
            for _ in range(length):
                out.append(out[-distance])
    return bytes(out)


class Huffman:
    """HUFF/CDIC: codes of up to 32 bits for entries of a dictionary, which may be compressed themselves."""

    def __init__(self, huff: bytes, cdics: list[bytes]) -> None:
        if huff[:4] != b"HUFF":
            raise ValueError("its dictionary is damaged")
        cache, base = struct.unpack_from(">LL", huff, 8)
        self._quick = [(v & 0x1F, v & 0x80, v >> 8) for v in struct.unpack_from(">256L", huff, cache)]
        bounds = struct.unpack_from(">64L", huff, base)
        self._least = [0, *(bounds[2 * n] << (31 - n) for n in range(32))]
        self._most = [0, *((bounds[2 * n + 1] + 1 << (31 - n)) - 1 for n in range(32))]
        self._entries: list[tuple[bytes, bool]] = []
        for cdic in cdics:
            self._load(cdic)

    def _load(self, cdic: bytes) -> None:
        total, bits = struct.unpack_from(">LL", cdic, 8)
        count = min(1 << bits, total - len(self._entries))
        for start in struct.unpack_from(f">{count}H", cdic, 16):
            (size,) = struct.unpack_from(">H", cdic, 16 + start)
            self._entries.append((cdic[18 + start : 18 + start + (size & 0x7FFF)], bool(size & 0x8000)))

    def unpack(self, data: bytes, depth: int = 0) -> bytes:
        """The text of a record."""
        if depth > 20:
            raise ValueError("its dictionary is nested too deeply")
        left, at = len(data) * 8, 0
        whole = int.from_bytes(data + bytes(8), "big")
        total = left + 64
        out = bytearray()
        while left > 0:
            code = whole >> (total - at - 32) & 0xFFFFFFFF
            length, ends, most = self._quick[code >> 24]
            if ends:
                most = (most + 1 << (32 - length)) - 1
            else:
                while code < self._least[length]:
                    length += 1
                most = self._most[length]
            if not length:
                raise ValueError("its dictionary is damaged")
            at += length
            left -= length
            if left < 0:
                break
            out += self._entry(most - code >> (32 - length), depth)
        return bytes(out)

    def _entry(self, index: int, depth: int) -> bytes:
        text, plain = self._entries[index]
        if not plain:
            text = self.unpack(text, depth + 1)
            self._entries[index] = (text, True)
        return text


def _described(head: bytes) -> tuple[str, dict[str, Any]]:
    """Title and metadata: the full name, and the EXTH records."""
    found: dict[str, Any] = {}
    if struct.unpack_from(">L", head, 0x80)[0] & 0x40:
        at = 16 + struct.unpack_from(">L", head, 20)[0]
        if head[at : at + 4] == b"EXTH":
            (count,) = struct.unpack_from(">L", head, at + 8)
            at += 12
            for _ in range(min(count, 1000)):
                kind, size = struct.unpack_from(">LL", head, at)
                if kind in _EXTH and size > 8:
                    value = head[at + 8 : at + size].decode("utf-8", "replace")
                    name = _EXTH[kind]
                    found[name] = f"{found[name]}, {value}" if name in found and name != "title" else value
                at += max(8, size)
    start, length = struct.unpack_from(">LL", head, 84)
    name = head[start : start + length].decode("utf-8", "replace")
    return str(found.pop("title", "") or clean(name).strip()), front_matter(found)
