"""Text, Markdown, source code, structured text and manual pages: what is read, where it stands, and what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localsearch.errors import ExtractionError
from localsearch.extract import detect_type
from localsearch.extract.kinds import detect, language_of
from localsearch.extract.limits import Limits
from localsearch.extract.read import read
from localsearch.types import Block, Extract

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)


def only(name: str, data: str | bytes, limits: Limits = LIMITS) -> Extract:
    """The one document in a file."""
    found = read(data.encode() if isinstance(data, str) else data, name, limits)
    assert len(found) == 1
    return check(found[0])


def check(extract: Extract) -> Extract:
    """An extract whose blocks are in order, do not overlap, and leave out nothing but white space."""
    at = 0
    for block in extract.blocks:
        assert extract.text[at : block.start].strip() == ""
        assert block.start < block.end <= len(extract.text)
        at = block.end
    assert extract.text[at:].strip() == "" or not extract.blocks
    return extract


def says(extract: Extract, block: Block) -> str:
    return extract.text[block.start : block.end]


def refusal(name: str, data: bytes, limits: Limits = LIMITS) -> ExtractionError:
    with pytest.raises(ExtractionError) as caught:
        read(data, name, limits)
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value


GREETING = "Grüße aus Zürich: heute schön, morgen regnet es, übermorgen Föhn und Käse für alle Gäste."
RUSSIAN = "Широкая электрификация южных губерний даст мощный толчок подъёму сельского хозяйства страны."
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で泣いていた。"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GREETING, "utf-8"),
        (GREETING, "utf-8-sig"),
        (GREETING, "utf-16"),
        (GREETING, "utf-16-le"),
        (GREETING, "utf-16-be"),
        (GREETING, "utf-32"),
        (GREETING, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc-jp"),
    ],
)
def test_plain_text_in_any_encoding(text: str, encoding: str) -> None:
    assert only("note.txt", "\n".join([text] * 5).encode(encoding)).text == "\n".join([text] * 5)


def test_line_ends_and_control_characters() -> None:
    start = b"A log of some length, so that one bell does not make it binary.\r\n"
    extract = only("note.txt", start + b"two\rthree\x07\x1b[31m red\x1b[0m soft\xc2\xadhyphen")
    assert extract.text.split("\n")[1:] == ["two", "three red softhyphen"]
    assert extract.blocks == (Block(0, len(extract.text), "paragraph", extract.blocks[0].place),)
    assert extract.blocks[0].place.line == 1


def test_damaged_utf8_is_still_utf8() -> None:
    assert only("note.txt", (GREETING * 3).encode() + b"\xff" + GREETING.encode()).text.count("Zürich") == 4


MARKDOWN = """---
title: Renewing a certificate
author: [Ann Smith, Bob Jones]
date: 2024-03-01
tags: tls, web
weight: 3
---
# Certificates

Some *intro* text.

## Renew `certbot` [now](http://example.org)

- first
- second

```python
print("x")  # not a heading
```

