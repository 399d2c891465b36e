"""How a chunk becomes one stream of terms: BM25 over fields by repetition, so that any BM25 can score it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from localsearch.text import Analyzer
from localsearch.types import IndexedChunk

K1 = 1.2
B = 0.75
"""Tantivy's constants, which it does not let one change."""


FILLER = "="
"""A term that no word gives."""
MARK = "~"
"""What a word about a document begins with: no word of a text does, so that each is found and weighed by itself."""


def term_stream(chunk: IndexedChunk, analyzer: Analyzer) -> list[str]:
    """Title, heading path, body and file name as one list of terms.

    One stream with one length norm is BM25F with equal field lengths norms (Robertson, Zaragoza and Taylor 2004)
    rather than a sum of separate BM25 scores, which counts a word of both title and body twice.
    """
    language = chunk.language
    parts = (chunk.title, chunk.heading, chunk.body, chunk.path)
    return [term for part in parts if part for term in analyzer.terms(part, language)]


def about_stream(chunk: IndexedChunk, analyzer: Analyzer) -> list[str]:
    """Marked terms of the words about the document, in order, with a gap between values that no phrase reaches over."""
    values = [analyzer.terms(line, chunk.language) for line in chunk.about.split("\n") if line]
    return [term for terms in values for term in (*map(MARK.__add__, terms), FILLER)]


def about_words(chunk: IndexedChunk, marked: Iterable[str], analyzer: Analyzer) -> set[str]:
    """The plain words about the document, marked, without those whose stem is among the marked terms.

    The mark itself is one of them, so that an index can tell at once how many chunks have any.
    """
    if not chunk.about:
        return set()
    known = set(marked)
    words = analyzer.words(chunk.about)
    return {MARK, *(MARK + word for word in words if MARK + analyzer.stem(word) not in known)}


def plain_words(chunk: IndexedChunk, terms: Iterable[str], analyzer: Analyzer) -> tuple[set[str], set[str]]:
    """Everything by which a word of these can be asked for, folded: what the terms do not tell, then what they do.

    A query asks for the stem of each word in the default language, and for the word among the first: whatever language
    the chunk is in, whatever the word is a part of, one of them is there.
    """
    words = analyzer.words("\n".join((chunk.title, chunk.heading, chunk.body, chunk.path)))
    told = analyzer.told(words, set(terms))
    return words - told, told


def plain_stream(plain: set[str], terms: Sequence[str]) -> list[str]:
    """Plain words as a stream as long as that of the terms, so that BM25 takes the chunk to be as long in both."""
    return sorted(plain) + [FILLER] * (len(terms) - len(plain))
