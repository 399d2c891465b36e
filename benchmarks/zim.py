"""An offline encyclopaedia, from its file to answers: python -m benchmarks.zim [--articles N]

libzim writes a file of N articles of about 300 different words each, drawn by Zipf's law from a made-up vocabulary, with a
name of its own in each. Told are the seconds until all are searchable by words, the milliseconds of searches for such
names and of a preview, and how many of the searches found their article first.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from itertools import accumulate
from pathlib import Path
from typing import Any

from localsearch import Engine

WORDS, LENGTH, ASKED = 40_000, 600, 100
_SYLLABLES = [
    "ba",
    "den",
    "kor",
    "li",
    "mu",
    "nas",
    "po",
    "ri",
    "sel",
    "tan",
    "ur",
    "ve",
    "wim",
    "xa",
    "yo",
    "zed",
]


def vocabulary(numbers: random.Random) -> list[str]:
    """Different words of two to five syllables."""
    found: dict[str, None] = {}
    while len(found) < WORDS:
        found["".join(numbers.choices(_SYLLABLES, k=numbers.randint(2, 5)))] = None
    return list(found)


def write(path: Path, articles: int) -> list[str]:
    """A ZIM file; the names that its articles have."""
    from libzim.writer import Creator, Hint, Item, StringProvider

    numbers = random.Random(7)
    words = vocabulary(numbers)
    weights = list(accumulate(1 / rank for rank in range(1, WORDS + 1)))
    names = [f"Q{numbers.getrandbits(40):010x}" for _ in range(articles)]

    class Article(Item):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            super().__init__()
            text = " ".join(numbers.choices(words, cum_weights=weights, k=LENGTH))
            self.name = name
            self.page = f"<html><body><h1>{name}</h1><p>{text}</p></body></html>"

        def get_path(self) -> str:
            return f"A/{self.name}"

        def get_title(self) -> str:
            return self.name

        def get_mimetype(self) -> str:
            return "text/html"

        def get_contentprovider(self) -> StringProvider:
            return StringProvider(self.page)

        def get_hints(self) -> dict[Hint, int]:
            return {Hint.FRONT_ARTICLE: True}

    with Creator(str(path)).config_indexing(False, "en") as creator:
        creator.set_mainpath(f"A/{names[0]}")
        for name in names:
            creator.add_item(Article(name))
    return names


def measure(articles: int) -> dict[str, Any]:
    """Seconds and milliseconds, as the report tells them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encyclopaedia.zim"
        names = write(path, articles)
        with Engine.open(Path(folder) / "home") as engine:
            began = time.perf_counter()
            engine.index(path, embed=False)
            searchable = time.perf_counter() - began
            took: list[float] = []
            first = 0
            for name in names[:: max(1, len(names) // ASKED)]:
                began = time.perf_counter()
                answer = engine.search(name, mode="lexical")
                took.append(1000 * (time.perf_counter() - began))
                first += bool(answer.results) and answer.results[0].title == name
            began = time.perf_counter()
            engine.read(answer.results[0].id)
            preview = 1000 * (time.perf_counter() - began)
            documents = engine.status().documents
        return {
            "articles": articles,
            "megabytes": round(path.stat().st_size / 1e6, 1),
            "documents": documents,
            "seconds_to_searchable": round(searchable, 1),
            "search_ms": round(statistics.median(took), 2),
            "asked": len(took),
            "found_first": first,
            "preview_ms": round(preview, 2),
        }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.zim",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--articles", type=int, default=5000)
    parser.add_argument("--out", type=Path, metavar="JSON")
    arguments = parser.parse_args()
    report = measure(arguments.articles)
    written = json.dumps(report, indent=1)
    print(written)
    if arguments.out:
        arguments.out.write_text(written + "\n", "utf-8")
    return int(report["found_first"] < report["asked"])


if __name__ == "__main__":
    sys.exit(main())
