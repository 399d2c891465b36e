"""One text in several versions, as mail carries them: what each says is kept, and said once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from localsearch.extract.builder import Builder
from localsearch.types import Block, Extract, Place

_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
)
"""Letters of scripts that put no space between words."""


class Said:
    """What a text says, to ask whether another only repeats it.

    said = Said("Boil the water, then wait.")
    said.repeats("the WATER: wait")     # True
    said.repeats("pour")                # False
    """

    def __init__(self, text: str) -> None:
        words = _WORD.findall(text.casefold())
        self._words = set(words)
        self._run = "".join(words)

    def repeats(self, text: str) -> bool:
        """Whether each word of a text is said; in scripts that do not space words, all of it in one run."""
        words = _WORD.findall(text.casefold())
        if self._words.issuperset(words):
            return True
        return _UNSPACED.search(text) is not None and "".join(words) in self._run

    def share(self, other: Said) -> float:
        """The share of another's words that are said here."""
        return len(self._words & other._words) / max(1, len(other._words))


def add_versions(builder: Builder, versions: Sequence[Extract], place: Place) -> None:
    """Append the first version, or one that says twice as much; of the others only blocks that say more."""
    told = [(extract, Said(extract.text)) for extract in versions if extract.text.strip()]
    if not told:
        return
    first = next((pair for pair in told if told[0][1].share(pair[1]) < 0.5), told[0])
    add_extract(builder, first[0], place)
    text = first[0].text
    for extract, _ in told:
        if extract is not first[0]:
            said = Said(text)
            more = [
                block for block in _pieces(extract) if not said.repeats(extract.text[block.start : block.end])
            ]
            add_extract(builder, replace(extract, blocks=tuple(more)), place)
            text += "\n" + extract.text


def add_extract(builder: Builder, extract: Extract, place: Place) -> None:
    """Append the blocks of another extract at a place; their headings go below the place's."""
    end = None
    for block in extract.blocks:
        between = "" if end is None else extract.text[end : block.start]
        joint = between if between.strip("\n") == "" and between else "\n\n"
        where = replace(block.place, message=place.message, heading=place.heading + block.place.heading)
        builder.add(extract.text[block.start : block.end], block.kind, where, joint=joint)
        end = block.end
    builder.notes.extend(extract.notes)


def _pieces(extract: Extract) -> Iterator[Block]:
    """The blocks, those of several paragraphs divided at empty lines."""
    for block in extract.blocks:
        at = block.start
        for gap in re.finditer(r"\n\s*\n", extract.text[block.start : block.end]):
            yield replace(block, start=at, end=block.start + gap.start())
            at = block.start + gap.end()
        yield replace(block, start=at)
