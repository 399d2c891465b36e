"""Compressed files that break off, go on with something else, or are packed in a way that is not opened."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from localsearch.errors import ExtractionError
from localsearch.extract.kinds import detect
from localsearch.extract.limits import Limits
from localsearch.extract.read import read, read_source
from localsearch.extract.source import Budget, Source
from localsearch.types import Extract

LIMITS = Limits(text=1_000_000, unpacked=1_000_000, members=20, depth=3, ocr=False)
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
}
LINES = "".join(f"The kettle number {number} whistles at seven.\n" for number in range(200))
ENDLESS = (
    "could not be unpacked to its end: Compressed file ended before the end-of-stream marker was reached"
)


def noise(count: int) -> str:
    """Text that packs to about half of its size, so that packers write it in more than one piece."""
    return "".join(f"{number:032x}\n" for number in map(random.Random(7).getrandbits, [128] * count))


def raised(data: bytes, name: str) -> tuple[str, str]:
    with pytest.raises(ExtractionError) as caught:
        read(data, name, LIMITS)
    return str(caught.value.data["rule"]), caught.value.message


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_a_small_file_without_its_last_byte_is_read_whole_with_a_note(suffix: str) -> None:
    (one,) = read(PACKERS[suffix](LINES.encode())[:-1], f"kettle.log.{suffix}", LIMITS)
    assert (one.text, one.member, one.type) == (LINES, "", "text")
    assert one.notes == (ENDLESS,)


@pytest.mark.parametrize(("suffix", "least"), [("gz", 0.45), ("bz2", 0.1), ("xz", 0.45), ("lzma", 0.45)])
def test_a_file_that_breaks_off_half_way_is_read_up_to_there(suffix: str, least: float) -> None:
    whole = noise(30_000)
    packed = bz2.compress(whole.encode(), 1) if suffix == "bz2" else PACKERS[suffix](whole.encode())
    (one,) = read(packed[: len(packed) // 2], f"numbers.txt.{suffix}", LIMITS)
    assert least * len(whole) < len(one.text) < 0.6 * len(whole)
    assert whole.startswith(one.text)
    assert one.notes == (ENDLESS,)


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
@pytest.mark.parametrize("kept", [6, 12])
def test_a_file_that_breaks_off_before_anything_is_damaged(suffix: str, kept: int) -> None:
    rule, message = raised(PACKERS[suffix](LINES.encode())[:kept], f"kettle.log.{suffix}")
    assert (rule, message) == ("damaged", ENDLESS.replace("unpacked to its end", "unpacked"))


def test_a_file_of_nothing_is_empty_not_damaged() -> None:
    assert raised(gzip.compress(b""), "kettle.log.gz") == ("empty", "the file is empty")


@pytest.mark.parametrize(("rest", "said"), [(b"\0" * 700, False), (b"uploaded by hand\n", True)])
def test_what_follows_gzip(rest: bytes, said: bool) -> None:
    """Tapes fill up with zeros, which are no fault; anything else is said."""
    (one,) = read(gzip.compress(LINES.encode()) + rest, "kettle.log.gz", LIMITS)
    assert one.text == LINES
    assert one.notes == (("could not be unpacked to its end: Not a gzipped file (b'up')",) if said else ())


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_several_streams_are_one_text_and_a_broken_last_one_costs_no_more_than_itself(suffix: str) -> None:
    first, second = (PACKERS[suffix](part) for part in (LINES.encode(), b"The lantern is out.\n"))
    (one,) = read(first + second, f"kettle.log.{suffix}", LIMITS)
    assert (one.text, one.notes) == (LINES + "The lantern is out.\n", ())
    (one,) = read(first + second[:10], f"kettle.log.{suffix}", LIMITS)
    assert (one.text, one.notes) == (LINES, (ENDLESS,))


def test_a_false_check_sum_is_said_beside_the_text() -> None:
    packed = bytearray(gzip.compress(LINES.encode()))
    packed[-8] ^= 1
    (one,) = read(bytes(packed), "kettle.log.gz", LIMITS)
    assert one.text == LINES
    assert one.notes[0].startswith("could not be unpacked to its end: CRC check failed")


def test_a_stream_with_a_fault_in_its_middle_is_read_up_to_there() -> None:
    whole, packer = noise(20_000), zlib.compressobj(wbits=31)
    sound = packer.compress(whole.encode()) + packer.flush(zlib.Z_FULL_FLUSH)
    (one,) = read(sound + b"\x07 no block is of this type", "numbers.txt.gz", LIMITS)
    assert whole.startswith(one.text)
    assert len(one.text) >= len(whole) - 8192
    assert one.notes == (
        "could not be unpacked to its end: Error -3 while decompressing data: invalid block type",
    )


def test_members_of_a_tar_that_breaks_off_are_documents_and_the_archive_has_the_note() -> None:
    whole = noise(900).encode()
    files = {"a.txt": whole[:9_900], "b.txt": whole[9_900:19_800], "c.txt": whole[19_800:]}
    packed = gzip.compress(tar_of(files))
    found = read(packed[: len(packed) // 2], "box.tar.gz", LIMITS)
    assert [(extract.member, extract.type) for extract in found] == [
        ("a.txt", "text"),
        ("b.txt", "damaged"),
        ("", "damaged"),
    ]
    assert found[0].text == files["a.txt"].decode()
    assert [note for extract in found for note in extract.notes if "to its end" in note] == [ENDLESS]


def test_a_member_that_breaks_off_has_its_own_note() -> None:
    packed = gzip.compress(LINES.encode())[:-1]
    found = read(tar_of({"in/kettle.log.gz": packed, "top.txt": b"top"}), "box.tar", LIMITS)
    assert [(extract.member, extract.notes) for extract in found] == [
        ("in/kettle.log.gz", (ENDLESS,)),
        ("top.txt", ()),
    ]
    assert found[0].text == LINES


def test_a_page_that_breaks_off_within_its_head_is_damaged_not_without_text() -> None:
    page = f"<!doctype html><html><head><style>{noise(500)}</style></head><body>Kettle</body></html>"
    packed = gzip.compress(page.encode())
    assert raised(packed[: len(packed) // 2], "kettle.html.gz") == ("damaged", ENDLESS)


def test_a_key_that_breaks_off_is_still_a_key() -> None:
    key = b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk=\n"
    assert raised(gzip.compress(key)[:-1], "notes.txt.gz")[0] == "secret"


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_a_bomb_that_breaks_off_is_refused_after_one_byte_too_many(suffix: str) -> None:
    budget = Budget(LIMITS.unpacked, LIMITS.members)
    packed = PACKERS[suffix](bytes(20_000_000))[:-1]
    with pytest.raises(ExtractionError) as caught:
        read_source(Source(packed, f"a.txt.{suffix}", LIMITS, budget, read_source))
    assert (caught.value.data["rule"], budget.bytes) == ("bomb", -1)


def test_a_text_of_just_the_limit_is_read_and_one_byte_more_is_not() -> None:
    (one,) = read(gzip.compress(b"x" * LIMITS.unpacked), "a.txt.gz", LIMITS)
    assert len(one.text) == LIMITS.unpacked
    assert raised(gzip.compress(b"x" * (LIMITS.unpacked + 1)), "a.txt.gz")[0] == "bomb"


@pytest.mark.parametrize("wanted", [LIMITS.unpacked + 1, 10**12])
def test_when_the_budget_is_used_up_nothing_more_is_unpacked(wanted: int) -> None:
    """An archive within may claim any size; what stands beside it finds the budget used up, whatever the claim."""
    budget = Budget(LIMITS.unpacked, LIMITS.members)
    with pytest.raises(ExtractionError):
        budget.take(wanted)
    assert budget.bytes == -1
    for suffix, pack in PACKERS.items():
        with pytest.raises(ExtractionError) as caught:
            read_source(Source(pack(LINES.encode()), f"a.txt.{suffix}", LIMITS, budget, read_source))
        assert caught.value.data["rule"] == "bomb"


def test_what_stands_beside_an_archive_that_claims_too_much_is_not_unpacked_either() -> None:
    py7zr = pytest.importorskip("py7zr", reason="needs the extra [archives]")
    claims, box = io.BytesIO(), io.BytesIO()
    with py7zr.SevenZipFile(claims, "w") as archive:
        archive.writestr(bytes(9_000_000), "zeros.txt")
    with zipfile.ZipFile(box, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in (("good.txt", b"good"), ("a.7z", claims.getvalue()), ("b.txt", bytes(40_000_000))):
            package.writestr(name, data)
    data = box.getvalue()
    del claims, box, package, archive
    tracemalloc.start()
    try:
        found = read(data, "box.zip", LIMITS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    refused = "it unpacks to more than the limit"
    assert [extract.notes for extract in found] == [(), (f"a.7z: {refused}",), (refused,)]
    assert peak < 30_000_000


def packed_by(file: Path, format_name: str, filter_name: str | None = None) -> bytes:
    """One small file as libarchive writes it; its name is that of the member."""
    libarchive = pytest.importorskip("libarchive", reason="needs libarchive and the extra [archives]")
    packed = file.parent / "packed"
    with libarchive.file_writer(str(packed), format_name, filter_name) as archive:
        archive.add_file_from_memory(file.name, len(LINES), LINES.encode())
    return packed.read_bytes()


@pytest.mark.parametrize("filter_name", ["zstd", "lz4", "lzip", "compress"])
def test_what_another_program_packed_says_to_unpack_it(tmp_path: Path, filter_name: str) -> None:
    data = packed_by(tmp_path / "kettle.log", "raw", filter_name)
    assert detect("kettle.log.packed", data) == "packed"
    rule, message = raised(data, "kettle.log.packed")
    assert (rule, message[:41]) == ("unsupported", "packed by zstd, lz4, lzip or compress: un")


@pytest.mark.parametrize(
    ("format_name", "member"),
    [("cpio_newc", "kettle.log"), ("xar", "kettle.log"), ("ar_svr4", "debian-binary")],
)
def test_a_package_says_to_unpack_it(tmp_path: Path, format_name: str, member: str) -> None:
    data = packed_by(tmp_path / member, format_name)
    assert detect("kettle.box", data) == "package"
    rule, message = raised(data, "kettle.box")
    assert (rule, message[:30]) == ("unsupported", "a package or an archive of a k")


def test_a_library_is_binary_as_before(tmp_path: Path) -> None:
    assert detect("libkettle.a", packed_by(tmp_path / "kettle.o", "ar_svr4")) == "binary"


@pytest.mark.parametrize(
    "text",
    [
        "070701 first of July, the kettle was mended\n",
        "070702;070703;12.50\n",
        "MSCF stands for nothing here\n",
        "LZIP is a program\n",
        "xar! he said\n",
    ],
)
def test_a_text_that_begins_as_packages_do_is_a_text(text: str) -> None:
    one: Extract
    (one,) = read(text.encode(), "note.txt", LIMITS)
    assert (one.type, one.text) == ("text", text)
