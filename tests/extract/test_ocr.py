"""Text recognised in pictures, what pictures and recordings say of themselves."""

from __future__ import annotations

import io
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from localsearch.errors import ExtractionError
from localsearch.extract import Extractor, ocr
from localsearch.extract.builder import Builder
from localsearch.extract.limits import Limits
from localsearch.extract.read import read
from localsearch.settings import ExtractSettings

ENGINES = [
    pytest.param("rapidocr", marks=pytest.mark.skipif(find_spec("rapidocr") is None, reason="needs the extra [ocr]")),
    pytest.param("tesseract", marks=pytest.mark.skipif(shutil.which("tesseract") is None, reason="needs tesseract")),
]  # fmt: skip
LINES = (
    "The kettle stands on the stove.",
    "Nine lanterns hang above the door.",
    "Nobody counted the teapots.",
    "The harbour lies quiet in the morning.",
    "Seven boats are tied to the wall.",
    "A gull walks along the railing.",
    "Later the fog lifts from the water.",
    "Then the ferry leaves for the island.",
)


def limits(engine: str = "auto", on: bool = True, cpu_s: int = 600) -> Limits:
    return Limits(
        text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=on, ocr_engine=engine, cpu_s=cpu_s
    )


def picture(lines: tuple[str, ...] = LINES, angle: int = 0, **saved: object) -> bytes:
    """Lines of text as a PNG, turned by an angle. It is no strip: an engine that enlarges strips reads four times the dots."""
    from PIL import Image, ImageDraw

    image = Image.new("L", (1100, max(740, 120 + 70 * len(lines))), 255)
    for row, line in enumerate(lines):
        ImageDraw.Draw(image).text((60, 50 + 70 * row), line, fill=0, font_size=40)
    buffer = io.BytesIO()
    image.rotate(angle, expand=True).save(buffer, str(saved.pop("format", "PNG")), **saved)
    return buffer.getvalue()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("angle", [0, 90, 180])
def test_a_page_is_read_in_the_order_of_its_lines(engine: str, angle: int) -> None:
    found = ocr.recognise(picture(angle=angle), limits(engine))
    assert " ".join(found.split()) == " ".join(LINES)


@pytest.mark.parametrize("engine", ENGINES)
def test_under_confinement_with_one_thread(engine: str, tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(picture())
    settings = ExtractSettings(workers=1, ocr="on", ocr_engine=engine)
    with Extractor(settings) as extractor:
        (extract,) = extractor.extract(tmp_path / "page.png")
    assert "lanterns" in extract.text


def test_pages_beyond_the_time_for_a_file_are_told() -> None:
    if not ocr.engine(limits()):
        pytest.skip("no text recognition is installed")
    builder = Builder(10_000)
    ocr.recognise_pages(
        [2, 3, 4, 9], lambda number, dots: picture((f"Page number {number}",)), builder, limits(cpu_s=0)
    )
    extract = builder.extract("pdf")
    assert extract.text.strip() == "Page number 2"
    assert extract.blocks[0].place.page == 2
    assert extract.notes == ("pages 3-4, 9 are scans: not read in the time for a file; raise extract.cpu_s",)


def test_scans_that_are_not_read_say_what_to_do() -> None:
    builder = Builder(10_000)
    ocr.recognise_pages([3, 4, 5], lambda number, dots: b"", builder, limits(on=False))
    assert builder.notes == [f"pages 3-5 are scans: {ocr.OFF}"]
    assert "pip install 'localsearch[ocr]'" in ocr.OFF


def test_captions_keywords_and_dates_of_a_picture() -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[270] = "A harbour at dawn"
    exif[315] = "Ann Smith"
    exif[40094] = "boats;fog\0".encode("utf-16-le")
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        b'xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:Description><dc:title><rdf:Alt><rdf:li>Harbour</rdf:li>'
        b"</rdf:Alt></dc:title><dc:subject><rdf:Bag><rdf:li>quay</rdf:li></rdf:Bag></dc:subject></rdf:Description>"
        b"</rdf:RDF></x:xmpmeta>"
    )
    data = picture((), format="JPEG", exif=exif, xmp=xmp)
    (extract,) = read(data, "a.jpg", limits(on=False))
    assert (extract.title, extract.metadata["author"]) == ("Harbour", "Ann Smith")
    assert extract.text.split("\n") == ["Harbour", "A harbour at dawn", "quay, boats;fog"]
    assert ocr.OFF in extract.notes[0]


def test_a_picture_that_says_nothing() -> None:
    with pytest.raises(ExtractionError) as caught:
        read(picture(()), "a.png", limits(on=False))
    assert caught.value.data["rule"] == "image"


def test_tags_of_music(tmp_path: Path) -> None:
    pytest.importorskip("mutagen", reason="needs the extra [media]")
    from mutagen.id3 import APIC, COMM, ID3, TALB, TIT2, TPE1, USLT

    tags = ID3()
    for frame in (TIT2(text="Winter journey"), TPE1(text="Ann Smith"), TALB(text="Songs"), COMM(text="live"),
                  USLT(text="the linden tree"), APIC(data=b"picture")):  # fmt: skip
        tags.add(frame)
    tags.save(tmp_path / "a.mp3")
    frames = b"\xff\xfb\x90\x64" + bytes(413)
    data = (tmp_path / "a.mp3").read_bytes() + frames * 8
    (extract,) = read(data, "a.mp3", limits(on=False))
    assert (extract.type, extract.title, extract.metadata["author"]) == (
        "media",
        "Winter journey",
        "Ann Smith",
    )
    for words in ("Album: Songs", "Comment: live", "Lyrics: the linden tree"):
        assert words in extract.text


def test_a_page_that_the_engine_cannot_read_costs_none_before_it() -> None:
    if not ocr.engine(limits()):
        pytest.skip("no text recognition is installed")
    builder = Builder(10_000)
    pages = {2: picture(("Page number 2",)), 3: b"no picture", 4: picture(("Page number 4",))}
    ocr.recognise_pages([2, 3, 4], lambda number, dots: pages[number], builder, limits())
    assert builder.text.strip() == "Page number 2"
    (note,) = builder.notes
    assert note.startswith("pages 3-4 are scans: text recognition failed: ")
