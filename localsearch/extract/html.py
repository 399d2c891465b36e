"""HTML: the main text without navigation, with headings, lists, tables and code as blocks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from localsearch.extract.builder import NOWHERE, Builder
from localsearch.extract.decode import decode
from localsearch.extract.fields import front_matter
from localsearch.types import BlockKind, Extract, Place

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_META_CHARSET = re.compile(
    rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w:.-]+)|<\?xml[^>]{0,200}encoding=[\"']([\w:.-]+)", re.I
)
_NEVER = (
    "script,style,template,svg,math annotation,iframe,object,noscript,select,button,input,textarea,dialog,"
    "[hidden],a.headerlink"
)
_AROUND = (
    "nav,footer,aside,header nav,[role=navigation],[role=search],[role=banner],[role=contentinfo],[aria-hidden=true],"
    ".navheader,.navfooter,.navbar,.nav,.navigation,.sidebar,.sphinxsidebar,.related,.breadcrumb,.breadcrumbs,"
    ".docnav,.pager,.pagination,.prevnext,.menu,.mobile-nav,.toc,.cookie,.advert,.ads,.share,.skip-link,"
    "#banner,#toc,#sidebar,#footer,#navigation,#menu"
)
_MAIN = "main,[role=main],article,#content,#main,#mw-content-text,div.body,.post-content,.entry-content"
_LAYOUT = "table table,h1,h2,h3,h4,h5,h6,pre,ul,ol,blockquote,form"
_BREAK, _CELL = "\ufdd0", "\ufdd1"
"""Marks of a line break and of a table's cell: noncharacters, which no text may hold and decode() drops."""

ENOUGH = 200
"""Characters of main text that are taken for the page's; with less, a page may be mostly what surrounds it."""


class _Style(NamedTuple):
    """How text inside an element is kept."""

    kind: BlockKind
    level: int = 0
    joint: str = "\n\n"
    mark: str = ""
    keeps_lines: bool = False


_TEXT = _Style("paragraph")
_TABLE = _Style("table", joint="\n")
_STYLES = {
    **{f"h{level}": _Style("heading", level) for level in range(1, 7)},
    "li": _Style("list", joint="\n", mark="- "),
    "dt": _Style("paragraph"),
    "dd": _Style("paragraph", joint="\n"),
    "pre": _Style("code", keeps_lines=True),
    "p": _TEXT,
    "caption": _TEXT,
}
_BLOCK_NAMES = """
p div section article main header footer aside blockquote address figure figcaption dl dt dd form fieldset legend
details summary center body hr ul ol li caption tbody thead tfoot table tr td th hgroup nav pre h1 h2 h3 h4 h5 h6
"""
_BLOCKS = frozenset(_BLOCK_NAMES.split())


def read_html(data: bytes, limit: int) -> Extract:
    """The main text of a page; what surrounds it is left out unless little else is there."""
    return read_markup(decode(data, _declared(data))[0], Builder(limit))


def read_markup(source: str, builder: Builder, place: Place = NOWHERE, type: str = "html") -> Extract:
    """The main text of HTML source, appended to a builder at a place."""
    from selectolax.lexbor import LexborHTMLParser

    page = LexborHTMLParser(source)
    title, metadata = _head(page)
    for piece in _main(page):
        if piece.level:
            builder.heading(piece.level, piece.text, place)
        else:
            builder.add(piece.text, piece.kind, place, joint=piece.joint)
    if builder.first_heading and title.startswith(builder.first_heading):
        title = builder.first_heading  # without the name of the site
    return builder.extract(type, title=title, metadata=metadata)


def chapter_title(source: str) -> str:
    """The first heading of a page, else its title."""
    from selectolax.lexbor import LexborHTMLParser

    page = LexborHTMLParser(source)
    node = page.css_first("h1,h2,h3") or page.css_first("title")
    return " ".join(node.text().split())[:200] if node is not None else ""


def _declared(data: bytes) -> str:
    match = _META_CHARSET.search(data[:4096])
    return (match.group(1) or match.group(2)).decode("ascii", "replace") if match else ""


