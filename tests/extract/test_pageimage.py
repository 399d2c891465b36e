"""Pages of PDFs as pictures, drawn in a confined worker, and where words stand on them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from pypdfium2 import PdfDocument
from reportlab.pdfgen.canvas import Canvas

from localsearch.errors import ExtractionError
from localsearch.extract import wire
from localsearch.extract.drawn import MOST_PIXELS, PageImage
from localsearch.extract.pageimage import PageImages
from localsearch.extract.process import OpenFile
from localsearch.settings import ExtractSettings

LINES = (
    "The first line tells of kilns.",
    "The second line tells of glazes",
    "and the third one goes on with it.",
)


@pytest.fixture(scope="module")
def drawer() -> Iterator[PageImages]:
    one = PageImages(ExtractSettings())
    yield one
    one.close()


def written(path: Path, size: tuple[float, float] = (400, 600), turned: int = 0) -> Path:
    """Two pages; on the second three lines whose baselines are 100, 140 and 180 points below the top."""
    canvas = Canvas(str(path), pagesize=size)
    canvas.drawString(50, size[1] - 50, "A page before it.")
    canvas.showPage()
    for at, line in enumerate(LINES):
        canvas.drawString(50, size[1] - 100 - 40 * at, line)
    canvas.save()
    if turned:
        document = PdfDocument(path.read_bytes())
        document[1].set_rotation(turned)
        document.save(path)
        document.close()
    return path


def draw(drawer: PageImages, path: Path, page: wire.Page) -> PageImage:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return drawer.draw(OpenFile(path, descriptor), page)
    finally:
        os.close(descriptor)


def test_a_page_is_drawn_and_marked(drawer: PageImages, tmp_path: Path) -> None:
    path = written(tmp_path / "a.pdf")
    image = draw(drawer, path, wire.Page(2, 800, " ".join(LINES[1:]), "Kilns glazes"))
    assert (image.pages, image.width, image.height) == (2, 800, 1200)
    picture = Image.open(io.BytesIO(image.png)).convert("L")
    assert picture.size == (800, 1200)
    assert len(image.passage) == 2
    for (left, top, right, bottom), baseline in zip(image.passage, (140, 180)):
        assert left == pytest.approx(50 / 400, abs=0.01)
        assert top < (baseline - 5) / 600 < bottom < (baseline + 6) / 600
        inked = picture.crop((int(left * 800), int(top * 1200), int(right * 800) + 1, int(bottom * 1200) + 1))
        assert inked.getextrema()[0] < 100, "there are letters in the box"
    tops = [top for _, top, _, _ in image.words]
    assert len(tops) == 2
    assert (90 / 600 < tops[0] < 100 / 600, 130 / 600 < tops[1] < 140 / 600) == (True, True)


def test_a_turned_page_is_marked_where_it_is_shown(drawer: PageImages, tmp_path: Path) -> None:
    image = draw(drawer, written(tmp_path / "t.pdf", turned=90), wire.Page(2, 600, LINES[0]))
    assert (image.width, image.height) == (600, 400)
    ((left, top, right, bottom),) = image.passage
    assert bottom - top > right - left, "a line of a turned page stands upright"
    assert left > 0.75, "and the first is at the right"
    assert top == pytest.approx(50 / 400, abs=0.02)


def test_a_passage_that_goes_on_from_another_page_is_marked_from_where_it_is_here(
    drawer: PageImages, tmp_path: Path
) -> None:
    passage = "words of the page before this one that are not here " + " ".join(LINES[:2])
    image = draw(drawer, written(tmp_path / "a.pdf"), wire.Page(2, 400, passage))
    assert [round(top * 600) // 40 for _, top, _, _ in image.passage] == [2, 3]
    assert draw(drawer, tmp_path / "a.pdf", wire.Page(2, 400, "nothing of this is on it")).passage == ()


def test_pixels_are_bounded(drawer: PageImages, tmp_path: Path) -> None:
    image = draw(drawer, written(tmp_path / "long.pdf", (200, 14_000)), wire.Page(1, 2000))
    assert image.width * image.height <= MOST_PIXELS * 1.01
    assert image.height / image.width == pytest.approx(70, rel=0.02)


def test_what_cannot_be_drawn_is_told(drawer: PageImages, tmp_path: Path) -> None:
    path = written(tmp_path / "a.pdf")
    with pytest.raises(ExtractionError, match="no page 3"):
        draw(drawer, path, wire.Page(3, 400))
    (tmp_path / "torn.pdf").write_bytes(b"%PDF-1.7\nnothing more")
    with pytest.raises(ExtractionError, match="no PDF that can be opened"):
        draw(drawer, tmp_path / "torn.pdf", wire.Page(1, 400))
    assert draw(drawer, path, wire.Page(1, 400)).pages == 2, "the worker goes on"


def test_a_worker_that_dies_costs_one_page(drawer: PageImages, tmp_path: Path) -> None:
    path = written(tmp_path / "a.pdf")
    draw(drawer, path, wire.Page(1, 400))
    assert drawer._worker is not None
    assert drawer._worker._process is not None
    drawer._worker._process.kill()
    drawer._worker._process.wait()
    assert draw(drawer, path, wire.Page(1, 400)).width == 400
