"""What stands beside the running text of .doc and rich text files: notes, comments, text boxes, headers."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import olefile
import pytest

from localsearch.extract.compound import Container, forget
from localsearch.extract.limits import Limits
from localsearch.extract.read import read
from localsearch.extract.wordmasks import masked
from localsearch.extract.wordstories import stories

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)
SECTOR, END, FREE, TABLE = 512, 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def text_of(rich: bytes) -> str:
    (found,) = read(rich, "a.rtf", LIMITS)
    return found.text


def test_a_note_stands_after_the_text_and_leaves_its_sentence_whole() -> None:
    rich = rb"{\rtf1\ansi\ansicpg1252 The tea{\super\chftn}{\footnote\pard\plain {\super\chftn} grown in \'c7ay}house.\par End}"
    assert text_of(rich) == "The teahouse.\nEnd\ngrown in Çay"


def test_comments_tell_who_wrote_them() -> None:
    rich = (
        rb"{\rtf1\ansi Boil {\*\atrfstart 1}water{\*\atrfend 1}{\*\atnid AB}{\*\atnauthor Ann Bee}\chatn "
        rb"{\*\annotation{\*\atnref 1}{\*\atndate 99}\pard\plain only once\par twice is stale}.\par"
        rb"{\*\annotation by nobody}}"
    )
    assert text_of(rich) == "Boil water.\nComment by Ann Bee: only once\ntwice is stale\nComment: by nobody"


def test_headers_footers_and_text_boxes_are_told_once() -> None:
    rich = (
        rb"{\rtf1\ansi{\fonttbl{\f0\fnil Arial;}{\f1\fnil\fcharset204 Arial;}}{\header\pard\f1 \'cf\'f0\'e8\'e2\'e5\'f2\par}"
        rb"{\headerf\pard\f1 \'cf\'f0\'e8\'e2\'e5\'f2\par}{\footerl left foot}"
        rb"{\shp{\*\shpinst\shpleft1{\sp{\sn shapeType}{\sv 202}}{\shptxt\pard boxed {\b words}\par}}"
        rb"{\shprslt{\*\do\dptxbx{\dptxbxtext\pard boxed words\par}}}}Body\headery720 text \{\\header}"
    )
    assert text_of(rich) == "Bodytext {\\header\nboxed words\nПривет\nleft foot"


def test_the_text_that_stands_for_an_object_is_read() -> None:
    rich = (
        rb"{\rtf1 Before {\object\objlink{\*\objclass Word}{\*\objdata 0105}{\result linked \b words}}after}"
    )
    assert text_of(rich) == "Before after\nlinked words"


def test_a_note_in_a_text_box_and_one_that_is_not_closed_are_read() -> None:
    assert text_of(rb"{\rtf1 One{\shptxt two{\footnote three}}}") == "One\ntwo\nthree"
    assert text_of(rb"{\rtf1 One {\footnote two {\b three}") == "One\ntwo three"


@pytest.mark.parametrize(
    ("page", "letters"), [("1250", "čaj"), ("1251", "чай"), ("1252", "thé"), ("932", "お茶")]
)
def test_a_font_without_a_charset_has_that_of_the_code_page(page: str, letters: str) -> None:
    own = "".join(f"\\'{byte:02x}" for byte in letters.encode(f"cp{page}"))
    rich = (
        rf"{{\rtf1\ansi\ansicpg{page}{{\fonttbl{{\f0\fnil Arial;}}{{\f1\fnil\fcharset161 Arial;}}"
        rf"{{\f2\fswiss{{\*\falt Helvetica;}}Arial;}}}}\f0 {own} {{\f1 \'f4\'f3\'dc\'e9}} {{\f2 {own}}}}}"
    )
    assert text_of(rich.encode()) == f"{letters} τσάι {letters}"


def _streams(streams: dict[str, bytes]) -> bytes:
    """An OLE file with streams that are filled up to whole sectors of the table, never short."""
    table, body = list[int](), b""
    entries = [("Root Entry", 5, 1, FREE, END, 0)]
    for number, (name, data) in enumerate(streams.items(), 1):
        data = data.ljust(-(-max(len(data), 4096) // SECTOR) * SECTOR, b"\0")
        count = len(data) // SECTOR
        entries.append((name, 2, FREE, number + 1 if number < len(streams) else FREE, len(table), len(data)))
        table += [*range(len(table) + 1, len(table) + count), END]
        body += data
    directory = b"".join(
        struct.pack("<64sHBB3I16sIQQIQ", name.encode("utf-16-le"), 2 * len(name) + 2, kind, 1, FREE, right, child,
                    b"", 0, 0, 0, start, size)
        for name, kind, child, right, start, size in entries
    ).ljust(SECTOR, b"\0")  # fmt: skip
    first = len(table)
    table += [END, TABLE]
    head = struct.pack("<8s16sHHHHH6s9I", olefile.MAGIC, b"", 0x3E, 3, 0xFFFE, 9, 6, b"", 0, 1, first, 0, 4096, END, 0, END, 0)  # fmt: skip
    head += struct.pack("<109I", first + 1, *[FREE] * 108)
    return head + body + directory + struct.pack("<128I", *table, *[FREE] * (128 - len(table)))


PARTS = {
    "text": "Running text\r",
    "footnotes": '\2 A note with a \x13 HYPERLINK "x" \x14link\x15\r',
    "headers": "\r\3\r\rThe head\x0bof each page\r\r",
    "macros": "",
    "comments": "\5 Too late\r\5Ja, прав\r\5\r",
    "endnotes": "\2 At \x13 PAGE \x13 REF a \x14 b\x15 \x14the\x15 end\x1eto\x1fwards\r",
    "boxes": "Boxed\x07words\r\r",
    "header_boxes": "Draft\r",
}


def _word(deleted: str = "", how: bytes = b"\x36\x08\x01\x00\x08\x81") -> bytes:
    """A Word 97 file whose first part is of one byte a letter, the others of two; a deleted word has properties."""
    narrow, wide = PARTS["text"], "".join(list(PARTS.values())[1:])
    stream = bytearray(0x400)
    struct.pack_into("<H", stream, 0, 0xA5EC)
    struct.pack_into("<8I", stream, 76, *map(len, PARTS.values()))
    places = struct.pack("<3I", 0, len(narrow), len(narrow) + len(wide))
    begins = len(stream) + len(narrow)
    piece_table = (
        places + struct.pack("<HIH", 0, 0x40000000 | 2 * len(stream), 0) + struct.pack("<HIH", 0, begins, 0)
    )
    clx = b"\1\2\0\0\0" + b"\2" + struct.pack("<I", len(piece_table)) + piece_table
    marks = b"".join(
        struct.pack("<H18sHHHi", len(initials), initials.encode("utf-16-le"), which, 0, 0, -1)
        for initials, which in (("AB", 1), ("CD", 7), ("EF", 0))
    )
    marks = struct.pack("<4I", 1, 2, 3, 4) + marks
    names = b"".join(
        struct.pack("<H", len(name)) + name.encode("utf-16-le") for name in ("Eve Fox", "Ann Bee")
    )
    struct.pack_into("<II", stream, 0x1A2, 0, len(clx))
    struct.pack_into("<II", stream, 0xBA, len(clx), len(marks))
    struct.pack_into("<II", stream, 0x1BA, len(clx) + len(marks), len(names))
    stream += narrow.encode("cp1252") + wide.encode("utf-16-le")
    mark = deleted.encode("cp1252" if deleted in narrow else "utf-16-le")
    at = stream.index(mark, 0x400)
    page = struct.pack("<4I3BxB", 0x400, at, at + len(mark), len(stream), 0, 100, 0, 0).ljust(200, b"\0")
    stream[0x200:0x400] = (page + bytes([len(how)]) + how).ljust(511, b"\0") + b"\3"
    table = struct.pack("<3I", 0x400, len(stream), 1)
    struct.pack_into("<II", stream, 0xFA, len(clx) + len(marks) + len(names), len(table))
    names += table
    return _streams({"WordDocument": bytes(stream), "0Table": clx + marks + names})


def test_the_parts_of_a_word_file_beside_its_running_text() -> None:
    data = _word()
    assert not olefile.OleFileIO(io.BytesIO(data)).parsing_issues
    assert list(stories(data)) == [
        "A note with a link",
        "At the end-towards",
        "Comment by Ann Bee: Too late",
        "Comment by CD: Ja, прав",
        "Boxed\twords",
        "The head",
        "of each page",
        "Draft",
    ]
    forget()


def test_deleted_text_is_no_part_of_the_document() -> None:
    whole = list(stories(_word()))
    assert list(stories(_word("note with a"))) == ["A  link", *whole[1:]]
    assert list(stories(_word("each page\r"))) == [text.removesuffix(" each page") for text in whole]
    assert list(stories(_word("note with a", b"\x01\x08\x01"))) == whole, "text that a change has put in"
    assert list(stories(_word("note with a", b"\x00\x08\x01\x00\x08\x00"))) == whole, "the last word counts"
    data = _word("text\r")
    changed = Container(masked(data)).openstream("WordDocument").read()
    assert changed[0x400 : 0x400 + len(PARTS["text"])] == b"Running \1\1\1\1\r"
    assert masked(_word()) == _word()
    forget()


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        (
            "testWORD_various.doc",
            ["This is a footnote.", "Here is a text box", "This is the header text.", "This is the footer text."],
        ),
        (
            "testWORD_2006ml.doc",
            ["And this is the footnote", "This is an endnote", "Comment by Allison, Timothy B.: This is a comment",
             "This is some serious word art", "First page footer",
             "The quick brown fox jumped over the lazy brown dog."],
        ),
        ("testWORD_header_hyperlink.doc", ["ab@example.com", "http://tw-systemhaus.de"]),
        ("testComment.rtf", ["Comment by Michael McCandless: Here is a comment"]),
    ],
)  # fmt: skip
def test_real_files(shared_wild: Callable[[], Path], name: str, texts: list[str]) -> None:
    lines = read((shared_wild() / name).read_bytes(), name, LIMITS)[0].text.split("\n")
    assert [text for text in texts if lines.count(text) != 1] == []
