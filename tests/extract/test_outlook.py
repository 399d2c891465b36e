"""Outlook's files: messages in OLE files, winmail.dat, stores."""

from __future__ import annotations

import struct
import sys
from importlib.util import find_spec
from typing import Any

import pytest

from localsearch.errors import ExtractionError
from localsearch.extract.limits import Limits
from localsearch.extract.mapi import unpacked_rtf
from localsearch.extract.read import read
from localsearch.types import Extract

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)
SENT = struct.pack("<Q", 133_541_064_000_000_000)  # 2024-03-05 10:00 UTC
END = 0xFFFFFFFE
Tree = dict[str, "bytes | Tree"]

PACKED = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)
"""The example of [MS-OXRTFCP], section 3.1."""


def make_ole(tree: Tree) -> bytes:
    """An OLE file whose streams are in the mini stream ([MS-CFB]); names at one level are chained to the right."""
    entries: list[list[Any]] = [["Root Entry", 5, -1, -1, b""]]

    def add(children: Tree, parent: int) -> None:
        before = -1
        for name, content in children.items():
            own = len(entries)
            entries.append(
                [
                    name,
                    2 if isinstance(content, bytes) else 1,
                    -1,
                    -1,
                    content if isinstance(content, bytes) else b"",
                ]
            )
            entries[parent if before < 0 else before][3 if before < 0 else 2] = own
            before = own
            if not isinstance(content, bytes):
                add(content, own)

    add(tree, 0)
    small, small_table = b"", list[int]()
    for entry in entries[1:]:
        content = entry[4]
        assert isinstance(content, bytes)
        entry.append(len(small_table) if content else END)
        small_table += _chain(len(small_table), -(-len(content) // 64))
        small += content.ljust(-(-len(content) // 64) * 64, b"\0")
    entries[0][4:] = [small, 0]
    directory = b"".join(_directory_entry(*entry) for entry in entries)
    areas = [
        area.ljust(-(-len(area) // 512) * 512, b"\0")
        for area in (small, directory, struct.pack(f"<{len(small_table)}I", *small_table))
    ]
    table, starts = list[int](), list[int]()
    for area in areas:
        starts.append(len(table))
        table += _chain(len(table), len(area) // 512)
    at = len(table)
    fat = struct.pack("<128I", *table, 0xFFFFFFFD, *[0xFFFFFFFF] * (127 - len(table)))
    head = struct.pack(
        "<HHHHH6xIIIIIIIIII",
        0x3E,
        3,
        0xFFFE,
        9,
        6,
        0,
        1,
        starts[1],
        0,
        4096,
        starts[2],
        len(areas[2]) // 512,
        END,
        0,
        at,
    )
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + head + b"\xff" * 432 + b"".join(areas) + fat


def _chain(start: int, count: int) -> list[int]:
    return [start + step + 1 for step in range(count - 1)] + [END] * bool(count)


def _directory_entry(name: str, kind: int, right: int, child: int, content: bytes, start: int) -> bytes:
    text = (name + "\0").encode("utf-16-le")
    head = text.ljust(64, b"\0") + struct.pack("<HBBiii", len(text), kind, 1, -1, right, child)
    return head + bytes(36) + struct.pack("<IQ", start, len(content))


def properties(header: int, *fixed: tuple[int, int, bytes], **texts: str | bytes) -> Tree:
    """The streams of an object: its table with fixed values, and a stream for each text or run of bytes."""
    rows = b"".join(struct.pack("<HHI", kind, id, 6) + value.ljust(8, b"\0") for id, kind, value in fixed)
    tree: Tree = {"__properties_version1.0": bytes(header) + rows}
    for id, value in texts.items():
        kind, data = ("001F", value.encode("utf-16-le")) if isinstance(value, str) else ("0102", value)
        tree[f"__substg1.0_{id[1:]}{kind}"] = data
    return tree


def make_msg() -> bytes:
    inner = properties(24, _0037="Lease", _1000="The garden is let.", _001A="IPM.Note")
    tree = properties(32, (0x39, 0x40, SENT), (0x3FDE, 3, struct.pack("<I", 1252)), _0037="Grüße", _1000="See the garden.",
                      _1013="<p>See the <b>garden</b>.</p><p>Früh.</p>".encode("cp1252"), _0C1A="Ann", _5D01="ann@example.org", _001A="IPM.Note")  # fmt: skip
    tree["__recip_version1.0_#00000000"] = properties(
        8, (0x0C15, 3, struct.pack("<I", 1)), _3001="Bob", _39FE="bob@example.org"
    )
    tree["__recip_version1.0_#00000001"] = properties(8, (0x0C15, 3, struct.pack("<I", 2)), _3001="Cat")
    tree["__attach_version1.0_#00000000"] = properties(8, _3707="plan.txt", _3701=b"ground plan")
    tree["__attach_version1.0_#00000001"] = properties(8, _3001="Lease") | {"__substg1.0_3701000D": inner}
    tree["__attach_version1.0_#00000002"] = properties(8, _3001="drawing")
    return make_ole(tree)


def by_member(found: list[Extract]) -> dict[str, Extract]:
    return {extract.member: extract for extract in found}


def test_an_outlook_message_with_a_file_and_a_message_in_it() -> None:
    found = by_member(read(make_msg(), "a.msg", LIMITS))
    letter, plan = found[""], found["plan.txt"]
    assert letter.text.split("\n\n") == [
        "Subject: Grüße\nFrom: Ann <ann@example.org>\nTo: Bob <bob@example.org>\nCc: Cat\nDate: 2024-03-05T10:00:00+00:00",
        "See the garden.",
        "Früh.",
        "Lease",
        "Subject: Lease",
        "The garden is let.",
        "Attachments: plan.txt",
    ]
    assert letter.blocks[-2].place.heading == ("Lease",)
    assert letter.notes == ("drawing could not be read: it is not kept as a file",)
    assert (plan.text, plan.blocks[0].place.part) == ("ground plan", "plan.txt")
    assert letter.metadata["created"] == "2024-03-05T10:00:00Z"


def test_a_contact_says_what_its_own_properties_say() -> None:
    tree = properties(
        32,
        _0037="Ann Smith",
        _001A="IPM.Contact",
        _3A16="Fence Co",
        _3A1C="(234) 567-8901",
        _8005="ann@example.org",
    )
    tree["__substg1.0_8006001F"] = "/o=ExchangeLabs/cn=Recipients".encode("utf-16-le")
    (contact,) = read(make_ole(tree), "a.msg", LIMITS)
    assert contact.text == "Subject: Ann Smith\n\nFence Co\n(234) 567-8901\nann@example.org"


def attribute(level: int, name: int, value: bytes) -> bytes:
    return struct.pack("<BHHI", level, name, 6, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def mapi(*values: tuple[int, int, bytes]) -> bytes:
    data = struct.pack("<I", len(values))
    for id, kind, value in values:
        data += struct.pack("<HH", kind, id)
        if id >= 0x8000:
            data += bytes(16) + struct.pack("<II", 0, id)
        data += struct.pack("<II", 1, len(value)) if kind in (0x1E, 0x1F, 0x102) else b""
        data += value.ljust(-(-len(value) // 4) * 4, b"\0")
    return data


def make_tnef(*attributes: bytes) -> bytes:
    return b"\x78\x9f\x3e\x22\x01\0" + attribute(1, 0x9007, struct.pack("<Q", 1252)) + b"".join(attributes)


def make_winmail() -> bytes:
    props = mapi(
        (0x8012, 3, bytes(4)),
        (0x1000, 0x1F, "The harbour opens in May.".encode("utf-16-le")),
        (0x0037, 0x1E, "Häfen\0".encode("cp1252")),
    )
    named = mapi((0x3707, 0x1F, "harbour plan.txt".encode("utf-16-le")))
    file = [
        attribute(2, 0x9002, bytes(14)),
        attribute(2, 0x8010, b"HARBOU~1.TXT\0"),
        attribute(2, 0x800F, b"three moorings"),
        attribute(2, 0x9005, named),
    ]
    return make_tnef(attribute(1, 0x9003, props), *file)


def test_winmail_dat_as_a_file_and_in_a_message() -> None:
    found = by_member(read(make_winmail(), "winmail.dat", LIMITS))
    assert found[""].title == "Häfen"
    assert "The harbour opens in May." in found[""].text
    assert found["harbour plan.txt"].text == "three moorings"
    from email.message import EmailMessage

    message = EmailMessage()
    message.set_content("see the harbour")
    message.add_attachment(make_winmail(), maintype="application", subtype="ms-tnef", filename="winmail.dat")
    found = by_member(read(message.as_bytes(), "a.eml", LIMITS))
    assert found[""].text == "see the harbour\n\nThe harbour opens in May.\n\nAttachments: harbour plan.txt"
    assert list(found) == ["", "harbour plan.txt"]


@pytest.mark.parametrize("cut", range(8, len(make_winmail()), 7))
def test_a_winmail_dat_that_breaks_off_is_told(cut: int) -> None:
    try:
        found = read(make_winmail()[:cut], "winmail.dat", LIMITS)
    except ExtractionError as error:
        assert error.data["rule"] in ("empty", "damaged")
        return
    assert any(note for extract in found for note in extract.notes) or found[0].text


def test_compressed_rtf() -> None:
    assert unpacked_rtf(PACKED) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    with pytest.raises(ValueError):
        unpacked_rtf(b"short")


def test_a_message_in_rtf_only() -> None:
    (letter,) = read(make_ole(properties(32, _0037="RTF", _1009=PACKED)), "a.msg", LIMITS)
    assert letter.text == "Subject: RTF\n\nhello world"


def test_a_store_that_is_damaged_or_lacks_its_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("pypff") is not None:
        with pytest.raises(ExtractionError) as caught:
            read(b"!BDN" + bytes(600), "a.pst", LIMITS)
        assert caught.value.data["rule"] == "damaged"
    monkeypatch.setitem(sys.modules, "pypff", None)
    with pytest.raises(ExtractionError, match=r"pip install 'localsearch\[outlook\]'") as caught:
        read(b"!BDN" + bytes(600), "a.pst", LIMITS)
    assert caught.value.data["rule"] == "unsupported"
