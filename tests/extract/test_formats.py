"""Notebooks, LaTeX, calendars, contacts, outlines, notes, databases, Kindle books, 7z, ZIM: all that they say."""

from __future__ import annotations

import io
import json
import sqlite3
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from localsearch.errors import ExtractionError
from localsearch.extract.kinds import detect
from localsearch.extract.latex import printed
from localsearch.extract.limits import Limits
from localsearch.extract.mobi import palmdoc
from localsearch.extract.read import read
from localsearch.types import Extract

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)


def only(name: str, data: str | bytes) -> Extract:
    (extract,) = read(data.encode() if isinstance(data, str) else data, name, LIMITS)
    return extract


def test_a_notebook_with_errors_tables_and_equations() -> None:
    outputs = [
        {
            "output_type": "error",
            "ename": "KeyError",
            "evalue": "'x'",
            "traceback": ["\x1b[0;31mKeyError\x1b[0m: 'x'"],
        },
        {
            "output_type": "display_data",
            "data": {"text/html": ["<table><tr><td>oats</td>", "<td>4</td></tr></table>"]},
        },
        {"output_type": "execute_result", "data": {"text/latex": "$\\alpha$", "text/plain": "alpha"}},
        {"output_type": "execute_result", "data": {"text/html": "<div></div>", "text/plain": "<Chart>"}},
    ]
    cells = [
        {"cell_type": "raw", "source": "kept"},
        {"cell_type": "code", "source": "f()", "outputs": outputs},
    ]
    extract = only("a.ipynb", json.dumps({"cells": cells, "metadata": {"title": "Oats"}, "nbformat": 4}))
    assert extract.title == "Oats"
    texts = [extract.text[block.start : block.end] for block in extract.blocks]
    assert texts == ["kept", "f()", "KeyError: 'x'", "oats | 4", "$\\alpha$", "<Chart>"]


@pytest.mark.parametrize(
    ("trace", "text"), [([], "\nKeyError: tea"), (["at line 3"], "at line 3\nKeyError: tea")]
)
def test_a_notebooks_error_says_what_went_wrong_whatever_its_trace_says(trace: list[str], text: str) -> None:
    output = {"output_type": "error", "ename": "KeyError", "evalue": "tea", "traceback": trace}
    cells = [{"cell_type": "code", "source": "f()", "outputs": [output]}]
    extract = only("a.ipynb", json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}))
    assert extract.text == f"f()\n\n{text.strip()}"


def test_an_old_notebook() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Oats"]},
        {
            "cell_type": "code",
            "input": "f()",
            "outputs": [{"output_type": "pyout", "html": "<b>four</b>", "text": "4"}],
        },
    ]
    extract = only("a.ipynb", json.dumps({"worksheets": [{"cells": cells}], "metadata": {}, "nbformat": 3}))
    assert (extract.title, "four" in extract.text) == ("Oats", True)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"W\"armelehre caf\'e Stra{\ss}e Stra\ss e \'{e}l\`eve", "Wärmelehre café Straße Straße élève"),
        (r"na\"{\i}ve Gar\c{c}on \v{S}koda \v Skoda \O re \aa ben", "naïve Garçon Škoda Škoda Øre åben"),
        (r"Erd\H{o}s {\L}\'od\'z \k{a} \r{A} \~n \=a \.z", "Erdős Łódź ą Å ñ ā ż"),
        (r"Horn{\'a}{\v{c}}ek St{\"o}rung Dvo\v{r}\'{a}k", "Hornáček Störung Dvořák"),
        (r"un\-glaub\-lich", "unglaublich"),
        (r"\documentclass{article} \item \times \omega", r"\documentclass{article} \item \times \omega"),
        ("\\usepackage[ngerman]{babel} M\"uller Stra\"se", "\\usepackage[ngerman]{babel} Müller Straße"),
        ('say "also" \\"also', 'say "also" älso'),
    ],
)  # fmt: skip
def test_letters_that_latex_writes_as_commands(source: str, text: str) -> None:
    assert printed(source) == text


def test_latex_and_bibtex_are_found_by_their_words() -> None:
    tex = only("a.tex", "\\title{W\\\"armelehre}\n\\section{\\'Etude}\nCaf\\'e\n")
    assert (tex.title, tex.blocks[-1].place.line) == ("Wärmelehre", 2)
    assert tex.blocks[-1].place.heading == ("Étude",)
    assert "Hornáček" in only("b.bib", "@book{h, author = {Horn{\\'a}{\\v{c}}ek}}").text


