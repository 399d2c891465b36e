"""Cut a document into chunks on its own structure, with exact character offsets.

Told in the order it happens: blocks (headings, paragraphs, tables, code) become *units* that are never cut (a
sentence, a line, a word); blocks under one heading become a *section*; small neighbouring sections of one parent become
a *group*; and each group is packed into chunks of even length, the end of one repeated at the start of the next.
Everything is linear in the length of the text.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from math import ceil
from typing import NamedTuple

from localsearch.extract.lines import Lines
from localsearch.extract.units import (
    BY_LINE,
    REPEATED,
    Cutter,
    Passage,
    Told,
    Units,
    available,
    section_key,
    told_of,
)
from localsearch.settings import ChunkSettings
from localsearch.types import Block, Chunk, Extract, Place

# Word pieces that the WordPiece vocabulary of BERT (uncased English, 30,522 pieces) makes of text, as a linear model
# over counts, fitted on abstracts, questions, manuals, source code, German and Chinese; see docs/decisions/chunking.md.
PER_WORD = 1.15
PER_LETTER = 0.072
PER_COMMON_WORD = -0.98
PER_NUMBER = 1.2
PER_MARK = 1.03
PER_IDEOGRAPH = 1.0
PER_ACCENT = 5.0
PER_LETTER_ELSEWHERE = 0.9

_LETTERS = string.ascii_letters.encode()
_DIGITS = string.digits.encode()
_SIGNS = string.punctuation.encode()
_ONLY_LETTERS = bytes(code if code in _LETTERS else 32 for code in range(256))
_ONLY_DIGITS = bytes(code if code in _DIGITS else 32 for code in range(256))
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_IDEOGRAPHS = re.compile(r"[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef]")
_ACCENTS = re.compile(r"[\u00c0-\u024f]")
_COMMON_WORDS = """
the of and to in a is that for it as was with be by on not he i his but at are this have from or had an they which one
you were all her she there would their we him been has when who will no more if out so up said what its about than into
them can only other time new some could these two may first then do any like my now over such our me even most made
after also did many The In A It This We
"""
_COMMON = frozenset(_COMMON_WORDS.encode().split())

# A border after which a chunk may end. The pattern begins with one set of characters, which is what makes the search
# fast, and no alternative can match again one character on: so no text makes it slower than linear.
_SENTENCE_END = re.compile(
    r"[.!?…。！？\n](?:"
    r"(?<=[.!?…])(?<![.!?…]{2})[.!?…]*+[\"'”’»)\]]*+\s++(?![a-z])"
    r"|(?<=[。！？])(?<![。！？]{2})[。！？]*+[”’」』）]*+\s*+"
    r"|(?<=\n)[^\S\n]*+\n\s*+"
    r"|(?<=\n)(?=[^\S\n]*+(?:[-*+•]|\d{1,3}[.)])[^\S\n])"
    r")"
)
_LINE_END = re.compile(r"\n\s*+")
_WORD_END = re.compile(r"\s(?<!\s{2})\s*+")
_CLAUSE_END = re.compile(r"[,;:，、；：}{><&=|]")


WORDS_AT_A_TIME = 8
"""Words kept together where a sentence is too long for a passage: borders need not be found finer."""


def estimate(text: str) -> float:
    """Estimate the word pieces of a text, within about a tenth on a chunk; additive over its words."""
    octets = text.encode("utf-8", "replace")
    words = octets.translate(_ONLY_LETTERS).split()
    pieces = PER_WORD * len(words) + PER_COMMON_WORD * sum(map(_COMMON.__contains__, words))
    rest = octets.translate(None, _LETTERS)
    pieces += PER_LETTER * (len(octets) - len(rest))
    if len(rest.translate(None, _DIGITS)) < len(rest):
        pieces += PER_NUMBER * len(octets.translate(_ONLY_DIGITS).split())
    pieces += PER_MARK * (len(rest) - len(rest.translate(None, _SIGNS)))
    return pieces if len(octets) == len(text) else pieces + _estimate_beyond_ascii(text)


def _estimate_beyond_ascii(text: str) -> float:
    rest = "".join(_BEYOND_ASCII.findall(text))
    ideographs, accents = len(_IDEOGRAPHS.findall(rest)), len(_ACCENTS.findall(rest))
    elsewhere = len(rest) - ideographs - accents
    return PER_IDEOGRAPH * ideographs + PER_ACCENT * accents + PER_LETTER_ELSEWHERE * elsewhere


class _Unit(NamedTuple):
    """What is never cut: `text[start:end]`, its estimated pieces, its block, and whether a paragraph starts here."""

    start: int
    end: int
    cost: float
    block: Block
    opens: bool


@dataclass(frozen=True, slots=True)
class _Section:
    """Consecutive units under one heading on one page."""

    heading: tuple[str, ...]
    fixed: tuple[object, ...]
    units: list[_Unit]
    cost: float


def chunk(extract: Extract, settings: ChunkSettings) -> tuple[Chunk, ...]:
    """Cut a document into chunks of at most `settings.tokens` estimated word pieces.

    Chunks are in order, cover everything but white space, and begin and end at sentence, line or word borders;
    a word is cut only where it alone is longer than a chunk. Neighbours in one section share up to
    `settings.overlap` pieces of whole sentences. Line numbers count on from those of the block.
    """
    blocks = list(_covering(extract))
    lines = Lines(extract.text)
    return tuple(
        Chunk(start, end, lines.place(start, blocks[number], depth))
        for start, end, number, depth in _passages(extract.text, blocks, settings)
    )


def _covering(extract: Extract) -> Iterator[Block]:
    """The blocks, and a paragraph for any text that no block names."""
    text, last = extract.text, Block(0, 0)
    for block in (*extract.blocks, Block(len(text), len(text))):
        if text[last.end : block.start].strip():
            yield Block(last.end, block.start, "paragraph", _after(last, text))
        if block.end > block.start:
            yield block
        last = block


def _after(block: Block, text: str) -> Place:
    """The place right after a block."""
    line = block.place.line
    return replace(
        block.place, line=None if line is None else line + text.count("\n", block.start, block.end)
    )


def told_passages(text: str, told: Told, settings: ChunkSettings) -> list[Passage] | None:
    """The passages of blocks that C has been told of and cover the text; None where Python has to cut them."""
    cutter, (limit, overlap) = _cutter(), _bounds(settings)
    units = cutter.cut(text, told, limit) if cutter else None
    return units.passages(limit, overlap) if units else None


def _bounds(settings: ChunkSettings) -> tuple[int, int]:
    """Estimated pieces of a passage at most, and those that it may share with the one before it."""
    limit = max(8, settings.tokens)
    return limit, min(settings.overlap, limit // 4)


def _passages(text: str, blocks: Sequence[Block], settings: ChunkSettings) -> Iterable[Passage]:
    """Where passages start and end, each with the block it starts in and the depth of its heading.

    By C of our own where that can tell.
    """
    cutter, (limit, overlap) = _cutter(), _bounds(settings)
    units = cutter.cut(text, told_of(blocks), limit) if cutter else None
    found = units.passages(limit, overlap) if units else None
    return _packed(text, blocks, units, limit, overlap) if found is None else found


def _packed(
    text: str, blocks: Sequence[Block], cut: Units | None, limit: int, overlap: int
) -> Iterator[Passage]:
    """The passages, by Python."""
    numbers = {id(block): number for number, block in enumerate(blocks)}
    for heading, units in _groups(_sections(text, blocks, cut, limit), limit):
        for start, end in _pack(units, limit, overlap):
            yield units[start].start, units[end - 1].end, numbers[id(units[start].block)], len(heading)


def _sections(text: str, blocks: Sequence[Block], cut: Units | None, limit: int) -> Iterator[_Section]:
    found = zip(blocks, _cut(text, blocks, cut, limit), strict=True)
    for (heading, fixed), members in groupby(found, key=lambda pair: section_key(pair[0].place)):
        units = [unit for _, found in members for unit in found]
        if units:
            yield _Section(heading, fixed, units, _total(units))


def _total(units: Iterable[_Unit]) -> float:
    """Their costs one after the other: from Python 3.12 on sum() is more exact, and C is not."""
    total = 0.0
    for unit in units:
        total += unit.cost
    return total


def _cut(text: str, blocks: Sequence[Block], cut: Units | None, limit: int) -> Sequence[Sequence[_Unit]]:
    """The units of each block, of those that C has cut where it has."""
    if cut is None:
        return [list(_units(text, block, limit)) for block in blocks]
    units: list[list[_Unit]] = [[] for _ in blocks]
    new = tuple.__new__  # a third of the time of the class itself
    for start, end, number, over, cost in cut:
        own = units[number]
        if over:
            own += _split_long(text, start, end, blocks[number], limit)
        else:
            own.append(new(_Unit, (start, end, cost, blocks[number], not own)))
    return units


@cache
def _cutter() -> Cutter | None:
    """What cuts by our own C; None where the kernels are not there."""
    weights = (
        *(PER_WORD, PER_COMMON_WORD, PER_LETTER, PER_NUMBER, PER_MARK),
        *(PER_IDEOGRAPH, PER_ACCENT, PER_LETTER_ELSEWHERE),
    )
    return Cutter(weights, sorted(_COMMON)) if available() else None


def _groups(sections: Iterable[_Section], limit: int) -> Iterator[tuple[tuple[str, ...], list[_Unit]]]:
    """Join small neighbouring sections that share a parent; the group's heading is what they have in common."""
    held: _Section | None = None
    for section in sections:
        if held is not None and _may_join(held, section, limit):
            heading = _common(held.heading, section.heading)
            held = _Section(heading, held.fixed, held.units + section.units, held.cost + section.cost)
            continue
        if held is not None:
            yield held.heading, held.units
        held = section
    if held is not None:
        yield held.heading, held.units


