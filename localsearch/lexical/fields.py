"""What a word index is given of a chunk, as text: the slow part of indexing words, the same in whatever process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from localsearch.lexical.stream import chunk_text, streams
from localsearch.text import Analyzer, Taken, worth_suggesting
from localsearch.types import IndexedChunk

Fields = Taken
"""Terms in order, plain words that these do not tell, and all words worth suggesting, each divided by blanks."""


def fields(chunk: IndexedChunk, analyzer: Analyzer) -> Fields:
    """Take a chunk apart: what `streams` gives, by C of our own where it can."""
    return fields_of([chunk], analyzer)[0]


def fields_of(chunks: Sequence[IndexedChunk], analyzer: Analyzer) -> list[Fields]:
    """As `fields` of each, sooner."""
    made: list[Fields | None] = [None] * len(chunks)
    for language, places in _by_language(chunks).items():
        texts = [(chunk_text(chunk), chunk.about) for chunk in map(chunks.__getitem__, places)]
        for place, taken in zip(places, analyzer.taken(texts, language), strict=True):
            made[place] = taken
    return [taken or _by_python(chunk, analyzer) for taken, chunk in zip(made, chunks, strict=True)]


def _by_language(chunks: Sequence[IndexedChunk]) -> dict[str, list[int]]:
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, chunk in enumerate(chunks):
        places[chunk.language].append(place)
    return places


def _by_python(chunk: IndexedChunk, analyzer: Analyzer) -> Fields:
    held = streams(chunk, analyzer)
    return Fields(" ".join(held.terms), " ".join(held.plain), " ".join(worth_suggesting(held.words)))
