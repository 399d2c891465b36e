"""Every word that stands in a document finds it by words alone: python -m benchmarks.words [FOLDER ...] [--sample N] [--mixed N]

Each FOLDER is a judged collection (BEIR layout) or a folder of files; all go into one index. Every word of every document
is then asked for alone: as it stands, in small letters, in capitals, without its accents, and in quotes. Words are what
a double click selects (Unicode Standard Annex 29), words joined by hyphens, and the parts of composed words.

--sample N takes N documents of each folder. --mixed N asks, through the library's public search, only as it stands, in
an index of N documents of as many languages as there are, most of them in English.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import regex

from localsearch import Engine, Record
from localsearch.search.context import QueryContext
from localsearch.search.query import SearchQuery
from localsearch.text import detect_language

_SEGMENT = regex.compile(r"(?w).+?\b", regex.DOTALL)
_HYPHENED = regex.compile(r"(?<![\w.,:'’-])\w+(?:[-‐‑]\w+)+(?![.,:'’-]?\w)")
_PART = regex.compile(r"[^\W_]+")
_HUMP = regex.compile(r"(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll}\p{Ll})")
_WAYS = ("as it stands", "small", "capitals", "without accents", "in quotes")


@dataclass(frozen=True, slots=True)
class Counts:
    """What was asked and what was not found; `failures` is queries that miss a document, `examples` some of them."""

    documents: int
    languages: int
    words: int
    queries: int
    failures: int
    examples: tuple[tuple[str, str, str], ...] = ()


@lru_cache(1_000_000)
def _is_word(segment: str) -> bool:
    """A segment with a letter, a digit, or a sign that has a meaning by itself: an emoji, §, a currency."""
    return any(c.isalnum() or c == "§" or (ord(c) > 127 and _is_sign(c)) for c in segment)


def _is_sign(character: str) -> bool:
    drawn = (
        "\u2500" <= character <= "\u259f" or character == "\ufffd"
    )  # tables and bars; what could not be read
    return unicodedata.category(character) in ("So", "Sc") and not drawn


def words_of(text: str) -> set[str]:
    """What a person sees as words: segments of Annex 29, words joined by hyphens, and parts of either."""
    found = {segment for segment in _SEGMENT.findall(text) if _is_word(segment)}
    found.update(word for word in _HYPHENED.findall(text) if _spaced(word))
    parts = {part for word in found if not word.isalpha() for part in _PART.findall(word)}
    humps = {hump for word in found | parts if word.isalpha() for hump in _HUMP.split(word)}
    return {word for word in found | parts | humps if len(word) <= 100 and _is_word(word)}


def _spaced(word: str) -> bool:
    """Whether its script puts spaces between words."""
    return not regex.search(
        r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]", word
    )


def ways(word: str) -> Iterator[tuple[str, str]]:
    """How a word may be typed."""
    bare = "".join(
        c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c) != "Mn" or not _latin(word)
    )
    typed = (word, word.lower(), word.upper(), unicodedata.normalize("NFC", bare), f'"{word}"')
    yield from zip(_WAYS, typed, strict=True)


def _latin(word: str) -> bool:
    """Whether marks of the word's letters are accents: in Indic, Thai and Japanese text they are letters."""
    return all(ord(c) < 0x0600 or 0x1E00 <= ord(c) < 0x2000 for c in word)


def check(engine: Engine, documents: Mapping[int, str]) -> Counts:
    """Ask for every word of these texts, by the id of their document, in every way."""
    holders: defaultdict[str, set[int]] = defaultdict(set)
    for document, text in documents.items():
        for word in words_of(text):
            holders[word].add(document)
    asked: defaultdict[str, set[int]] = defaultdict(set)
    origin: dict[str, tuple[str, str]] = {}
    for word, held in holders.items():
        for way, typed in ways(word):
            asked[typed] |= held
            origin.setdefault(typed, (way, word))
    failed = [typed for typed, held in asked.items() if not _finds(engine, typed, held)]
    examples = tuple((origin[typed][0], origin[typed][1], typed) for typed in failed[:200])
    languages = {detect_language(text) for text in documents.values()} - {""}
    return Counts(len(documents), len(languages), len(holders), len(asked), len(failed), examples)


