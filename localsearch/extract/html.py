"""HTML: all that a page says, its main text first, with headings, lists, tables and code as blocks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from localsearch.extract.builder import NOWHERE, Builder
from localsearch.extract.decode import decode, plain_utf8
from localsearch.extract.fields import front_matter
from localsearch.extract.htmlbuilt import BuiltText
from localsearch.extract.htmlsource import as_html
from localsearch.extract.htmlwalk import AROUND, MAIN, NEVER, Piece, Walker
from localsearch.extract.htmlwritten import Selectors, Walked, written_walker
from localsearch.settings import ChunkSettings
from localsearch.types import Extract, Place

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_META_CHARSET = re.compile(
    rb"<(?:meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w:.-]+)|\?xml[^>]{0,200}encoding=[\"']([\w:.-]+))", re.I
)
_LONG_HEAD = 64 * 1024
"""Bytes within which a page that is no ASCII may name its charset, below whatever scripts it begins with."""
_NEVER = "script,style,template,annotation,annotation-xml,iframe,noframes,a.headerlink"
"""What nobody sees; that which is hidden at first and can be unfolded is no part of it."""
_MAIN = "main,[role=main],article,#content,#main,#mw-content-text,div.body,.post-content,.entry-content"
_NAVIGATION = (
    "nav,[role=navigation],[role=search],.navheader,.navfooter,.navbar,.breadcrumb,.breadcrumbs,"
    ".pagination,.toc,.skip-link,#toc,#navigation"
)
"""Navigation wherever it stands."""
_AROUND = (
    "footer,aside,[role=banner],[role=contentinfo],.nav,.navigation,.sidebar,.sphinxsidebar,.related,.docnav,"
    ".pager,.prevnext,.menu,.mobile-nav,.cookie,.advert,.ads,.share,#banner,#sidebar,#footer,#menu"
)
"""What surrounds a page's text where it stands outside its main part."""
_SELECTORS = Selectors(_MAIN, _AROUND, _NAVIGATION, _NEVER)

_METAS = "meta[name][content],meta[property][content]"
_MOST = 2**31 - 1

ENOUGH = 200
"""Characters of what looks like the main part with which it goes before the rest of the page."""


def read_html(data: bytes, limit: int, cut: ChunkSettings | None = None) -> Extract:
    """The text of a page; what surrounds its main part comes after it. With `cut` it may be in chunks already."""
    declared = declared_charset(data)
    octets = plain_utf8(data, declared)
    page = _parsed(decode(data, declared)[0] if octets is None else octets)
    walked = _walked(page, False, limit)
    if walked.text is None:
        return _collected(page, walked, Builder(limit))
    return _of_text(walked.text, *_head(page, walked.metas), cut)


def read_markup(
    source: str, builder: Builder, place: Place = NOWHERE, type: str = "html", *, whole: bool = False
) -> Extract:
    """The text of HTML source, appended to a builder at a place; `whole` is text without anything around it.

    Books and letters are such: all of it in its order.
    """
    page = _parsed(source)
    return _collected(page, _walked(page, whole, None), builder, place, type, whole=whole)


def _parsed(source: str | bytes) -> LexborHTMLParser:
    from selectolax.lexbor import LexborHTMLParser

    return LexborHTMLParser(as_html(source))


def _of_text(found: BuiltText, title: str, metadata: Mapping[str, Any], cut: ChunkSettings | None) -> Extract:
    first = found.first_heading
    title = first if first and title.startswith(first) else title  # without the name of the site
    chunks = found.chunks(cut) if cut else None
    blocks = found.blocks() if cut is None else ()
    return Extract(found.text, "html", title or first, blocks, metadata, chunks=chunks)


def _collected(
    page: LexborHTMLParser,
    walked: Walked,
    builder: Builder,
    place: Place = NOWHERE,
    type: str = "html",
    *,
    whole: bool = False,
) -> Extract:
    """The text of what was found on the page, piece by piece."""
    title, metadata = _head(page, walked.metas)
    part = MAIN
    for piece in _pieces(page, walked, whole):
        if part == MAIN and piece.part != part and not whole:
            builder.leave_headings()
        part = piece.part
        if piece.level:
            builder.heading(piece.level, piece.text, place)
        else:
            builder.add(piece.text, piece.kind, place, joint=piece.joint)
    if builder.first_heading and title.startswith(builder.first_heading):
        title = builder.first_heading
    return builder.extract(type, title=title, metadata=metadata)


