"""PPTX and PPT: each slide has its own text, in the order of the show."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pptx
from lxml import etree
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from localsearch.extract.limits import Limits
from localsearch.extract.read import read
from localsearch.types import Extract

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)
BOX = (Inches(1), Inches(1), Inches(2), Inches(1))


def saved(show: object) -> bytes:
    buffer = io.BytesIO()
    show.save(buffer)  # type: ignore[attr-defined]
    return buffer.getvalue()


def rewritten(
    data: bytes, change: Callable[[str, bytes], bytes | None], more: dict[str, str] | None = None
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(buffer, "w") as after:
        for name in before.namelist():
            content = change(name, before.read(name))
            if content is not None:
                after.writestr(name, content)
        for name, text in (more or {}).items():
            after.writestr(name, text)
    return buffer.getvalue()


def by_page(found: Extract) -> dict[int | None, str]:
    pages: dict[int | None, list[str]] = {}
    for block in found.blocks:
        pages.setdefault(block.place.page, []).append(found.text[block.start : block.end])
    return {page: "\n\n".join(texts) for page, texts in pages.items()}


def show_of(*titles: str) -> tuple[object, list[object]]:
    show = pptx.Presentation()
    slides = []
    for title in titles:
        slide = show.slides.add_slide(show.slide_layouts[5])
        slide.shapes.title.text = title
        slides.append(slide)
    return show, slides


def test_all_that_a_slide_shows() -> None:
    show, (slide, second) = show_of("Åben & <tag>", "Two")
    box = slide.shapes.add_textbox(*BOX).text_frame  # type: ignore[attr-defined]
    box.text = "Zürich\vbelow"
    box.add_paragraph().text = "next"
    group = slide.shapes.add_group_shape()  # type: ignore[attr-defined]
    group.shapes.add_textbox(*BOX).text_frame.text = "grouped"
    table = slide.shapes.add_table(1, 2, *BOX).table  # type: ignore[attr-defined]
    table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"
    data = CategoryChartData()
    data.categories = ["spring"]
    data.add_series("tea", [17])
    slide.shapes.add_chart(XL_CHART_TYPE.PIE, *BOX, data)  # type: ignore[attr-defined]
    described = slide.shapes.add_textbox(*BOX)  # type: ignore[attr-defined]
    described._element.nvSpPr.cNvPr.set("descr", "a cat asleep")
    second.notes_slide.notes_text_frame.text = "say this"  # type: ignore[attr-defined]
    (found,) = read(saved(show), "a.pptx", LIMITS)
    assert by_page(found) == {
        1: "Åben & <tag>\n\nZürich\nbelow\nnext\n\ngrouped\n\nleft | right\n\ntea: spring 17\n\na cat asleep",
        2: "Two\n\nNotes:\n\nsay this",
    }
    assert found.metadata["slides"] == 2


def test_order_by_the_show_and_a_missing_slide() -> None:
    show, _ = show_of("first", "second", "third")
    ids = show.slides._sldIdLst  # type: ignore[attr-defined]
    ids.insert(0, ids[2])
    assert by_page(read(saved(show), "a.pptx", LIMITS)[0]) == {1: "third", 2: "first", 3: "second"}
    broken = rewritten(saved(show), lambda name, data: None if name == "ppt/slides/slide1.xml" else data)
    (found,) = read(broken, "a.pptx", LIMITS)
    assert by_page(found) == {1: "third", 3: "second"}
    assert "slide 2 could not be read" in found.notes


def test_a_hidden_slide_keeps_its_number() -> None:
    show, slides = show_of("one", "two")
    slides[0]._element.set("show", "0")  # type: ignore[attr-defined]
    assert by_page(read(saved(show), "a.pptx", LIMITS)[0]) == {1: "one", 2: "two"}


COMMENTS = {
    "old": '<p:cmLst xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main">'
    '<p:cm authorId="0"><p:pos x="1" y="1"/><p:text>too long</p:text></p:cm></p:cmLst>',
    "new": '<p188:cmLst xmlns:p188="http://schemas.microsoft.com/office/powerpoint/2018/8/main" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><p188:cm authorId="{0}"><p188:replyLst>'
    "<p188:reply><p188:txBody><a:p><a:r><a:t>agreed</a:t></a:r></a:p></p188:txBody></p188:reply></p188:replyLst>"
    "<p188:txBody><a:p><a:r><a:t>too short</a:t></a:r></a:p></p188:txBody></p188:cm></p188:cmLst>",
}


def test_comments_old_and_new() -> None:
    show, _ = show_of("one")

    def change(name: str, data: bytes) -> bytes:
        if not name.endswith("slides/_rels/slide1.xml.rels"):
            return data
        root = etree.fromstring(data)
        for kind in COMMENTS:
            etree.SubElement(
                root,
                "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship",
                Id=f"c{kind}",
                Type="http://schemas.microsoft.com/office/2018/10/relationships/comments",
                Target=f"../comments/{kind}.xml",
            )
        return etree.tostring(root)

    parts = {f"ppt/comments/{kind}.xml": text for kind, text in COMMENTS.items()}
    (found,) = read(rewritten(saved(show), change, parts), "a.pptx", LIMITS)
    assert by_page(found)[1] == "one\n\nComment: too long\n\nComment: too short\n\nComment: agreed"


def test_a_linked_picture_costs_nothing() -> None:
    show, _ = show_of("Marzipan")

    def change(name: str, data: bytes) -> bytes:
        picture = (
            b'<p:pic><p:nvPicPr><p:cNvPr id="9" name="p" descr="a map"/></p:nvPicPr><p:blipFill>'
            b'<a:blip r:link="rId99"/></p:blipFill></p:pic></p:spTree>'
        )
        return data.replace(b"</p:spTree>", picture) if name == "ppt/slides/slide1.xml" else data

    (found,) = read(rewritten(saved(show), change), "a.pptx", LIMITS)
    assert by_page(found) == {1: "Marzipan\n\na map"}


def test_old_shows_have_true_slides_and_no_prompts(shared_wild: Callable[[], Path]) -> None:
    found, *inside = read(
        (shared_wild() / "testPPT_skipBadCompressedObject.ppt").read_bytes(), "a.ppt", LIMITS
    )
    assert [(one.type, "Regression Statistics" in one.text) for one in inside] == [("xls", True)] * 2
    pages = by_page(found)
    assert list(pages) == [*range(1, 15), None]
    assert pages[4].startswith("Design\n\nManipulations\n3 Scenario Variables")
    assert pages[14].startswith("Conclusions")
    assert "Click to edit" not in found.text
    (found,) = read((shared_wild() / "testPPT_comment.ppt").read_bytes(), "b.ppt", LIMITS)
    assert by_page(found)[1].startswith("title\n\nsubtitle\n\nComment by Allison, Timothy B.: I'm afraid")
