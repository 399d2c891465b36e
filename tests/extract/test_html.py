"""HTML: the main text of pages as they are really written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from localsearch.extract.html import read_html
from localsearch.extract.htmlsource import _with_end_tags
from localsearch.types import Extract

SPHINX = """<!DOCTYPE html><html lang="en-GB"><head><meta charset="utf-8"><title>zipapp — Manual 3.11</title>
<meta name="author" content="Ann Smith"><meta name="keywords" content="zip, app">
<style>p {color: red}</style><script>track()</script></head><body>
<div class="related" role="navigation"><ul><li><a href="i">index</a></li><li>next</li></ul></div>
<div class="document"><div role="main"><section><h1>zipapp<a class="headerlink" href="#z">¶</a></h1>
<p>This   module
makes <em>archives</em>.<br>Really.</p><pre>$ python -m
    zipapp</pre><h2>Options</h2><ul><li>first<p>more</p></li><li>second</li></ul>
<table><tr><th>name</th><th>use</th></tr><tr><td><p>-o</p></td><td>output</td></tr></table>
<dl><dt>main</dt><dd>The function.</dd></dl></section></div></div>
<div class="sphinxsidebar"><h3>Table of Contents</h3></div><footer>© 2024</footer></body></html>"""


def read(source: str) -> Extract:
    return read_html(source.encode(), 1_000_000)


def told(extract: Extract) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(b.kind, extract.text[b.start : b.end], b.place.heading) for b in extract.blocks]


def test_the_main_text_of_a_manual() -> None:
    extract = read(SPHINX)
    assert extract.title == "zipapp"
    assert extract.metadata == {"author": "Ann Smith", "tags": ["zip", "app"], "language": "en"}
    assert told(extract) == [
        ("heading", "zipapp", ("zipapp",)),
        ("paragraph", "This module makes archives.\nReally.", ("zipapp",)),
        ("code", "$ python -m\n    zipapp", ("zipapp",)),
        ("heading", "Options", ("zipapp", "Options")),
        ("list", "- first", ("zipapp", "Options")),
        ("paragraph", "more", ("zipapp", "Options")),
        ("list", "- second", ("zipapp", "Options")),
        ("table", "name | use", ("zipapp", "Options")),
        ("table", "-o | output", ("zipapp", "Options")),
        ("paragraph", "main", ("zipapp", "Options")),
        ("paragraph", "The function.", ("zipapp", "Options")),
        # What stands around the main part comes after it, under no heading of it.
        ("list", "- index", ()),
        ("list", "- next", ()),
        ("heading", "Table of Contents", ("Table of Contents",)),
        ("paragraph", "© 2024", ("Table of Contents",)),
    ]


def test_a_page_that_is_all_navigation_keeps_it() -> None:
    assert "Chapter 7" in read("<nav><a>Chapter 7</a> <a>Chapter 8</a></nav>").text


def test_a_page_laid_out_in_a_table_keeps_its_headings() -> None:
    extract = read("<table><tr><td>menu</td><td><h1>News</h1><p>It rained.</p></td></tr></table>")
    assert ("heading", "News", ("News",)) in told(extract)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1251", "koi8-r"])
def test_declared_encodings(encoding: str) -> None:
    source = f'<html><head><meta charset="{encoding}"></head><body><p>Проверка связи</p></body></html>'
    assert read_html(source.encode(encoding), 1000).text == "Проверка связи"


def test_depth_and_damage_are_survived() -> None:
    assert read("<b>" * 2000 + "deep" + "</i>").text == "deep"
    assert read("<p>a<table><tr><td>b<p>c</table>d &amp; &bogus; <").text.startswith("a")


def test_scripts_are_left_out_and_what_a_click_unfolds_is_not() -> None:
    source = "<body><p>shown</p><p hidden>unfolded</p><script>x</script><template>y</template></body>"
    assert read(source).text == "shown\n\nunfolded"


@pytest.mark.parametrize(
    ("page", "has", "after"),
    [
        ("python3.11/html/library/zipapp.html", "executable Python zip archives", "Report a Bug"),
        ("postgresql-doc-15/html/sql-analyze.html", "collects statistics about the contents", "Prev"),
        ("debian-handbook/html/en-US/sect.automated-installation.html", "preseed", "Download the ebook"),
    ],
)
def test_real_manuals(page: str, has: str, after: str) -> None:
    file = Path("/usr/share/doc", page)
    if not file.is_file():
        pytest.skip(f"the package with {page} is not installed")
    extract = read_html(file.read_bytes(), 1_000_000)
    assert 0 <= extract.text.find(has) < extract.text.find(after)
    assert extract.title


def test_a_charset_named_below_long_scripts_is_obeyed() -> None:
    script = "<script>" + "x = 1;" * 2000 + "</script>"
    source = f'<html><head>{script}<meta charset="koi8-r"></head><body><p>Договор</p></body></html>'
    assert read_html(source.encode("koi8-r"), 1000).text == "Договор"


_TAG = re.compile(
    r"<(?!(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)\b)([A-Za-z][\w:.-]*)((?:\s[^<>]*)?)/>",
    re.I,
)
"""An element closed in its own tag, by one pattern over all of the page."""


@given(st.lists(st.sampled_from([*"<>/ ax=:-\n", "br", "/>", '"', "<p", "<BR/>", "<a b/>"]), max_size=16))
@example(["<a", "/>", "/>", "<", "<p", " ", "/>"])
def test_elements_closed_in_their_own_tag_get_end_tags(parts: list[str]) -> None:
    source = "".join(parts)
    assert _with_end_tags(source) == _TAG.sub(r"<\1\2></\1>", source)
