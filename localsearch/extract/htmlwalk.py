"""Walks the tree of an HTML page: its blocks in order, each with the part of the page it is in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from localsearch.types import BlockKind

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

LAYOUT = "table table,h1,h2,h3,h4,h5,h6,pre,ul,ol,blockquote,form"
_BREAK, _CELL, _GAP = "\ufdd0", "\ufdd1", "\ufdd2"
"""Marks of a line break, of a table's cell, and of a place where two words must not be joined: noncharacters."""
_RAISED, _LEVEL = "\ufdd3", "\ufdd4"
"""Marks of where a raised or lowered sign begins and ends."""
_APART = re.compile(rf"(?<=\w){_GAP}+(?=\w)")
_SIGNS = re.compile(rf"(\w*){_RAISED}([^{_RAISED}{_LEVEL}]*){_LEVEL}")
_UNITS = frozenset(["mm", "cm", "dm", "km", "nm", "ft"])

MAIN, REST, AROUND, NEVER = range(4)
"""Parts of a page: what looks like its main text, what else it says, navigation, and what nobody sees."""


class Style(NamedTuple):
    """How text inside an element is kept."""

    kind: BlockKind
    level: int = 0
    joint: str = "\n\n"
    mark: str = ""
    keeps_lines: bool = False


class Piece(NamedTuple):
    """A block as the walk finds it; `level` is that of a heading."""

    kind: BlockKind
    text: str
    level: int
    joint: str
    part: int


TEXT = Style("paragraph")
_CODE = Style("code", keeps_lines=True)
TABLE = Style("table", joint="\n")
STYLES = {
    **{f"h{level}": Style("heading", level) for level in range(1, 7)},
    "li": Style("list", joint="\n", mark="- "),
    "option": Style("list", joint="\n", mark="- "),
    "dt": TEXT,
    "dd": Style("paragraph", joint="\n"),
    "pre": _CODE,
    "listing": _CODE,
    "xmp": _CODE,
    "plaintext": _CODE,
    "textarea": Style("paragraph", keeps_lines=True),
    "p": TEXT,
    "caption": TEXT,
}
_BLOCK_NAMES = """
p div section article main header footer aside blockquote address figure figcaption dl dt dd form fieldset legend
details summary center body hr ul ol li caption tbody thead tfoot table tr td th hgroup nav pre h1 h2 h3 h4 h5 h6
dialog search menu dir title option optgroup listing xmp plaintext textarea noscript text desc foreignobject marquee
"""
BLOCKS = frozenset(_BLOCK_NAMES.split())
_SPACED_NAMES = """
button select input img area video audio object canvas svg tspan math meter progress map
"""
SPACED = frozenset(_SPACED_NAMES.split())
"""What stands in a line and yet apart from the words beside it."""
LONG_FORMS = frozenset(["abbr", "acronym", "dfn"])
_HANDLED = BLOCKS | SPACED | LONG_FORMS | {"br", "sup", "sub"}
_SHOWN_INPUTS = frozenset(
    ["", "text", "search", "email", "url", "tel", "number", "submit", "button", "reset", "date"]
)
"""Kinds of fields whose value is shown."""


