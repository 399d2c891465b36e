"""PDF by pdfium: text by page, headings from the outline, the document's own metadata."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from localsearch.errors import ExtractionError
from localsearch.extract.annotations import NONE, attached_file, page_annotations, unsaid, xfa_text
from localsearch.extract.builder import Builder, pages
from localsearch.extract.decode import clean
from localsearch.extract.fields import front_matter
from localsearch.extract.image import read_page_images
from localsearch.extract.limits import failure
from localsearch.extract.packages import own_title
from localsearch.extract.source import Source, read_member, unread
from localsearch.extract.subtypes import only_links
from localsearch.types import Extract, Place

if TYPE_CHECKING:
    import pypdfium2 as pdfium

MOST_HEADINGS = 5000
"""Entries of an outline that are used."""

HEAD = 2000
"""Characters of the first page among which a title is looked for."""
STANDS_OUT = 1.2
"""How much larger than most of the text a title's type is."""

FEW = 200
"""Characters of text with which a page may still be a scan, as one with a stamp or a header is."""
COVERED = 0.7
"""The share of such a page that a picture covers."""

_JOINED = re.compile("[\ufffe\x02]\n?")
_SPACES = re.compile(r"\s+")


def read_pdf(source: Source) -> list[Extract]:
    """Text of each page with its number and what was put on it, then the files inside; scans are told in a note."""
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(source.data)
    except pdfium.PdfiumError as error:
        raise _refused(error) from None
    try:
        with contextlib.suppress(pdfium.PdfiumError):
            document.init_forms()
        return _Reader(document, source).read()
    finally:
        document.close()


def _refused(error: Exception) -> Exception:
    words = str(error).lower()
    if "password" in words:
        return failure("encrypted", "it asks for a password")
    if "security" in words:
        return failure("encrypted", "it is protected in a way that cannot be read")
    return failure("damaged", "it is no readable PDF")


class _Page(NamedTuple):
    """A page's text, what was put on it beside, the files pinned to it; whether it is a scan or a drawing, or blank."""

    text: str
    beside: list[str]
    files: list[tuple[str, bytes]]
    scan: bool
    blank: bool


class _Reader:
    """Reads a document's pages in order."""

    def __init__(self, document: pdfium.PdfDocument, source: Source) -> None:
        self._document = document
        self._source = source
        self._builder = Builder(source.limits.text)
        self._files: list[tuple[str, bytes]] = []
        self._annotated = not only_links(source.data)
        self._title, self._metadata = _metadata(document)

    def read(self) -> list[Extract]:
        """The document, then the files in it."""
        builder, document = self._builder, self._document
        scans = self._add_pages()
        xfa = xfa_text(document)
        if xfa:
            builder.add("\n".join(unsaid(xfa.split("\n"), builder.text)))
        if scans:
            read_page_images(document, scans, builder, self._source.limits)
        self._files += _embedded(document)
        inside = list(self._members())
        if builder.empty and not any(extract.text for extract in inside):
            if builder.scans:
                raise failure("image", f"{_without_text(len(document))}; {builder.notes[-1]}")
            raise failure("no-text", _without_text(len(document)))
        return [builder.extract("pdf", title=self._title or None, metadata=self._metadata), *inside]

    def _add_pages(self) -> list[int]:
        """Add all pages; the numbers of those that are scans."""
        builder = self._builder
        outline = _outline(self._document, builder.notes)
        scans, blank, damaged = list[int](), list[int](), list[int]()
        for number in range(1, len(self._document) + 1):
            page = self._page(number - 1)
            if page is None:
                damaged.append(number)
                continue
            scans += [number] if page.scan else []
            blank += [number] if page.blank else []
            place = Place(page=number)
            for level, title, (shown, after) in _sections(page.text, outline.get(number, [])):
                if title:
                    builder.heading(level, title, place, show=shown or title)
                builder.add(after, place=place, joint="\n")
            builder.add("\n".join(page.beside), place=place)
            self._files += page.files
            if builder.full:
                break
        if blank:
            builder.notes.append(
                f"{pages(blank)} {'holds' if len(blank) == 1 else 'hold'} neither text nor picture"
            )
        if damaged:
            builder.notes.append(f"{pages(damaged)} could not be read")
        return scans

    def _page(self, index: int) -> _Page | None:
        """A page, its annotations drawn into it before its text is taken; None if it is damaged."""
        import pypdfium2 as pdfium
        from pypdfium2 import raw

        try:
            page = self._document[index]
            beside = page_annotations(self._document, page) if self._annotated else NONE
            if beside.drawn:
                raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
                page.close()
                page = self._document[index]
        except pdfium.PdfiumError:
            return None
        try:
            text = self._text(page, first=index == 0)
            bare = not text.strip() and not beside.texts
            scan = len(text) < FEW and _is_picture(page, bare=bare)
        except pdfium.PdfiumError:
            return None
        finally:
            page.close()
        return _Page(text, unsaid(beside.texts, text), beside.files, scan, bare and not scan)

    def _text(self, page: pdfium.PdfPage, *, first: bool) -> str:
        """A page's text; the first one's largest words are the title of a document that has none."""
        textpage = page.get_textpage()
        try:
            if first and not self._title:
                self._title = _largest_words(textpage)
            text: str = textpage.get_text_range()
        finally:
            textpage.close()
        return clean(_JOINED.sub("", text.replace("\r\n", "\n")))

    def _members(self) -> Iterator[Extract]:
        """The documents in attached files; what is beyond a limit is told in a note."""
        for name, data in self._files:
            try:
                self._source.budget.take(len(data))
            except ExtractionError as error:
                yield unread(name, error)
                return
            yield from read_member(self._source, data, name, Place(part=name))


