"""Text in pictures and scanned pages is read when all else is searchable, and what waits for it is told."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from localsearch import Engine
from localsearch.extract import ocr, patient, recognises
from localsearch.extract.ocr import MISSING, WAITING
from localsearch.settings import ExtractSettings, load

needs_engine = pytest.mark.skipif(
    not recognises(ExtractSettings()), reason="no text recognition is installed"
)


def drawn(words: str) -> Image.Image:
    """Words in a picture that is no strip: an engine that enlarges strips reads four times the dots."""
    image = Image.new("L", (1100, 740), 255)
    ImageDraw.Draw(image).text((60, 330), words, fill=0, font_size=48)
    return image


def scanned_pdf(*pages: str) -> bytes:
    """A PDF of which the first page is written and the others are pictures of text, small: the engine looks at each dot."""
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(300, 200))
    canvas.drawString(50, 100, "A written page about lighthouses")
    canvas.showPage()
    for words in pages:
        canvas.drawImage(ImageReader(drawn(words)), 10, 10, width=270, height=180)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "mixed.pdf").write_bytes(scanned_pdf("Seven lanterns glow", "Nine kettles whistle"))
    (folder / "copy.pdf").write_bytes((folder / "mixed.pdf").read_bytes())
    drawn("A harbour in the morning").save(folder / "picture.png")
    Image.new("L", (400, 300), 200).save(folder / "wall.png")
    return folder


def found(engine: Engine, query: str) -> list[str]:
    return [Path(hit.path).name for hit in engine.search(query, mode="lexical").results]


@needs_engine
@pytest.mark.slow
def test_words_first_then_scans(tmp_path: Path, folder: Path) -> None:
    with Engine.open(tmp_path / "home") as engine:
        seen: list[tuple[str, list[str], str]] = []

        def report(progress: object) -> None:
            stage = getattr(progress, "stage", "")
            if stage == "read" and (
                row := engine.indexer.ledger.get("default", os.fsencode(folder / "mixed.pdf"))
            ):
                seen.append((row.rule, list(row.notes), ",".join(found(engine, "lanterns"))))

        outcome = engine.index(folder, embed=False, report=report)
        assert seen[-1] in [("", [], ""), ("image", [f"pages 2-3 are scans: {WAITING}"], "")]
        assert (outcome.files.new, outcome.files.skipped) == (3, 1)
        row = engine.why(folder / "mixed.pdf")[0]
        assert (row.state, row.rule, row.notes) == ("indexed", "", ())
        assert len(found(engine, "lanterns")) == 1
        assert len(found(engine, "lighthouses")) == 1
        (hit,) = engine.search("kettles", mode="lexical").results
        assert hit.location["page"] == 3
        assert found(engine, "harbour") == ["picture.png"]
        wall = engine.why(folder / "wall.png")[0]
        assert (wall.state, wall.reason) == ("skipped", "an image in which no text was recognised")
        again = engine.index(folder, embed=False)
        assert (again.files.unchanged, again.files.skipped, again.files.new) == (3, 1, 0)


@needs_engine
@pytest.mark.slow
def test_scans_wait_for_an_engine(tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "settings.toml").write_text('[extract]\nocr = "off"\n')
    with Engine.open(home) as engine:
        outcome = engine.index(folder, embed=False)
        assert (outcome.files.new, outcome.files.skipped) == (2, 2)
        row = engine.why(folder / "copy.pdf")[0]
        assert row.notes == (f"pages 2-3 are scans: {ocr.OFF}",)
        assert found(engine, "lanterns") == []
    (home / "settings.toml").write_text('[extract]\nocr = "auto"\n')
    with Engine.open(home) as engine:
        assert engine.index(folder, embed=False).files.unchanged == 2
        assert len(found(engine, "lanterns")) == 1
        assert found(engine, "harbour") == ["picture.png"]


def test_without_an_engine_it_is_told_what_to_install(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("PATH", "/nonexistent")
    (home / "settings.toml").write_text('[extract]\nocr_engine = "tesseract"\n')
    with Engine.open(home) as engine:
        engine.index(folder, embed=False)
        assert engine.why(folder / "mixed.pdf")[0].notes == (f"pages 2-3 are scans: {MISSING}",)
        assert MISSING in engine.why(folder / "picture.png")[0].reason


@needs_engine
def test_in_the_background(tmp_path: Path, folder: Path) -> None:
    with Engine.open(tmp_path / "home") as engine:
        engine.start_background()
        engine.index(folder)
        deadline = time.monotonic() + 300
        while not found(engine, "harbour") and time.monotonic() < deadline:
            time.sleep(0.2)
        assert found(engine, "harbour") == ["picture.png"]


def test_as_the_setting_was_written_before(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("[extract]\nocr = true\n")
    assert load(tmp_path).extract.ocr == "on"


def test_readers_of_scans_give_way_and_take_their_time() -> None:
    settings = patient(ExtractSettings(cpu_s=7, wall_s=9))
    assert (settings.niceness, settings.cpu_s, settings.wall_s, settings.recognise) == (10, 70, 90, "now")
