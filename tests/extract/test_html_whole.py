"""HTML: nothing that a person can see or unfold is lost, words are neither joined nor cut."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localsearch.errors import ExtractionError
from localsearch.extract.html import read_html
from localsearch.extract.limits import Limits
from localsearch.extract.read import read

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)
LONG = "The pump on the lower deck was replaced in spring and the crew wrote down each reading. " * 3


def text_of(body: str) -> str:
    return read_html(f"<!doctype html><title>t</title><body>{body}".encode(), 1_000_000).text


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("".join(f"<article><h2>Post {n}</h2><p>word{n}z {LONG}</article>" for n in range(9)), [f"word{n}z" for n in range(9)]),
        ("".join(f"<div class=message><div class=body>said{n}z</div></div>" for n in range(41)), [f"said{n}z" for n in range(41)]),
        (f"<article>{LONG}</article><section id=comments><article>remarkz {LONG}</article></section>", ["remarkz"]),
        (f"<main>{LONG}<details><summary>morez</summary>foldedz</details><div hidden>tabz</div></main>", ["morez", "foldedz", "tabz"]),
        (f"<main>{LONG}<aside>cautionz</aside></main><aside>besidez</aside>", ["cautionz", "besidez"]),
        (f"<main>{LONG}</main><nav>navz</nav><ul class=menu><li>dishz</ul><footer>addressz</footer>", ["navz", "dishz", "addressz"]),
        ("<img alt=altz><input value=valuez><input placeholder=holdz><textarea>areaz</textarea>", ["altz", "valuez", "holdz", "areaz"]),
        ("<select><optgroup><option>onez<option>twoz</select><button>pressz</button><dialog>askz</dialog>", ["onez", "twoz", "pressz", "askz"]),
        ("<svg><title>chartz</title><text>axisz</text><text>scalez</text></svg><object>insteadz</object>", ["chartz", "axisz", "scalez", "insteadz"]),
        ("<iframe srcdoc='<p>frame onez &amp;amp; twoz</p>'></iframe>endz", ["onez", "&", "twoz", "endz"]),
        ("<x-a><template shadowrootmode=open><p>shadowz<slot></slot></p></template>lightz</x-a>", ["shadowz", "lightz"]),
        ('<abbr title="as soon as possiblez">asapz</abbr><noscript>plainz</noscript>', ["possiblez", "asapz", "plainz"]),
    ],
)  # fmt: skip
def test_what_can_be_seen_is_there_as_words(body: str, words: list[str]) -> None:
    found = text_of(body).replace("|", " ").split()
    assert [word for word in words if word not in found] == []


def test_what_nobody_sees_is_not_there() -> None:
    assert text_of("<p>a</p><script>s</script><style>t</style><template>u</template><!-- v -->") == "a"


def test_the_main_part_comes_first_and_what_surrounds_it_last() -> None:
    page = f"<nav><a>Home</a></nav><div>teaser</div><main><h1>Pump</h1>{LONG}</main><div>comment</div>"
    extract = read_html(page.encode(), 1_000_000)
    assert extract.title == "Pump"
    assert extract.text.startswith("Pump\n\nThe pump")
    last = [(extract.text[b.start : b.end], b.place.heading) for b in extract.blocks[-3:]]
    assert last == [("Home", ()), ("teaser", ()), ("comment", ())]


def test_a_heading_above_the_main_part_is_its_title() -> None:
    extract = read_html(f"<p>site</p><h1>Deck</h1><p>lead</p><main>{LONG}</main>".encode(), 1_000_000)
    assert extract.text.startswith("Deck\n\nlead\n\nThe pump")
    assert extract.blocks[2].place.heading == ("Deck",)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("the pump<sup>1</sup>.", "the pump 1."),
        ("the pump<sup><a href=#n>12</a></sup> works", "the pump 12 works"),
        ("the 10<sup>th</sup> of H<sub>2</sub>O in m<sup>2</sup>", "the 10th of H2O in m2"),
        ("10<sup>6</sup> and log<sub>base</sub>x", "10 6 and log base x"),
        ("in<b>line</b> <i>it</i>alic", "inline italic"),
        ("<div>one</div>two<p>three", "one\n\ntwo\n\nthree"),
        ("<button>Save</button><button>Cancel</button>", "Save Cancel"),
        ("a<x-card>b</x-card>c", "a b c"),
    ],
)
def test_words_are_neither_joined_nor_cut(source: str, text: str) -> None:
    assert text_of(source) == text


BLOCKS = [
    "div",
    "p",
    "section",
    "aside",
    "ul",
    "li",
    "details",
    "figure",
    "blockquote",
    "h2",
    "pre",
    "footer",
]
INLINE = ["b", "span", "em", "sup", "sub", "code", "label", "button", "x-part", "mark"]


@st.composite
def markup(draw: st.DrawFn, names: list[str], depth: int = 4) -> list[str]:
    """Tags and words of a tree in their order."""
    parts: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        if depth and draw(st.booleans()):
            name = draw(st.sampled_from(names))
            parts += [f"<{name}>", *draw(markup(names, depth - 1)), f"</{name}>"]
        else:
            parts.append("w" + draw(st.text("abcdefghijkmnopqrstuvxyz", min_size=10, max_size=10)))
    return parts


@settings(max_examples=200, deadline=None)
@given(markup(BLOCKS + INLINE))
def test_each_word_of_any_tree_comes_out_in_order(parts: list[str]) -> None:
    words = [part for part in parts if not part.startswith("<")]
    text = read_html(("<body>" + "".join(parts)).encode(), 1_000_000).text
    around = any(part in ("<aside>", "<footer>") for part in parts)
    places = [text.find(word) for word in words]
    assert min(places) >= 0
    assert around or len(set(words)) < len(words) or places == sorted(places)


@settings(max_examples=100, deadline=None)
@given(markup([*BLOCKS, *INLINE, "main", "nav", "article", "header"]))
def test_each_word_of_a_page_with_parts_comes_out(parts: list[str]) -> None:
    text = read_html(("<body>" + "".join(parts)).encode(), 1_000_000).text
    assert [word for word in parts if not word.startswith("<") and word not in text] == []


OPF = """<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Poems</dc:title></metadata>
<manifest>{items}</manifest><spine>{spine}</spine></package>"""
CONTAINER = '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="b.opf"/></rootfiles></container>'
XHTML = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{}</body></html>'
LOCKS = """<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:e="http://www.w3.org/2001/04/xmlenc#">
<e:EncryptedData><e:EncryptionMethod Algorithm="{method}"/><e:CipherData><e:CipherReference URI="{name}"/></e:CipherData></e:EncryptedData></encryption>"""


def make_epub(
    pages: dict[str, tuple[str, str]], unlisted: str = "", extra: dict[str, str] | None = None
) -> bytes:
    items = "".join(
        f'<item id="{name}" href="{name}" media-type="{kind}"/>' for name, (kind, _) in pages.items()
    )
    spine = "".join(f'<itemref idref="{name}"/>' for name in pages if name != unlisted)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr("mimetype", "application/epub+zip")
        package.writestr("META-INF/container.xml", CONTAINER)
        package.writestr("b.opf", OPF.format(items=items, spine=spine))
        for name, content in ({name: text for name, (_, text) in pages.items()} | (extra or {})).items():
            package.writestr(name, content)
    return buffer.getvalue()


PAGE = "application/xhtml+xml"


def test_a_book_keeps_all_its_pages() -> None:
    poems = "".join(
        f"<article><h2>Poem {n}</h2><p>verse{n} <![CDATA[<dawn{n}>]]><a/></p></article>" for n in range(3)
    )
    pages = {
        "notes.xhtml": (PAGE, XHTML.format("<p>note at the end</p>")),
        "a.xhtml": (PAGE, XHTML.format(poems + "<aside>after <![CDATA[them]]></aside>")),
        "cover.svg": (
            "image/svg+xml",
            '<svg xmlns="http://www.w3.org/2000/svg"><text>on the cover</text></svg>',
        ),
        "x.xml": ("application/xml", '<?xml version="1.0"?><poem><line>plain markup</line></poem>'),
    }
    (book,) = read(make_epub(pages, unlisted="notes.xhtml"), "p.epub", LIMITS)
    texts = [book.text[b.start : b.end] for b in book.blocks]
    verses = [part for n in range(3) for part in (f"Poem {n}", f"verse{n} <dawn{n}>")]
    assert texts[:8] == [*verses, "after them", "on the cover"]
    assert "plain markup" in texts[8]
    assert texts[-1] == "note at the end"
    assert book.notes == ()


def test_optional_hyphens_cut_no_word() -> None:
    assert (
        text_of("<h1>Donau&shy;dampf</h1><table><tr><td>Schiff&#173;fahrt</table><p>a\xadb")
        == "Donaudampf\nSchifffahrt\n\nab"
    )


def test_a_template_that_no_element_wears_is_not_shown() -> None:
    assert text_of("<p>seen</p><template><p>unseen</p></template>") == "seen"


def test_protected_chapters_are_told() -> None:
    pages = {name: (PAGE, XHTML.format(f"<p>{name}</p>")) for name in ("a.xhtml", "b.xhtml")}
    lock = LOCKS.format(method="http://www.w3.org/2001/04/xmlenc#aes256-cbc", name="b.xhtml")
    (book,) = read(make_epub(pages, extra={"META-INF/encryption.xml": lock}), "p.epub", LIMITS)
    assert (book.text, book.notes) == ("a.xhtml", ("1 chapters are protected by digital rights management",))
    del pages["a.xhtml"]
    with pytest.raises(ExtractionError) as caught:
        read(make_epub(pages, extra={"META-INF/encryption.xml": lock}), "p.epub", LIMITS)
    assert caught.value.data["rule"] == "encrypted"
