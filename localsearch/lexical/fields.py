"""What a word index is given of a chunk, as text: the slow part of indexing words, the same in whatever process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from localsearch.lexical.stream import chunk_text, streams
from localsearch.text import Analyzer, worth_suggesting
from localsearch.types import IndexedChunk


class Fields(NamedTuple):
    """Terms in order, plain words that these do not tell, and all words worth suggesting, each divided by blanks."""

    text: str
    plain: str
    words: str


def fields(chunk: IndexedChunk, analyzer: Analyzer) -> Fields:
    """Take a chunk apart: what `streams` gives, by C of our own where it can."""
    return fields_of([chunk], analyzer)[0]


def fields_of(chunks: Sequence[IndexedChunk], analyzer: Analyzer) -> list[Fields]:
    """As `fields` of each, sooner."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, chunk in enumerate(chunks):
        places[chunk.language].append(place)
    made: dict[int, Fields] = {}
    for language, here in places.items():
        texts = [(chunk_text(chunks[place]), chunks[place].about) for place in here]
        for place, taken in zip(here, analyzer.taken(texts, language), strict=True):
            made[place] = Fields._make(taken) if taken else _by_python(chunks[place], analyzer)
    return [made[place] for place in range(len(chunks))]


def _by_python(chunk: IndexedChunk, analyzer: Analyzer) -> Fields:
    held = streams(chunk, analyzer)
    return Fields(" ".join(held.terms), " ".join(held.plain), " ".join(worth_suggesting(held.words)))