def _head(page: LexborHTMLParser) -> tuple[str, dict[str, Any]]:
    node = page.css_first("title")
    title = " ".join(node.text().split()) if node is not None else ""
    found: dict[str, Any] = {}
    for meta in page.css("meta[name][content],meta[property][content]"):
        attributes = meta.attributes
        name = (attributes.get("name") or attributes.get("property") or "").lower()
        name = (
            name.removeprefix("dc.").removeprefix("dcterms.").removeprefix("article:").removesuffix("_time")
        )
        if name in (
            "author",
            "creator",
            "date",
            "created",
            "modified",
            "published",
            "keywords",
            "language",
            "description",
        ):
            found.setdefault(name, attributes.get("content"))
    root = page.css_first("html")
    language = (
        (root.attributes.get("lang") or root.attributes.get("xml:lang") or "") if root is not None else ""
    )
    if language:
        found["language"] = language.split("-")[0].lower()
    return title, front_matter(found)


def _main(page: LexborHTMLParser) -> list[_Piece]:
    """What the page says: without navigation, and of its main element alone, unless that leaves little."""
    body = page.body or page.root
    if body is None:
        return []
    never = {node.mem_id for node in body.css(_NEVER)}
    around = never | {node.mem_id for node in body.css(_AROUND)}
    main = max(body.css(_MAIN), key=lambda node: len(node.text()), default=body)
    best = _Walker(around).walk(main)
    for root, skipped in ((body, around), (body, never)):
        if _length(best) >= ENOUGH:
            break
        more = _Walker(skipped).walk(root)
        best = more if _length(more) > 2 * _length(best) else best
    return best


def _length(pieces: list[_Piece]) -> int:
    return sum(len(piece.text) for piece in pieces)


class _Piece(NamedTuple):
    """A block as the walk finds it; `level` is that of a heading."""

    kind: BlockKind
    text: str
    level: int
    joint: str


class _Walker:
    """Walks a tree without recursion, so that no nesting is too deep, and closes a block at each border."""

    def __init__(self, skipped: set[int]) -> None:
        self._skipped = skipped
        self._found: list[_Piece] = []
        self._parts: list[str] = []
        self._style = _TEXT
        self._open: list[tuple[str, _Style]] = []

    def walk(self, root: LexborNode) -> list[_Piece]:
        node: LexborNode | None = root.first_child
        depth = 0
        while node is not None:
            inside = self._visit(node)
            if inside is not None:
                node, depth = inside, depth + 1
                continue
            while node is not None and node.next is None:
                node, depth = (node.parent, depth - 1) if depth else (None, 0)
                if node is not None:
                    self._leave(node.tag or "")
            node = node.next if node is not None else None
        self._close()
        return self._found

    def _visit(self, node: LexborNode) -> LexborNode | None:
        """Take in a node; its first child if the walk is to go on there."""
        tag = node.tag or ""
        if tag == "-text":
            self._parts.append(node.text_content or "")
            return None
        if node.mem_id in self._skipped:
            return None
        self._enter(tag, node)
        inside = node.first_child
        if inside is None:
            self._leave(tag)
        return inside

    def _enter(self, tag: str, node: LexborNode) -> None:
        if tag == "br":
            self._parts.append("\n" if self._style.keeps_lines else _BREAK)
        elif tag in ("td", "th") and self._style.kind == "table":
            self._parts.append(_CELL)
        elif self._style.kind == "table" and tag in _BLOCKS:
            self._parts.append(" ")
            if tag == "tr":
                self._close()
        elif tag in _BLOCKS:
            self._close()
            self._open.append((tag, self._style))
            self._style = _STYLES.get(tag, self._style)
            if tag == "table":
                self._style = _TABLE if node.css_first(_LAYOUT) is None else self._style

    def _leave(self, tag: str) -> None:
        if self._open and self._open[-1][0] == tag:
            self._close()
            self._style = self._open.pop()[1]

    def _close(self) -> None:
        """End the block that is open."""
        source, self._parts = "".join(self._parts), []
        style = self._style
        text = source.replace(_BREAK, "\n") if style.keeps_lines else _flowing(source)
        if text.strip():
            self._found.append(_Piece(style.kind, style.mark + text, style.level, style.joint))


def _flowing(source: str) -> str:
    """Text with white space collapsed, kept line breaks, and cells set apart."""
    text = " ".join(source.split())
    if _CELL in text:
        cells = (cell.strip() for cell in text.split(_CELL))
        text = " | ".join(cell for cell in cells if cell)
    if _BREAK in text:
        text = "\n".join(line.strip() for line in text.split(_BREAK))
    return text.strip()
