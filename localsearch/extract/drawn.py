"""A page of a PDF as a picture, with the places of a passage and of words on it.

Runs in a confined worker, never in the server: `pageimage` asks for it there.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from localsearch.extract import wire
from localsearch.extract.limits import failure
from localsearch.types import Extract

if TYPE_CHECKING:
    import pypdfium2 as pdfium

MOST_PIXELS = 4_000_000
"""Pixels of a picture: a page that is long and narrow is drawn smaller."""
MOST_CHARS = 200_000
"""Characters of a page among which a passage is looked for."""
MOST_BOXES = 2000
_ENDS = 6
"""Words by which the beginning and the end of a passage are found."""
_WORD = re.compile(r"\w+")

Share = Annotated[float, Meta(ge=0, le=1)]
Box = tuple[Share, Share, Share, Share]
"""Left, top, right and bottom, as shares of the width and height of the page."""


class PageImage(msgspec.Struct, frozen=True):
    """A page as PNG, how many there are, and where on it the passage and the words stand, line by line."""

    png: Annotated[bytes, Meta(max_length=32 << 20)]
    pages: Annotated[int, Meta(ge=1)]
    width: Annotated[int, Meta(ge=1)]
    height: Annotated[int, Meta(ge=1)]
    passage: Annotated[tuple[Box, ...], Meta(max_length=MOST_BOXES)]
    words: Annotated[tuple[Box, ...], Meta(max_length=MOST_BOXES)]


def draw(contents: bytes, page: wire.Page) -> Extract:
    """Draw a page; the picture is the metadata of what is returned. Raises ExtractionError."""
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(contents)
    except pdfium.PdfiumError:
        raise failure("damaged", "it is no PDF that can be opened") from None
    with contextlib.closing(document):
        if not 1 <= page.number <= len(document):
            raise failure("missing", f"it has no page {page.number}")
        try:
            with contextlib.suppress(pdfium.PdfiumError):
                document.init_forms()
            image = _drawn(document, page)
        except pdfium.PdfiumError as error:
            raise failure("damaged", f"the page cannot be drawn: {error}") from None
    return Extract("", "page", metadata=msgspec.to_builtins(image, builtin_types=(bytes,)))


def _drawn(document: pdfium.PdfDocument, wanted: wire.Page) -> PageImage:
    page = document[wanted.number - 1]
    width, height = page.get_size()
    if not (0 < width < 1e6 and 0 < height < 1e6):
        raise failure("damaged", f"a page of {width} by {height} points")
    scale = min(wanted.width / width, (MOST_PIXELS / (width * height)) ** 0.5)
    picture = page.render(scale=scale).to_pil().convert("RGB")
    written = io.BytesIO()
    picture.save(written, "PNG")
    passage, words = _marks(page, wanted)
    return PageImage(written.getvalue(), len(document), picture.width, picture.height, passage, words)


def _marks(page: pdfium.PdfPage, wanted: wire.Page) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
    """Where the passage and the words stand on the page."""
    import pypdfium2.raw as raw

    text_page = page.get_textpage()
    count = min(text_page.count_chars(), MOST_CHARS)
    letters = "".join(_letter(raw.FPDFText_GetUnicode(text_page, at)) for at in range(count)).casefold()
    found = [(match.group(), match.start(), match.end()) for match in _WORD.finditer(letters)]
    boxes = _Boxes(page, text_page)
    start, stop = _stretch([word for word, _, _ in found], _WORD.findall(wanted.passage.casefold()))
    passage = boxes.lines(found[start][1], found[stop - 1][2]) if stop > start else ()
    sought = set(_WORD.findall(wanted.words.casefold()))
    words = [boxes.lines(begin, end) for word, begin, end in found if word in sought]
    return tuple(passage)[:MOST_BOXES], tuple(box for lines in words for box in lines)[:MOST_BOXES]


def _letter(code: int) -> str:
    """One character for each that pdfium counts; what is none is a blank."""
    return chr(code) if 0 < code < 0xD800 or 0xE000 <= code < 0x110000 else " "


def _stretch(words: Sequence[str], passage: Sequence[str]) -> tuple[int, int]:
    """From which word up to which a passage reaches; (0, 0) where it is not on the page.

    A passage may begin before the page or end after it, and words may be cut otherwise than on the page: so it is
    found by a few words in a row at its beginning and at its end.

    >>> _stretch(["a", "b", "c", "d"], ["b", "c"])
    (1, 3)
    """
    if not words or not passage:
        return 0, 0
    size = min(_ENDS, len(passage))
    places: dict[Sequence[str], int] = {}
    for at in range(len(words) - size, -1, -1):
        places[tuple(words[at : at + size])] = at
    known = [
        (places[run], at)
        for at in range(len(passage) - size + 1)
        if (run := tuple(passage[at : at + size])) in places
    ]
    if not known:
        return 0, 0
    (first, before), (last, _) = known[0], known[-1]
    if last < first:
        return first, min(first + size, len(words))
    return (max(0, first - before) if before < size else first), last + size


class _Boxes:
    """Boxes of characters as shares of a page that is turned and cropped as it is shown."""

    def __init__(self, page: pdfium.PdfPage, text_page: pdfium.PdfTextPage) -> None:
        self._page, self._text = page, text_page

    def lines(self, start: int, stop: int) -> Iterator[Box]:
        """One box for each line of the characters [start, stop)."""
        for at in range(min(self._text.count_rects(start, stop - start), MOST_BOXES)):
            left, bottom, right, top = self._text.get_rect(at)
            (a, b), (c, d) = self._share(left, top), self._share(right, bottom)
            if a != c and b != d:
                yield min(a, c), min(b, d), max(a, c), max(b, d)

    def _share(self, x: float, y: float) -> tuple[float, float]:
        import pypdfium2.raw as raw

        across, down, parts = ctypes.c_int(), ctypes.c_int(), 10_000
        raw.FPDF_PageToDevice(self._page, 0, 0, parts, parts, 0, x, y, across, down)
        return min(max(across.value / parts, 0.0), 1.0), min(max(down.value / parts, 0.0), 1.0)
