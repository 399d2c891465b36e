"""The text that C of our own puts together of a page, its blocks and its passages are those of Python."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from localsearch.extract import html, htmlwritten
from localsearch.extract.builder import Builder
from localsearch.extract.chunk import chunk
from localsearch.extract.htmlbuilt import BuiltText
from localsearch.settings import ChunkSettings
from localsearch.types import Extract
from tests.extract.test_html_written import PAGES, needs_kernels

LONG = "text of the main part " * 12
BY_PYTHON = htmlwritten.Walked(None, None, True)


def built(source: str, limit: int = 1_000_000, whole: bool = False) -> tuple[BuiltText | None, Extract]:
    """What the C builds, and what Python collects from the tree."""
    page = LexborHTMLParser(source)
    return html._walked(page, whole, limit).text, html._collected(
        page, BY_PYTHON, Builder(limit), whole=whole
    )


@needs_kernels
@settings(max_examples=500, deadline=None)
@given(PAGES, st.booleans(), st.sampled_from([1_000_000, 40]), st.sampled_from([8, 240]))
def test_text_and_blocks_are_those_of_python(
    page: tuple[str, list[str]], whole: bool, limit: int, tokens: int
) -> None:
    found, expected = built(page[0] + "".join(page[1]), limit, whole)
    if found is None:
        return
    assert (found.text, found.blocks()) == (expected.text, expected.blocks)
    cut = ChunkSettings(tokens=tokens, overlap=tokens // 4)
    assert found.chunks(cut) == chunk(expected, cut)


PARTS = [
    "<h1>A</h1>", "<h1>Ä  b\n</h1>", "<h2>B</h2>", "<h2>B</h2>", "<h3>" + "long é" * 50 + "</h3>", "<main>", "</main>",
    "<nav>", "</nav>", "<footer>", "</footer>", "<p>A", "<p>B", "<li>B", "<p>é", f"<p>{LONG}", "<pre>\n\n\u2003x\n\u2003</pre>",
    "<table><tr><td>a<td> é <td><br><td>b<br>c</table>", "<td>", "<br>", "\xad", "\xa0", "\u3000", "<!-- -->", "ß", "→", "日",
    "1", "-", "_", "<pre>", "<ul><li>- B</ul>", "&#xfdd0;", "&#xfdd1;", "&#xfdd2;",
]  # fmt: skip


@needs_kernels
@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=30).map("".join), st.booleans())
@example(f"<h1>A</h1><p>é<main>{LONG}<h2>B</h2></main><nav><li>B<li>C</nav>", False)
@example(f"<nav><h1>B</h1>x</nav><main>{LONG}<h2>B</h2>é<h2>B</h2>y</main>z", False)
def test_parts_and_headings_are_those_of_python(source: str, whole: bool) -> None:
    found, expected = built("<!doctype html>" + source, whole=whole)
    if found is None:
        return
    assert (found.text, found.blocks()) == (expected.text, expected.blocks)
    title, metadata = html._head(LexborHTMLParser(source), True)
    if not whole:
        assert html._of_text(found, title, metadata, None) == expected


@needs_kernels
def test_every_sign_beside_a_gap_is_kept_as_python_keeps_it() -> None:
    for start in range(0x80, 0xE000, 0x40):
        for page in ("<p>a<!-- -->{}", "<p>{}<!-- -->a", "<p>{0}<!-- -->{0}"):
            source = "".join(page.format(chr(code)) for code in range(start, start + 0x40))
            found, expected = built("<!doctype html>" + source)
            assert found is None or found.text == expected.text, hex(start)
            common = start < 0x240 or start in (0x2000, 0x2200, 0x2240)
            assert found is not None or not common, hex(start)


@needs_kernels
def test_a_common_page_is_built() -> None:
    found, expected = built(
        "<!doctype html><title>T</title><nav><a href=x>Next</a></nav><main><h1>Tea — x</h1><p>Größe "
        f"“is” 5&nbsp;µm.</p><table><tr><th>a<th>b<tr><td>é<td></table><pre>\n é\n</pre>{LONG}</main>"
    )
    assert found is not None
    assert found.text == expected.text
    assert found.text.startswith("Tea — x\n\nGröße “is” 5 µm.\na | b\né\n\n é")
    assert found.first_heading == "Tea — x"
    assert found.blocks()[1].place.heading == ("Tea — x",)
    assert found.blocks() == expected.blocks


@needs_kernels
@pytest.mark.parametrize("source", ["<p>x<sup>α</sup>", "<p>α<!-- -->β", "<p>" + "x" * 30])
def test_pages_that_need_more_are_left_to_python(source: str) -> None:
    found, expected = built("<!doctype html>" + source, 20)
    assert found is None
    assert expected.text


@needs_kernels
def test_what_a_page_tells_below_its_head_is_found() -> None:
    page = "<!doctype html><title>T</title><p>x<meta name=author content=Ann><svg><title>U</title></svg>"
    for metas in (True, html._walked(LexborHTMLParser(page), False, 100).metas):
        assert html._head(LexborHTMLParser(page), metas) == ("T", {"author": "Ann"})
    assert html._walked(LexborHTMLParser("<meta name=author content=Ann><p>x"), False, 100).metas is False
