"""Office files made by their own libraries: text, places and metadata come back."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import pytest
import xlwt
from odf import opendocument
from odf.dc import Creator, Title
from odf.draw import Frame, Page, TextBox
from odf.meta import InitialCreator
from odf.style import MasterPage, PageLayout
from odf.table import Table, TableCell, TableRow
from odf.text import H, P

from localsearch.errors import ExtractionError
from localsearch.extract.limits import Limits
from localsearch.extract.read import read
from localsearch.types import Extract

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)


def only(name: str, data: bytes) -> Extract:
    found = read(data, name, LIMITS)
    assert len(found) == 1
    return found[0]


def told(extract: Extract, *fields: str) -> list[tuple[Any, ...]]:
    """Text of each block, and the fields of its place that are asked for."""
    return [
        (extract.text[b.start : b.end], *(getattr(b.place, field) for field in fields))
        for b in extract.blocks
    ]


def saved(document: Any) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def make_docx() -> bytes:
    document = docx.Document()
    own = document.core_properties
    own.title, own.author, own.keywords = "Tea at home", "Ann Smith", "tea, water"
    own.created = own.modified = datetime(2024, 5, 6, 7, 8, 9)
    document.add_heading("Green tea", 1)
    document.add_paragraph("Water at eighty degrees.")
    document.add_heading("Leaves", 2)
    document.add_paragraph("Sencha", style="List Bullet")
    table = document.add_table(2, 2)
    for (row, column), text in {(0, 0): "leaf", (0, 1): "minutes", (1, 0): "sencha", (1, 1): "two"}.items():
        table.cell(row, column).text = text
    document.sections[0].header.paragraphs[0].text = "The tea house"
    return saved(document)


def test_docx() -> None:
    extract = only("tea.docx", make_docx())
    assert (extract.type, extract.title) == ("docx", "Tea at home")
    assert extract.metadata["author"] == "Ann Smith"
    assert extract.metadata["created"] == extract.metadata["modified"] == "2024-05-06T07:08:09Z"
    assert told(extract, "heading") == [
        ("Green tea", ("Green tea",)),
        ("Water at eighty degrees.", ("Green tea",)),
        ("Leaves", ("Green tea", "Leaves")),
        ("- Sencha", ("Green tea", "Leaves")),
        ("leaf | minutes\nsencha | two", ("Green tea", "Leaves")),
        ("The tea house", ()),
    ]


def make_pptx() -> bytes:
    show = pptx.Presentation()
    show.core_properties.title, show.core_properties.author = "Brewing", "Bob Jones"
    for number in (1, 2, 3):
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = f"Step {number}"
        slide.placeholders[1].text = f"Pour the water {number} times."
        slide.notes_slide.notes_text_frame.text = f"Say it {number} times."
    return saved(show)


def test_pptx_slides_are_pages() -> None:
    extract = only("brew.pptx", make_pptx())
    assert (extract.type, extract.title, extract.metadata["author"]) == ("pptx", "Brewing", "Bob Jones")
    assert told(extract, "page") == [
        (text, page)
        for page in (1, 2, 3)
        for text in (f"Step {page}", f"Pour the water {page} times.\n\nNotes:\n\nSay it {page} times.")
    ]


def make_xlsx() -> bytes:
    book = openpyxl.Workbook()
    book.properties.title, book.properties.creator = "Stock", "Ann Smith"
    sheet = book.active
    assert sheet is not None
    sheet.title = "Leaves"
    for row, cells in {
        3: ("leaf", "grams", "bought"),
        4: ("sencha", 250, date(2024, 5, 1)),
        7: ("bancha", 1.5),
    }.items():
        for column, cell in enumerate(cells, 2):
            sheet.cell(row, column, cell)
    book.create_sheet("Notes")["A1"] = "Order more."
    return saved(book)


def test_xlsx_sheets_and_rows() -> None:
    extract = only("stock.xlsx", make_xlsx())
    assert (extract.type, extract.title, extract.metadata["author"]) == ("xlsx", "Stock", "Ann Smith")
    assert told(extract, "sheet", "row") == [
        ("Leaves", "Leaves", None),
        ("leaf | grams | bought\nleaf: sencha | grams: 250 | bought: 2024-05-01", "Leaves", 3),
        ("leaf: bancha | grams: 1.5", "Leaves", 7),
        ("Notes", "Notes", None),
        ("Order more.", "Notes", 1),
    ]


def make_xls() -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Cups")
    for row, cells in enumerate([("cup", "colour"), ("mug", "blue"), ("bowl", "grün")]):
        for column, cell in enumerate(cells):
            sheet.write(row, column, cell)
    return saved(book)


def test_xls() -> None:
    extract = only("cups.xls", make_xls())
    assert (extract.type, extract.title) == ("xls", "")
    assert told(extract, "sheet", "row")[1] == (
        "cup | colour\ncup: mug | colour: blue\ncup: bowl | colour: grün",
        "Cups",
        1,
    )


def make_ods() -> bytes:
    book = opendocument.OpenDocumentSpreadsheet()
    table = Table(name="Pots")
    for cells in (("pot", "litres"), ("iron", "one")):
        row = TableRow()
        for text in cells:
            cell = TableCell(valuetype="string")
            cell.addElement(P(text=text))
            row.addElement(cell)
        table.addElement(row)
    book.spreadsheet.addElement(table)
    book.meta.addElement(Title(text="Pots and pans"))
    return saved(book)


def test_ods() -> None:
    extract = only("pots.ods", make_ods())
    assert (extract.type, extract.title) == ("ods", "Pots and pans")
    assert told(extract, "sheet", "row")[1:] == [("pot | litres\npot: iron | litres: one", "Pots", 1)]


def make_odt() -> bytes:
    document = opendocument.OpenDocumentText()
    document.meta.addElement(Title(text="A walk"))
    document.meta.addElement(InitialCreator(text="Ann Smith"))
    document.meta.addElement(Creator(text="Ann Smith"))
    document.text.addElement(H(outlinelevel=1, text="Morning"))
    document.text.addElement(P(text="Fog over the río."))
    document.text.addElement(H(outlinelevel=2, text="Later"))
    document.text.addElement(P(text="Sun."))
    return saved(document)


def test_odt() -> None:
    extract = only("walk.odt", make_odt())
    assert (extract.type, extract.title, extract.metadata["author"]) == ("odt", "A walk", "Ann Smith")
    assert told(extract, "heading") == [
        ("Morning", ("Morning",)),
        ("Fog over the río.", ("Morning",)),
        ("Later", ("Morning", "Later")),
        ("Sun.", ("Morning", "Later")),
    ]


def make_odp() -> bytes:
    show = opendocument.OpenDocumentPresentation()
    layout = PageLayout(name="layout")
    show.automaticstyles.addElement(layout)
    master = MasterPage(name="master", pagelayoutname=layout)
    show.masterstyles.addElement(master)
    for number in (1, 2):
        page = Page(masterpagename=master)
        show.presentation.addElement(page)
        for text, role in ((f"Slide {number}", "title"), (f"Body of {number}.", "outline")):
            frame = Frame(width="10cm", height="2cm")
            frame.setAttrNS("urn:oasis:names:tc:opendocument:xmlns:presentation:1.0", "class", role)
            box = TextBox()
            box.addElement(P(text=text))
            frame.addElement(box)
            page.addElement(frame)
    return saved(show)


def test_odp_slides_are_pages() -> None:
    extract = only("show.odp", make_odp())
    assert (extract.type, extract.title) == ("odp", "Slide 1")
    assert told(extract, "page", "heading") == [
        ("Slide 1", 1, ("Slide 1",)),
        ("Body of 1.", 1, ("Slide 1",)),
        ("Slide 2", 2, ("Slide 2",)),
        ("Body of 2.", 2, ("Slide 2",)),
    ]


def make_rtf() -> bytes:
    return (
        rb"{\rtf1\ansi\ansicpg1250{\info{\title \'c8l\'e1nek}{\author Ann}{\creatim\yr2024\mo5\dy6\hr7\min8}}"
        rb"{\fonttbl{\f0\fcharset238 Arial;}}\f0 \'c8l\'e1nek t\'fddne\par Dal\'9a\'ed \b odstavec\b0 .\par}"
    )


def test_rtf_in_its_code_page() -> None:
    extract = only("clanek.rtf", make_rtf())
    assert extract.text == "Článek týdne\nDalší odstavec."
    assert (extract.title, extract.metadata) == (
        "Článek",
        {"author": "Ann", "created": "2024-05-06T07:08:00"},
    )


def make_epub() -> bytes:
    chapter = "<html xmlns='http://www.w3.org/1999/xhtml'><head><title>x</title></head><body>{}</body></html>"
    item = '<item id="{}" href="{}" media-type="{}"/>'
    page = "application/xhtml+xml"
    own = {"title": "Two walks", "creator": "Ann Smith", "language": "en", "date": "2021-02-03"}
    metadata = "".join(f"<dc:{name}>{text}</dc:{name}>" for name, text in own.items())
    items = item.format("b", "text/two%20b.xhtml", page) + item.format("a", "text/one.xhtml", page)
    manual = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/" version="3.0">'
        f"<metadata>{metadata}</metadata><manifest>{items}{item.format('c', 'c.css', 'text/css')}</manifest>"
        '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr("mimetype", "application/epub+zip")
        package.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OPS/book.opf"/></rootfiles></container>',
        )
        package.writestr("OPS/book.opf", manual)
        package.writestr("OPS/text/one.xhtml", chapter.format("<h1>The hill</h1><p>Up we went.</p>"))
        package.writestr("OPS/text/two b.xhtml", chapter.format("<h1>The river</h1><p>Down we came.</p>"))
    return buffer.getvalue()


def test_epub_chapters_in_reading_order() -> None:
    extract = only("walks.epub", make_epub())
    assert (extract.type, extract.title) == ("epub", "Two walks")
    assert extract.metadata == {"author": "Ann Smith", "language": "en", "created": "2021-02-03"}
    assert told(extract, "chapter", "heading") == [
        ("The hill", "The hill", ("The hill",)),
        ("Up we went.", "The hill", ("The hill",)),
        ("The river", "The river", ("The river",)),
        ("Down we came.", "The river", ("The river",)),
    ]


@pytest.mark.parametrize("make", [make_docx, make_pptx, make_xlsx, make_ods, make_odt, make_epub])
def test_the_content_tells_the_type_where_the_name_does_not(make: Callable[[], bytes]) -> None:
    assert only("unnamed", make()).type == make.__name__.removeprefix("make_")


def test_a_wrong_name_does_not_mislead() -> None:
    assert only("report.doc", make_docx()).type == "docx"
    assert only("table.xlsx", b"name,city\nAnn,Oslo\n").type == "text"


def test_pages_of_ten_years_ago() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr("index.xml", "<document><p>Lorem from Cupertino.</p></document>")
    extract = only("letter.pages", buffer.getvalue())
    assert (extract.type, extract.text) == ("pages", "Lorem from Cupertino.")


@pytest.mark.parametrize(
    ("name", "type", "text", "page"),
    [
        ("testWORD_custom_props.doc", "doc", "Document content", None),
        ("testPPT.ppt", "ppt", "Sample Powerpoint Slide", 1),
        ("testMSG_Appointment.msg", "msg", "This is a meeting to discuss jumping", None),
    ],
)
def test_old_office_files(
    shared_wild: Callable[[], Path], name: str, type: str, text: str, page: int | None
) -> None:
    extract = only(name, (shared_wild() / name).read_bytes())
    assert extract.type == type
    assert text in extract.text
    assert extract.blocks[0].place.page == page
    assert json.dumps(dict(extract.metadata))


@pytest.mark.parametrize(
    "name",
    [
        "protected_normal_case.docx",
        "testPPT_protected_passtika.pptx",
        "protect.xlsx",
        "testEXCEL_protected_passtika.xls",
    ],
)
def test_protected_files_say_so(shared_wild: Callable[[], Path], name: str) -> None:
    with pytest.raises(ExtractionError) as caught:
        only(name, (shared_wild() / name).read_bytes())
    assert caught.value.data["rule"] == "encrypted"


def test_rtf_groups_that_nobody_shows_cost_no_text() -> None:
    data = (
        rb"{\rtf1\ansi\ansicpg1252{\*\generator Riched;}{\*\themedata 504b0304}{\*\unknown {\b one} two\} three}"
        rb"Tea{\*\bkmkstart a} for {\*\bkmkend a}two \{or\} "
        rb'{\field{\*\fldinst{HYPERLINK "http://x.example/"}}{\fldrslt three}}\par end}'
    )
    text = only("a.rtf", data).text
    assert text.startswith("Tea for two {or} ")
    assert "three" in text
    assert "http://x.example/" in text
    assert text.endswith("end")
    assert not any(word in text for word in ("Riched", "504b", "one", "two}"))