class Walker:
    """Walks without recursion, so that no nesting is too deep, and closes a block at each border.

    `marks` tells by their `mem_id` which nodes nobody sees, NEVER, and which begin a part of the page; inside the
    main part only those of `inner` begin another one.
    """

    def __init__(self, marks: dict[int, int], inner: set[int]) -> None:
        self._marks = marks
        self._inner = inner
        self._found: list[Piece] = []
        self._parts: list[str] = []
        self._style = TEXT
        self._part = REST
        self._open: list[tuple[str, Style]] = []
        self._regions: list[tuple[str, int, int]] = []

    def walk(self, root: LexborNode) -> list[Piece]:
        """The blocks in the order of the page."""
        node: LexborNode | None = root.first_child
        depth = 0
        while node is not None:
            tag = node.tag or ""
            if tag == "-text":
                self._parts.append(node.text_content or "")
            elif (inside := self._visit(tag, node)) is not None:
                node, depth = inside, depth + 1
                continue
            following = node.next
            while following is None and depth:
                node, depth = node.parent, depth - 1
                assert node is not None
                tag = node.tag or ""
                if tag in _HANDLED or "-" in tag or (self._regions and self._regions[-1][0] == tag):
                    self._leave(tag, node)
                following = node.next
            node = following
        self._close()
        return self._found

    def _visit(self, tag: str, node: LexborNode) -> LexborNode | None:
        """Take in an element; its first child if the walk is to go on there."""
        mark = self._marks.get(node.mem_id)
        if mark is not None:
            if mark == NEVER:
                return None
            self._begin_part(tag, node.mem_id, mark)
        plain = tag not in _HANDLED and "-" not in tag
        if not plain:
            self._enter(tag, node)
        inside = node.first_child
        if inside is None and (mark is not None or not plain):
            self._leave(tag, node)
        return inside

    def _begin_part(self, tag: str, id: int, part: int) -> None:
        if self._part == MAIN and part == AROUND and id not in self._inner:
            return
        self._close()
        self._regions.append((tag, id, self._part))
        self._part = part

    def _enter(self, tag: str, node: LexborNode) -> None:
        if tag == "br":
            self._parts.append("\n" if self._style.keeps_lines else _BREAK)
        elif tag in ("td", "th") and self._style.kind == "table":
            self._parts.append(_CELL)
        elif self._style.kind == "table" and tag in BLOCKS:
            self._parts.append(" ")
            if tag == "tr":
                self._close()
        elif tag in BLOCKS:
            self._close()
            self._open.append((tag, self._style))
            self._style = STYLES.get(tag, self._style)
            if tag == "table":
                self._style = TABLE if node.css_first(LAYOUT) is None else self._style
        elif tag in ("sup", "sub"):
            self._parts.append(_GAP if node.css_first("a") is not None else _RAISED)
        elif tag in SPACED or "-" in tag:
            self._parts.append(_GAP)
            self._parts.append(_shown(tag, node))
        elif tag in LONG_FORMS:
            self._parts.append(_long_form(node))

    def _leave(self, tag: str, node: LexborNode) -> None:
        if self._open and self._open[-1][0] == tag:
            self._close()
            self._style = self._open.pop()[1]
        elif tag in ("sup", "sub"):
            self._parts.append(_LEVEL)
        elif tag in SPACED or "-" in tag:
            self._parts.append(_GAP)
        elif self._style.kind == "table" and tag in BLOCKS:
            self._parts.append(" ")
        if self._regions and self._regions[-1][0] == tag and self._regions[-1][1] == node.mem_id:
            self._close()
            self._part = self._regions.pop()[2]

    def _close(self) -> None:
        """End the block that is open."""
        if not self._parts:
            return
        source, self._parts = "".join(self._parts), []
        if text := text_of(source, self._style):
            style = self._style
            self._found.append(Piece(style.kind, text, style.level, style.joint, self._part))


def text_of(source: str, style: Style) -> str:
    """The text of a block as it is kept; nothing if it is blank."""
    if source.isspace():
        return ""
    if not source.isascii():
        source = _set_apart(source.replace("\xad", ""))
    text = source.replace(_BREAK, "\n") if style.keeps_lines else _flowing(source)
    return style.mark + text if text.strip() else ""


def _set_apart(source: str) -> str:
    """Text in which a space stands for the marks that need one."""
    if _RAISED in source or _LEVEL in source:
        source = _SIGNS.sub(_beside, source).replace(_RAISED, _GAP).replace(_LEVEL, _GAP)
    return _APART.sub(" ", source).replace(_GAP, "") if _GAP in source else source


def _beside(match: re.Match[str]) -> str:
    """A word and the sign after it: joined as in 10th, m2 and H2O, apart where it is a note's mark or an index."""
    word, sign = match.groups()
    joined = sign.isalnum() and (
        (word.isdecimal() and sign.isalpha() and len(sign) <= 3)
        or (len(word) == 1 and word.isalpha() and word not in "aAI" and len(sign) <= 3)
        or (
            sign.isdecimal() and (word in _UNITS or (len(word) == 2 and word[0].isupper() and word.isalpha()))
        )
    )
    return word + sign if joined else f"{word}{_GAP}{sign}{_GAP}"


def _shown(tag: str, node: LexborNode) -> str:
    """What an element without text of its own shows."""
    if tag not in ("img", "area", "input", "object", "video", "audio"):
        return ""
    own = node.attributes
    if tag != "input":
        return own.get("alt") or own.get("title") or ""
    kind = (own.get("type") or "").lower()
    if kind == "image":
        return own.get("alt") or ""
    return own.get("value") or own.get("placeholder") or "" if kind in _SHOWN_INPUTS else ""


def _long_form(node: LexborNode) -> str:
    """What an abbreviation stands for, shown where it is pointed at."""
    title = node.attributes.get("title") or ""
    return f"{title} " if title and title.casefold() != node.text().strip().casefold() else ""


def _flowing(source: str) -> str:
    """Text with white space collapsed, kept line breaks, and cells set apart."""
    text = " ".join(source.split())
    if text.isascii():
        return text
    if _CELL in text:
        cells = (cell.strip() for cell in text.split(_CELL))
        text = " | ".join(cell for cell in cells if cell)
    if _BREAK in text:
        text = "\n".join(line.strip() for line in text.split(_BREAK))
    return text.strip()
