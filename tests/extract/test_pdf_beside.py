"""PDF: what stands beside a page's own text, files inside, headings of the outline, pages without text."""

from __future__ import annotations

import io
import zlib

import pypdfium2 as pdfium
import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from localsearch.errors import ExtractionError
from localsearch.extract.limits import Limits
from localsearch.extract.read import read
from localsearch.extract.subtypes import only_links
from localsearch.types import Extract

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)
LOOK = b"/Tx BMC BT /F1 12 Tf 2 5 Td (%s) Tj ET EMC"


def stream(head: bytes, content: bytes) -> bytes:
    return b"<<" + head + b"/Length %d>>stream\n" % len(content) + content + b"\nendstream"


def look(word: bytes) -> bytes:
    return stream(b"/Type/XObject/Subtype/Form/BBox[0 0 200 20]/Resources<</Font<</F1 5 0 R>>>>", LOOK % word)


def make_pdf(
    annotations: bytes, *objects: bytes, catalog: bytes = b"", text: bytes = b"Name of applicant"
) -> bytes:
    """A file of one page; further objects are numbered from 6."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>/Annots["
    parts = [
        b"<</Type/Catalog/Pages 2 0 R" + catalog + b">>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        page + annotations + b"]>>",
        stream(b"", b"BT /F1 12 Tf 72 700 Td (" + text + b") Tj ET"),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        *objects,
    ]
    data, places = b"%PDF-1.7\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(data))
        data += b"%d 0 obj\n" % number + part + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(parts) + 1
    end = b"xref\n0 %d\n0000000000 65535 f \n" % count + table
    return data + end + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (count, len(data))


def text_of(data: bytes) -> str:
    (extract,) = read(data, "a.pdf", LIMITS)
    assert {block.place.page for block in extract.blocks} == {1}
    assert extract.notes == ()
    return extract.text.removeprefix("Name of applicant").strip()


FORM = b"/AcroForm<</Fields[6 0 R]/DR<</Font<</F1 5 0 R>>>>>>"
FIELD = b"<</Type/Annot/Subtype/Widget/Rect[200 650 400 670]/F 4/T(name)"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (FIELD + b"/FT/Tx/V(walnutgrove)/DA(/F1 12 Tf)/AP<</N 7 0 R>>>>", "walnutgrove"),
        (FIELD + b"/FT/Tx/V(lilac)/TU(Surname)/DA(/F1 12 Tf)>>", "lilac\n\nSurname: lilac"),
        (FIELD + b"/FT/Ch/Ff 131072/Opt[(oak)(elm)]/V(elm)/DA(/F1 12 Tf)>>", "elm"),
        (
            FIELD + b"/FT/Btn/V/Married/AS/Married/AP<</N<</Married 7 0 R/Off 7 0 R>>>>>>",
            "walnutgrove\n\nMarried",
        ),
        (FIELD + b"/FT/Btn/V/Off/AS/Off/AP<</N<</Married 7 0 R>>>>>>", ""),
        (FIELD + b"/FT/Tx/F 2/V(hidden)/DA(/F1 12 Tf)>>", "hidden"),
    ],
)
def test_values_of_forms(field: bytes, text: str) -> None:
    assert text_of(make_pdf(b"6 0 R", field, look(b"walnutgrove"), catalog=FORM)) == text


NOTE = b"<</Type/Annot/Rect[100 200 300 220]/F 4"


@pytest.mark.parametrize(
    ("note", "text"),
    [
        (b"/Subtype/FreeText/Contents(walnutgrove)/DA(/F1 12 Tf)/AP<</N 7 0 R>>>>", "walnutgrove"),
        (b"/Subtype/FreeText/Contents(typewritten)/DA(/F1 12 Tf)>>", "typewritten"),
        (b"/Subtype/Text/Contents(check this)/T(Ann)>>", "Ann: check this"),
        (
            b"/Subtype/Highlight/Contents(Gr\\374\\337e)/QuadPoints[100 220 300 220 100 200 300 200]>>",
            "Grüße",
        ),
        (b"/Subtype/Stamp/AP<</N 7 0 R>>>>", "walnutgrove"),
        (b"/Subtype/Highlight/Contents(applicant)/QuadPoints[100 220 300 220 100 200 300 200]>>", ""),
    ],
)
def test_notes_and_comments(note: bytes, text: str) -> None:
    assert text_of(make_pdf(b"6 0 R", NOTE + note, look(b"walnutgrove"))) == text


def test_files_inside_and_pinned_to_a_page() -> None:
    file = b"<</Type/Filespec/F(%s)/UF(%s)/EF<</F %d 0 R>>>>"
    data = make_pdf(
        b"6 0 R",
        NOTE + b"/Subtype/FileAttachment/FS 7 0 R/Contents(the plan)>>",
        file % (b"plan.txt", b"plan.txt", 8),
        stream(b"/Type/EmbeddedFile", b"three moorings"),
        file % (b"list.csv", b"list.csv", 10),
        stream(b"/Type/EmbeddedFile", b"name,city\nAnn,Oslo\n"),
        catalog=b"/Names<</EmbeddedFiles<</Names[(list.csv)9 0 R]>>>>",
    )
    found = {extract.member: extract for extract in read(data, "a.pdf", LIMITS)}
    assert list(found) == ["", "plan.txt", "list.csv"]
    assert found[""].text.endswith("the plan")
    assert (found["plan.txt"].text, found["plan.txt"].blocks[0].place.part) == ("three moorings", "plan.txt")
    assert "Oslo" in found["list.csv"].text


def test_a_form_of_xml() -> None:
    packet = b'<xdp:x xmlns:xdp="x"><field><value><text>Surname</text></value></field></xdp:x>'
    values = b"<xfa:datasets xmlns:xfa='x'><name>Walnutgrove</name></xfa:datasets>"
    form = b"/AcroForm<</Fields[]/XFA[(template)6 0 R(datasets)7 0 R]>>"
    data = make_pdf(b"", stream(b"", packet), stream(b"", values), catalog=form, text=b"Please wait")
    (extract,) = read(data, "a.pdf", LIMITS)
    assert extract.text == "Please wait\n\nSurname\nWalnutgrove"


def make_book(entries: list[tuple[str, int]], *pages: str | None) -> Extract:
    """A document of pages, None for a picture, with an outline of titles and page numbers."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(300, 300), invariant=1)
    for number, text in enumerate(pages, 1):
        for title, page in entries:
            if page == number:
                canvas.bookmarkPage(title)
                canvas.addOutlineEntry(title, title, 0)
        if text is None:
            canvas.drawImage(ImageReader(Image.new("L", (300, 300), 200)), 0, 0, 300, 300)
        for index, line in enumerate((text or "").split("\n")):
            canvas.drawString(20, 250 - 20 * index, line)
        canvas.showPage()
    canvas.save()
    return read(buffer.getvalue(), "a.pdf", LIMITS)[0]


