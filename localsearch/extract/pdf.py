"""PDF by pdfium: text by page, headings from the outline, the document's own metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean
from localsearch.extract.fields import front_matter
from localsearch.extract.image import read_page_images
from localsearch.extract.limits import failure
from localsearch.extract.packages import own_title
from localsearch.extract.source import Source
from localsearch.types import Extract, Place

if TYPE_CHECKING:
    import pypdfium2 as pdfium

MOST_HEADINGS = 5000
"""Entries of an outline that are used."""

HEAD = 2000
"""Characters of the first page among which a title is looked for."""
STANDS_OUT = 1.2
"""How much larger than most of the text a title's type is."""

_JOINED = re.compile("[\ufffe\x02]\n?")
_SPACES = re.compile(r"\s+")


def read_pdf(source: Source) -> list[Extract]:
    """Text of each page with its number; a page without text is counted in a note."""
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(source.data)
    except pdfium.PdfiumError as error:
        raise _refused(error) from None
    try:
        return [_read(document, source)]
    finally:
        document.close()


def _refused(error: Exception) -> Exception:
    words = str(error).lower()
    if "password" in words:
        return failure("encrypted", "it asks for a password")
    if "security" in words:
        return failure("encrypted", "it is protected in a way that cannot be read")
    return failure("damaged", "it is no readable PDF")


def _read(document: pdfium.PdfDocument, source: Source) -> Extract:
    builder = Builder(source.limits.text)
    outline = _outline(document)
    bare = []
    for number in range(1, len(document) + 1):
        text = _page_text(document, number - 1)
        if not text.strip():
            bare.append(number)
            continue
        for level, title, piece in _sections(text, outline.get(number, [])):
            if title:
                builder.heading(level, title, Place(page=number), show=piece[0])
            builder.add(piece[1], place=Place(page=number), joint="\n")
        if builder.full:
            break
    if bare:
        read_page_images(document, bare, builder, source.limits)
    if builder.empty:
        raise failure("no-text", _without_text(len(document)))
    title, metadata = _metadata(document)
    return builder.extract("pdf", title=title or _largest_words(document) or None, metadata=metadata)


def _without_text(pages: int) -> str:
    return f"{pages} page{'s' if pages != 1 else ''} without text: images or drawings only, or blank"


def _page_text(document: pdfium.PdfDocument, index: int) -> str:
    import pypdfium2 as pdfium

    try:
        page = document[index]
    except pdfium.PdfiumError:
        return ""
    try:
        textpage = page.get_textpage()
        text: str = textpage.get_text_range()
        textpage.close()
    except pdfium.PdfiumError:
        return ""
    finally:
        page.close()
    return clean(_JOINED.sub("", text.replace("\r\n", "\n")))


def _largest_words(document: pdfium.PdfDocument) -> str:
    """The words in the largest type at the head of the first page, if they stand out: its title to a reader."""
    import pypdfium2 as pdfium
    from pypdfium2 import raw

    try:
        page = document[0].get_textpage()
        count = min(page.count_chars(), HEAD)
        text = page.get_text_range(0, count) if count > 0 else ""
        sizes = [raw.FPDFText_GetFontSize(page, index) for index in range(len(text))]
    except pdfium.PdfiumError:
        return ""
    solid = sorted(size for size, sign in zip(sizes, text) if not sign.isspace())
    if not solid or solid[-1] < STANDS_OUT * solid[len(solid) // 2]:
        return ""
    large = "".join(s if s.isspace() or size > 0.97 * solid[-1] else "\0" for size, s in zip(sizes, text))
    title = max((" ".join(clean(_JOINED.sub("", part)).split()) for part in large.split("\0")), key=len)
    return title if 4 <= len(title) <= 200 else ""


def _outline(document: pdfium.PdfDocument) -> dict[int, list[tuple[int, str]]]:
    """Level (from 1) and title of the outline's entries, by page number."""
    found: dict[int, list[tuple[int, str]]] = {}
    try:
        for count, entry in enumerate(document.get_toc(max_depth=8)):
            target = entry.get_dest()
            page = target.get_index() if target is not None else None
            title = " ".join(clean(entry.get_title() or "").split())
            if page is not None and title:
                found.setdefault(page + 1, []).append((entry.level + 1, title))
            if count > MOST_HEADINGS:
                break
    except Exception:  # a damaged outline costs the headings, not the text
        return found
    return found


def _sections(text: str, headings: list[tuple[int, str]]) -> Iterator[tuple[int, str, tuple[str, str]]]:
    """Level, title, and (heading as it stands on the page, text after it); the text before the first has no title."""
    marks, at = [], 0
    for level, title in headings:
        match = _find(title, text, at)
        if match is not None:
            marks.append((level, title, *match))
            at = match[1]
    yield 0, "", ("", text[: marks[0][2]] if marks else text)
    for index, (level, title, start, end) in enumerate(marks):
        after = marks[index + 1][2] if index + 1 < len(marks) else len(text)
        yield level, title, (text[start:end], text[end:after])


def _find(title: str, text: str, at: int) -> tuple[int, int] | None:
    """Where a title stands in a page's text, white space aside, at the start of a line."""
    words = [re.escape(word) for word in title.split()]
    match = re.compile(r"^[\d. \t]{0,20}" + r"\s*".join(words), re.M | re.I).search(text, at)
    return match.span() if match else None


def _metadata(document: pdfium.PdfDocument) -> tuple[str, dict[str, Any]]:
    try:
        own = document.get_metadata_dict(skip_empty=True)
    except Exception:  # damaged metadata costs only itself
        return "", {"pages": len(document)}
    found = {
        "author": own.get("Author"),
        "created": own.get("CreationDate"),
        "modified": own.get("ModDate"),
        "tags": own.get("Keywords"),
        "subject": own.get("Subject"),
        "pages": len(document),
    }
    return own_title(own.get("Title")), front_matter(found)
