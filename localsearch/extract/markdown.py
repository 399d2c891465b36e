"""Markdown: the text is the file's own after its front matter; headings, lists, tables and code become blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from localsearch.extract.decode import decode
from localsearch.extract.front import read_front
from localsearch.extract.plain import cut, line_starts
from localsearch.types import Block, BlockKind, Extract, Place

PARSED = 2_000_000
"""Characters beyond which Markdown is read as plain text: the parser takes about a second for each million."""

LONGEST_HEADING = 1000
"""Characters of a heading's source that are looked at."""

_INLINE = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[*_`]{1,3}|\s*\{#[^}]*\}\s*$|(?:^|\s+)#+\s*$")
_EMBEDDED = re.compile(r"data:[\w/+.;=-]{0,100};base64,[A-Za-z0-9+/=]{64,}")
_KINDS: dict[str, BlockKind] = {
    "paragraph_open": "paragraph",
    "html_block": "paragraph",
    "blockquote_open": "paragraph",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
}


def read_markdown(data: bytes, limit: int) -> Extract:
    """Markdown with its source kept as text; front matter becomes metadata instead, its title the title."""
    source, notes = cut(_EMBEDDED.sub("data:", decode(data)[0]), limit)
    metadata, start, lost = read_front(source)
    text = source[start:]
    title = str(metadata.pop("title", "") or "")
    blocks = tuple(_blocks(text, source.count("\n", 0, start))) if text.strip() else ()
    first = next((block.place.heading[-1] for block in blocks if block.kind == "heading"), "")
    return Extract(text, "markdown", title or first, blocks, metadata, notes=(*notes, *lost))


def _blocks(text: str, above: int) -> Iterator[Block]:
    """Blocks at the top level of a body that has so many lines above it."""
    if len(text) > PARSED:
        yield Block(0, len(text), "paragraph", Place(line=above + 1))
        return
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"maxNesting": 20}).enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    starts = [*line_starts(text), len(text)]
    headings: list[tuple[int, str]] = []
    for token in parser.parse(text):
        if token.level or token.map is None:
            continue
        start, end = (starts[min(line, len(starts) - 1)] for line in token.map)
        if token.type == "heading_open":
            _enter(headings, int(token.tag[1]), text[start:end])
        elif token.type not in _KINDS:
            continue
        place = Place(line=above + token.map[0] + 1, heading=tuple(title for _, title in headings))
        yield Block(start, end, _KINDS.get(token.type, "heading"), place)


def _enter(headings: list[tuple[int, str]], level: int, source: str) -> None:
    while headings and headings[-1][0] >= level:
        headings.pop()
    line = source[:LONGEST_HEADING].strip().split("\n")[0].lstrip("#").strip()
    headings.append((level, " ".join(_INLINE.sub(r"\1", line).split())[:200]))
