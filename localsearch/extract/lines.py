"""Tells on which line or row of its file a passage starts."""

from __future__ import annotations

from dataclasses import replace

from localsearch.types import Block, Place


class Lines:
    """Counts lines and rows forward through a document, so that all chunks together cost one pass."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._block: Block | None = None
        self._at = 0
        self._passed = 0

    def place(self, start: int, block: Block, depth: int) -> Place:
        """A place in a block under its heading to a depth, with the line or row where its block has them."""
        place = block.place
        heading = place.heading[:depth]
        by_row = place.row is not None and block.kind == "table"
        if not by_row and (place.line is None or place.row is not None):
            # A row that is no table stands on one line, however many its text has.
            return place if len(place.heading) == depth else replace(place, heading=heading)
        if block is not self._block:
            self._block, self._at, self._passed = block, block.start, 0
        self._passed += self._text.count("\n", self._at, start)
        self._at = start
        line = None if place.line is None else place.line + self._passed
        row = place.row + self._passed if by_row and place.row is not None else place.row
        return replace(place, heading=heading, line=line, row=row)
