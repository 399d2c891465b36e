"""The few lines of a chunk that show why it was found, with the places of the matched words in them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter

from localsearch.lexical import QueryTerm
from localsearch.patterns import regex
from localsearch.text import Analyzer, Found

LENGTH = 240
"""Characters of a snippet: two to three lines on a page."""

NONE: Mapping[str, frozenset[str]] = {}

Highlights = tuple[tuple[int, int], ...]

_STOPS = ".!?…。！？"
_BREAK = regex(r"[.!?…][\"'”’)\]]*\s+|[。！？]|\n{2,}")
_SPACE = regex(r"\s+")
_RUN = regex(r"\s{2,}")
_ELLIPSIS = "…"
BLOCK = "\u2029"
"""What stands in a snippet for white space with an empty line in it, as between paragraphs."""
_EMPTY_LINE = regex(r"\s*\n[^\S\n]*\n\s*")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A snippet with its highlights, and where in the chunk the stretch begins that holds most of the query."""

    text: str
    highlights: Highlights
    anchor: int = 0


def snippet(
    chunk: str,
    terms: Collection[str],
    analyzer: Analyzer,
    *,
    language: str = "",
    length: int = LENGTH,
    plain: Mapping[str, frozenset[str]] = NONE,
) -> Excerpt:
    """Cut the window out of `chunk` that holds most of the query, and say where the matched words stand in it.

    `terms` are all forms of the query's terms (`snippet_terms`), `plain` the plain words that will do for them, each
    with the forms that it is for (`snippet_words`): looked for where the chunk holds none of these. The text has its
    white space collapsed, to BLOCK where it holds an empty line, and `…` where it was cut; highlights are (start, end)
    offsets into it. Without a match it is the chunk's start.
    """
    matches = analyzer.find(chunk, frozenset(terms), language)
    found = {term for term, _, _ in matches}
    missing = frozenset([word for word, forms in plain.items() if forms.isdisjoint(found)])
    if missing:
        matches = sorted(matches + analyzer.find_plain(chunk, missing), key=itemgetter(1, 2))
    first, last = _densest(matches, length)
    start, end = _window(chunk, first, last, length)
    return Excerpt(*_render(chunk, start, end, _merged(matches, start, end)), first)


def snippet_terms(forms: Sequence[Sequence[str]]) -> frozenset[str]:
    """All forms of all terms of a query."""
    return frozenset(form for term in forms for form in term)


def snippet_words(terms: Iterable[QueryTerm]) -> dict[str, frozenset[str]]:
    """The plain words of all terms of a query, each with the forms of its term."""
    return {word: frozenset(term.forms + term.stems) for term in terms for word in term.plain}


def _window(chunk: str, first: int, last: int, length: int) -> tuple[int, int]:
    """Where the snippet starts and ends: the densest stretch, moved to the start of its sentence when that fits."""
    if len(chunk) <= length:
        return 0, len(chunk)
    slack = max(0, length - (last - first))
    start = _sentence_start(chunk, first, earliest=max(0, first - slack))
    if start is None:
        start = _word_start(chunk, max(0, first - slack // 2))
    start = min(start, _word_start(chunk, max(0, len(chunk) - length)))
    return start, _word_end(chunk, min(len(chunk), start + length), last)


def _densest(matches: list[Found], length: int) -> tuple[int, int]:
    """The stretch of at most `length` characters with most different terms, then most matches, then the first.

    Of no matches it is (0, 0); a match that is longer by itself is a stretch of its own.
    """
    first = last = low = different = count = 0
    held: dict[str, int] = {}
    for high, (term, _, end) in enumerate(matches):
        held[term] = held.get(term, 0) + 1
        while end - matches[low][1] > length and low < high:
            _drop(held, matches[low][0])
            low += 1
        if len(held) > different or (len(held) == different and high - low >= count):
            first, last, different, count = matches[low][1], end, len(held), high - low + 1
    return first, last


def _drop(held: dict[str, int], term: str) -> None:
    if held[term] == 1:
        del held[term]
    else:
        held[term] -= 1


def _sentence_start(chunk: str, first: int, earliest: int) -> int | None:
    """The start of the sentence that `first` is in, if it is not before `earliest`."""
    begin = earliest - 1 if earliest and chunk[earliest - 1] in _STOPS else earliest
    starts = [m.end() for m in _BREAK.finditer(chunk, begin, first)]
    return starts[-1] if starts else (0 if earliest == 0 else None)


def _word_start(chunk: str, at: int) -> int:
    """The next start of a word at or after `at`; `at` itself in text without spaces."""
    if at == 0 or chunk[at - 1].isspace():
        return at
    found = _SPACE.search(chunk, at, at + 40)
    return found.end() if found else at


def _word_end(chunk: str, at: int, least: int) -> int:
    if at >= len(chunk):
        return len(chunk)
    space = max(chunk.rfind(" ", least, at), chunk.rfind("\n", least, at))
    return space if space > max(least - 1, at - 40) else at


def _merged(matches: list[Found], start: int, end: int) -> list[tuple[int, int]]:
    """Places of matches inside the window, overlapping and touching ones as one."""
    places: list[tuple[int, int]] = []
    for _, low, high in matches:
        if low < start or high > end:
            continue
        if places and low <= places[-1][1]:
            places[-1] = (places[-1][0], max(places[-1][1], high))
        else:
            places.append((low, high))
    return places


def _render(chunk: str, start: int, end: int, places: list[tuple[int, int]]) -> tuple[str, Highlights]:
    """The window with its white space collapsed; the places follow their words."""
    mark = _ELLIPSIS if start > 0 else ""
    start += len(chunk[start:end]) - len(chunk[start:end].lstrip())
    window = chunk[start:end].rstrip()
    single = window.isprintable() and "  " not in window  # of all white space only the blank is printable
    text = window if single else BLOCK.join(" ".join(block.split()) for block in _EMPTY_LINE.split(window))
    runs = [match.span() for match in _RUN.finditer(window)] if len(text) < len(window) else []
    highlights = _moved(places, runs, len(mark) - start, start)
    return mark + text + (_ELLIPSIS if end < len(chunk) else ""), highlights


def _moved(places: list[tuple[int, int]], runs: list[tuple[int, int]], by: int, start: int) -> Highlights:
    """From places in the chunk to those in the snippet, which a run of white space before them brings nearer."""
    if not runs:
        return tuple([(low + by, high + by) for low, high in places])
    ends = [start + end for _, end in runs]
    lost = [0, *accumulate(end - begin - 1 for begin, end in runs)]
    return tuple(
        (low + by - lost[bisect_right(ends, low)], high + by - lost[bisect_right(ends, high)])
        for low, high in places
    )