def test_a_calendar_is_unfolded_and_decoded() -> None:
    source = (
        "BEGIN:VCALENDAR\r\nX-WR-CALNAME:Club\r\nBEGIN:VEVENT\r\nDTSTART;TZID=Europe/Rome:20240506T100000\r\n"
        "SUMMARY:Winter mar\r\n ket walk\r\nDESCRIPTION:Bring the\\nlantern\\, please\r\nLOCATION:Old\\; town\r\n"
        "ATTENDEE;CN=\"Ann: Smith\":mailto:ann@example.org\r\nATTACH;ENCODING=BASE64;VALUE=BINARY:QUJDRA==\r\n"
        "BEGIN:VALARM\r\nDESCRIPTION:Reminder\r\nEND:VALARM\r\nEND:VEVENT\r\n"
        "BEGIN:VTODO\r\nSUMMARY:Buy rope\r\nEND:VTODO\r\nEND:VCALENDAR\r\n"
    )  # fmt: skip
    extract = only("a.ics", source)
    assert (extract.type, extract.title) == ("calendar", "Club")
    for words in (
        "Winter market walk",
        "Bring the\nlantern, please",
        "Location: Old; town",
        "2024-05-06 10:00",
    ):
        assert words in extract.text
    assert "Ann: Smith <ann@example.org>" in extract.text
    assert "QUJDRA" not in extract.text
    assert [b.place.line for b in extract.blocks if b.kind == "heading"] == [3, 15]


def test_contacts_in_every_version() -> None:
    source = (
        b"BEGIN:VCARD\r\nVERSION:2.1\r\nFN;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:J=F6rg M=FC=\r\nller\r\n"
        b"PHOTO;ENCODING=BASE64;TYPE=JPEG:\r\n /9j/4AAQSkZJRg\r\n AAAQABAAD\r\n\r\nNOTE:likes tea\r\nEND:VCARD\r\n"
        b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ann Smith\r\nitem1.ADR:;;12 High Street;Leeds;;LS1;UK\r\n"
        b"PHOTO:data:image/jpeg;base64,AAAABBBB\r\nEND:VCARD\r\n"
    )
    extract = only("people.vcf", source)
    assert [b.place.heading for b in extract.blocks if b.kind == "heading"] == [
        ("Jörg Müller",),
        ("Ann Smith",),
    ]
    assert "likes tea" in extract.text
    assert "Address: 12 High Street, Leeds, LS1, UK" in extract.text
    assert "4AAQ" not in extract.text
    assert "AAAABBBB" not in extract.text


OPML = """<opml version="2.0"><head><title>Reading</title></head><body>
<outline text="Garden"><outline text="Beds" _note="dig in spring"/></outline>
<outline text="A feed" xmlUrl="http://example.org/feed"/></body></opml>"""
MAP = """<map version="1.0.1"><node TEXT="Trip"><node TEXT="K&#xf6;ln"><richcontent TYPE="NOTE"><html><body>
<p>see the <b>river</b></p></body></html></richcontent></node>
<node><richcontent TYPE="NODE"><html><body><p>rich name</p></body></html></richcontent></node></node></map>"""


def test_outlines_and_mind_maps() -> None:
    opml = only("a.opml", OPML)
    assert (opml.title, opml.type) == ("Reading", "opml")
    assert all(words in opml.text for words in ("Garden", "Beds", "dig in spring", "http://example.org/feed"))
    trip = only("a.mm", MAP)
    assert (trip.title, trip.type) == ("Trip", "mindmap")
    assert all(words in trip.text for words in ("Köln", "see the river", "rich name"))
    assert detect("view.mm", b"#import <Foundation/Foundation.h>\n") == "code"


