"""Files that stand in Office documents as objects are documents of their own."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from localsearch.errors import ExtractionError
from localsearch.extract.embedded import _native
from localsearch.extract.limits import Limits
from localsearch.extract.read import read

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)


def word(*paragraphs: str) -> bytes:
    from docx import Document

    document = Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def with_part(package: bytes, name: str, data: bytes) -> bytes:
    buffer = io.BytesIO(package)
    with zipfile.ZipFile(buffer, "a") as file:
        file.writestr(name, data)
    return buffer.getvalue()


def test_a_document_in_a_document_is_found_by_its_name() -> None:
    outer = with_part(word("The outer text"), "word/embeddings/inner.docx", word("A lantern within"))
    first, second = read(outer, "outer.docx", LIMITS)
    assert (first.text, first.member) == ("The outer text", "")
    assert (second.text, second.member, second.type) == ("A lantern within", "inner.docx", "docx")
    assert second.blocks[0].place.part == "inner.docx"


def test_a_document_with_nothing_but_another_is_read() -> None:
    outer = with_part(word(), "word/embeddings/inner.docx", word("A lantern within"))
    assert [extract.text for extract in read(outer, "outer.docx", LIMITS)] == ["", "A lantern within"]


def test_what_cannot_be_read_is_told() -> None:
    outer = with_part(word("The outer text"), "word/embeddings/oleObject1.bin", b"\x00\x01\x02" * 100)
    (only,) = read(outer, "outer.docx", LIMITS)
    assert only.notes == ("1 embedded object without text that can be read",)


def test_documents_are_not_unpacked_beyond_the_budget() -> None:
    outer = with_part(word("The outer text"), "word/embeddings/inner.txt", b"lantern " * 2_000_000)
    first, second = read(outer, "outer.docx", LIMITS)
    assert first.text == "The outer text"
    assert second.notes == ("word/embeddings/inner.txt: it unpacks to more than the limit",)


def test_the_numbers_of_a_chart_are_not_told_twice() -> None:
    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    data = CategoryChartData()
    data.categories = ["north", "south"]
    data.add_series("Lanterns", (3, 4))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(1), Inches(4), Inches(3), data)
    buffer = io.BytesIO()
    show.save(buffer)
    (only,) = read(buffer.getvalue(), "chart.pptx", LIMITS)
    assert only.text.count("north") == 1


def test_a_dropped_file_keeps_its_label() -> None:
    body = (
        b"\x02\0note.txt\0C:\\note.txt\0\0\0\x03\0"
        + struct.pack("<I", 4)
        + b"tmp\0"
        + struct.pack("<I", 7)
        + b"lantern"
    )
    assert _native(struct.pack("<I", len(body)) + body) == ("note.txt", b"lantern")


def test_an_empty_document_still_has_no_text() -> None:
    with pytest.raises(ExtractionError, match="holds no text of its own"):
        read(word(), "empty.docx", LIMITS)
