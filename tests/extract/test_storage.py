"""Objects in files of Word, Excel and PowerPoint of before 2007 are documents of their own."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping

import olefile
import pytest
import xlwt

from localsearch.errors import ExtractionError
from localsearch.extract import storage
from localsearch.extract.limits import Limits
from localsearch.extract.packages import properties
from localsearch.extract.read import read
from localsearch.extract.storage import MOST, as_file

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)
SECTOR, END, FREE = 512, 0xFFFFFFFE, 0xFFFFFFFF


def container(streams: Mapping[str, bytes]) -> bytes:
    """An OLE file of version 3 with streams by their paths; all are longer than those of the mini stream."""
    names = sorted({"/".join(path.split("/")[:depth]) for path in streams for depth in range(1, 9)})
    order, body, table = ["", *names], b"", list[int]()
    starts: dict[str, int] = {}
    for name, data in streams.items():
        data = data.ljust(4096, b"\0")
        count = -(-len(data) // SECTOR)
        starts[name] = len(table)
        table += [*range(len(table) + 1, len(table) + count), END]
        body += data.ljust(count * SECTOR, b"\0")

    def inside(name: str) -> list[str]:
        found = [one for one in names if one.rpartition("/")[0] == name and one != name]
        return sorted(found, key=lambda one: (len(one), one.upper()))

    directory = b""
    for name in order:
        title = (name.rpartition("/")[2] or "Root Entry").encode("utf-16-le")
        siblings = inside(name.rpartition("/")[0]) if name else []
        later = siblings[siblings.index(name) + 1 :] if name else []
        right = order.index(later[0]) if later else FREE
        child = order.index(inside(name)[0]) if inside(name) else FREE
        kind = 5 if not name else 2 if name in streams else 1
        size = len(streams[name].ljust(4096, b"\0")) if name in streams else 0
        start = starts.get(name, 0 if name else END)
        directory += struct.pack("<64sHBB3I16sIQQIQ", title, len(title) + 2, kind, 1, FREE, right, child, b"", 0, 0, 0, start, size)  # fmt: skip
    count = -(-len(directory) // SECTOR)
    first = len(table)
    table += [*range(first + 1, first + count), END]
    tables = next(n for n in range(1, 109) if n * 128 >= len(table) + n)
    places = [len(table) + index for index in range(tables)]
    table += [0xFFFFFFFD] * tables
    table += [FREE] * (-len(table) % 128)
    head = struct.pack("<8s16sHHHHH6s9I", olefile.MAGIC, b"", 0x3E, 3, 0xFFFE, 9, 6, b"", 0, tables, first, 0, 4096, END, 0, END, 0)  # fmt: skip
    head += struct.pack("<109I", *places, *[FREE] * (109 - tables))
    return head + body + directory.ljust(count * SECTOR, b"\0") + struct.pack(f"<{len(table)}I", *table)


def workbook(*words: str) -> bytes:
    """The stream of an Excel 97 workbook."""
    book, buffer = xlwt.Workbook(), io.BytesIO()
    sheet = book.add_sheet("Stock")
    for row, word in enumerate(words):
        sheet.write(row, 0, word)
    book.save(buffer)
    data: bytes = olefile.OleFileIO(buffer).openstream("Workbook").read()
    return data


def native(name: bytes, data: bytes) -> bytes:
    label = b"\2\0" + name + b"\0" + b"C:\\" + name + b"\0" + struct.pack("<II", 3, 4) + b"C:\\\0"
    return struct.pack("<I", len(label) + 4 + len(data)) + label + struct.pack("<I", len(data)) + data


def texts(name: str, data: bytes) -> dict[str, str]:
    return {found.member: found.text for found in read(data, name, LIMITS)}


def test_a_storage_comes_out_with_all_that_is_in_it() -> None:
    data = container({"A/Workbook": b"x" * 9000, "A/B/Note": b"y" * 5000, "A/short": b"z", "C": b"other"})
    copy = olefile.OleFileIO(io.BytesIO(as_file(olefile.OleFileIO(io.BytesIO(data)), ["A"])))
    assert not copy.parsing_issues
    assert sorted("/".join(path) for path in copy.listdir()) == ["B/Note", "Workbook", "short"]
    assert copy.openstream("Workbook").read() == b"x" * 9000
    assert copy.openstream("B/Note").read() == b"y" * 5000
    assert copy.openstream("short").read().rstrip(b"\0") == b"z"


def test_a_storage_of_many_sectors_needs_more_than_one_table() -> None:
    large = bytes(range(256)) * 20_000
    file = olefile.OleFileIO(io.BytesIO(container({"A/one": large})))
    copy = olefile.OleFileIO(io.BytesIO(as_file(file, ["A"])))
    assert not copy.parsing_issues
    assert copy.openstream("one").read() == large


def test_a_storage_made_to_harm_is_refused() -> None:
    file = olefile.OleFileIO(io.BytesIO(container({f"A/{index}": b"" for index in range(MOST + 1)})))
    with pytest.raises(ValueError, match="too many"):
        as_file(file, ["A"])


def test_a_storage_that_is_too_large_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LARGEST_PART", 20_000)
    data = container({"Workbook": workbook("kettle"), "MBD00000001/Contained": bytes(30_000)})
    (found,) = read(data, "a.xls", LIMITS)
    assert "kettle" in found.text
    assert found.notes == ("object 1 could not be read: an embedded object is larger than 0 MB",)


def test_objects_in_a_workbook() -> None:
    data = container(
        {
            "Workbook": workbook("kettle"),
            "MBD00000001/Workbook": workbook("teapot"),
            "MBD00000002/\x01Ole10Native": native(b"list.txt", b"saucer and spoon"),
            "MBD00000003/Drawing": b"\1\2\3",
        }
    )
    found = read(data, "a.xls", LIMITS)
    by_member = {one.member: one.text for one in found}
    assert "kettle" in by_member[""]
    assert "teapot" in by_member["object 1"]
    assert by_member["list.txt"] == "saucer and spoon"
    assert found[0].notes == ("1 embedded object without text that can be read",)


def test_a_workbook_with_nothing_but_an_object() -> None:
    data = container({"Workbook": workbook(), "MBD00000001/Workbook": workbook("teapot")})
    assert "teapot" in texts("a.xls", data)["object 1"]


def document(text: str, more: Mapping[str, bytes] | None = None) -> bytes:
    """A Word 97 file of one piece of text, in its one-byte form where that holds it."""
    text += "\r"
    small = text.isascii()
    data = text.encode("ascii" if small else "utf-16-le")
    units = len(data) // (1 if small else 2)
    head = bytearray(0x400)
    struct.pack_into("<HH", head, 0, 0xA5EC, 0xC1)
    struct.pack_into("<H", head, 10, 0x0200)
    struct.pack_into("<H", head, 32, 14)
    struct.pack_into("<H", head, 62, 22)
    struct.pack_into("<I", head, 76, units)
    struct.pack_into("<H", head, 152, 93)
    place = 0x40000000 | 2 * len(head) if small else len(head)
    pieces = struct.pack("<BIII", 2, 16, 0, units) + struct.pack("<HIH", 0, place, 0)
    struct.pack_into("<II", head, 0x1A2, 64, len(pieces))
    return container({"WordDocument": bytes(head) + data, "1Table": bytes(64) + pieces, **(more or {})})


def test_objects_in_a_word_document() -> None:
    data = document(
        "Tea for two",
        {
            "ObjectPool/_1/Workbook": workbook("teapot"),
            "ObjectPool/_2/CONTENTS": b"The spoon is silver. " * 200,
        },
    )
    found = texts("a.doc", data)
    assert found[""] == "Tea for two"
    assert "teapot" in found["object 1"]
    assert found["object 2"].startswith("The spoon is silver.")


@pytest.mark.parametrize(
    "text", ["Tea \U0001f375 for two", "\U00010332\U0001033f", "Ж \U00020000\U0001f600!", "\ue001\ue401"]
)
def test_letters_of_two_units_in_a_word_document(text: str) -> None:
    assert texts("a.doc", document(text))[""] == text


def test_half_a_letter_costs_no_other() -> None:
    buffer = document("Tea \U0001f375 for two")
    half = buffer.replace("\U0001f375".encode("utf-16-le"), "\ud83cx".encode("utf-16-le", "surrogatepass"))
    found = texts("a.doc", half)[""]
    assert found.startswith("Tea ")
    assert found.endswith(" for two")


def record(kind: int, data: bytes, instance: int = 0, version: int = 0) -> bytes:
    return struct.pack("<HHI", instance << 4 | version, kind, len(data)) + data


def show(*stored: bytes, title: str = "Tea") -> bytes:
    """A presentation of one slide with a title in the outline, and containers of objects."""
    outline = struct.pack("<5I", 2, 0, 0, 256, 0)
    listed = record(1011, outline) + record(3999, struct.pack("<I", 0)) + record(4008, title.encode())
    persisted = [
        record(1000, record(4080, listed, version=15), version=15),
        record(1006, b"", version=15),
        *stored,
    ]
    places = [sum(map(len, persisted[:index])) for index in range(len(persisted))]
    stream = b"".join(persisted)
    table = struct.pack(f"<{len(places) + 1}I", len(places) << 20 | 1, *places)
    at = len(stream)
    stream += record(6002, table)
    user = struct.pack("<III", 20, 0xE391C05F, len(stream)) + bytes(8)
    stream += record(4085, struct.pack("<8xIIIIHH", 0, at, 1, 0, 0, 0))
    return container({"PowerPoint Document": stream, "Current User": record(4086, user)})


def test_objects_in_a_presentation() -> None:
    inner = container({"Workbook": workbook("teapot")})
    plain = record(0x1011, inner)
    packed = zlib.compress(container({"Workbook": workbook("saucer")}))
    broken = packed[:-4] + b"\0\0\0\0"
    size = struct.pack("<I", len(container({"Workbook": workbook("saucer")})))
    found = texts("a.ppt", show(plain, record(0x1011, size + packed, 1), record(0x1011, size + broken, 1)))
    assert found[""] == "Tea"
    assert "teapot" in found["object 1"]
    assert "saucer" in found["object 2"]
    assert "saucer" in found["object 3"]


def test_programs_in_a_presentation_are_no_objects() -> None:
    found = read(show(record(0x1011, container({"VBA/_VBA_PROJECT": b"Sub"}))), "a.ppt", LIMITS)
    assert [(one.text, one.notes) for one in found] == [("Tea", ())]


def test_an_object_that_unpacks_to_more_than_it_says_stops_there() -> None:
    bomb = record(0x1011, struct.pack("<I", 1000) + zlib.compress(bytes(50_000_000)), 1)
    assert texts("a.ppt", show(bomb))[""] == "Tea"


@pytest.mark.parametrize("at", range(0x200, 0x40000, 0x1357))
def test_a_damaged_container_costs_no_crash(at: int) -> None:
    """Around plain text, as what reads workbooks may take its process with it, which the pool sees to."""
    inner = container({"CONTENTS": b"The spoon is silver. " * 200})
    data = bytearray(show(record(0x1011, inner), record(0x1011, inner)))
    at %= len(data)
    data[at : at + 64] = b"\xff" * 64
    try:
        read(bytes(data), "a.ppt", LIMITS)
    except ExtractionError as error:
        assert error.data["rule"] in ("damaged", "no-text", "unsupported", "encrypted")


def property_set(*properties: tuple[int, int, bytes]) -> bytes:
    """A stream with identifier, type and value of each property."""
    places, values = b"", b""
    for id, kind, value in properties:
        places += struct.pack("<II", id, 8 + 8 * len(properties) + len(values))
        values += struct.pack("<I", kind) + value.ljust(-(-len(value) // 4) * 4, b"\0")
    section = struct.pack("<II", 8 + len(places) + len(values), len(properties)) + places + values
    return struct.pack("<HHI16sI16sI", 0xFFFE, 0, 0, b"", 1, b"", 48) + section


def narrow(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def wide(text: str) -> bytes:
    return struct.pack("<I", len(text) + 1) + text.encode("utf-16-le") + b"\0\0"


@pytest.mark.parametrize(
    ("page", "author"),
    [
        (1251, (4, 30, narrow("Анна Чай\0".encode("cp1251")))),
        (65001, (4, 30, narrow("Анна Чай\0\0\0".encode()))),
        (1200, (4, 30, narrow("Анна Чай\0".encode("utf-16-le")))),
        (1252, (4, 31, wide("Анна Чай"))),
    ],
)
def test_who_made_a_file_and_when_is_told_in_any_form_of_string(
    page: int, author: tuple[int, int, bytes]
) -> None:
    seconds = struct.pack("<Q", 10_000_000 * (11_644_473_600 + 86_400))
    stream = property_set(
        (1, 2, struct.pack("<H", page)), author, (12, 64, seconds), (13, 64, b"\xff" * 8), (14, 3, b"\1")
    )
    _, found = properties(container({"\5SummaryInformation": stream}), "doc")
    assert found == {"author": "Анна Чай", "created": "1970-01-02T00:00:00"}


@pytest.mark.parametrize("length", [0, 30, 47, 50, 60, 75])
def test_properties_that_break_off_cost_only_themselves(length: int) -> None:
    stream = property_set((1, 2, struct.pack("<H", 1252)), (4, 30, narrow(b"Ann\0")))[:length]
    assert properties(container({"\5SummaryInformation": stream}), "doc") == ("", {})