def chapter_title(source: str) -> str:
    """The first heading of a page, else its title."""
    page = _parsed(source)
    node = page.css_first("h1,h2,h3") or page.css_first("title")
    return " ".join(node.text().split())[:200] if node is not None else ""


def declared_charset(data: bytes) -> str:
    """The charset that a page names in its head; "" if none."""
    match = _META_CHARSET.search(data[:4096]) or (
        None if data.isascii() else _META_CHARSET.search(data[4096:_LONG_HEAD])
    )
    return (match.group(1) or match.group(2)).decode("ascii", "replace") if match else ""


def _head(page: LexborHTMLParser, metas: bool) -> tuple[str, dict[str, Any]]:
    """The title, and what else the page tells about itself; `metas` is whether it does below its head too."""
    head = page.head
    node = (None if head is None else head.css_first("title")) or page.css_first("title")
    title = " ".join(node.text().split()) if node is not None else ""
    found: dict[str, Any] = {}
    for meta in (page if metas or head is None else head).css(_METAS):
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


def _walked(page: LexborHTMLParser, whole: bool, limit: int | None) -> Walked:
    """What C finds on the page, put together where there is a limit for that."""
    walker = written_walker(_SELECTORS) if page.body is not None else None
    if walker is None or page.body is None:
        return Walked(None, None, True)
    most = -1 if limit is None else min(limit, _MOST)
    return walker.build(page.body.html or "", whole=whole, enough=ENOUGH, limit=most)


def _pieces(page: LexborHTMLParser, walked: Walked, whole: bool) -> list[Piece]:
    """All that the page says: what looks like its main part first, navigation last and only where it says more."""
    body = page.body or page.root
    if body is None:
        return []
    found = _by_python(page, body, whole) if walked.pieces is None else walked.pieces
    return found if whole else _ordered(found)


def _by_python(page: LexborHTMLParser, body: LexborNode, whole: bool) -> list[Piece]:
    """The pieces in the order of the page, by Python."""
    never = dict.fromkeys((node.mem_id for node in body.css(_NEVER)), NEVER)
    if page.head is not None:
        never[page.head.mem_id] = NEVER
    if whole:
        return Walker(never, set()).walk(body)
    inner = {node.mem_id for node in body.css(_NAVIGATION)}
    marks = {node.mem_id: AROUND for node in body.css(_AROUND)} | dict.fromkeys(inner, AROUND)
    marks |= {node.mem_id: MAIN for node in body.css(_MAIN)}
    return Walker(marks | never, inner).walk(body)


def _ordered(found: list[Piece]) -> list[Piece]:
    main = [piece for piece in found if piece.part == MAIN]
    if sum(len(piece.text) for piece in main) < ENOUGH:
        main = [piece for piece in found if piece.part != AROUND]
        rest = [piece for piece in found if piece.part == AROUND]
        return main + _new(rest, main)
    head = _head_above(found)
    main = found[head.start : head.stop] + main
    rest = [piece for index, piece in enumerate(found) if piece.part != MAIN and index not in head]
    return main + _new(rest, main)


def _head_above(found: list[Piece]) -> range:
    """Where the page's first heading stands and what follows it up to the main part, if that has no such heading."""
    first = next(index for index, piece in enumerate(found) if piece.part == MAIN)
    above = [index for index, piece in enumerate(found[:first]) if piece.level == 1]
    if not above or any(piece.level == 1 and piece.part == MAIN for piece in found):
        return range(0)
    return range(above[0], first)


def _new(rest: list[Piece], main: list[Piece]) -> list[Piece]:
    """The pieces of the rest, without entries of navigation that only repeat a heading or another line."""
    told = {piece.text.removeprefix("- ") for piece in main}
    kept = []
    for piece in rest:
        text = piece.text.removeprefix("- ")
        if piece.part != AROUND or text not in told:
            kept.append(piece)
            told.add(text)
    return kept
