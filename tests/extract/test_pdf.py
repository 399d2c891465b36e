"""PDF: pages, headings of the outline, metadata, and the page numbers of real manuals."""

from __future__ import annotations

import io
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from reportlab.lib.pagesizes import A5
from reportlab.pdfgen.canvas import Canvas

from localsearch.errors import ExtractionError
from localsearch.extract.image import OFF
from localsearch.extract.limits import Limits
from localsearch.extract.read import read
from localsearch.types import Extract

LIMITS = Limits(text=5_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)
MANUALS = Path("/usr/share/doc/texlive-doc/latex/base")


def only(data: bytes, limits: Limits = LIMITS) -> Extract:
    (extract,) = read(data, "file.pdf", limits)
    return extract


def make_pdf(**canvas: object) -> bytes:
    buffer = io.BytesIO()
    page = Canvas(buffer, pagesize=A5, invariant=1, **canvas)
    page.setTitle("Garden book")
    page.setAuthor("Ann Smith")
    page.setKeywords("beds, bees")
    for number, (heading, line) in enumerate([("1 Beds", "Dig in spring."), ("2 Bees", "Plant clover.")]):
        page.bookmarkPage(str(number))
        page.addOutlineEntry(heading.split()[1], str(number), 0)
        page.drawString(50, 400, heading)
        page.drawString(50, 380, line)
        page.showPage()
    page.rect(20, 20, 100, 100)
    page.showPage()
    page.save()
    return buffer.getvalue()


def test_pages_headings_and_metadata() -> None:
    extract = only(make_pdf())
    assert (extract.type, extract.title) == ("pdf", "Garden book")
    assert {key: extract.metadata[key] for key in ("author", "tags", "pages", "created")} == {
        "author": "Ann Smith",
        "tags": ["beds", "bees"],
        "pages": 3,
        "created": "2000-01-01T00:00:00Z",
    }
    assert [(extract.text[b.start : b.end], b.place.page, b.place.heading) for b in extract.blocks] == [
        ("1 Beds", 1, ("Beds",)),
        ("Dig in spring.", 1, ("Beds",)),
        ("2 Bees", 2, ("Bees",)),
        ("Plant clover.", 2, ("Bees",)),
    ]
    assert extract.notes == (f"page 3 is a scan: {OFF}",)


def test_a_title_that_is_only_large() -> None:
    buffer = io.BytesIO()
    page = Canvas(buffer, pagesize=A5)
    for size, height, line in (
        (24, 500, "How to keep"),
        (24, 470, "honey bees"),
        (10, 400, "Bees live in a hive. " * 2),
    ):
        page.setFont("Helvetica", size)
        page.drawString(50, height, line)
    page.save()
    assert only(buffer.getvalue()).title == "How to keep honey bees"


def test_a_protected_file() -> None:
    with pytest.raises(ExtractionError) as caught:
        only(make_pdf(encrypt="secret"))
    assert caught.value.data["rule"] == "encrypted"


def test_pages_that_are_pictures() -> None:
    buffer = io.BytesIO()
    page = Canvas(buffer)
    page.rect(0, 0, 50, 50)
    page.save()
    with pytest.raises(ExtractionError, match="1 page without text") as caught:
        only(buffer.getvalue())
    assert caught.value.data["rule"] == "image"
    assert "tesseract" in caught.value.hint


def test_recognition_of_a_drawn_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page without text is drawn and recognised when that is switched on and tesseract is there."""
    if shutil.which("tesseract") is None:
        pytest.skip("the program tesseract is not installed")
    from PIL import Image, ImageDraw

    picture = Image.new("L", (800, 200), 255)
    ImageDraw.Draw(picture).text((40, 60), "SEARCHABLE WORDS", fill=0, font_size=60)
    buffer = io.BytesIO()
    page = Canvas(buffer, pagesize=(200, 100))
    page.drawInlineImage(picture, 0, 25, 200, 50)
    page.save()
    extract = only(buffer.getvalue(), Limits(10_000, 10_000_000, 10, 3, ocr=True))
    assert "SEARCHABLE" in extract.text
    assert extract.blocks[0].place.page == 1


def test_pages_of_real_manuals_as_pdftotext_has_them() -> None:
    """Twenty phrases, each found on one page only, stand on the same page here and there."""
    if shutil.which("pdftotext") is None:
        pytest.skip("the program pdftotext (poppler-utils) is not installed")
    manuals = sorted(MANUALS.glob("*.pdf"))
    if not manuals:
        pytest.skip("the package texlive-latex-base-doc is not installed")
    chosen = random.Random(7)
    checked = 0
    for manual in chosen.sample(manuals, len(manuals)):
        phrases = _phrases(manual, chosen, 2) if checked < 20 else []
        if not phrases:
            continue
        extract = only(manual.read_bytes())
        places = [(_bare(extract.text[b.start : b.end]), b.place.page) for b in extract.blocks]
        for page, phrase in phrases:
            found = {number for text, number in places if phrase in text}
            assert found == {page}, (manual.name, phrase)
            checked += 1
    assert checked == 20


def _phrases(manual: Path, chosen: random.Random, count: int) -> list[tuple[int, str]]:
    """Lines of plain words that stand on one page only, with the page that pdftotext gives them."""
    done = subprocess.run(["pdftotext", "-enc", "UTF-8", manual, "-"], capture_output=True, check=True)
    pages = done.stdout.decode().split("\f")[:-1]
    lines = [
        (number, _bare(line))
        for number, page in enumerate(pages, 1)
        for line in page.split("\n")
        if re.fullmatch(r"[A-Za-z ,]{35,70}", line) and not line.endswith("-")
    ]
    everywhere = [_bare(page) for page in pages]
    unique = [(number, line) for number, line in lines if sum(line in page for page in everywhere) == 1]
    return chosen.sample(unique, count) if len(unique) > count else []


def _bare(text: str) -> str:
    return re.sub(r"[^A-Za-z]", "", text)