| a | b |
|---|---|
| 1 | 2 |
"""


def test_markdown_front_matter_headings_and_lines() -> None:
    extract = only("note.md", MARKDOWN)
    assert extract.title == "Renewing a certificate"
    assert extract.metadata == {
        "author": "Ann Smith, Bob Jones",
        "created": "2024-03-01",
        "tags": ["tls", "web"],
        "weight": 3,
    }
    assert [(b.kind, b.place.line, b.place.heading) for b in extract.blocks] == [
        ("heading", 8, ("Certificates",)),
        ("paragraph", 10, ("Certificates",)),
        ("heading", 12, ("Certificates", "Renew certbot now")),
        ("list", 14, ("Certificates", "Renew certbot now")),
        ("code", 17, ("Certificates", "Renew certbot now")),
        ("table", 21, ("Certificates", "Renew certbot now")),
    ]
    for block in extract.blocks:
        assert block.place.line == extract.text.count("\n", 0, block.start) + 8
    assert says(extract, extract.blocks[4]).startswith("```python\nprint")


def test_toml_front_matter() -> None:
    extract = only("post.md", '+++\ntitle = "Bees"\ndate = 2023-05-06T07:08:09Z\n+++\n\nThey buzz.\n')
    assert (extract.title, extract.metadata["created"]) == ("Bees", "2023-05-06T07:08:09Z")


def test_front_matter_that_is_no_yaml_is_text() -> None:
    (extract,) = read(b"---\na: [unclosed\n---\n\nBody here.\n", "post.md", LIMITS)
    assert extract.metadata == {}
    assert "Body here." in extract.text


def test_front_matter_that_grows_without_end_is_bounded() -> None:
    aliases = "".join(
        f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefg", "bcdefgh")
    )
    extract = only("bomb.md", f"---\na: &a [x, x]\n{aliases}---\nBody.\n")
    assert len(json.dumps(dict(extract.metadata))) < 100_000


def test_embedded_data_is_left_out() -> None:
    extract = only("pic.md", f"# Pic\n\n![dot](data:image/png;base64,{'iVBOR' * 200}) after\n")
    assert "after" in extract.text
    assert len(extract.text) < 100


def test_python_definitions_are_headings() -> None:
    tea = "class Tea:\n    @property\n    def leaf(self):\n        return 1\n"
    source = f"import os\n\n{tea}\ndef brew():\n    pass\n\nX = 1\n"
    extract = only("tea.py", source)
    assert extract.text == source
    assert extract.metadata["code_language"] == "Python"
    assert [(b.place.line, b.place.heading) for b in extract.blocks] == [
        (1, ()),
        (3, ("Tea",)),
        (4, ("Tea", "leaf")),
        (8, ("brew",)),
        (10, ()),
    ]


def test_broken_python_is_still_read() -> None:
    assert only("broken.py", "def (:\n  oops\n").blocks[0].place.line == 1


@pytest.mark.parametrize(
    ("name", "head", "language"),
    [
        ("main.rs", "", "Rust"),
        ("Makefile", "", "Make"),
        ("deploy", "#!/usr/bin/env python3\n", "Python"),
        ("run", "#!/bin/bash -e\n", "Shell"),
        ("Dockerfile", "FROM scratch", "Dockerfile"),
        ("app.TSX", "", "TypeScript"),
        ("notes.txt", "", ""),
    ],
)
def test_language_of_source(name: str, head: str, language: str) -> None:
    assert language_of(name, head) == language


def test_code_in_another_language_keeps_its_lines() -> None:
    extract = only("main.go", "package main\n\nfunc main() {}\n")
    assert (extract.type, extract.metadata["code_language"], extract.blocks[0].place.line) == (
        "code",
        "Go",
        1,
    )


def test_json_keeps_its_lines_and_writes_out_letters() -> None:
    extract = only("a.json", '{\n "title": "Caf\\u00e9 \\ud83c\\udf75",\n "text": "quote \\u0022"\n}')
    assert (extract.title, extract.type) == ("Café 🍵", "json")
    assert '"Café 🍵"' in extract.text
    assert "\\u0022" in extract.text
    assert extract.blocks[0].place.line == 1


RST = """.. comment

==========
The manual
==========

Words before.

Install
=======
Run it::

    code
    ----

Another paragraph line
that goes on.

With ``pip``
------------

- one