def _finds(engine: Engine, typed: str, held: set[int]) -> bool:
    plan = engine.searcher.planner.plan(QueryContext(SearchQuery(typed, mode="lexical")))
    among = np.array(sorted(held), np.int64)
    if plan.documents is not None:
        among = np.intersect1d(among, plan.documents)
    return len(among) == len(held) == len(engine.derived.lexical.matching(plan.words, among))


def fill(engine: Engine, folders: Iterable[Path], sample: int = 0) -> None:
    """Put judged collections and folders of files into one index."""
    for folder in folders:
        records = list(_records(folder)) if (folder / "corpus.jsonl").is_file() else []
        if records:
            engine.add(_some(records, sample))
        else:
            files = sorted(file for file in folder.rglob("*") if file.is_file())
            engine.index(_some(files, sample), embed=False)


def texts(engine: Engine) -> dict[int, str]:
    """The text of every document: title, headings, passages, without the name of its file."""
    corpus = engine.corpus
    found: defaultdict[int, list[str]] = defaultdict(list)
    for passage in corpus.indexed_chunks(corpus.document_ids()):
        found[passage.document_id] += [passage.title, passage.heading, passage.body]
    return {document: "\n".join(parts) for document, parts in found.items()}


def _records(folder: Path) -> Iterator[Record]:
    with (folder / "corpus.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("text"):
                yield Record(text=row["text"], title=row.get("title", ""), id=f"{folder.name}/{row['_id']}")


def _some(things: list[Any], count: int) -> list[Any]:
    return random.Random(7).sample(things, count) if 0 < count < len(things) else things


# --- a mixture of languages


def mixture(records: list[Record], size: int) -> list[Record]:
    """So many documents: up to five of each other language, the rest English."""
    random.Random(7).shuffle(records)
    spoken: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        spoken[detect_language(record.text)].append(record)
    others = [
        record
        for language, rows in sorted(spoken.items())
        if language not in ("", "en")
        for record in rows[:5]
    ]
    return others + spoken["en"][: size - len(others)]


def share_found(engine: Engine, records: list[Record]) -> dict[str, tuple[int, int]]:
    """Of each language the words asked for and those found, through the public search."""
    shares: dict[str, tuple[int, int]] = {}
    found: dict[str, set[str]] = {}
    for record in records:
        language = detect_language(record.text)
        asked, hits = shares.get(language, (0, 0))
        for word in sorted(words_of(f"{record.title}\n{record.text}")):
            if word not in found:
                results = engine.search(word, mode="lexical", limit=len(records)).results
                found[word] = {hit.id for hit in results}
            asked, hits = asked + 1, hits + (record.id in found[word])
        shares[language] = asked, hits
    return shares


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--sample", type=int, default=0, help="documents of each folder (0: all)")
    parser.add_argument(
        "--mixed", type=int, default=0, help="only the share of words found in so many documents"
    )
    parser.add_argument("--out", type=Path, help="a file for the counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, Engine.open(home) as engine:
        fill(engine, options.folders, options.sample)
        if options.mixed:
            stored = [
                Record(text=text, id=str(document))
                for document, text in texts(engine).items()
                if text.strip()
            ]
            counts = _mixed(mixture(stored, options.mixed))
        else:
            counts = asdict(check(engine, texts(engine)))
            print(Counter(way for way, _, _ in counts["examples"]), file=sys.stderr)
    written = json.dumps(counts, indent=1, ensure_ascii=False)
    if options.out:
        options.out.write_text(written + "\n", "utf-8")
    print(written)
    return int(counts["failures"] > 0)


def _mixed(records: list[Record]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home, Engine.open(home) as engine:
        engine.add(records)
        shares = share_found(engine, records)
    asked, found = (sum(column) for column in zip(*shares.values(), strict=True))
    return {
        "documents": len(records),
        "languages": dict(Counter(detect_language(record.text) for record in records)),
        "words": asked,
        "failures": asked - found,
        "share_found": round(found / asked, 5),
        "by_language": {language: round(hits / of, 4) for language, (of, hits) in sorted(shares.items())},
    }


if __name__ == "__main__":
    sys.exit(main())
