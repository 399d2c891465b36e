"""The word index as somebody sees it who may see a part of the index only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from localsearch.derived import Mask
from localsearch.lexical import Phrase
from localsearch.types import Ids, LexicalIndex

MOST_LISTED = 300_000
"""Chunks that are listed for the conditions of one query, a microsecond each: what needs more is searched as words."""
NO_SECRET = 20_000
"""Chunks from which a word is too common to tell anything."""


@dataclass(frozen=True, slots=True)
class Visible:
    """The words of the chunks that may be seen, as `mask` says; None: of all."""

    lexical: LexicalIndex
    mask: Mask | None = None

    @property
    def limited(self) -> bool:
        """Whether a part of the index is out of sight."""
        return self.mask is not None

    def chunks_with(self, phrase: Phrase) -> Ids:
        """Ids of the chunks in sight that hold the phrase, ascending."""
        chunks = self.lexical.chunks_with(phrase)
        if self.mask is None:
            return chunks
        chunks = chunks[chunks < len(self.mask)]
        return chunks[self.mask[chunks]]

    def count_with(self, phrase: Phrase) -> int:
        """How many chunks in sight hold the phrase; a part of the index costs as much as listing them."""
        return self.lexical.count_with(phrase) if self.mask is None else len(self.chunks_with(phrase))

    def known(self, words: Iterable[str]) -> list[str]:
        """Those of these words that a chunk in sight holds, as far as few enough chunks are to be listed for it."""
        if self.mask is None:
            return list(words)
        found, left = [], MOST_LISTED
        for word in words:
            phrase = Phrase(words=(word,))
            cost = self.lexical.count_with(phrase)
            if cost < NO_SECRET:
                left -= cost
                if left < 0:
                    break
                if not len(self.chunks_with(phrase)):
                    continue
            found.append(word)
        return found
