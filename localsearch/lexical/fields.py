"""What a word index is given of a chunk, as text: the slow part of indexing words, the same in whatever process."""

from __future__ import annotations

from typing import NamedTuple

from localsearch.lexical.stream import FILLER, about_stream, chunk_text, streams
from localsearch.text import Analyzer, worth_suggesting
from localsearch.types import IndexedChunk


class Fields(NamedTuple):
    """Terms in order, plain words that these do not tell, and all words worth suggesting, each divided by blanks."""

    text: str
    plain: str
    words: str


def fields(chunk: IndexedChunk, analyzer: Analyzer) -> Fields:
    """Take a chunk apart: what `streams` gives, by C of our own where it can."""
    taken = analyzer.taken(chunk_text(chunk), chunk.language)
    if taken is None:
        held = streams(chunk, analyzer)
        return Fields(" ".join(held.terms), " ".join(held.plain), " ".join(worth_suggesting(held.words)))
    terms, count, words, plain, _ = taken
    if chunk.about:
        said = about_stream(chunk, analyzer)
        terms = " ".join(filter(None, (terms, *said.terms)))
        count += len(said.terms)
        plain = " ".join((*plain.split(), *said.plain))
        words = " ".join({*words.split(), *worth_suggesting(said.words)})
    return Fields(terms, _filled(plain, count), words)


def _filled(plain: str, count: int) -> str:
    """Different plain words in order of their letters, then fillers, so many together."""
    words = sorted(set(plain.split()))
    return " ".join(words + [FILLER] * (count - len(words)))
