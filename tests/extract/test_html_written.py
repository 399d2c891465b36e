"""What C of our own finds on a page as the parser wrote it out is what Python finds in its tree."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from localsearch.extract import html, htmlwritten
from localsearch.extract.html import read_html
from localsearch.extract.htmlsource import as_html
from localsearch.extract.htmlwalk import Piece

NAMES = [
    "p", "div", "span", "b", "a", "h1", "h2", "h6", "table", "tr", "td", "th", "ul", "li", "pre", "br", "img",
    "input", "sup", "sub", "abbr", "dfn", "script", "style", "template", "svg", "foreignObject", "title",
    "xmp", "textarea", "select", "option", "button", "nav", "main", "article", "footer", "my-el", "noscript",
    "iframe", "noframes", "form", "blockquote", "dt", "dd", "hr", "wbr", "link", "param", "object", "caption",
    "plaintext", "annotation-xml",
]  # fmt: skip
ATTRIBUTES = [
    'class="nav"', 'class="Nav toc"', 'class="headerlink"', "class=body", "id=content", "id=Main", 'id="sidebar"',
    "role=main", 'role="navigation"', 'alt="x &amp; y"', 'title="long \n form"', "title=HTML", "value=v", "type=IMAGE",
    "type=hidden", "hidden", "=a", 'a"b=c', 'title="é &quot;"', 'class="a nav"', 'placeholder="pl"',
]  # fmt: skip
TEXTS = [
    "x", "word ", "  ", "\n", "&amp;", "&lt;b>", "&nbsp;", "é", "HTML", "\x1c", "\x0b a", "2", "10", "th", "H", "&#xfdd0;",
    "<!-- c -->", "<!---->", "<!-->", "<?x y?>", "</p>", "</div>", "a<b", "\xad", "日本", " a \t b ", "<![CDATA[q]]>",
    "text of the main part " * 12,
]  # fmt: skip
TAGS = st.builds(
    lambda name, own, end: f"<{name}{''.join(' ' + one for one in own)}{end}",
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(ATTRIBUTES), max_size=3),
    st.sampled_from([">", "/>"]),
)
ENDS = st.sampled_from(NAMES).map(lambda name: f"</{name}>")
PAGES = st.tuples(
    st.sampled_from(["", "<!doctype html>"]), st.lists(TAGS | ENDS | st.sampled_from(TEXTS), max_size=30)
)

needs_kernels = pytest.mark.skipif(
    htmlwritten.written_walker(html._SELECTORS) is None, reason="the kernels were not built"
)


def written(source: str, whole: bool = False) -> tuple[list[Piece] | None, list[Piece]]:
    """What the C finds, and what Python does."""
    page, walker = LexborHTMLParser(as_html(source)), htmlwritten.written_walker(html._SELECTORS)
    assert walker is not None
    if page.body is None:
        return None, []
    return walker.walk(page.body.html or "", whole=whole), html._by_python(page, page.body, whole)


@needs_kernels
@settings(max_examples=500, deadline=None)
@given(PAGES, st.booleans())
@example(("<!doctype html>", ["<table>", "<tr>", "<td>", "a", "<td>", "b&nbsp;c", "</table>", "d"]), False)
@example(("<!doctype html>", ["<script>", "<!--<script>x</script>-->", "</script>", "<p>", "y"]), True)
@example(("", ['<div class="NAV">', "x", "</div>", "y"]), False)
def test_pieces_are_those_of_python(page: tuple[str, list[str]], whole: bool) -> None:
    found, expected = written(page[0] + "".join(page[1]), whole)
    assert found is None or found == expected


@needs_kernels
@pytest.mark.parametrize(
    "source",
    [
        "<!doctype html><nav>n<nav>m</nav></nav><main>t<div class=nav>u<b>v</b></div></main>w",
        "<!doctype html><table><tr><td>a<td>b<br>c</table><table><tr><td><ul><li>d</ul></table>",
        "<!doctype html><p>H<sub>2</sub>O<sup><a href=x>1</a></sup> <abbr title='World'>W</abbr> <img alt='a&lt;b'><!--c-->",
        "<!doctype html><table><tr><td><table><tr><td>a<td>b<tr><td>c</table>d</table><table><tr><td>e<td>f</table>",
        "<!doctype html><pre>\n\n a\n  b </pre><textarea>x\ny</textarea><iframe>no</iframe><style>p{}</style>z",
        "<!doctype html><p>a\x1cb \x0b c</p><ul><li>one<li>tw\u00f6</ul><svg><title>t</title><text>u</text></svg>",
    ],
)
def test_common_pages_are_not_left_to_python(source: str) -> None:
    found, expected = written(source)
    assert found == expected
    assert expected


@needs_kernels
@pytest.mark.parametrize(
    "source",
    [
        "<!doctype html><p>a<plaintext>b",
        "<!doctype html><svg><style>a</style></svg>b",
        "<!doctype html><abbr title='\u00c4'>\u00e4</abbr>",
        '<div class="NAV">x</div>',
    ],
)
def test_pages_that_need_more_are_left_to_python(source: str) -> None:
    found, expected = written(source)
    assert found is None
    assert expected


@needs_kernels
def test_damaged_writing_is_refused() -> None:
    walker = htmlwritten.written_walker(html._SELECTORS)
    assert walker is not None
    whole = '<body><p class="a">x &amp; y<!-- z --><img alt="q"><script>s</script></p></body>'
    assert walker.walk(whole, whole=False) is not None
    for end in range(len(whole) - 1):
        assert walker.walk(whole[:end], whole=False) is None, whole[:end]
    assert walker.walk("<body><p>a</b></p></body>", whole=False) is None
    assert walker.walk("<body>&copy;</body>", whole=False) is None


def test_a_page_reads_the_same_without_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).with_name("test_html.py").read_bytes()
    source = b"<!doctype html><title>t</title><main><h1>A</h1><p>b&nbsp;<b>c</b></main><pre>" + page.replace(
        b"<", b"&lt;"
    )
    found = read_html(source, 1_000_000)
    monkeypatch.setattr(html, "written_walker", lambda selectors: None)
    assert read_html(source, 1_000_000) == found
    assert found.text.startswith("A\n\nb c\n\n")
