"""Text in images and scanned pages, by the program tesseract where it is installed and wanted."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean
from localsearch.extract.limits import Limits, failure
from localsearch.extract.source import Source
from localsearch.types import Extract, Place

if TYPE_CHECKING:
    import pypdfium2 as pdfium

DOTS_PER_INCH = 300
"""Resolution at which a page is drawn for recognition, as tesseract's documentation advises."""
OFF = "text recognition in images is off (extract.ocr)"
MISSING = "text recognition needs the program tesseract, which is not installed"


def read_image(source: Source) -> list[Extract]:
    """Text that tesseract sees in an image."""
    if not source.limits.ocr:
        raise failure("image", f"an image; {OFF}")
    builder = Builder(source.limits.text)
    builder.add(recognise(source.data))
    if builder.empty:
        raise failure("no-text", "an image in which no text was recognised")
    return [builder.extract("image")]


def read_page_images(
    document: pdfium.PdfDocument, numbers: list[int], builder: Builder, limits: Limits
) -> None:
    """Text of pages that are images, appended with their numbers; or a note that says what was not read."""
    which = f"{len(numbers)} of {len(document)} pages have no text of their own"
    if not limits.ocr or shutil.which("tesseract") is None:
        builder.notes.append(f"{which}; {MISSING if limits.ocr else OFF}")
        return
    for number in numbers:
        builder.add(recognise(_drawn(document, number - 1)), place=Place(page=number))


def recognise(image: bytes) -> str:
    """Text in an image file's bytes; ExtractionError when tesseract is missing or refuses it."""
    program = shutil.which("tesseract")
    if program is None:
        raise failure("image", f"an image; {MISSING}")
    done = subprocess.run([program, "stdin", "stdout"], input=image, capture_output=True, check=False)
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise failure("damaged", f"tesseract could not read it: {words[-1] if words else done.returncode}")
    return clean(done.stdout.decode("utf-8", "replace")).replace("\f", "")


def _drawn(document: pdfium.PdfDocument, index: int) -> bytes:
    """A page as a portable grey map."""
    page = document[index]
    bitmap = page.render(scale=DOTS_PER_INCH / 72, grayscale=True)
    pixels = bytes(bitmap.buffer)
    rows = (pixels[row * bitmap.stride : row * bitmap.stride + bitmap.width] for row in range(bitmap.height))
    head = f"P5 {bitmap.width} {bitmap.height} 255\n".encode()
    return head + b"".join(rows)