def test_entries_of_the_outline_that_are_not_on_their_page() -> None:
    book = make_book(
        [("Beds", 1), ("Seen", 1), ("Bees", 2), ("Birds", 2)], "Dig.\nSeen\nthis", "Chapter 2: Bees\nhum"
    )
    told = [(book.text[b.start : b.end], b.kind, b.place.heading) for b in book.blocks]
    assert told == [
        ("Beds", "heading", ("Beds",)),
        ("Dig.", "paragraph", ("Beds",)),
        ("Seen", "heading", ("Seen",)),
        ("this", "paragraph", ("Seen",)),
        ("Chapter 2: Bees", "heading", ("Bees",)),
        ("hum", "paragraph", ("Bees",)),
        ("Birds", "heading", ("Birds",)),
    ]


def test_which_pages_are_scans_and_which_are_blank() -> None:
    book = make_book([], "words", None, None, "", "more words", None, "")
    assert book.notes[0] == "pages 4, 7 hold neither text nor picture"
    assert book.notes[1].startswith("pages 2-3, 6 are scans")
    (note,) = make_book([], "words", "").notes
    assert note == "page 2 holds neither text nor picture"


def test_a_page_of_which_only_the_stamp_is_text() -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(300, 300), invariant=1)
    canvas.drawImage(ImageReader(Image.new("L", (300, 300), 200)), 0, 0, 300, 300)
    canvas.drawString(20, 20, "Copy 7")
    canvas.save()
    (book,) = read(buffer.getvalue(), "a.pdf", LIMITS)
    assert book.text == "Copy 7"
    assert book.notes[0].startswith("page 1 is a scan")


def test_a_file_without_text_says_so() -> None:
    with pytest.raises(ExtractionError, match="1 page without text"):
        make_book([], "")


def test_links_are_told_from_other_annotations() -> None:
    link = b"<</Type/Annot/Subtype/Link/Rect[0 0 9 9]>>"
    assert only_links(make_pdf(b"6 0 R", link))
    assert not only_links(make_pdf(b"6 0 R", link.replace(b"Link", b"Ink")))
    assert not only_links(make_pdf(b"6 0 R", link.replace(b"/Link", b" 9 0 R")))
    packed = zlib.compress(b"7 0 <</Subtype/FreeText/Contents(x)>>")
    assert not only_links(make_pdf(b"", stream(b"/Type/ObjStm/N 1/First 4/Filter/FlateDecode", packed)))
    assert not only_links(make_pdf(b"", stream(b"/Type/ObjStm/N 1/First 4/Filter/LZWDecode", packed)))
    assert only_links(
        make_pdf(b"", stream(b"/Type/ObjStm/N 1/First 4/Filter/FlateDecode", zlib.compress(b"7 0 " + link)))
    )


def test_a_file_that_pdfium_saves_again_reads_the_same() -> None:
    data = make_pdf(b"6 0 R", NOTE + b"/Subtype/FreeText/Contents(typewritten)/DA(/F1 12 Tf)>>")
    buffer = io.BytesIO()
    with pdfium.PdfDocument(data) as document:
        document.save(buffer)
    assert text_of(buffer.getvalue()) == "typewritten"
