"""Workbooks: values as shown beside the raw ones, and what stands beside cells."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, time, timedelta

import openpyxl
import pytest
import xlwt
from openpyxl.comments import Comment

from localsearch.errors import ExtractionError
from localsearch.extract.limits import Limits
from localsearch.extract.numberformat import shown
from localsearch.extract.read import read
from localsearch.types import Extract

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)


def saved(book: object) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)  # type: ignore[attr-defined]
    return buffer.getvalue()


def told(found: Extract) -> list[tuple[str, str | None, int | None]]:
    return [(found.text[b.start : b.end], b.place.sheet, b.place.row) for b in found.blocks]


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (2134, "00000", "02134"),
        (0.425, "0.0 %", "42.5 %"),
        (1234567.891, "#,##0.00", "1,234,567.89"),
        (-5, "#,##0;(#,##0)", "(5)"),
        (1234.5, "[$€-407] #,##0.00", "€ 1,234.50"),
        (1234.5, '_($* #,##0.00_);_($* (#,##0.00);_($* "-"??_);_(@_)', "$1,234.50"),
        (5551234567, "(000) 000-0000", "(555) 123-4567"),
        (123456789, "000-00-0000", "123-45-6789"),
        (12345, "0.00E+00", "1.23E+04"),
        (1500000, '0.0,,"M"', "1.5M"),
        (7, '"No. "0', "No. 7"),
        (-3, "0.0", "-3.0"),
        (0.5, "# ?/?", None),
        (1, "General", None),
        (datetime(2024, 5, 1, 14, 3, 7), "m/d/yy h:mm", "5/1/24 14:03"),
        (datetime(2024, 5, 1, 14, 3, 7), "dd.mm.yyyy hh:mm:ss", "01.05.2024 14:03:07"),
        (datetime(2024, 5, 1, 14, 3, 7), "h:mm AM/PM", "2:03 PM"),
        (datetime(2024, 5, 1, 14, 3, 7), "mm:ss", "03:07"),
        (date(2024, 5, 1), "[$-409]dddd, mmmm dd, yyyy;@", "Wednesday, May 01, 2024"),
        (date(2024, 5, 1), 'yyyy"年"m"月"d"日"', "2024年5月1日"),
        (time(9, 5), "h:mm", "9:05"),
        (timedelta(hours=30, minutes=5), "[h]:mm:ss", "30:05:00"),
    ],
)
def test_values_as_shown(value: object, code: str, text: str | None) -> None:
    assert shown(value, code) == text


def test_formats_comments_headers_and_empty_sheets_of_xlsx() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Stock"
    sheet["B3"], sheet["C3"], sheet["D3"] = 2134, 0.425, datetime(2024, 5, 1, 14, 30)
    sheet["B3"].number_format, sheet["C3"].number_format, sheet["D3"].number_format = (
        "00000",
        "0.0%",
        "d.m.yy h:mm",
    )
    sheet["B3"].comment = Comment("chinaware", "Ann")
    sheet.oddHeader.center.text, sheet.oddHeader.center.font = "R&&D only", "Arial,Bold"
    book.create_sheet("Zanzibar")
    hidden = book.create_sheet("Hidden")
    hidden["A1"], hidden.sheet_state = "secret", "veryHidden"
    (found,) = read(saved(book), "a.xlsx", LIMITS)
    assert told(found) == [
        ("Stock", "Stock", None),
        ("02134 (2134) | 42.5% (0.425) | 2024-05-01 14:30:00 (1.5.24 14:30)", "Stock", 3),
        ("Comment on B3 by Ann: chinaware", "Stock", 3),
        ("R&D only", "Stock", None),
        ("Zanzibar", "Zanzibar", None),
        ("Hidden", "Hidden", None),
        ("secret", "Hidden", 1),
    ]


def test_an_empty_workbook_has_no_text() -> None:
    with pytest.raises(ExtractionError) as caught:
        read(saved(openpyxl.Workbook()), "a.xlsx", LIMITS)
    assert caught.value.data["rule"] == "no-text"


def test_formats_and_headers_of_xls() -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Stock")
    for column, (value, code) in enumerate([(2134, "00000"), (0.425, "0.0%"), (1, "General")]):
        sheet.write(0, column, value, xlwt.easyxf(num_format_str=code))
    sheet.header_str, sheet.footer_str = b"&CFor us", b'&L&"Arial"Page'
    (found,) = read(saved(book), "a.xls", LIMITS)
    assert told(found) == [
        ("Stock", "Stock", None),
        ("02134 (2134) | 42.5% (0.425) | 1", "Stock", 1),
        ("For us", "Stock", None),
        ("Page", "Stock", None),
    ]


def test_far_corners_keep_their_formats_and_neighbours() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet["A1"], sheet["XFD1048576"] = "name", 7
    sheet["XFD1048576"].number_format = "000"
    book.create_sheet("Next")["A1"] = "there"
    (found,) = read(saved(book), "a.xlsx", LIMITS)
    assert told(found)[1:] == [
        ("name", "Sheet", 1),
        ("007 (7)", "Sheet", 1_048_576),
        ("Next", "Next", None),
        ("there", "Next", 1),
    ]


def test_a_broken_sheet_costs_itself_and_is_said() -> None:
    book = openpyxl.Workbook()
    book.active["A1"] = "lost"  # type: ignore[index]
    book.create_sheet("Good")["A1"] = "stays"
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(book))) as before, zipfile.ZipFile(buffer, "w") as after:
        for name in before.namelist():
            after.writestr(name, b"no XML" if name.endswith("sheet1.xml") else before.read(name))
    (found,) = read(buffer.getvalue(), "a.xlsx", LIMITS)
    assert "stays" in found.text
    assert any("Sheet" in note for note in found.notes)