Use
===
Go.
"""


def test_rst_headings() -> None:
    extract = only("index.rst", RST)
    assert (extract.type, extract.title, extract.text) == ("rst", "The manual", RST)
    assert [(block.kind, block.place.line, block.place.heading) for block in extract.blocks] == [
        ("paragraph", 1, ()),
        ("heading", 3, ("The manual",)),
        ("paragraph", 5, ("The manual",)),
        ("heading", 9, ("The manual", "Install")),
        ("paragraph", 10, ("The manual", "Install")),
        ("heading", 19, ("The manual", "Install", "With pip")),
        ("paragraph", 20, ("The manual", "Install", "With pip")),
        ("heading", 24, ("The manual", "Use")),
        ("paragraph", 25, ("The manual", "Use")),
    ]


TEX = r"""\documentclass{article}
\title{On \emph{tea} \& \LaTeX{}\\a note}
% \section{Nothing}
\section{Leaves}\label{leaves}
Green.
\subsection*[short]{A {nested} one}
Black.
\section{Water~temperature}
80 degrees.
"""


def test_tex_headings() -> None:
    extract = only("tea.tex", TEX)
    assert (extract.type, extract.title, extract.text) == ("tex", "On tea & LaTeX a note", TEX)
    assert [(block.kind, block.place.line, block.place.heading) for block in extract.blocks] == [
        ("paragraph", 1, ()),
        ("heading", 4, ("Leaves",)),
        ("paragraph", 4, ("Leaves",)),
        ("heading", 6, ("Leaves", "A nested one")),
        ("paragraph", 6, ("Leaves", "A nested one")),
        ("heading", 8, ("Water temperature",)),
        ("paragraph", 8, ("Water temperature",)),
    ]
    assert only("part.tex", r"\chapter{Two}" + "\nText.").title == "Two"


@pytest.mark.parametrize(
    ("name", "source", "title"),
    [
        ("a.txt", "Notes on tea\n\nBoil water.", "Notes on tea"),
        ("README", "\n\n  The project\n===========\n\nIt works.", "The project"),
        ("a.txt", "Dear Ann,\n\nBoil water.", ""),
        ("a.txt", "It rained all day.\n\nThen it stopped.", ""),
        ("a.txt", "A first line\nthat goes on.\n\nMore.", ""),
        ("a.txt", "----\n\nMore.", ""),
        ("a.txt", "word " * 40 + "\n\nMore.", ""),
        ("a.txt", "Only this\n\n", ""),
        ("app.log", "Started\n\nStopped", ""),
        (
            "a.py",
            '#!/usr/bin/env python\n"""Send the report.\n\nEvery day.\n"""\nx = 1\n',
            "Send the report.",
        ),
        ("a.py", "x = 1\n", ""),
        ("a.py", '"""broken', ""),
    ],
)
def test_titles_of_plain_text_and_code(name: str, source: str, title: str) -> None:
    assert only(name, source).title == title


DUMP = [
    {
        "_id": "a/1",
        "title": "Rain",
        "text": "It rains.\nAll day.",
        "metadata": {"url": "http://x"},
        "year": 2020,
    },
    {"_id": 7, "title": "", "text": "Snow \u2028 falls."},
    {"title": "Only a title", "text": ""},
]


def test_each_line_of_a_document_dump_is_a_document() -> None:
    lines = [json.dumps(one) for one in DUMP]
    found = read("\n".join([lines[0], "", *lines[1:], ""]).encode(), "corpus.jsonl", LIMITS)
    assert [(one.member, one.title, one.text) for one in map(check, found)] == [
        ("a/1", "Rain", "It rains.\nAll day."),
        ("7", "", "Snow \u2028 falls."),
        ("4", "Only a title", "Only a title"),
    ]
    assert [(one.blocks[0].place.line, one.type) for one in found] == [
        (1, "jsonl"),
        (3, "jsonl"),
        (4, "jsonl"),
    ]
    assert found[0].metadata == {"url": "http://x", "year": 2020, "id": "a/1"}


@pytest.mark.parametrize("indent", [None, 2])
def test_each_element_of_an_array_of_documents_is_one(indent: int | None) -> None:
    source = json.dumps(DUMP, indent=indent)
    found = read(source.encode(), "corpus.json", LIMITS)
    assert [(one.member, one.text, one.type) for one in found] == [
        ("a/1", "It rains.\nAll day.", "json"),
        ("7", "Snow \u2028 falls.", "json"),
        ("3", "Only a title", "json"),
    ]
    lines = source.split("\n")
    for one, document in zip(found, DUMP):
        line = one.blocks[0].place.line
        assert line is not None
        assert json.loads(source)[found.index(one)] == document
        assert "{" in lines[line - 1]


@pytest.mark.parametrize(
    "source",
    [
        '{"id": 1, "text": "a"}\n{"id": 2}',
        '{"id": 1, "text": "a"}\n{"id": 2, "text": ["b"]}',
        '{"text": "neither id nor title"}',
        '{"id": 1, "text": "a"}\n{"id": 2, "te',
        '{"id": true, "text": "a"}',
        '[{"id": 1, "text": "a"}]',
    ],
)
def test_other_json_lines_are_one_document_as_they_stand(source: str) -> None:
    assert only("data.jsonl", source).text == source


@pytest.mark.parametrize(
    "source",
    ['[{"id": 1, "text": "a"}', '[{"id": 1, "text": "a"} {}]', "[1]", "[]", '{"text": "a", "id": 1}'],
)
def test_other_json_is_one_document_as_it_stands(source: str) -> None:
    assert only("data.json", source).text == source


