"""Walks a page of HTML by C of our own (kernels/html.c), over the page as the parser has written it out again.

Much sooner than from node to node, and with the same blocks (htmlwalk.py); that walks pages that are refused here.
"""

from __future__ import annotations

import re
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from ctypes import POINTER, PyDLL, Structure, byref, c_char_p, c_int32, c_void_p, string_at
from functools import cache
from typing import NamedTuple

from localsearch import kernels
from localsearch.extract.htmlbuilt import KINDS, BuiltText, TextBuilder
from localsearch.extract.htmlwalk import (
    BLOCKS,
    LAYOUT,
    LONG_FORMS,
    SPACED,
    STYLES,
    TABLE,
    TEXT,
    Piece,
    Style,
    text_of,
)
from localsearch.extract.units import BY_LINE, REPEATED

_BLOCK, _SPACE, _LONG_FORM, _LINE_BREAK, _CELLS, _ROW, _SIGN, _A_TABLE, _VOID = (1 << bit for bit in range(9))
_VERBATIM, _FOREIGN, _REFUSE, _OF_LAYOUT, _LINK, _SHOWN, _INPUT, _TEMPLATE, _META = (
    1 << bit for bit in range(9, 18)
)
_STYLE_AT = 18
_NAMES = (
    (_BLOCK, BLOCKS),
    (_SPACE, SPACED),
    (_LONG_FORM, LONG_FORMS),
    (_LINE_BREAK, {"br"}),
    (_CELLS, {"td", "th"}),
    (_ROW, {"tr"}),
    (_SIGN, {"sup", "sub"}),
    (_A_TABLE, {"table"}),
    (
        _VOID,
        {
            "area",
            "base",
            "basefont",
            "bgsound",
            "br",
            "col",
            "embed",
            "frame",
            "hr",
            "img",
            "input",
            "keygen",
        },
    ),
    (_VOID, {"link", "meta", "param", "source", "track", "wbr"}),
    (_VERBATIM, {"script", "style", "xmp", "iframe", "noembed", "noframes"}),
    (_FOREIGN, {"svg", "math"}),
    (_REFUSE, {"plaintext"}),
    (_OF_LAYOUT, {selector.split()[-1] for selector in LAYOUT.split(",")}),
    (_LINK, {"a"}),
    (_SHOWN, {"img", "area", "input", "object", "video", "audio"}),
    (_INPUT, {"input"}),
    (_TEMPLATE, {"template"}),
    (_META, {"meta"}),
)
"""What html.c knows of elements, by its bits."""
_SELECTOR = re.compile(r"([\w-]*)(?:([.#])([\w-]+)|\[role=(\w+)\])?")
_MAIN_MARK, _AROUND_MARK, _INNER_MARK, _NEVER_MARK = 1, 2, 4, 8
_PIECE = struct.Struct("=7i")
_REFUSED = -1


class Selectors(NamedTuple):
    """Which elements begin the main part, what surrounds it, navigation wherever it stands, and what nobody sees: lists
    of names of elements, classes, ids and roles."""

    main: str
    around: str
    inner: str
    never: str

    def marks(self) -> Mapping[tuple[str, str, str], int]:
        """By name, sign and value of each what it is."""
        found: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        for mark, listed in zip(
            (_MAIN_MARK, _AROUND_MARK, _INNER_MARK | _AROUND_MARK, _NEVER_MARK), self, strict=True
        ):
            for selector in listed.split(","):
                match = _SELECTOR.fullmatch(selector)
                assert match is not None, selector
                name, sign, value, role = match.groups(default="")
                found[name, "=" if role else sign, role or value] |= mark
        return found


class _Walked(Structure):
    _fields_ = (
        *(("text", c_void_p), ("pieces", c_void_p), ("length", c_int32), ("count", c_int32)),
        *(("raw", c_int32), ("metas", c_int32)),
    )


class Walked(NamedTuple):
    """What a walk gives: the text of all blocks put together, or else the blocks themselves.

    `metas` is whether there are elements among them that tell about the page, as its head does.
    """

    text: BuiltText | None
    pieces: list[Piece] | None
    metas: bool


