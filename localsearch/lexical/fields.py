"""What a word index is given of a chunk, as text: the slow part of indexing words, the same in whatever process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
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


def fields_of(chunks: Sequence[IndexedChunk], analyzer: Analyzer) -> list[Fields]:
    """As `fields` of each, sooner: the words of all that were not met before are learnt at once."""
    texts: defaultdict[str, list[str]] = defaultdict(list)
    for chunk in chunks:
        texts[chunk.language].append(chunk_text(chunk))
    for language, said in texts.items():
        analyzer.meet("\n".join(said), language)
    return [fields(chunk, analyzer) for chunk in chunks]


def _filled(plain: str, count: int) -> str:
    """Different plain words in order of their letters, then fillers, so many together."""
    words = sorted(set(plain.split()))
    filled = " ".join(words) + f" {FILLER}" * (count - len(words))
    return filled if words else filled[1:]