def test_a_dump_longer_than_the_limit_ends_with_a_whole_document() -> None:
    line = json.dumps({"id": 1, "text": "word " * 20}) + "\n"
    found = read((line * 10).encode(), "corpus.jsonl", Limits(len(line) * 3 + 50, 10_000, 10, 3, False))
    assert [one.member for one in found] == ["1", "1#2", "1#3"]
    assert [len(one.notes) for one in found] == [0, 0, 1]


def test_json_lines() -> None:
    extract = only("log.jsonl", '{"event": "started"}\n{"event": "stopped"}\n')
    assert (extract.type, extract.text.count("\n")) == ("jsonl", 2)


def test_xml_text_titles_and_lines() -> None:
    source = (
        '<?xml version="1.0"?>\n<book>\n <title>Tea</title>\n <chapter><title>Green</title>\n'
        "  <para>Use <emphasis>soft</emphasis> water.</para></chapter>\n</book>"
    )
    extract = only("book.xml", source)
    assert extract.title == "Tea"
    assert [(says(extract, b), b.place.line, b.place.heading) for b in extract.blocks] == [
        ("Tea", 3, ("Tea",)),
        ("Green", 4, ("Tea", "Green")),
        ("Use soft water.", 5, ("Tea", "Green")),
    ]


def test_xml_that_is_all_attributes_is_kept_as_it_stands() -> None:
    source = '<settings>\n <item name="colour" value="teal"/>\n</settings>'
    assert only("settings.xml", source).text == source


def test_broken_xml_is_read_as_far_as_it_goes() -> None:
    extract = only("broken.xml", "<a><b>Some text &undeclared; here</b><c>unclosed</a>")
    assert "Some text" in extract.text
    assert "not well-formed" in extract.notes[0]


def test_notebook_cells() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Model\n", "\n", "We fit a line.\n"]},
        {
            "cell_type": "code",
            "source": "fit(x, y)",
            "outputs": [{"output_type": "stream", "text": ["slope 2.5\n"]}],
        },
        {
            "cell_type": "code",
            "source": "",
            "outputs": [{"data": {"image/png": "iVBOR", "text/plain": "<Figure>"}}],
        },
    ]
    book = {"cells": cells, "metadata": {"kernelspec": {"language": "python"}}, "nbformat": 4}
    extract = only("fit.ipynb", json.dumps(book))
    assert (extract.title, extract.type, extract.metadata["code_language"]) == ("Model", "notebook", "python")
    assert [(says(extract, b), b.kind, b.place.part, b.place.heading) for b in extract.blocks] == [
        ("# Model", "heading", "cell 1", ("Model",)),
        ("We fit a line.", "paragraph", "cell 1", ("Model",)),
        ("fit(x, y)", "code", "cell 2", ("Model",)),
        ("slope 2.5", "code", "cell 2", ("Model",)),
        ("<Figure>", "code", "cell 3", ("Model",)),
    ]


MAN = r""".\" a comment
.TH TEAPOT 1 "2024-01-01" "1.0" "User Commands"
.SH NAME
teapot \- brew \fItea\fR
.SH OPTIONS
.TP
.BR \-t ", " \-\-temperature =\fIDEG\fR
Water at
.I DEG
degrees.
.nf
teapot \-t 80
    \-\-green
.fi
.SS "Exit status"
.IP 0
Success.
"""


def test_manual_page() -> None:
    extract = only("teapot.1", MAN)
    assert (extract.title, extract.type) == ("teapot(1)", "man")
    assert [(says(extract, b), b.place.line, b.place.heading) for b in extract.blocks] == [
        ("NAME", 3, ("NAME",)),
        ("teapot - brew tea", 4, ("NAME",)),
        ("OPTIONS", 5, ("OPTIONS",)),
        ("-t, --temperature=DEG Water at DEG degrees.", 7, ("OPTIONS",)),
        ("teapot -t 80\n    --green", 12, ("OPTIONS",)),
        ("Exit status", 15, ("OPTIONS", "Exit status")),
        ("0 Success.", 16, ("OPTIONS", "Exit status")),
    ]


