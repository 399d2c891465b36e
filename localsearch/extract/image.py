"""Pictures: what they say of themselves, and the text that is seen in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localsearch.errors import ExtractionError
from localsearch.extract import ocr
from localsearch.extract.builder import Builder
from localsearch.extract.limits import Limits, failure
from localsearch.extract.ocr import OFF
from localsearch.extract.picture import described
from localsearch.extract.source import Source
from localsearch.types import Extract

__all__ = ["OFF", "read_image", "read_page_images"]

if TYPE_CHECKING:
    import pypdfium2 as pdfium


def read_image(source: Source) -> list[Extract]:
    """Captions and keywords of a picture, then the text recognised in it; ExtractionError where there is neither."""
    builder = Builder(source.limits.text)
    title, lines, metadata = described(source.data)
    builder.add("\n".join(lines))
    try:
        builder.add(ocr.recognise(source.data, source.limits))
    except ExtractionError as error:
        if builder.empty:
            raise
        builder.notes.append(error.message)
        builder.scans = error.data["rule"] == "image"
    if builder.empty:
        raise failure("empty", "an image in which no text was recognised")
    return [builder.extract("image", title=title or None, metadata=metadata)]


def read_page_images(
    document: pdfium.PdfDocument, numbers: list[int], builder: Builder, limits: Limits
) -> None:
    """Text of pages that are images, appended with their numbers; or a note that says which were not read, and why."""
    ocr.recognise_pages(numbers, lambda number, dots: _drawn(document, number - 1, dots), builder, limits)


def _drawn(document: pdfium.PdfDocument, index: int, dots_per_inch: int) -> bytes:
    """A page as a portable grey map."""
    page = document[index]
    bitmap = page.render(scale=dots_per_inch / 72, grayscale=True)
    pixels = bytes(bitmap.buffer)
    rows = (pixels[row * bitmap.stride : row * bitmap.stride + bitmap.width] for row in range(bitmap.height))
    head = f"P5 {bitmap.width} {bitmap.height} 255\n".encode()
    return head + b"".join(rows)
