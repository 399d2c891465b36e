"""ZIM, the format of offline encyclopaedias: each article a document. https://wiki.openzim.org/wiki/ZIM_file_format

Read here and not by libzim, which wants a path to open: a reader in confinement has only the bytes of its file.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from localsearch.extract.builder import Builder
from localsearch.extract.decode import decode
from localsearch.extract.html import read_html
from localsearch.extract.limits import failure
from localsearch.extract.source import Source, clean_name
from localsearch.types import Extract

_HEADER = struct.Struct("<LHH16sLLQQQQLLQ")
_MAGIC = 72173914
_REDIRECT = 0xFFFF
_TEXTS = ("text/html", "text/plain", "application/xhtml")
ARTICLES = 100_000
"""Articles of one file, at most."""
TEXTS = 2
"""Their text, in limits of the text of one file: all of it is held in memory at a time."""
_DAMAGE = (struct.error, IndexError, ValueError, lzma.LZMAError, OSError, EOFError, UnicodeError)


class _Entry(NamedTuple):
    kind: str
    cluster: int
    blob: int
    path: str
    title: str


def read_zim(source: Source) -> list[Extract]:
    """The articles of a ZIM file in the order in which they are stored; how many were left out is told in a note."""
    try:
        archive = _Archive(source.data)
        entries = sorted(archive.articles(), key=lambda entry: (entry.cluster, entry.blob))
    except _DAMAGE as error:
        raise failure("damaged", f"no readable ZIM file: {error}") from None
    found: list[Extract] = []
    notes: list[str] = []
    room = TEXTS * source.limits.text
    for number, entry in enumerate(entries):
        if len(found) >= ARTICLES or room <= 0:
            notes.append(
                f"{len(entries) - number} of {len(entries)} articles were left out: they are too many for one file"
            )
            break
        try:
            extract = _article(entry, archive.blob(entry, source.limits.unpacked), source.limits.text)
        except _DAMAGE as error:
            notes.append(f"{clean_name(entry.path)}: could not be unpacked: {error}")
            continue
        if extract.text.strip():
            room -= len(extract.text)
            found.append(extract)
    if not found:
        raise failure("no-text", "; ".join(notes) or "it holds no articles")
    if notes:
        found.append(Extract("", "zim", notes=tuple(notes)))
    return found


def _article(entry: _Entry, data: bytes, limit: int) -> Extract:
    if entry.kind.startswith("text/plain"):
        builder = Builder(limit)
        builder.add(decode(data)[0])
        extract = builder.extract("text")
    else:
        extract = read_html(data, limit)
    return Extract(
        extract.text,
        "zim",
        extract.title or entry.title,
        extract.blocks,
        extract.metadata,
        clean_name(entry.path),
        extract.notes,
    )


class _Archive:
    """Directory and clusters of a ZIM file in memory; the cluster used last stays unpacked."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        head = _HEADER.unpack_from(data)
        if head[0] != _MAGIC:
            raise ValueError("its first bytes are not those of a ZIM file")
        self._namespaces = head[1] == 5 or (head[1] == 6 and head[2] == 0)
        self._entries, self._clusters = head[4], head[5]
        self._paths, self._cluster_list = head[6], head[8]
        self._kinds = self._strings(head[9])
        self._open = -1
        self._blobs: list[bytes] = []

    def _strings(self, at: int) -> list[str]:
        found = []
        while text := self._text(at):
            found.append(text)
            at += len(text.encode()) + 1
        return found

    def _text(self, at: int) -> str:
        return self._data[at : self._data.index(b"\0", at)].decode("utf-8")

    def articles(self) -> Iterator[_Entry]:
        """What is content and text; redirections lead to what is there already."""
        for index in range(self._entries):
            (at,) = struct.unpack_from("<Q", self._data, self._paths + 8 * index)
            kind, _, namespace = struct.unpack_from("<HBc", self._data, at)
            if kind >= len(self._kinds) or namespace not in ((b"A",) if self._namespaces else (b"C",)):
                continue
            if not self._kinds[kind].startswith(_TEXTS):
                continue
            cluster, blob = struct.unpack_from("<LL", self._data, at + 8)
            path = self._text(at + 16)
            title = self._text(at + 16 + len(path.encode()) + 1)
            yield _Entry(self._kinds[kind], cluster, blob, path, title or path)

    def blob(self, entry: _Entry, limit: int) -> bytes:
        """The content of an entry."""
        if entry.cluster != self._open:
            self._blobs = self._unpacked(entry.cluster, limit)
            self._open = entry.cluster
        return self._blobs[entry.blob]

    def _unpacked(self, number: int, limit: int) -> list[bytes]:
        if number >= self._clusters:
            raise ValueError("it refers to a cluster that is not there")
        (start,) = struct.unpack_from("<Q", self._data, self._cluster_list + 8 * number)
        info = self._data[start]
        data = _decompressed(info & 0x0F, memoryview(self._data)[start + 1 :], limit)
        size, form = (8, "Q") if info & 0x10 else (4, "L")
        (first,) = struct.unpack_from("<" + form, data)
        offsets = struct.unpack_from(f"<{first // size}{form}", data)
        return [bytes(data[one:two]) for one, two in pairwise(offsets)]


def _decompressed(method: int, data: memoryview, limit: int) -> bytes | memoryview:
    if method in (0, 1):
        return data
    if method == 4:
        return lzma.LZMADecompressor().decompress(data, max_length=limit)
    if method == 5:
        return _zstd(data, limit)
    raise ValueError(f"its compression {method} is not known")


def _zstd(data: memoryview, limit: int) -> bytes:
    try:
        from compression import zstd  # type: ignore[import-not-found]
    except ImportError:
        try:
            from backports import zstd  # type: ignore[attr-defined,import-untyped,unused-ignore]
        except ImportError:
            raise failure("unsupported", "a ZIM file: pip install 'localsearch[zim]' to read it") from None
    try:
        return bytes(zstd.ZstdDecompressor().decompress(data, max_length=limit))
    except zstd.ZstdError as error:
        raise ValueError(str(error)) from None