def test_csv_rows_with_the_names_of_their_columns() -> None:
    extract = only("people.csv", 'name;city\nAnn;"Lisbon; old\ntown"\n\nBob;Oslo\n')
    assert extract.text == "name | city\nname: Ann | city: Lisbon; old town\nname: Bob | city: Oslo"
    assert [(b.kind, b.place.row) for b in extract.blocks] == [("table", 1), ("table", 4)]


def test_csv_without_a_head() -> None:
    assert only("numbers.csv", "1,2\n3,4\n").text == "1 | 2\n3 | 4"


def test_tsv() -> None:
    assert (
        only("people.tsv", "name\tcity\nAnn\tLisbon, old\n").text
        == "name | city\nname: Ann | city: Lisbon, old"
    )


def test_a_table_that_is_none_is_plain_text() -> None:
    extract = only("odd.csv", '"' + "x" * 11_000_000, Limits(20_000_000, 10**9, 10, 3, False))
    assert (extract.text, extract.type) == ("x" * 11_000_000, "csv")


def test_text_over_the_limit_is_cut_and_said() -> None:
    extract = only("long.txt", "word " * 1000, Limits(1000, 10**6, 10, 3, False))
    assert len(extract.text) == 1000
    assert "only the first 0.001 million characters" in extract.notes[0]


@pytest.mark.parametrize(
    ("name", "data", "rule"),
    [
        ("empty.txt", b"", "empty"),
        ("blank.md", b" \n\t\n", "empty"),
        ("program", b"\x7fELF" + bytes(2000), "binary"),
        ("noise.txt", bytes(range(256)) * 10, "binary"),
        ("dot.png", b"\x89PNG\r\n\x1a\n" + bytes(50), "image"),
        ("man.1", b".so man1/other.1\n.TH X 1\n", "empty"),
        ("book.ipynb", b"{", "damaged"),
        ("list.ipynb", b"[1]", "damaged"),
        ("old.doc", b"WordPerfect or so \x00\x01\x02" * 50, "damaged"),
        ("a.pdf", b"not a pdf at all \x00\x01\x02" * 50, "damaged"),
        ("a.zip", b"PK\x03\x04 and then nothing", "damaged"),
    ],
)
def test_what_cannot_be_read_says_why(name: str, data: bytes, rule: str) -> None:
    assert refusal(name, data).data["rule"] == rule


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.pdf", b"%PDF-1.4", "pdf"),
        ("anything", b"junk\n%PDF-1.4", "pdf"),
        ("junk.pdf", b"junk %PDF-1.4", "pdf"),
        ("notes", b"the header %PDF-1.4 of a file\n", "text"),
        ("write.py", b'"""\n%PDF-1.4\n"""\nHEAD = b"%PDF-1.7"\n', "code"),
        ("a.docx", b"PK\x03\x04", "docx"),
        ("a.odt", b"PK\x03\x04", "odt"),
        ("a.bin", b"PK\x03\x04" + b"x" * 26 + b"mimetypeapplication/epub+zip", "epub"),
        ("a.jar", b"PK\x03\x04", "zip"),
        ("a.doc", b"{\\rtf1", "rtf"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "doc"),
        ("a.txt", b"\x1f\x8b\x08", "gzip"),
        ("a", b"<!DOCTYPE html><p>", "html"),
        ("a.xml", b'<?xml version="1.0"?><html xmlns="x">', "html"),
        ("a", b"From ann@example.org Mon Jun  1\nSubject: x\nFrom: y\n\n", "mbox"),
        ("a.log", b"From: the beginning\n", "text"),
        ("mail", b"Received: from x\nSubject: y\n\nbody", "eml"),
        ("ls.1", b".TH LS 1\n.SH NAME\n", "man"),
        ("file.1", b"plain text", "text"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "image"),
        ("a.svg", b'<?xml version="1.0"?><svg>', "xml"),
        ("README", b"Hello", "text"),
        ("a.md", "\ufeff# x".encode("utf-16"), "markdown"),
        ("a.unknown", b"\0\1\2\3" * 30, "binary"),
    ],
)
def test_detection(name: str, head: bytes, kind: str, tmp_path: Path) -> None:
    assert detect(name, head) == kind
    (tmp_path / name).write_bytes(head)
    assert detect_type(tmp_path / name) == kind