class WrittenWalker:
    """Walks over pages as a parser has written them out. Raises OSError where the kernels are not there."""

    def __init__(self, selectors: Selectors) -> None:
        compiled = _compiled()
        if compiled is None:
            raise OSError("the kernels were not built")
        self._compiled = compiled
        self._builder = TextBuilder()
        self._lock = threading.Lock()
        self._styles = list(dict.fromkeys([TEXT, TABLE, *STYLES.values()]))
        kinds: defaultdict[str, int] = defaultdict(int)
        for bit, names in _NAMES:
            for name in names:
                kinds[name] |= bit
        for name, style in STYLES.items():
            kinds[name] |= self._styles.index(style) + 1 << _STYLE_AT
        marks = selectors.marks()
        self._numbers = [
            (c_int32 * len(found))(*found)
            for found in (kinds.values(), marks.values(), list(map(_style_bits, self._styles)))
        ]
        selected = "".join(f"{part} " for selector in marks for part in selector)
        self._walk = compiled.localsearch_html_begin(
            "".join(f"{name} " for name in kinds).encode(),
            self._numbers[0],
            selected.encode(),
            self._numbers[1],
            self._numbers[2],
            self._styles.index(TABLE),
            self._styles.index(TEXT),
        )
        if not self._walk:
            raise MemoryError

    def __del__(self) -> None:
        if getattr(self, "_walk", None):
            self._compiled.localsearch_html_end(self._walk)

    def walk(self, written: str, *, whole: bool) -> list[Piece] | None:
        """The blocks inside the one element that was written out, as `Walker.walk` gives them; None for a page that
        needs more than this."""
        return self.build(written, whole=whole, enough=0, limit=-1).pieces

    def build(self, written: str, *, whole: bool, enough: int, limit: int) -> Walked:
        """The text of the blocks in the order in which a page is read, within a limit; the blocks where it takes Python
        to put them together, and nothing for a page that needs more than this."""
        code, walked = written.encode("utf-8", "surrogatepass"), _Walked()
        with self._lock:
            count = self._compiled.localsearch_html_walk(self._walk, code, len(code), whole, byref(walked))
            if count < _REFUSED:
                raise MemoryError
            if count < 0:
                return Walked(None, None, True)
            if not walked.raw and limit >= 0:
                place = walked.text, walked.pieces, count, self._numbers[2]
                built = self._builder.build(place, whole, enough, limit)
                if built is not None:
                    return Walked(built, None, bool(walked.metas))
            text = string_at(walked.text, walked.length).decode("utf-8", "surrogatepass") if count else ""
            found = string_at(walked.pieces, count * _PIECE.size) if count else b""
        return Walked(None, list(self._pieces(text, found)), bool(walked.metas))

    def _pieces(self, text: str, found: bytes) -> Iterator[Piece]:
        styles, new = self._styles, tuple.__new__  # a third of the time of the class itself
        for number, part, raw, start, length, _, _ in _PIECE.iter_unpack(found):
            style, block = styles[number], text[start : start + length]
            if raw:
                block = text_of(block, style)
            if block:
                yield new(Piece, (style.kind, block, style.level, style.joint, part))


def _style_bits(style: Style) -> int:
    kept = (
        style.keeps_lines | (style.kind == "table") << 1 | bool(style.mark) << 2 | (style.joint == "\n") << 3
    )
    cut = (style.kind in REPEATED) << 4 | (style.kind in BY_LINE) << 5
    return kept | cut | style.level << 8 | KINDS.index(style.kind) << 12


@cache
def _compiled() -> PyDLL | None:
    """The kernels; other threads wait while they are called through it, which takes less time than letting them in."""
    path = kernels.library()
    if path is None:
        return None
    library = PyDLL(str(path))
    try:
        begin, walk, end, _ = (
            library.localsearch_html_begin,
            library.localsearch_html_walk,
            library.localsearch_html_end,
            library.localsearch_page,  # which reads what the walk leaves
        )
    except AttributeError:  # built from an older checkout
        return None
    numbers = POINTER(c_int32)
    begin.argtypes = [c_char_p, numbers, c_char_p, numbers, numbers, c_int32, c_int32]
    begin.restype, end.argtypes, end.restype = c_void_p, [c_void_p], None
    walk.argtypes = [c_void_p, c_char_p, c_int32, c_int32, POINTER(_Walked)]
    return library


@cache
def written_walker(selectors: Selectors) -> WrittenWalker | None:
    """What walks by our own C; None where the kernels are not there."""
    return None if _compiled() is None else WrittenWalker(selectors)