def _embedded(document: pdfium.PdfDocument) -> Iterator[tuple[str, bytes]]:
    for index in range(document.count_attachments()):
        yield from attached_file(document.get_attachment(index))


def _without_text(pages: int) -> str:
    return f"{pages} page{'s' if pages != 1 else ''} without text: images or drawings only, or blank"


def _is_picture(page: pdfium.PdfPage, *, bare: bool) -> bool:
    """Whether a page on which nothing is written shows anything, or one with few words is covered by a picture."""
    from pypdfium2 import raw

    width, height = page.get_size()
    for item in page.get_objects(max_depth=3):
        if bare:
            return True
        if item.type == raw.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = item.get_bounds()
            if (right - left) * (top - bottom) > COVERED * width * height:
                return True
    return False


def _largest_words(page: pdfium.PdfTextPage) -> str:
    """The words in the largest type at the head of a page, if they stand out: its title to a reader."""
    from pypdfium2 import raw

    count = min(page.count_chars(), HEAD)
    text = page.get_text_range(0, count) if count > 0 else ""
    sizes = [raw.FPDFText_GetFontSize(page, index) for index in range(len(text))]
    solid = sorted(size for size, sign in zip(sizes, text) if not sign.isspace())
    if not solid or solid[-1] < STANDS_OUT * solid[len(solid) // 2]:
        return ""
    large = "".join(s if s.isspace() or size > 0.97 * solid[-1] else "\0" for size, s in zip(sizes, text))
    title = max((" ".join(clean(_JOINED.sub("", part)).split()) for part in large.split("\0")), key=len)
    return title if 4 <= len(title) <= 200 else ""


def _outline(document: pdfium.PdfDocument, notes: list[str]) -> dict[int, list[tuple[int, str]]]:
    """Level (from 1) and title of the outline's entries, by page number; one that leads nowhere goes with the next."""
    found: dict[int, list[tuple[int, str]]] = {}
    waiting: list[tuple[int, str]] = []
    last = 1
    try:
        for count, entry in enumerate(document.get_toc(max_depth=30)):
            target = entry.get_dest()
            page = target.get_index() if target is not None else None
            title = " ".join(clean(entry.get_title() or "").split())
            waiting += [(entry.level + 1, title)] if title else []
            if page is not None:
                last = page + 1
                found.setdefault(last, []).extend(waiting)
                waiting = []
            if count >= MOST_HEADINGS:
                notes.append(f"only the first {MOST_HEADINGS} entries of its outline were read")
                break
    except Exception:  # a damaged outline costs the headings, not the text
        notes.append("its outline is damaged")
    found.setdefault(last, []).extend(waiting)
    return found


def _sections(text: str, headings: list[tuple[int, str]]) -> Iterator[tuple[int, str, tuple[str, str]]]:
    """Level, title, and (heading as it stands on the page, text after it); the text before the first has no title.

    A title that is not on its page stands before the next one that is, or before the page if there is none.
    """
    marks, at = list[tuple[int, str, int, int]](), 0
    absent: list[tuple[int, str]] = []
    for level, title in headings:
        match = _find(title, text, at)
        if match is None:
            absent.append((level, title))
            continue
        marks += [(*one, match[0] if marks else 0, match[0] if marks else 0) for one in absent]
        marks.append((level, title, *match))
        absent, at = [], match[1]
    end = len(text) if marks else 0
    marks += [(*one, end, end) for one in absent]
    yield 0, "", ("", text[: marks[0][2]] if marks else text)
    for index, (level, title, start, stop) in enumerate(marks):
        after = marks[index + 1][2] if index + 1 < len(marks) else len(text)
        yield level, title, (text[start:stop], text[stop:after])


def _find(title: str, text: str, at: int) -> tuple[int, int] | None:
    """Where a title stands in a page's text, white space aside: at the start of a line, else in a line of its own."""
    if title.split()[-1].casefold() not in text.casefold():
        return None
    words = r"\s*".join(re.escape(word) for word in title.split())
    for pattern in (r"^[\d. \t]{0,20}" + words, r"^[^\n]{0,40}?" + words + r"[^\n]{0,20}$"):
        match = re.compile(pattern, re.M | re.I).search(text, at)
        if match is not None:
            return match.span()
    return None


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
