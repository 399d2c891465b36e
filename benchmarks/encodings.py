"""How often text without a declared encoding is decoded right: python -m benchmarks.encodings TRANSLATIONS.

TRANSLATIONS is a folder of message catalogues; benchmarks/translations.py says how to get one. Each piece is written in
the code pages that its language was written in, decoded, and held against the original, sign by sign.
"""

from __future__ import annotations

import argparse
import json
import time
import unicodedata
from collections import Counter
from pathlib import Path

from benchmarks.translations import pieces
from localsearch.extract.decode import clean, decode

WORDS = 8
LENGTHS = (60, 200, 600, 2000)
GROUPS: dict[str, tuple[str, str]] = {
    "western": ("de fr es it pt nl sv da no fi is ca eu gl id", "cp1252 iso8859-15"),
    "central European": ("pl cs hu sk sl hr ro sq", "cp1250 iso8859-2"),
    "Baltic": ("lt lv et", "cp1257 iso8859-13"),
    "Turkish": ("tr", "cp1254 iso8859-9"),
    "Greek": ("el", "cp1253 iso8859-7"),
    "Russian": ("ru", "cp1251 koi8-r cp866 iso8859-5"),
    "other Cyrillic": ("uk bg sr mk be", "cp1251"),
    "Ukrainian KOI8": ("uk", "koi8-u"),
    "Hebrew": ("he", "cp1255"),
    "Arabic": ("ar fa", "cp1256"),
    "Thai": ("th", "cp874"),
    "Japanese": ("ja", "cp932 euc_jp iso2022_jp"),
    "Chinese": ("zh", "gb18030 gb2312"),
    "Chinese, traditional": ("zh_TW", "big5"),
    "Korean": ("ko", "cp949 iso2022_kr"),
    "Vietnamese": ("vi", "cp1258"),
    "DOS, western": ("de fr es it sv da no", "cp850"),
    "DOS, central European": ("pl cs hu sk", "cp852"),
    "Macintosh": ("de fr es it sv", "mac-roman"),
    "UTF-8": ("de fr es pl cs tr ru el he ar th ja zh ko vi", "utf-8"),
}
"""Languages and the code pages they were written in."""


def main() -> None:
    """Print, and write where asked, the share that was decoded right by group and length."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encodings", description=__doc__)
    parser.add_argument("translations", type=Path)
    parser.add_argument("--count", type=int, default=40, help="pieces of each language and length")
    parser.add_argument("--out", type=Path, metavar="JSON")
    parser.add_argument("--wrong", action="store_true", help="show each piece that was decoded wrongly")
    arguments = parser.parse_args()
    started = time.process_time()
    table = measure(arguments.translations, arguments.count, arguments.wrong)
    report = {"right": table, "cpu_s": round(time.process_time() - started, 1), "count": arguments.count}
    print_table(table)
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")


def measure(root: Path, count: int, show: bool) -> dict[str, dict[str, list[int]]]:
    """Right and tried, by group and by length."""
    table: dict[str, dict[str, list[int]]] = {}
    for group, (languages, encodings) in GROUPS.items():
        row = table[group] = {}
        for length in (0, *LENGTHS):
            right: Counter[bool] = Counter()
            for language in languages.split():
                for text in pieces(root, language, count, length=length, words=0 if length else WORDS):
                    for encoding in encodings.split():
                        verdict = _is_right(text, encoding, show)
                        if verdict is not None:
                            right[verdict] += 1
            row[f"{length} characters" if length else f"{WORDS} words"] = [right[True], right.total()]
    return table


def _is_right(text: str, encoding: str, show: bool) -> bool | None:
    """Whether the text comes back; nothing where it cannot be written so, or has nothing to tell by."""
    form = "".join(map(_tone_apart, text)) if encoding == "cp1258" else text
    data = form.encode(encoding, "ignore")
    wanted = clean(data.decode(encoding))
    if (data.isascii() and not encoding.startswith("iso2022")) or len(wanted) < 0.97 * len(form):
        return None
    found, name = decode(data)
    wanted = unicodedata.normalize("NFC", wanted) if encoding == "cp1258" else wanted
    if found != wanted and show:
        print(f"{encoding} as {name}: {wanted[:90]!r} {found[:90]!r}")
    return found == wanted


def _tone_apart(letter: str) -> str:
    """A Vietnamese letter as cp1258 has it: the tone is a sign of its own, circumflex, breve and horn are not."""
    apart = unicodedata.decomposition(letter)
    if "<" in apart or not apart or letter in "âêôăơưđÂÊÔĂƠƯĐ":
        return letter
    return "".join(chr(int(code, 16)) for code in apart.split())


def print_table(table: dict[str, dict[str, list[int]]]) -> None:
    """The table, one line for each group."""
    for group, row in table.items():
        cells = (
            f"{name} {right}/{tried} {right / max(1, tried):.1%}" for name, (right, tried) in row.items()
        )
        print(f"{group:24}", " | ".join(cells))


if __name__ == "__main__":
    main()
