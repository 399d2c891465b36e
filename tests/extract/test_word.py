"""DOCX: every child of a run and of a paragraph comes out, in order; what was deleted does not."""

from __future__ import annotations

import io
import zipfile

import docx
import pytest
from docx.enum.text import WD_BREAK
from hypothesis import given, settings
from hypothesis import strategies as st

from localsearch.errors import ExtractionError
from localsearch.extract.limits import Limits
from localsearch.extract.read import read
from localsearch.extract.symbols import symbol
from localsearch.types import Extract

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
SPACES = (
    f'xmlns:w="{W}" xmlns:r="{OFFICE}/relationships" xmlns:m="{OFFICE}/math" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" xmlns:v="urn:schemas-microsoft-com:vml"'
)


def relations(entries: dict[str, tuple[str, str]]) -> str:
    items = "".join(
        f'<Relationship Id="{id}" Type="{OFFICE}/relationships/{kind}" Target="{target}"/>'
        for id, (kind, target) in entries.items()
    )
    space = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'<Relationships xmlns="{space}">{items}</Relationships>'


def package(body: str, main: str = "word/document.xml", **parts: str) -> bytes:
    """A document with a body; each further part is a keyword, its relationship of the same kind."""
    folder, _, base = main.rpartition("/")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("[Content_Types].xml", "<Types/>")
        file.writestr("_rels/.rels", relations({"r0": ("officeDocument", main)}))
        file.writestr(main, f"<w:document {SPACES}><w:body>{body}</w:body></w:document>")
        named = {f"r_{kind}": (kind, f"{kind}.xml") for kind in parts}
        file.writestr(f"{folder}/_rels/{base}.rels", relations(named))
        for kind, content in parts.items():
            file.writestr(f"{folder}/{kind}.xml", content)
    return buffer.getvalue()


def extract(body: str, **parts: str) -> Extract:
    (found,) = read(package(body, **parts), "a.docx", LIMITS)
    return found


def p(runs: str) -> str:
    return f"<w:p>{runs}</w:p>"


def r(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


BETWEEN = {
    "<w:r><w:tab/></w:r>": "\t",
    "<w:r><w:ptab/></w:r>": "\t",
    "<w:r><w:br/></w:r>": "\n",
    '<w:r><w:br w:type="page"/></w:r>': "\n",
    "<w:r><w:cr/></w:r>": "\n",
    "<w:r><w:noBreakHyphen/></w:r>": "-",
    "<w:r><w:softHyphen/></w:r>": "",
    '<w:r><w:sym w:font="Symbol" w:char="F061"/></w:r>': "α",
    '<w:r><w:sym w:font="Arial" w:char="00E9"/></w:r>': "é",
    '<w:bookmarkStart w:id="1" w:name="b"/>': "",
    '<w:proofErr w:type="spellStart"/>': "",
    "<w:r><w:lastRenderedPageBreak/></w:r>": "",
    '<w:del w:id="1"><w:r><w:delText>gone</w:delText></w:r></w:del>': "",
    '<w:moveFrom w:id="1"><w:r><w:t>gone</w:t></w:r></w:moveFrom>': "",
    "<w:ins>" + r("new") + "</w:ins>": "new",
    "<w:moveTo>" + r("come") + "</w:moveTo>": "come",
    "<w:hyperlink>" + r("link") + "</w:hyperlink>": "link",
    '<w:fldSimple w:instr="AUTHOR">' + r("Ann") + "</w:fldSimple>": "Ann",
    '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>PAGE</w:instrText></w:r>': "",
    "<w:sdt><w:sdtPr><w:alias/></w:sdtPr><w:sdtContent>" + r("field") + "</w:sdtContent></w:sdt>": "field",
    "<w:smartTag><w:smartTagPr/>" + r("Oslo") + "</w:smartTag>": "Oslo",
    "<w:customXml><w:customXmlPr/>" + r("own") + "</w:customXml>": "own",
    "<w:dir>" + r("left") + "</w:dir>": "left",
    "<w:ruby><w:rubyBase>" + r("字") + "</w:rubyBase></w:ruby>": "字",
    "<m:oMath><m:r><m:t>x=1</m:t></m:r></m:oMath>": "x=1",
    "<m:oMath><m:f><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath>": "1/2",
}  # fmt: skip


@pytest.mark.parametrize(("markup", "text"), BETWEEN.items())
def test_what_stands_between_two_runs(markup: str, text: str) -> None:
    assert extract(p(r("R&amp;D ") + markup + r("5&lt;6"))).text == f"R&D {text}5<6"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(list(BETWEEN.items())), max_size=12))
def test_any_sequence_of_them_in_order(pieces: list[tuple[str, str]]) -> None:
    body = "".join(markup + r(f"w{number}") for number, (markup, _) in enumerate(pieces))
    expected = "".join(text + f"w{number}" for number, (_, text) in enumerate(pieces))
    assert extract(p(r("begin ") + body)).text == ("begin " + expected).rstrip()


def test_notes_and_comments_follow_the_paragraph_that_refers_to_them() -> None:
    def notes(kind: str, *entries: str) -> str:
        return f"<w:{kind} {SPACES}>{''.join(entries)}</w:{kind}>"

    found = extract(
        p(r("pay") + '<w:r><w:footnoteReference w:id="2"/></w:r>' + r("ment terms"))
        + p('<w:commentRangeStart w:id="0"/>' + r("late") + '<w:r><w:commentReference w:id="0"/></w:r>'),
        footnotes=notes("footnotes", f'<w:footnote w:id="0" w:type="separator">{p(r("line"))}</w:footnote>',
                        f'<w:footnote w:id="2">{p("<w:hyperlink>" + r("by law") + "</w:hyperlink>")}</w:footnote>'),
        comments=notes("comments", f'<w:comment w:id="0" w:author="Ann">{p(r("why?"))}</w:comment>',
                       f'<w:comment w:id="7">{p(r("nowhere"))}</w:comment>'),
    )  # fmt: skip
    assert found.text.split("\n\n") == [
        "payment terms", "by law", "late", "Comment by Ann:", "why?", "Comment:", "nowhere",
    ]  # fmt: skip


