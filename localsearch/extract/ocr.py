"""Text in pictures and scanned pages: by RapidOCR, a package with its models, or by the program tesseract.

Both run in the confined worker with one thread. RapidOCR needs the extra [ocr]; tesseract reads the languages whose
data are installed.
"""

from __future__ import annotations

import io
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from localsearch.extract.builder import Builder, pages
from localsearch.extract.decode import clean
from localsearch.extract.limits import Limits, failure
from localsearch.types import Place

if TYPE_CHECKING:
    from PIL.Image import Image

DOTS_PER_INCH = {"tesseract": 300, "rapidocr": 200}
"""Resolution at which a page is drawn: as tesseract's documentation advises; RapidOCR looks at 2,000 pixels at most."""
LONGEST_SIDE = 4000
"""Pixels of the longer side of a picture that is looked at; a larger one is made smaller."""
SHARE_OF_TIME = 0.7
"""Share of the processor time for a file after which no further page is begun, so that what was read is kept."""
OFF = "text recognition is off: set extract.ocr = \"auto\" and pip install 'localsearch[ocr]'"
MISSING = "no text recognition is installed: pip install 'localsearch[ocr]', or install the program tesseract"
WAITING = "text recognition follows when all else is read and embedded"
_UPRIGHT = 0.9
"""Mean certainty of recognised lines from which a picture is taken to stand upright."""


def engine(limits: Limits) -> str:
    """Which of the two recognises text here, "rapidocr" or "tesseract"; "" where it is off or not installed."""
    if not limits.ocr:
        return ""
    there = {
        "rapidocr": find_spec("rapidocr") is not None,
        "tesseract": shutil.which("tesseract") is not None,
    }
    wanted = there if limits.ocr_engine == "auto" else [limits.ocr_engine]
    return next((name for name in wanted if there[name]), "")


def why_not(limits: Limits) -> str:
    """Why nothing is recognised now, and what to do."""
    if not limits.ocr:
        return OFF
    return WAITING if engine(limits) else MISSING


def recognise(image: bytes, limits: Limits) -> str:
    """Text in an image file's bytes; ExtractionError when there is no engine, or it refuses the image."""
    name = engine(limits)
    if not name or limits.ocr_later:
        raise failure("image", f"an image; {why_not(limits)}")
    return "\n\n".join(text for text in map(_READERS[name], _frames(image)) if text)


def recognise_pages(
    numbers: list[int], draw: Callable[[int, int], bytes], builder: Builder, limits: Limits
) -> None:
    """Append the text of pages that are pictures, one after the other, with their numbers.

    `draw(number, dots_per_inch)` gives a page as an image file. Pages that were not read, for want of an engine or of
    time, are told in a note.
    """
    name = engine(limits)
    if not name or limits.ocr_later:
        builder.notes.append(f"{scans(numbers)}: {why_not(limits)}")
        builder.scans = True
        return
    deadline = time.process_time() + SHARE_OF_TIME * limits.cpu_s
    blank: list[int] = []
    for index, number in enumerate(numbers):
        if index and time.process_time() + children_s() > deadline:
            builder.notes.append(
                f"{scans(numbers[index:])}: not read in the time for a file; raise extract.cpu_s"
            )
            break
        try:
            text = recognise(draw(number, DOTS_PER_INCH[name]), limits)
        except (
            Exception
        ) as error:  # what was read before it is kept; an engine without memory raises what it likes
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            builder.notes.append(f"{scans(numbers[index:])}: text recognition failed: {reason[0][:200]}")
            break
        builder.add(text, place=Place(page=number))
        blank += [] if text.strip() else [number]
    if blank:
        builder.notes.append(f"{scans(blank)}: no text was recognised")


def scans(numbers: list[int]) -> str:
    """Which pages are scans, in words: "pages 3-5, 9 are scans"."""
    return f"{pages(numbers)} {'are scans' if len(numbers) > 1 else 'is a scan'}"


def children_s() -> float:
    """Processor time of the programs that were run."""
    times = os.times()
    return times.children_user + times.children_system


def _frames(image: bytes) -> Iterator[Image]:
    """The pictures in an image file, upright as its EXIF says, as grey or colours without transparency."""
    from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = 200_000_000
    try:
        with Image.open(io.BytesIO(image)) as file:
            pages = getattr(file, "n_frames", 1) if file.format == "TIFF" else 1
            for index, frame in enumerate(ImageSequence.Iterator(file)):
                if index >= pages:
                    break
                upright = ImageOps.exif_transpose(frame)
                upright.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
                yield _flat(upright)
    except UnidentifiedImageError:
        raise failure("damaged", "an image of a format that is not known, or a damaged one") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise failure("damaged", f"a damaged image: {error}") from None


