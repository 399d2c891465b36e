"""How a chunk becomes one stream of terms: BM25 over fields by repetition, so that any BM25 can score it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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


@dataclass(frozen=True, slots=True)
class Streams:
    """What an index holds of a chunk.

    `terms` are those of title, heading path, body and file name, then marked ones about the document. `plain` are the
    words that these do not tell, marked where they are about the document, with fillers: a stream as long as the terms,
    so that BM25 takes the chunk to be as long in both. `words` is everything by which a word can be asked for, folded.
    """

    terms: list[str]
    plain: list[str]
    words: set[str]


def chunk_text(chunk: IndexedChunk) -> str:
    """What the words of a chunk are in, without those about its document."""
    return "\n".join((chunk.title, chunk.heading, chunk.body, chunk.path))


def streams(chunk: IndexedChunk, analyzer: Analyzer) -> Streams:
    """Take a chunk apart, as `term_stream` does, and what it is about."""
    text = analyzer.entries(chunk_text(chunk), chunk.language)
    terms, plain, words = list(text.terms), set(text.plain), set(text.told).union(text.plain)
    if chunk.about:
        said = about_stream(chunk, analyzer)
        terms += said.terms
        plain |= said.plain
        words |= said.words
    return Streams(terms, sorted(plain) + [FILLER] * (len(terms) - len(plain)), words)


class About(NamedTuple):
    """Marked terms of the words about a document, marked plain words that these do not tell, and all words."""

    terms: list[str]
    plain: set[str]
    words: set[str]


def about_stream(chunk: IndexedChunk, analyzer: Analyzer) -> About:
    """Take apart what a chunk tells about its document: in order, a gap between values for phrases.

    The mark itself is one of the plain words, so that an index can tell at once how many chunks have any.
    """
    values = [analyzer.terms(line, chunk.language) for line in chunk.about.split("\n") if line]
    marked = [term for terms in values for term in (*map(MARK.__add__, terms), FILLER)]
    words, known = analyzer.words(chunk.about), set(marked)
    plain = {MARK, *(MARK + word for word in words if MARK + analyzer.stem(word) not in known)}
    return About(marked, plain, words)
