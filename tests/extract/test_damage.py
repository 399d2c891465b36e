"""Damaged and cut-off files of every type: each gives text or a reason, and the next file is read as ever."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localsearch.errors import ExtractionError
from localsearch.extract import Extractor
from localsearch.extract.limits import HINTS
from localsearch.settings import ExtractSettings
from tests.extract.test_archive import FILES, make_tar, make_zip
from tests.extract.test_html import SPHINX
from tests.extract.test_mail import make_eml, make_mbox
from tests.extract.test_office import (
    make_docx,
    make_epub,
    make_odp,
    make_ods,
    make_odt,
    make_pptx,
    make_rtf,
    make_xls,
    make_xlsx,
)
from tests.extract.test_pdf import make_pdf
from tests.extract.test_read import MAN, MARKDOWN

NOTEBOOK = json.dumps(
    {"cells": [{"cell_type": "markdown", "source": "# A\n\nb"}, {"cell_type": "code", "source": "c"}]}
)
FILES_BY_NAME: dict[str, Callable[[], bytes]] = {
    "a.pdf": make_pdf,
    "a.docx": make_docx,
    "a.pptx": make_pptx,
    "a.xlsx": make_xlsx,
    "a.xls": make_xls,
    "a.odt": make_odt,
    "a.ods": make_ods,
    "a.odp": make_odp,
    "a.rtf": make_rtf,
    "a.epub": make_epub,
    "a.html": SPHINX.encode,
    "a.md": MARKDOWN.encode,
    "a.txt": lambda: "Grüße aus Zürich.\n".encode() * 20,
    "a.csv": lambda: b"name,city\n" + b"Ann,Oslo\n" * 30,
    "a.json": lambda: json.dumps({"title": "Tea", "steps": ["boil", "wait"] * 20}).encode(),
    "a.jsonl": lambda: b'{"event": "started", "n": 1}\n' * 20,
    "a.xml": lambda: b"<?xml version='1.0'?><book><title>Tea</title><p>Boil <b>water</b>.</p></book>" * 1,
    "a.ipynb": NOTEBOOK.encode,
    "a.eml": make_eml,
    "a.mbox": make_mbox,
    "a.py": lambda: b"class Tea:\n    def brew(self):\n        return 1\n" * 5,
    "a.1": MAN.encode,
    "a.zip": lambda: make_zip(FILES),
    "a.tar": lambda: make_tar(FILES),
    "a.md.gz": lambda: gzip.compress(MARKDOWN.encode(), mtime=0),
    "a.md.bz2": lambda: bz2.compress(MARKDOWN.encode()),
    "a.md.xz": lambda: lzma.compress(MARKDOWN.encode()),
}
WILD = (
    "testPPT.ppt",
    "testWORD_various.doc",
    "testMSG_Appointment.msg",
    "testEXCEL.xls",
    "testODTStyles3.odt",
)
ONCE = settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CUTS = st.floats(0, 1, exclude_max=True)
FLIPS = st.lists(st.tuples(CUTS, st.integers(1, 255)), min_size=1, max_size=8)


LIMITS = ExtractSettings(workers=1, memory_mb=512, cpu_s=20, wall_s=40)


@pytest.fixture(scope="module")
def extractor() -> Iterator[Extractor]:
    """Without OCR, which gets pictures that we made: seconds for each page whose text the damage took."""
    with Extractor(replace(LIMITS, ocr="off")) as found:
        yield found


def outcome(extractor: Extractor, file: Path, data: bytes) -> str:
    """ "read", or the rule that says why not; anything else fails the test."""
    file.write_bytes(data)
    try:
        found = extractor.extract(file)
    except ExtractionError as error:
        assert error.message
        assert "\n" not in error.message
        assert error.data["rule"] in HINTS
        return str(error.data["rule"])
    for extract in found:
        assert all(0 <= block.start < block.end <= len(extract.text) for block in extract.blocks)
    return "read"


def flipped(data: bytes, flips: list[tuple[float, int]]) -> bytes:
    changed = bytearray(data)
    for where, mask in flips:
        changed[int(where * len(changed))] ^= mask
    return bytes(changed)


@pytest.mark.parametrize("name", FILES_BY_NAME)
def test_flipped_bytes_and_cut_ends(name: str, extractor: Extractor, tmp_path: Path) -> None:
    whole = FILES_BY_NAME[name]()
    assert outcome(extractor, tmp_path / name, whole) == "read"

    @ONCE
    @given(FLIPS, st.one_of(st.none(), CUTS))
    def survives(flips: list[tuple[float, int]], cut: float | None) -> None:
        data = flipped(whole, flips)
        rule = outcome(extractor, tmp_path / name, data if cut is None else data[: int(cut * len(data))])
        assert rule not in ("crash", "timeout", "cpu", "memory")

    survives()
    assert outcome(extractor, tmp_path / name, whole) == "read"


def test_pages_whose_text_is_damaged_are_recognised(tmp_path: Path) -> None:
    """What is left of a page is drawn, and its picture is looked at for text."""
    whole = make_pdf()
    streams = [match.end() / len(whole) for match in re.finditer(rb"stream\n", whole)]
    with Extractor(LIMITS) as extractor:
        for data in (
            flipped(whole, [(where + 0.01, 64) for where in streams]),
            whole.replace(b"/F1 2 0 R", b"/F1 9 9 R"),
        ):
            assert data != whole
            assert outcome(extractor, tmp_path / "a.pdf", data) == "read"


@pytest.mark.parametrize("name", WILD)
def test_old_files(name: str, extractor: Extractor, tmp_path: Path, shared_wild: Callable[[], Path]) -> None:
    """Types that no library writes, from the collection of real files."""
    whole = (shared_wild() / name).read_bytes()
    assert outcome(extractor, tmp_path / name, whole) == "read"

    @ONCE
    @given(FLIPS, st.one_of(st.none(), CUTS))
    def survives(flips: list[tuple[float, int]], cut: float | None) -> None:
        data = flipped(whole, flips)
        outcome(extractor, tmp_path / name, data if cut is None else data[: int(cut * len(data))])

    survives()
    assert outcome(extractor, tmp_path / name, whole) == "read"


def test_bytes_that_mean_nothing(extractor: Extractor, tmp_path: Path) -> None:
    """Random bytes under every name that has a reader."""

    @ONCE
    @given(st.sampled_from([*FILES_BY_NAME, "a.doc", "a.ppt", "a.msg", "a.png"]), st.binary(max_size=400))
    def survives(name: str, data: bytes) -> None:
        outcome(extractor, tmp_path / name, data)

    survives()


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="the program tesseract is not installed")
def test_text_in_an_image_under_confinement(tmp_path: Path) -> None:
    from PIL import Image, ImageDraw

    picture = Image.new("L", (800, 740), 255)
    ImageDraw.Draw(picture).text((40, 330), "SEARCHABLE WORDS", fill=0, font_size=60)
    picture.save(tmp_path / "cup.png")
    with Extractor(ExtractSettings(workers=1, ocr="on")) as extractor:
        (extract,) = extractor.extract(tmp_path / "cup.png")
    assert (extract.type, extract.text.strip()) == ("image", "SEARCHABLE WORDS")


PIECES = r"""
\f[|.\"|.\"N|'\"N|.aN|.N|N|NN|a: bN| bN|From aNN|(|[|![|](|<|<a|<p>|&a;
|{\|{\*|\'8|**|_|"|","|,|;|--|- N|#|# aN|>|`|```N|$|T|0|é|。
"""
"""Each set apart by a bar; N is a line end, T a tab."""


@pytest.mark.parametrize(
    "name", ["a", "a.1", "a.md", "a.txt", "a.html", "a.xml", "a.csv", "a.eml", "a.rtf", "a.json", "a.py"]
)
def test_no_repeated_piece_holds_a_reader_up(name: str, extractor: Extractor, tmp_path: Path) -> None:
    """100,000 characters of one thing: a reader that looked at all of them for each of them would not end in time."""
    for piece in PIECES.replace("\n", "").replace("N", "\n").replace("T", "\t").split("|"):
        data = piece * (100_000 // len(piece))
        head = "{\\rtf1 " if name == "a.rtf" else ""
        assert outcome(extractor, tmp_path / name, (head + data).encode()) not in (
            "cpu",
            "timeout",
            "crash",
        ), piece
