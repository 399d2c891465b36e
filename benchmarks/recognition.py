"""Character error rate of text recognition: python -m benchmarks.recognition TRANSLATIONS [--engine NAME].

Pages are drawn from known sentences in four languages (benchmarks/translations.py says where they come from): clean,
degraded as a poor copy is (blurred, noisy, faint, slightly turned, saved as a JPEG), and turned by 90 and by 180 degrees.
The error is the edit distance between what was drawn and what was read, white space made even, over what was drawn.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import textwrap
import time
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from benchmarks.translations import pieces
from localsearch.extract import ocr
from localsearch.extract.limits import Limits

LANGUAGES = ("en", "de", "fr", "es")
CONDITIONS = ("clean", "degraded", "turned 90", "turned 180")
FONTS = ("DejaVuSerif.ttf", "DejaVuSans.ttf")
"""Of the package fonts-dejavu."""
CHARACTERS = 900
WIDTH, HEIGHT, MARGIN, SIZE = 1654, 1100, 120, 28
"""Half a page of A4 at 200 dots per inch, and letters of 10 points on it."""


def page(text: str, font: str) -> tuple[Image.Image, str]:
    """A page with the text, and the text as it stands there."""
    letters = ImageFont.truetype(font, SIZE)
    lines = textwrap.wrap(text, 84)
    image = Image.new("L", (WIDTH, HEIGHT), 255)
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + row * SIZE * 1.6), line, font=letters, fill=0)
    return image, " ".join(lines)


def under(condition: str, image: Image.Image, seed: int) -> bytes:
    """The page as a file, in one of CONDITIONS."""
    if condition.startswith("turned"):
        image = image.rotate(int(condition.split()[1]), expand=True)
    buffer = io.BytesIO()
    if condition == "degraded":
        image = image.rotate(
            random.Random(seed).uniform(-1.5, 1.5), fillcolor=255, resample=Image.Resampling.BICUBIC
        )
        image = image.filter(ImageFilter.GaussianBlur(1.1)).point(lambda level: 90 + level * 150 // 255)
        noise = Image.effect_noise(image.size, 38)
        image = Image.blend(image, noise, 0.22)
        image.save(buffer, "JPEG", quality=35)
    else:
        image.save(buffer, "PNG")
    return buffer.getvalue()


def distance(one: str, two: str) -> int:
    """Levenshtein's distance."""
    before = list(range(len(two) + 1))
    for row, sign in enumerate(one, 1):
        now = [row]
        for column, other in enumerate(two, 1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (sign != other)))
        before = now
    return before[-1]


def _even(text: str) -> str:
    """White space made one blank, and quotation marks straight: neither is an error of reading."""
    return " ".join(text.translate(str.maketrans("’‘“”„«»–—", '\'\'"""""--')).split())


def measure(name: str, root: Path, count: int, fonts: Path) -> dict[str, Any]:
    """Error rate by language and condition, and seconds of processor time for a page."""
    limits = Limits(10_000_000, 100_000_000, 10, 3, True, name)
    table: dict[str, dict[str, float]] = {}
    spent, pages = 0.0, 0
    for language in LANGUAGES:
        row = table[language] = {}
        texts = pieces(root, language, count, length=CHARACTERS)
        for condition in CONDITIONS:
            wrong = drawn = 0
            for index, text in enumerate(texts):
                image, wanted = page(text, str(fonts / FONTS[index % len(FONTS)]))
                data = under(condition, image, index)
                started = time.process_time() + ocr.children_s()
                found = ocr.recognise(data, limits)
                spent += time.process_time() + ocr.children_s() - started
                pages += 1
                wrong += distance(_even(wanted), _even(found))
                drawn += len(_even(wanted))
            row[condition] = round(wrong / max(1, drawn), 4)
    return {"error_rate": table, "cpu_s_a_page": round(spent / max(1, pages), 2), "pages": pages}


def main() -> None:
    """Measure the engines that are installed, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recognition", description=__doc__)
    parser.add_argument("translations", type=Path)
    parser.add_argument("--engine", choices=("rapidocr", "tesseract"), action="append")
    parser.add_argument("--count", type=int, default=4, help="pages of each language and condition")
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts/truetype/dejavu"))
    parser.add_argument("--out", type=Path, metavar="JSON")
    arguments = parser.parse_args()
    report = {
        name: measure(name, arguments.translations, arguments.count, arguments.fonts)
        for name in arguments.engine or ("rapidocr", "tesseract")
    }
    report["tesseract languages"] = {"installed": list(ocr.tesseract_languages())}
    print(json.dumps(report, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
