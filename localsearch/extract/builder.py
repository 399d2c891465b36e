"""Collects text and its blocks while a reader walks a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from localsearch.types import Block, BlockKind, Extract, Place

NOWHERE = Place()


class Builder:
    """Appends pieces of text with what they are and where they stand; offsets come out exact.

        builder = Builder(limit=1000)
        builder.heading(1, "Tea")
        builder.add("Boil water.")
        builder.extract("text").text     # "Tea\\n\\nBoil water."

    Text beyond `limit` characters is left out, and a note says so.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._headings: list[tuple[int, str]] = []
        self._path: tuple[str, ...] = ()
        self._where: tuple[Place, tuple[str, ...], Place] = (NOWHERE, (), NOWHERE)
        self.notes: list[str] = []
        self.full = False
        self.scans = False

    @property
    def empty(self) -> bool:
        return not self._blocks

    @property
    def text(self) -> str:
        """What was collected so far."""
        return "".join(self._parts)

    @property
    def first_heading(self) -> str:
        """The first heading's text, or nothing."""
        for block in self._blocks:
            if block.kind == "heading":
                return block.place.heading[-1]
        return ""

    def heading(self, level: int, text: str, place: Place = NOWHERE, *, show: str | None = None) -> None:
        """Begin a section; `show` is the text to keep where it differs from the heading's own."""
        title = " ".join(text.split())[:200]
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        self._headings.append((level, title))
        self._path = tuple(name for _, name in self._headings)
        self.add(text if show is None else show, "heading", place)

    def leave_headings(self) -> None:
        """Forget the heading path, as at the start of another part of the file."""
        self._headings.clear()
        self._path = ()

    def add(
        self, text: str, kind: BlockKind = "paragraph", place: Place = NOWHERE, *, joint: str = "\n\n"
    ) -> None:
        """Append one block, `joint` between it and the one before; blank text is left out."""
        text = text.strip("\n").rstrip()
        if not text or self.full:
            return
        if self._parts:
            self._parts.append(joint)
            self._length += len(joint)
        if self._length + len(text) > self._limit:
            text = text[: max(0, self._limit - self._length)]
            self._close()
        self._parts.append(text)
        where = self._with_heading(place) if self._path and not place.heading else place
        self._blocks.append(Block(self._length, self._length + len(text), kind, where))
        self._length += len(text)

    def _with_heading(self, place: Place) -> Place:
        """The place below the headings of now; that of the block before, where it is the same."""
        before, path, where = self._where
        if place is not before or path is not self._path:
            where = replace(place, heading=self._path)
            self._where = place, self._path, where
        return where

    def _close(self) -> None:
        self.full = True
        self.notes.append(f"only the first {self._limit / 1e6:.0f} million characters were read")

    def extract(
        self,
        type: str,
        *,
        title: str | None = "",
        metadata: Mapping[str, Any] | None = None,
        member: str = "",
    ) -> Extract:
        """What was collected; the first heading is the title unless one is given, or None."""
        return Extract(
            text="".join(self._parts),
            type=type,
            title=title or ("" if title is None else self.first_heading),
            blocks=tuple(self._blocks),
            metadata=dict(metadata or {}),
            member=member,
            notes=tuple(self.notes),
            scans=self.scans,
        )


def pages(numbers: list[int]) -> str:
    """Page numbers in words: "page 3", "pages 1, 3-9"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    listed = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
    return f"page{'s' if len(numbers) > 1 else ''} {listed}"
