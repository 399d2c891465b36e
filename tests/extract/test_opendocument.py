"""OpenDocument: every element that may stand in a paragraph is read through, in order; notes and shapes after it."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localsearch.extract.limits import Limits
from localsearch.extract.read import read
from localsearch.types import Extract

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)
ODF = "urn:oasis:names:tc:opendocument:xmlns:"
SPACES = " ".join(
    f'xmlns:{prefix}="{space}"'
    for prefix, space in {
        "office": f"{ODF}office:1.0",
        "text": f"{ODF}text:1.0",
        "table": f"{ODF}table:1.0",
        "draw": f"{ODF}drawing:1.0",
        "style": f"{ODF}style:1.0",
        "svg": f"{ODF}svg-compatible:1.0",
        "presentation": f"{ODF}presentation:1.0",
        "dc": "http://purl.org/dc/elements/1.1/",
        "xlink": "http://www.w3.org/1999/xlink",
    }.items()
)


def document(body: str) -> str:
    return f'<?xml version="1.0"?><office:document-content {SPACES}><office:body>{body}</office:body></office:document-content>'


def extract(kind: str, body: str, **parts: str) -> Extract:
    names = {"odt": "text", "ods": "spreadsheet", "odp": "presentation"}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("mimetype", f"application/vnd.oasis.opendocument.{names[kind]}")
        file.writestr("content.xml", document(f"<office:{names[kind]}>{body}</office:{names[kind]}>"))
        for name, content in parts.items():
            file.writestr(f"{name}.xml", content)
    (found,) = read(buffer.getvalue(), f"a.{kind}", LIMITS)
    return found


INLINE = {
    "<text:tab/>": "\t",
    "<text:line-break/>": "\n",
    "<text:s/>": " ",
    '<text:s text:c="3"/>': "   ",
    "<text:soft-page-break/>": "",
    '<text:bookmark text:name="b"/>': "",
    '<text:bookmark-start text:name="b"/>': "",
    '<text:reference-mark text:name="r"/>': "",
    '<text:a xlink:href="https://example.org">link</text:a>': "link",
    '<text:a xlink:href="#"><text:span>inner <text:tab/>link</text:span></text:a>': "inner \tlink",
    "<text:date>1 May</text:date>": "1 May",
    "<text:page-number>7</text:page-number>": "7",
    "<text:meta>marked</text:meta>": "marked",
    "<text:bibliography-mark>[Ann]</text:bibliography-mark>": "[Ann]",
    "<text:unheard-of>kept</text:unheard-of>": "kept",
    "<text:ruby><text:ruby-base>字</text:ruby-base></text:ruby>": "字",
    "<office:annotation-end/>": "",
    "<text:script>alert(1)</text:script>": "",
}


@pytest.mark.parametrize(
    "wrap", ["{}", "<text:span>{}</text:span>", "<text:span><text:span>{}</text:span></text:span>"]
)
@pytest.mark.parametrize(("markup", "text"), INLINE.items())
def test_what_stands_in_a_span(markup: str, text: str, wrap: str) -> None:
    assert (
        extract("odt", f"<text:p>{wrap.format(f'before{markup}after')}</text:p>").text == f"before{text}after"
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(INLINE.items())), st.booleans()), max_size=10))
def test_any_sequence_of_them_in_order(pieces: list[tuple[tuple[str, str], bool]]) -> None:
    body, expected = "", ""
    for number, ((markup, text), spanned) in enumerate(pieces):
        piece = f"{markup}w{number}"
        body += f"<text:span>{piece}</text:span>" if spanned else piece
        expected += f"{text}w{number}"
    assert extract("odt", f"<text:p>begin{body}</text:p>").text == "begin" + expected


NOTE = "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>source</text:p></text:note-body></text:note>"
COMMENT = "<office:annotation><dc:creator>Ann</dc:creator><dc:date>2024</dc:date><text:p>why?</text:p></office:annotation>"
SHAPE = "<draw:custom-shape><svg:desc>a star</svg:desc><text:p>in the shape</text:p></draw:custom-shape>"
FRAME = "<draw:frame><draw:text-box><text:p>in the box</text:p></draw:text-box></draw:frame>"


def test_notes_comments_and_shapes_follow_their_paragraph() -> None:
    found = extract(
        "odt",
        f"<text:p><text:span>a{NOTE}b{COMMENT}c{SHAPE}d{FRAME}e</text:span></text:p><text:p>next</text:p>",
    )
    assert found.text.split("\n\n") == [
        "abcde", "source", "Comment by Ann:", "why?", "a star", "in the shape", "in the box", "next",
    ]  # fmt: skip


def test_tables_lists_sections_and_deleted_text() -> None:
    found = extract(
        "odt",
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>gone</text:p></text:deletion></text:changed-region>"
        '</text:tracked-changes><text:section><text:h text:outline-level="1">Part</text:h></text:section>'
        "<text:list><text:list-item><text:p>one</text:p></text:list-item></text:list>"
        "<table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>left</text:p></table:table-cell>"
        f"<table:table-cell><text:list><text:list-item><text:p>right{NOTE}</text:p></text:list-item></text:list>"
        "</table:table-cell></table:table-row></table:table-header-rows></table:table>",
        styles=f"<office:document-styles {SPACES}><office:master-styles><style:master-page><style:header><text:p>top</text:p>"
        "</style:header><style:footer><text:p>bottom</text:p></style:footer></style:master-page></office:master-styles>"
        "</office:document-styles>",
    )
    assert [(b.kind, found.text[b.start : b.end], b.place.heading) for b in found.blocks] == [
        ("heading", "Part", ("Part",)),
        ("list", "- one", ("Part",)),
        ("table", "left | right", ("Part",)),
        ("paragraph", "source", ("Part",)),
        ("paragraph", "top", ()),
        ("paragraph", "bottom", ()),
    ]


def test_flat_documents_read_alike() -> None:
    body = "<office:text><text:p>Total<text:span><text:tab/>4711</text:span></text:p></office:text>"
    (found,) = read(document(body).encode(), "a.fodt", LIMITS)
    assert (found.type, found.text) == ("odt", "Total\t4711")


def test_slides_keep_notes_tables_and_comments() -> None:
    found = extract(
        "odp",
        '<draw:page><draw:frame presentation:class="title"><draw:text-box><text:p>Title</text:p></draw:text-box></draw:frame>'
        f"<draw:g>{SHAPE}</draw:g>{COMMENT}<presentation:notes>{FRAME}</presentation:notes></draw:page>"
        "<draw:page><draw:frame><table:table><table:table-row><table:table-cell><text:p>cell</text:p></table:table-cell>"
        "</table:table-row></table:table></draw:frame></draw:page>",
    )
    assert [(found.text[b.start : b.end], b.place.page) for b in found.blocks] == [
        ("Title", 1), ("a star", 1), ("in the shape", 1), ("Comment by Ann:", 1), ("why?", 1), ("in the box", 1), ("cell", 2),
    ]  # fmt: skip


def test_spreadsheets_as_shown_with_notes_and_far_corners() -> None:
    cell = '<table:table-cell office:value-type="float" office:value="0.425"><text:p>42.5 %</text:p></table:table-cell>'
    day = '<table:table-cell office:date-value="2024-05-01"><text:p>01.05.24</text:p></table:table-cell>'
    far = (
        '<table:table-row table:number-rows-repeated="1048574"/><table:table-row>'
        '<table:table-cell table:number-columns-repeated="16383"/><table:table-cell><text:p>corner</text:p></table:table-cell>'
    )
    found = extract(
        "ods",
        f'<table:table table:name="Tea"><table:table-row>{cell}{day}<table:table-cell>{COMMENT}<text:p>x</text:p>'
        f'</table:table-cell></table:table-row>{far}</table:table-row></table:table><table:table table:name="Empty"/>',
    )
    assert [(found.text[b.start : b.end], b.place.sheet, b.place.row) for b in found.blocks] == [
        ("Tea", "Tea", None),
        ("42.5 % (0.425) | 2024-05-01 (01.05.24) | x", "Tea", 1),
        ("corner", "Tea", 1_048_576),
        ("Comment by Ann:", "Tea", 1),
        ("why?", "Tea", 1),
        ("Empty", "Empty", None),
    ]


def test_formulas_of_shapes_take_no_text_with_them() -> None:
    geometry = (
        '<draw:enhanced-geometry draw:type="a"><draw:equation draw:formula="1"/></draw:enhanced-geometry>'
    )
    shape = "<draw:custom-shape>{}<text:p>{}</text:p></draw:custom-shape>"
    shapes = (
        shape.format(geometry, "one")
        + shape.format("<draw:enhanced-geometry/>", "two")
        + shape.format("", "three")
    )
    shapes += shape.format(geometry + geometry, "four")
    found = extract("odt", f"<office:text>{shapes}</office:text>")
    assert found.text.split() == ["one", "two", "three", "four"]
