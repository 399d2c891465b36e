"""Streams of an OLE container come out as olefile reads them, in whatever order their sectors are, damaged ones too."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import olefile
import pytest

from localsearch.extract.compound import Container, compound, forget

SECTOR, END, FREE, TABLE = 512, 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
LARGE = bytes(index * 7 % 251 for index in range(4200))
SMALL = b"a short stream, which lies in three sectors of sixty-four bytes. " * 2


def container(
    large: Sequence[int] = range(4, 13), short: Sequence[int] = (0, 1, 2), size: int = len(LARGE)
) -> bytes:
    """Sector 0 is the table, 1 the directory, 2 that of short sectors, 3 their stream; `large` lies in 4 to 12."""
    table = [TABLE, END, END, END, *[FREE] * 124]
    small = [FREE] * 128
    for chain, links in ((large, table), (short, small)):
        for here, after in zip(chain, [*chain[1:], END], strict=True):
            links[here] = after
    entries = [("Root Entry", 5, 1, FREE, 3, 512), ("Large", 2, FREE, 2, large[0], size)]
    entries.append(("Small", 2, FREE, FREE, short[0], len(SMALL)))
    directory = b"".join(
        struct.pack("<64sHBB3I16sIQQIQ", name.encode("utf-16-le"), 2 * len(name) + 2, kind, 1, FREE, right, child,
                    b"", 0, 0, 0, start, length)
        for name, kind, child, right, start, length in entries
    )  # fmt: skip
    sectors = [b""] * 13
    sectors[0], sectors[2] = struct.pack("<128I", *table), struct.pack("<128I", *small)
    sectors[1] = directory.ljust(SECTOR, b"\0")
    sectors[3] = b"".join(_part(SMALL, short, index, 64) for index in range(8))
    sectors[4:] = [_part(LARGE, large, index, SECTOR) for index in range(4, 13)]
    head = struct.pack("<8s16sHHHHH6s9I", olefile.MAGIC, b"", 0x3E, 3, 0xFFFE, 9, 6, b"", 0, 1, 1, 0, 4096, 2, 1, END, 0)  # fmt: skip
    return head + struct.pack("<109I", 0, *[FREE] * 108) + b"".join(sectors)


def _part(data: bytes, chain: Sequence[int], index: int, width: int) -> bytes:
    at = list(chain).index(index) * width if index in chain else len(data)
    return data[at : at + width].ljust(width, b"\0")


@pytest.mark.parametrize("large", [range(4, 13), range(12, 3, -1), [7, 8, 9, 4, 5, 12, 11, 10, 6]])
@pytest.mark.parametrize("short", [(0, 1, 2), (5, 4, 0), (7, 2, 3)])
def test_streams_are_whole_in_any_order_of_sectors(large: Sequence[int], short: Sequence[int]) -> None:
    file = Container(container(large, short))
    assert file.openstream("Large").read() == LARGE
    assert file.openstream("Small").read() == SMALL
    assert not file.parsing_issues


@pytest.mark.parametrize(
    ("at", "link"),
    [(5, END), (5, 4), (5, 1000), (12, 4), (4, 4), (11, FREE)],
    ids=["ends early", "loops", "leaves the table", "no end", "itself", "free"],
)
def test_a_damaged_chain_is_read_as_far_as_olefile_reads_it(at: int, link: int) -> None:
    data = bytearray(container())
    struct.pack_into("<I", data, SECTOR + 4 * at, link)
    ours, theirs = Container(bytes(data)), olefile.OleFileIO(io.BytesIO(bytes(data)))
    assert _read(ours) == _read(theirs)


@pytest.mark.parametrize("length", [1, 511, 512, 513, 3000])
def test_a_file_that_breaks_off_is_read_as_far_as_olefile_reads_it(length: int) -> None:
    data = container()[:-length]
    assert _read(Container(data)) == _read(olefile.OleFileIO(io.BytesIO(data)))


def test_a_stream_that_says_it_is_longer_than_the_file_costs_what_olefile_says() -> None:
    data = container(size=4_000_000_000)
    assert _read(Container(data)) == _read(olefile.OleFileIO(io.BytesIO(data)))


def test_a_container_is_opened_once_until_it_is_forgotten() -> None:
    outer, inner = container(), container(short=(5, 4, 0))
    first = compound(outer)
    compound(inner)
    assert compound(outer) is first
    forget()
    assert compound(outer) is not first
    forget()


def _read(file: olefile.OleFileIO) -> tuple[bytes | str, bytes | str]:
    return _stream(file, "Large"), _stream(file, "Small")


def _stream(file: olefile.OleFileIO, name: str) -> bytes | str:
    try:
        data: bytes = file.openstream(name).read()
        return data
    except OSError as error:
        return str(error)
