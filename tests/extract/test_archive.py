"""Archives and compressed files: members by name, limits, and bombs."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import pytest

from localsearch.errors import ExtractionError
from localsearch.extract.limits import Limits
from localsearch.extract.read import read
from localsearch.types import Extract

LIMITS = Limits(text=1_000_000, unpacked=1_000_000, members=20, depth=3, ocr=False)
FILES = {
    "readme.md": b"# Tools\n\nA hammer.",
    "src/main.py": b"x = 1\n",
    "empty.txt": b"",
    "a/b/c.txt": b"deep",
}


def make_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in files.items():
            package.writestr(name, data)
    return buffer.getvalue()


def make_tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("passwd")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


def texts(found: list[Extract]) -> dict[str, str]:
    return {extract.member: extract.text for extract in found if extract.text}


def notes(found: list[Extract]) -> list[str]:
    return [note for extract in found for note in extract.notes]


@pytest.mark.parametrize(("name", "make"), [("a.zip", make_zip), ("a.tar", make_tar)])
def test_members_are_documents(name: str, make: Callable[[dict[str, bytes]], bytes]) -> None:
    found = read(make(FILES), name, LIMITS)
    assert texts(found) == {
        "readme.md": "# Tools\n\nA hammer.",
        "src/main.py": "x = 1\n",
        "a/b/c.txt": "deep",
    }
    assert [extract.type for extract in found] == ["markdown", "code", "empty", "text"]
    assert notes(found) == ["empty.txt: the file is empty"]


@pytest.mark.parametrize(
    ("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_compressed_files_are_what_they_hold(suffix: str, pack: Callable[[bytes], bytes]) -> None:
    (one,) = read(pack(b"# Notes\n\nHello."), f"notes.md.{suffix}", LIMITS)
    assert (one.type, one.member, one.title) == ("markdown", "", "Notes")
    assert list(texts(read(pack(make_tar(FILES)), f"a.tar.{suffix}", LIMITS))) == [
        "readme.md",
        "src/main.py",
        "a/b/c.txt",
    ]


def test_a_short_tar_suffix() -> None:
    assert "readme.md" in texts(read(gzip.compress(make_tar(FILES)), "a.tgz", LIMITS))


def test_archives_in_archives() -> None:
    inner = make_zip({"notes.txt": b"inside", "more.txt.gz": gzip.compress(b"packed")})
    found = read(make_zip({"in/b.zip": inner, "top.txt": b"top"}), "a.zip", LIMITS)
    assert texts(found) == {
        "in/b.zip!/notes.txt": "inside",
        "in/b.zip!/more.txt.gz": "packed",
        "top.txt": "top",
    }


def test_names_that_climb_or_repeat() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr("../../etc/cron.txt", b"one")
        package.writestr("/etc/cron.txt", b"two")
        package.writestr("etc/cron.txt", b"three")
        with pytest.warns(UserWarning, match="Duplicate"):
            package.writestr("etc/cron.txt", b"four")
    assert texts(read(buffer.getvalue(), "a.zip", LIMITS)) == {
        "etc/cron.txt": "one",
        "etc/cron.txt#2": "two",
        "etc/cron.txt#3": "three",
        "etc/cron.txt#4": "four",
    }


def test_version_control_and_caches_in_archives_are_left_out() -> None:
    files = {
        ".git/config": b"[core]",
        "__MACOSX/._a": b"junk",
        "node_modules/x.js": b"1",
        "keep.txt": b"kept",
    }
    assert texts(read(make_zip(files), "a.zip", LIMITS)) == {"keep.txt": "kept"}


def test_secrets_in_archives_are_left_out_and_said() -> None:
    key = b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk=\n"
    files = {
        "app/.env": b"TOKEN=x",
        "keys/backup.txt": key,
        ".ssh/config": b"Host a",
        "app/.env.example": b"TOKEN=",
    }
    found = read(make_zip(files), "a.zip", LIMITS)
    assert texts(found) == {"app/.env.example": "TOKEN="}
    assert [extract.type for extract in found] == ["secret", "secret", "secret", "text"]
    assert all("looks like a key" in note for note in notes(found))


def test_too_deep() -> None:
    data, name = b"bottom", "bottom.txt"
    for level in range(4):
        data, name = make_zip({name: data, f"level{level}.txt": b"text"}), f"level{level}.zip"
    found = read(data, "a.zip", LIMITS)
    assert "level2.zip!/level1.zip!/level1.txt" in texts(found)
    assert not any("bottom" in member for member in texts(found))
    assert any("nested more than 3 deep" in note for note in notes(found))


def test_a_bomb_among_good_files() -> None:
    found = read(
        make_zip({"good.txt": b"good", "bomb.txt": b"0" * 50_000_000, "late.txt": b"late"}), "a.zip", LIMITS
    )
    assert texts(found) == {"good.txt": "good"}
    assert "it unpacks to more than the limit" in notes(found)[0]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_bomb(pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ExtractionError) as caught:
        read(pack(bytes(20_000_000)), "a.txt.gz", LIMITS)
    assert caught.value.data["rule"] == "bomb"


def test_too_many_members() -> None:
    found = read(make_zip({f"{number}.txt": b"text" for number in range(30)}), "a.zip", LIMITS)
    assert len(texts(found)) == 20
    assert "more than 20 members" in notes(found)[0]


def test_an_archive_of_nothing_readable() -> None:
    with pytest.raises(ExtractionError, match="nothing in it could be read") as caught:
        read(make_zip({"a.bin": bytes(range(256)) * 4}), "a.zip", LIMITS)
    assert caught.value.data["rule"] == "binary"


@pytest.mark.parametrize(
    ("name", "data", "rule"),
    [
        ("a.zip", make_zip(FILES)[:60], "damaged"),
        ("a.tar", make_tar({"a.txt": b"text " * 1000})[:2000], "damaged"),
        ("a.zip", make_zip({}), "empty"),
    ],
    ids=["zip cut off", "tar cut off", "empty zip"],
)
def test_broken_archives(name: str, data: bytes, rule: str) -> None:
    with pytest.raises(ExtractionError) as caught:
        read(data, name, LIMITS)
    assert caught.value.data["rule"] == rule


def make_rar(files: dict[str, bytes]) -> bytes:
    """A RAR archive of version 4 whose members are stored as they are."""

    def block(kind: int, flags: int, body: bytes) -> bytes:
        rest = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        return struct.pack("<H", zlib.crc32(rest) & 0xFFFF) + rest

    made = b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6))
    for name, data in files.items():
        size, check = len(data), zlib.crc32(data)
        stored = struct.pack("<IIBIIBBHI", size, size, 3, check, 0x5A21, 20, 0x30, len(name), 0o100644)
        made += block(0x74, 0x8000, stored + name.encode()) + data
    return made + block(0x7B, 0x4000, b"")


def test_members_of_a_rar_archive() -> None:
    pytest.importorskip("libarchive", reason="needs libarchive and the extra [archives]")
    files = {name: data for name, data in FILES.items() if data}
    found = texts(read(make_rar(files), "a.rar", LIMITS))
    assert found == {"readme.md": "# Tools\n\nA hammer.", "src/main.py": "x = 1\n", "a/b/c.txt": "deep"}


def test_a_rar_archive_that_breaks_off() -> None:
    pytest.importorskip("libarchive", reason="needs libarchive and the extra [archives]")
    with pytest.raises(ExtractionError) as caught:
        read(make_rar({"a.txt": b"kettle " * 100})[:200], "a.rar", LIMITS)
    assert caught.value.data["rule"] == "damaged"
