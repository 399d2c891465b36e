"""What a word index is given of a chunk, as text: the slow part of indexing words, the same in whatever process."""

from __future__ import annotations

from typing import NamedTuple

from localsearch.lexical.stream import streams
from localsearch.text import Analyzer
from localsearch.types import IndexedChunk


class Fields(NamedTuple):
    """Terms in order, plain words that these do not tell, and all words worth suggesting, each divided by blanks."""

    text: str
    plain: str
    words: str


def fields(chunk: IndexedChunk, analyzer: Analyzer) -> Fields:
    """Take a chunk apart (`streams`)."""
    held = streams(chunk, analyzer)
    return Fields(" ".join(held.terms), " ".join(held.plain), " ".join(filter(worth_suggesting, held.words)))


def worth_suggesting(word: str) -> bool:
    """Whether a word may complete or correct another: numbers and the shortest do not."""
    return 3 <= len(word) <= 40 and not word.isdigit()
