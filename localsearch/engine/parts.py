"""Which characters of a document a part is: lines, pages or a stretch around an offset.

Lines and pages are those that hits name: chunks know theirs, and a chunk never lies on two pages. In a document whose
chunks know no lines, a PDF say, lines are those of its text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from localsearch.errors import PartError
from localsearch.types import Part, Place

Places = Sequence[tuple[int, int, Place]]
"""Start, stop and place of each chunk, in order."""
_SPAN = re.compile(r"(\d{1,9})(?:\s*(-)\s*(\d{1,9})?)?", re.ASCII)


def span(text: str, what: str) -> tuple[int, int | None]:
    """The first and last of a written range; None for one without an end. Raises PartError.

    >>> span("7", "lines"), span("10-20", "lines"), span("3-", "pages")
    ((7, 7), (10, 20), (3, None))
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise PartError(f"{text!r} names no {what}.", hint="Write 7, 10-20 or 10- for all from there.")
    first = int(found[1])
    last = int(found[3]) if found[3] else None if found[2] else first
    if first < 1 or (last is not None and last < first):
        raise PartError(f"{text!r} names no {what}.", hint="They count from 1, and the first comes first.")
    return first, last


def part_of(
    lines: str | None = None,
    pages: str | None = None,
    at: int | None = None,
    chars: int | None = None,
    most: int | None = None,
) -> Part:
    """The part that was asked for in words; PartError for two ways at once."""
    if (lines is not None) + (pages is not None) + (at is not None) > 1:
        raise PartError("A part is named twice.", hint="Give lines, or pages, or an offset.")
    return Part(
        lines=None if lines is None else span(lines, "lines"),
        pages=None if pages is None else span(pages, "pages"),
        at=at,
        chars=Part().chars if chars is None else chars,
        most=most,
    )


def bounds(part: Part, text: str, places: Places) -> tuple[int, int]:
    """The characters [start, stop) of a part by lines or pages. Raises PartError for what the document has not."""
    if part.pages is not None:
        return _of_pages(part.pages, len(text), places)
    if part.lines is None:
        return 0, len(text)
    first, last = part.lines
    lines = Lines(text, places)
    start = lines.offset(first)
    if start is None:
        raise PartError(f"There is no line {first}; the last is {lines.last}.", hint="Ask for fewer lines.")
    stop = None if last is None else lines.offset(last + 1)
    if stop is not None and stop <= start:
        raise PartError(
            f"No text is kept of the lines {first} to {last}, such as front matter; text begins at line {lines.first}.",
            hint="Front matter is in the metadata.",
        )
    return start, len(text) if stop is None else stop


def _of_pages(wanted: tuple[int, int | None], length: int, places: Places) -> tuple[int, int]:
    paged = [(start, place.page) for start, _, place in places if place.page is not None]
    if not paged:
        raise PartError("This document has no pages.", hint="Ask for lines, or for an offset.")
    first, last = wanted
    highest = max(page for _, page in paged)
    if first > highest:
        raise PartError(f"There is no page {first}; the last with text is {highest}.", hint="Ask for fewer.")
    begin = min(start for start, page in paged if page >= first)
    after = [start for start, page in paged if last is not None and page > last]
    return min(begin, *after) if after else begin, min(after, default=length)


class Lines:
    """Line numbers of a text as the places of its chunks count them; from 1 where they count none."""

    def __init__(self, text: str, places: Places) -> None:
        self._text = text
        known = [(start, place.line) for start, _, place in places if place.line and place.row is None]
        first, line = known[0] if known else (0, 1)
        self._anchors = [(0, max(1, line - text.count("\n", 0, first)))]
        for start, line in known:
            if start > self._anchors[-1][0] and line >= self._anchors[-1][1]:
                self._anchors.append((start, line))

    def offset(self, line: int) -> int | None:
        """Where a line begins; None past the last. One that the text has left out begins where the next does."""
        numbers = [number for _, number in self._anchors]
        if line < numbers[0]:
            return 0
        index = bisect_left(numbers, line)
        if index == len(numbers) or numbers[index] > line:
            index -= 1
        start, number = self._anchors[index]
        following = self._anchors[index + 1][0] if index + 1 < len(self._anchors) else None
        at = self._begin(start)
        for _ in range(line - number):
            at = self._text.find("\n", at) + 1
            if following is not None and not 0 < at <= following:
                return self._begin(following)
            if not 0 < at < len(self._text):
                return None
        return at

    def _begin(self, offset: int) -> int:
        return self._text.rfind("\n", 0, offset) + 1

    @property
    def first(self) -> int:
        """The number of the line that the text begins with."""
        return self._anchors[0][1]

    @property
    def last(self) -> int:
        """The number of the last line."""
        start, number = self._anchors[-1]
        return number + self._text.count("\n", start, len(self._text.rstrip("\n")))


def place_at(start: int, places: Places, read: Callable[[int, int], str]) -> Mapping[str, Any]:
    """Where an offset stands, as a hit tells it: the place of its chunk, with the line counted on from there.

    `read` gives the characters between two offsets.
    """
    before = [one for one in places if one[0] <= start]
    if not places:
        return {}
    began, _, place = before[-1] if before else places[0]
    if place.line is not None and place.row is None and start > began:
        place = replace(place, line=place.line + read(began, start).count("\n"))
    return {name: value for name, value in msgspec.to_builtins(place).items() if value}