def _flat(image: Image) -> Image:
    """The image on white: text on a transparent ground is black on black otherwise."""
    from PIL import Image as images

    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = images.new("RGBA", layer.size, "white")
        return images.alpha_composite(ground, layer).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L", "I", "I;16") else "RGB")


class _Line(NamedTuple):
    """A recognised line: where it stands in pixels, how sure, and its text."""

    left: float
    top: float
    width: float
    height: float
    sure: float
    text: str


@cache
def _rapid() -> Any:
    """RapidOCR with the models in its package, on one thread, silent."""
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,  # it turns line by line; here the page is turned, which keeps their order
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _by_rapidocr(image: Image) -> str:
    """Text in an image; of one that lies on its side, in the direction in which it is read with most certainty."""
    best = _rapid_lines(image)
    if _stands(best):
        best = max((_rapid_lines(image.rotate(angle, expand=True)) for angle in (90, 270)), key=_read)
    elif _certainty(best) < _UPRIGHT:
        best = max(best, _rapid_lines(image.rotate(180)), key=_read)
    return clean(_ordered(best))


def _read(lines: list[_Line]) -> float:
    """How much was read, by how surely."""
    return _certainty(lines) * sum(len(line.text) for line in lines)


def _rapid_lines(image: Image) -> list[_Line]:
    import numpy as np

    found = _rapid()(np.asarray(image.convert("RGB"))[:, :, ::-1])
    if found.boxes is None:
        return []
    lines = []
    for box, text, sure in zip(found.boxes, found.txts, found.scores):
        (left, top), (right, bottom) = box.min(axis=0), box.max(axis=0)
        lines.append(_Line(left, top, right - left, bottom - top, sure, text))
    return lines


def _certainty(lines: list[_Line]) -> float:
    return statistics.fmean(line.sure for line in lines) if lines else 0.0


def _stands(lines: list[_Line]) -> bool:
    """Whether most lines are higher than wide, as those of a page on its side are."""
    return bool(lines) and sum(line.height > 1.5 * line.width for line in lines) * 2 > len(lines)


def _ordered(lines: list[_Line]) -> str:
    """Lines from top to bottom, pieces of one line from left to right; a gap of a line's height ends a paragraph."""
    rows: list[list[_Line]] = []
    for line in sorted(lines, key=lambda line: line.top + line.height / 2):
        middle = line.top + line.height / 2
        last = rows[-1][0] if rows else None
        if last is not None and abs(middle - last.top - last.height / 2) < 0.5 * min(
            line.height, last.height
        ):
            rows[-1].append(line)
        else:
            rows.append([line])
    text, end = "", 0.0
    for row in rows:
        row.sort(key=lambda line: line.left)
        top = min(line.top for line in row)
        gap = top - end > 1.0 * row[0].height
        text += ("\n\n" if gap else "\n") if text else ""
        text += " ".join(line.text for line in row)
        end = max(line.top + line.height for line in row)
    return text


@cache
def tesseract_languages() -> tuple[str, ...]:
    """The languages that tesseract has data for, English first; its orientation data are none."""
    program = shutil.which("tesseract")
    if program is None:
        return ()
    done = subprocess.run([program, "--list-langs"], capture_output=True, text=True, check=False)
    found = [line.strip() for line in done.stdout.splitlines()[1:] if line.strip() and line.strip() != "osd"]
    return tuple(sorted(found, key=lambda name: (name != "eng", name)))


def _by_tesseract(image: Image) -> str:
    """Text in an image by all installed languages, turned upright where its orientation data are installed."""
    program = shutil.which("tesseract")
    if program is None:
        raise failure("image", f"an image; {MISSING}")
    languages = "+".join(tesseract_languages()) or "eng"
    with _portable(image) as (data, dots):
        command = [program, "stdin", "stdout", "-l", languages, "--psm", "1", "--dpi", str(dots)]
        done = _run(command, data)
        if done.returncode:
            done = _run([*command[:-4], "--psm", "3", "--dpi", str(dots)], data)  # without orientation data
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise failure("damaged", f"tesseract could not read it: {words[-1] if words else done.returncode}")
    return clean(done.stdout.decode("utf-8", "replace")).replace("\f", "").strip()


def _run(command: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    threads = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    return subprocess.run(command, input=data, capture_output=True, check=False, env=threads)


@contextmanager
def _portable(image: Image) -> Iterator[tuple[bytes, int]]:
    """The image as a portable pixel map, which needs no decoder, and its resolution."""
    buffer = io.BytesIO()
    image.convert("L").save(buffer, "PPM")
    yield buffer.getvalue(), DOTS_PER_INCH["tesseract"]


_READERS: dict[str, Callable[[Image], str]] = {"rapidocr": _by_rapidocr, "tesseract": _by_tesseract}