def _may_join(held: _Section, section: _Section, limit: int) -> bool:
    if held.fixed != section.fixed or held.cost + section.cost > limit:
        return False
    if min(held.cost, section.cost) > limit / 3:
        return False
    shared = len(_common(held.heading, section.heading))
    return shared >= min(len(held.heading), len(section.heading)) - 1


def _common(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    shared = 0
    for left, right in zip(a, b):
        if left != right:
            break
        shared += 1
    return a[:shared]


def _pack(units: Sequence[_Unit], limit: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Ranges of units, each within the limit and of about even cost, later ones starting with what ended the last."""
    left, count = _total(units), len(units)
    at, start = 0, -1
    while at < count:
        start = _with_overlap(units, start + 1, at, limit, overlap)
        cost = _total(units[start:at])
        repeated = cost
        goal = repeated + left / max(1, ceil(left / (limit - repeated)))
        end = at
        while end < count:
            unit = units[end]
            more = cost + unit.cost
            if end > at and (
                more > limit or cost + unit.cost / 2 > goal or (unit.opens and cost > 0.8 * goal)
            ):
                break
            cost, end = more, end + 1
        left -= cost - repeated
        yield start, end
        at = end


def _with_overlap(units: Sequence[_Unit], first: int, at: int, limit: int, overlap: int) -> int:
    """Where a chunk that has its first new unit at `at` begins, so that it repeats at most `overlap` pieces.

    Not before `first`: a chunk that began where the one before it does would hold all of that.
    """
    start, room = at, min(overlap, limit - units[at].cost)
    while start > first and units[start - 1].block.kind in REPEATED:
        room -= units[start - 1].cost
        if room < 0:
            break
        start -= 1
    return start


def _units(text: str, block: Block, limit: int) -> Iterator[_Unit]:
    borders = _LINE_END if block.kind in BY_LINE else _SENTENCE_END
    opens = True
    for start, end in _split(text, block.start, block.end, borders):
        cost = estimate(text[start:end])
        if cost <= limit:
            yield _Unit(start, end, cost, block, opens)
        else:
            yield from _split_long(text, start, end, block, limit)
        opens = False


def _split(text: str, start: int, end: int, borders: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Spans between borders, without the white space around them."""
    at = start
    for border in borders.finditer(text, start, end):
        span = _stripped(text, at, border.end())
        if span is not None:
            yield span
        at = border.end()
    span = _stripped(text, at, end)
    if span is not None:
        yield span


def _stripped(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    bare = piece.strip()
    if not bare:
        return None
    if len(bare) == len(piece):
        return start, end
    start += len(piece) - len(piece.lstrip())
    return start, start + len(bare)


def _split_long(text: str, start: int, end: int, block: Block, limit: int) -> Iterator[_Unit]:
    """A sentence or line over the limit, by a few words at a time; a word over the limit, by clauses and characters."""
    opens = True
    for span in _few_words(text, start, end):
        cost = estimate(text[slice(*span)])
        if cost <= limit:
            yield _Unit(*span, cost, block, opens)
        else:
            for a, b in _by_word(text, *span, limit):
                yield _Unit(a, b, estimate(text[a:b]), block, opens)
                opens = False
        opens = False


def _few_words(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for count, border in enumerate(_WORD_END.finditer(text, start, end), 1):
        if count % WORDS_AT_A_TIME == 0:
            yield at, border.start()
            at = border.end()
    if at < end:
        yield at, end


def _by_word(text: str, start: int, end: int, limit: int) -> Iterator[tuple[int, int]]:
    for word_start, word_end in _split(text, start, end, _WORD_END):
        yield from _fitting(text, word_start, word_end, limit)


def _fitting(text: str, start: int, end: int, limit: int) -> Iterator[tuple[int, int]]:
    """Cut a word that may be too long, each piece close to the limit; the size of one piece is tried for the next."""
    size = 4 * limit
    while start < end:
        size = _most_characters(text, start, min(end, start + 2 * size), limit)
        if start + size < end:
            size = _clause_border(text, start, start + size) or size
        yield start, start + size
        start += size


def _most_characters(text: str, start: int, end: int, limit: int) -> int:
    """A length whose estimate is within the limit, and not far from it."""
    size = end - start
    while size > 1 and (cost := estimate(text[start : start + size])) > limit:
        size = max(1, min(size - 1, int(0.95 * size * limit / cost)))
    return size


def _clause_border(text: str, start: int, end: int) -> int:
    """Length up to the last clause mark in the second half of the span; 0 if there is none."""
    middle = (start + end) // 2
    last = 0
    for mark in _CLAUSE_END.finditer(text, middle, end):
        last = mark.end() - start
    return last