@pytest.mark.parametrize("modern", [True, False])
def test_xmind(modern: bool) -> None:
    topic = {
        "title": "Centre",
        "children": {"attached": [{"title": "Branch", "notes": {"plain": {"content": "a note"}}}]},
    }
    xml = (
        '<xmap-content xmlns="urn:xmind:xmap:xmlns:content:2.0"><sheet><topic><title>Centre</title><children><topics>'
        "<topic><title>Branch</title><notes><plain>a note</plain></notes></topic></topics></children></topic></sheet>"
        "</xmap-content>"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        name, content = (
            ("content.json", json.dumps([{"rootTopic": topic}])) if modern else ("content.xml", xml)
        )
        package.writestr(name, content)
    extract = only("a.xmind", buffer.getvalue())
    assert (extract.type, extract.title) == ("mindmap", "Centre")
    assert "Branch" in extract.text
    assert "a note" in extract.text


def test_evernote_notes_are_documents_without_their_markup() -> None:
    note = (
        "<note><title>{0}</title><content><![CDATA[<?xml version='1.0'?><!DOCTYPE en-note SYSTEM 'x'><en-note><div>"
        "Milk &amp; <b>eggs</b></div><div><en-todo checked='true'/>Bread</div></en-note>]]></content>"
        "<created>20240102T030405Z</created><tag>food</tag><resource><data encoding='base64'>QUJDRA==</data>"
        "<resource-attributes><file-name>list.pdf</file-name></resource-attributes></resource></note>"
    )
    source = f"<en-export>{note.format('One')}{note.format('Two')}</en-export>"
    one, two = read(source.encode(), "a.enex", LIMITS)
    assert [(one.title, one.member), (two.title, two.member)] == [("One", "1"), ("Two", "2")]
    assert "Milk & eggs" in one.text
    assert "Bread" in one.text
    assert "QUJD" not in one.text
    assert one.metadata["tags"] == ["food"]
    assert one.metadata["created"] == "2024-01-02T03:04:05Z"
    assert "1 attachments" in one.notes[0]


def test_sqlite_by_its_text(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute('create table "my notes" (id integer, body text, picture blob)')
        connection.execute("insert into \"my notes\" values (7, 'quagmire here', x'0001')")
        connection.execute("create table numbers (a integer)")
        connection.execute("insert into numbers values (4711)")
        connection.execute("create virtual table found using fts5(words)")
        connection.execute("insert into found values ('lantern')")
        connection.commit()
        connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    extract = only("a.db", (tmp_path / "a.db").read_bytes())
    assert extract.type == "sqlite"
    assert "id: 7 | body: quagmire here" in extract.text
    assert extract.text.count("lantern") == 1
    assert "4711" not in extract.text
    assert extract.blocks[1].place.sheet == "my notes"
    assert detect("a.db", b"no database at all") == "text"


def test_parquet_by_its_text() -> None:
    arrow = pytest.importorskip("pyarrow", reason="needs the extra [parquet]")
    import pyarrow.parquet as parquet

    buffer = io.BytesIO()
    parquet.write_table(
        arrow.table({"n": [1, 2], "words": ["lantern", None], "list": [["a", "b"], []]}), buffer
    )
    assert only("a.parquet", buffer.getvalue()).text == "rows\nn: 1 | words: lantern | list: a, b"


def test_7z_members_are_documents() -> None:
    py7zr = pytest.importorskip("py7zr", reason="needs the extra [archives]")
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        archive.writestr("aqueduct", "a/b.txt")
        archive.writestr("# Title\n", "c.md")
    found = {extract.member: extract.text for extract in read(buffer.getvalue(), "a.7z", LIMITS)}
    assert found == {"a/b.txt": "aqueduct", "c.md": "# Title\n"}
    small = Limits(text=1_000_000, unpacked=5, members=100, depth=3, ocr=False)
    with pytest.raises(ExtractionError) as caught:
        read(buffer.getvalue(), "a.7z", small)
    assert caught.value.data["rule"] == "bomb"


def mobi(text: bytes, compression: int) -> bytes:
    """A Kindle book of one record, with its title in the header."""
    title = b"Tea book"
    head = struct.pack(">HHLHHHH", compression, 0, len(text), 1, 4096, 0, 0) + b"MOBI"
    head += struct.pack(">LLLL", 232, 2, 65001, 1)
    head = head.ljust(84, b"\0") + struct.pack(">LL", 248, len(title))
    records = [head.ljust(248, b"\0") + title, text]
    start = 78 + 8 * len(records) + 2
    table = b"".join(
        struct.pack(">LL", start + sum(map(len, records[:index])), index) for index in range(len(records))
    )
    return (
        b"tea".ljust(60, b"\0")
        + b"BOOKMOBI"
        + bytes(8)
        + struct.pack(">H", len(records))
        + table
        + b"\0\0"
        + b"".join(records)
    )


def test_a_kindle_book() -> None:
    page = "<html><body><h1>Köttel</h1><p>Boil water.</p></body></html>".encode()
    extract = only("a.azw", mobi(page, 1))
    assert (extract.type, extract.title, "Boil water." in extract.text) == ("mobi", "Tea book", True)
    assert extract.blocks[0].place.heading == ("Köttel",)


def test_palmdoc_is_undone() -> None:
    """A literal, a space with a letter, and 5 signs from 6 signs back: "abcde abcde"."""
    assert palmdoc(b"abcde\xe1bcde") == b"abcde abcde"
    assert palmdoc(b"abcde \x80\x32") == b"abcde abcde"
    assert palmdoc(b"\x02\xc3\xa9") == "é".encode()


@pytest.mark.parametrize(
    ("name", "data", "word"),
    [("a.ps", b"%!PS-Adobe-3.0\n(x) show\n", "ps2pdf"), ("a.chm", b"ITSF\3\0\0\0" + bytes(99), "7z"),
     ("a.djvu", b"AT&TFORM" + bytes(99), "ddjvu")],
)  # fmt: skip
def test_what_is_not_read_says_what_to_do(name: str, data: bytes, word: str) -> None:
    with pytest.raises(ExtractionError, match=word) as caught:
        read(data, name, LIMITS)
    assert caught.value.data["rule"] == "unsupported"


SUBTITLES = r"""[Script Info]
Title: The {lost} kettle
Audio File: C:\New\night.wav

[Events]
Format: Layer, Start, End, Style, Text
Dialogue: 0,0:00:01.00,0:00:03.00,Default,{\an8\fs20}The ke{\i1}tt{\i0}le\Nwhistles\hат seven: café.
Dialogue: 0,0:00:03.00,0:00:05.00,Default,{Anna}{\k20}lan{\k30}tern{\k
"""


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
@pytest.mark.parametrize("suffix", ["ass", "SSA"])
def test_subtitles_are_words_without_the_signs_of_how_they_look(suffix: str, encoding: str) -> None:
    said = only(f"film.{suffix}", SUBTITLES.replace("\n", "\r\n").encode(encoding))
    lines = said.text.splitlines()
    assert lines[1:3] == ["Title: The {lost} kettle", r"Audio File: C:\New\night.wav"]
    assert [line.partition("Default,")[2] for line in lines[6:]] == [
        "The kettle whistles ат seven: café.",
        r"{Anna}lantern{\k",
    ]
    assert (said.type, len(lines)) == ("text", 8)


def test_subtitles_of_a_code_page_and_the_same_signs_elsewhere() -> None:
    spoken = "[Events]\n" + "Dialogue: 0,0,0,Default,Чайник {\\i1}свистит{\\i0}\\Nв семь часов утра.\n" * 9
    assert (
        only("film.ass", spoken.encode("cp1251")).text.splitlines()[1:]
        == ["Dialogue: 0,0,0,Default,Чайник свистит в семь часов утра."] * 9
    )
    assert only("film.txt", spoken).text == spoken


def test_articles_of_a_zim_file_are_documents(tmp_path: Path) -> None:
    writer = pytest.importorskip("libzim.writer", reason="needs libzim, which writes ZIM files")

    class Article(writer.Item):  # type: ignore[misc,name-defined]
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

        def get_path(self) -> str:
            return f"A/{self.number}"

        def get_title(self) -> str:
            return f"Article {self.number}"

        def get_mimetype(self) -> str:
            return "text/html"

        def get_contentprovider(self) -> object:
            return writer.StringProvider(
                f"<html><body><h1>Article {self.number}</h1><p>zebra{self.number}</p></body></html>"
            )

        def get_hints(self) -> dict[object, int]:
            return {writer.Hint.FRONT_ARTICLE: True}

    with writer.Creator(str(tmp_path / "a.zim")).config_indexing(False, "en") as creator:
        creator.set_mainpath("A/0")
        for number in range(120):
            creator.add_item(Article(number))
        creator.add_redirection("A/again", "Again", "A/0", {})
    data = (tmp_path / "a.zim").read_bytes()
    whole = read(data, "a.zim", LIMITS)
    assert {extract.member: extract.text for extract in whole} == {
        f"A/{number}": f"Article {number}\n\nzebra{number}" for number in range(120)
    }
    *part, last = read(data, "a.zim", replace(LIMITS, text=500))
    assert 0 < len(part) < 120
    assert last.notes == (f"{120 - len(part)} of 120 articles were left out: they are too many for one file",)
