"""Packages come out as zipfile reads them, plain ones without it."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from localsearch.extract.zipped import Zipped

TEXT = b"The kettle boils. " * 40


def package(method: int = zipfile.ZIP_DEFLATED, **parts: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in (parts or {"a.xml": TEXT, "größe/ü.xml": b""}).items():
            file.writestr(name, data)
    return buffer.getvalue()


def without_zipfile(found: Zipped) -> bool:
    return "archive" not in vars(found)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_plain_members_are_read_without_zipfile(method: int) -> None:
    found = Zipped(package(method))
    assert found.names() == ["a.xml", "größe/ü.xml"]
    assert found.size("a.xml") == len(TEXT)
    assert found.read("a.xml", 10_000) == TEXT
    assert found.read("größe/ü.xml", 10_000) == b""
    assert without_zipfile(found)


def test_a_stream_of_unknown_size_is_plain_too() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.xml", TEXT)
    found = Zipped(pipe.getvalue())
    assert found.read("a.xml", 10_000) == TEXT
    assert without_zipfile(found)


def test_no_more_is_read_than_was_asked_for() -> None:
    found = Zipped(package())
    assert found.read("a.xml", 10) == TEXT[:10]
    assert found.whole("a.xml", 10) is None


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_are_left_to_zipfile(method: int) -> None:
    assert Zipped(package(method)).read("a.xml", 10_000) == TEXT


def test_what_stands_before_or_behind_a_package_changes_nothing() -> None:
    assert Zipped(b"#!/bin/sh\n" + package()).read("a.xml", 10_000) == TEXT
    buffer = io.BytesIO(package())
    with zipfile.ZipFile(buffer, "a") as file:
        file.comment = b"made by hand"
    assert Zipped(buffer.getvalue()).read("a.xml", 10_000) == TEXT


def test_zip64_is_read() -> None:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("a.xml", "w", force_zip64=True) as one,
    ):
        one.write(TEXT)
    assert Zipped(buffer.getvalue()).read("a.xml", 10_000) == TEXT


def test_of_two_members_with_one_name_the_last_counts() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.xml", b"old")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a.xml", b"new")
    assert Zipped(buffer.getvalue()).read("a.xml", 100) == b"new"


def test_a_missing_member_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Zipped(package()).read("b.xml", 100)
    with pytest.raises(KeyError):
        Zipped(package()).size("b.xml")


def test_no_zip_file_is_told_as_zipfile_tells_it() -> None:
    with pytest.raises(zipfile.BadZipFile):
        Zipped(b"PK\3\4 and nothing else")
    with pytest.raises(zipfile.BadZipFile):
        Zipped(package()[:-40])


def test_a_damaged_member_is_no_text() -> None:
    data = bytearray(package(zipfile.ZIP_STORED))
    data[data.index(b"kettle")] ^= 1
    with pytest.raises(zipfile.BadZipFile, match="CRC"):
        Zipped(bytes(data)).read("a.xml", 10_000)
    other = package(zipfile.ZIP_STORED).replace(b"a.xml", b"b.xml", 1)
    with pytest.raises(zipfile.BadZipFile, match="differ"):
        Zipped(other).read("a.xml", 10_000)


def test_an_encrypted_member_is_not_taken_for_text() -> None:
    data = bytearray(package(zipfile.ZIP_STORED))
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = data.index(mark) + at
        struct.pack_into("<H", data, place, struct.unpack_from("<H", data, place)[0] | 1)
    with pytest.raises(RuntimeError, match="password"):
        Zipped(bytes(data)).read("a.xml", 10_000)


def test_a_size_that_a_member_does_not_have_is_not_believed() -> None:
    data = package()
    at = data.index(b"PK\1\2") + 24
    smaller = data[:at] + struct.pack("<I", 5) + data[at + 4 :]
    with pytest.raises(zipfile.BadZipFile, match="CRC"):
        Zipped(smaller).read("a.xml", 10_000)