def test_a_text_box_is_told_once() -> None:
    box = f"<w:txbxContent>{p(r('inside the box'))}</w:txbxContent>"
    drawn = (
        "<mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wp:docPr descr='a blue box'/><a:graphic>"
        f"<a:graphicData><wps:wsp><wps:txbx>{box}</wps:txbx></wps:wsp></a:graphicData></a:graphic></w:drawing></mc:Choice>"
        f"<mc:Fallback><w:pict><v:shape><v:textbox>{box}</v:textbox></v:shape></w:pict></mc:Fallback></mc:AlternateContent>"
    )
    assert extract(p(r("before") + f"<w:r>{drawn}</w:r>" + r(" after"))).text.split("\n\n") == [
        "before after", "a blue box", "inside the box",
    ]  # fmt: skip
    old = f"<w:r><w:pict><v:shape alt='old'><v:textbox>{box}</v:textbox></v:shape></w:pict></w:r>"
    assert extract(p(r("text") + old)).text.split("\n\n") == ["text", "old", "inside the box"]


def test_a_chart_tells_its_title_series_and_values() -> None:
    pt = '<c:pt idx="0"><c:v>{}</c:v></c:pt>'
    chart = (
        f"<c:chartSpace {SPACES}><c:title><c:tx><c:rich><a:p><a:r><a:t>Sales</a:t></a:r></a:p></c:rich></c:tx></c:title>"
        f"<c:ser><c:tx><c:strRef><c:strCache>{pt.format('Tea')}</c:strCache></c:strRef></c:tx>"
        f"<c:cat><c:strRef><c:strCache>{pt.format('2024')}</c:strCache></c:strRef></c:cat>"
        f"<c:val><c:numRef><c:numCache>{pt.format('17')}</c:numCache></c:numRef></c:val></c:ser></c:chartSpace>"
    )
    drawn = '<w:r><w:drawing><a:graphic><a:graphicData><c:chart r:id="r_chart"/></a:graphicData></a:graphic></w:drawing></w:r>'
    assert extract(p(drawn), chart=chart).text == "Sales\n\nTea: 2024 17"


def test_strict_documents_and_main_parts_of_another_name() -> None:
    with zipfile.ZipFile(io.BytesIO(package(p(r("strictly"))))) as before:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as after:
            for name in before.namelist():
                data = before.read(name).replace(
                    W.encode(), b"http://purl.oclc.org/ooxml/wordprocessingml/main"
                )
                after.writestr(name, data)
        strict = buffer.getvalue()
    assert read(strict, "strict.docx", LIMITS)[0].text == "strictly"
    assert (
        read(package(p(r("elsewhere")), main="word/document2.xml"), "b.docx", LIMITS)[0].text == "elsewhere"
    )


def test_a_damaged_part_costs_itself_and_is_said() -> None:
    found = extract(p(r("stays") + '<w:r><w:footnoteReference w:id="2"/></w:r>'), footnotes="no XML at all")
    assert found.text == "stays"
    assert any("footnotes.xml" in note for note in found.notes)
    cut = extract(p(r("first")) + "<w:p><w:r><w:t>second</w:broken>")
    assert cut.text.split("\n\n") == ["first", "second"]
    assert any("well-formed" in note for note in cut.notes)


def test_entities_and_depth() -> None:
    found = extract(p(r("stays")) + "<w:sdt>" * 50_000 + "</w:sdt>" * 50_000)
    assert found.text == "stays"
    assert any("too deeply" in note for note in found.notes)
    bomb = package(p(r("x"))).replace(
        b"<w:document", b"<!DOCTYPE w:document [<!ENTITY a 'aa'>]><w:document", 1
    )
    with pytest.raises(ExtractionError):
        read(bomb, "bomb.docx", LIMITS)


def test_what_python_docx_writes_comes_back() -> None:
    document = docx.Document()
    document.add_heading("Budget", 1)
    paragraph = document.add_paragraph("one")
    paragraph.add_run().add_tab()
    paragraph.add_run("two").add_break(WD_BREAK.LINE)
    paragraph.add_run("three").bold = True
    cell = document.add_table(1, 2).rows[0].cells
    cell[0].text, cell[1].text = "a_b", "2*3*4"
    section = document.sections[0]
    section.header.paragraphs[0].text, section.footer.paragraphs[0].text = "top", "bottom"
    buffer = io.BytesIO()
    document.save(buffer)
    (found,) = read(buffer.getvalue(), "a.docx", LIMITS)
    assert found.text.split("\n\n") == ["Budget", "one\ttwo\nthree", "a_b | 2*3*4", "top", "bottom"]


def test_symbols() -> None:
    assert [symbol("Symbol", code) for code in ("F061", "F0B0", "F0E5", "62")] == ["α", "°", "∑", "β"]
    assert [symbol("Wingdings", code) for code in ("F0FC", "F0E0", "F099")] == ["✓", "→", ""]
    assert symbol("Arial", "D800") == symbol("Arial", "no") == ""
