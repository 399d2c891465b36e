"""Patterns of words: `ros*` and `colo?r`, matched in time that grows with pattern times word and no more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

ANY, ONE = "*", "?"


def literal_start(pattern: str) -> str:
    """What stands before the first wildcard.

    >>> literal_start("colo?r*")
    'colo'
    """
    return pattern.split(ANY, 1)[0].split(ONE, 1)[0]


def matches(pattern: str, word: str) -> bool:
    """Whether a word is what the pattern says: `*` is any characters or none, `?` exactly one.

    After a `*` the first place where what follows fits is as good as any later one, so no choice is ever undone.

    >>> matches("*os?s", "roses"), matches("ros*", "prose")
    (True, False)
    """
    first, *rest = pattern.split(ANY)
    if not rest:
        return len(word) == len(pattern) and _fits(pattern, word, 0)
    *middle, last = rest
    at, end = len(first), len(word) - len(last)
    if end < at or not _fits(first, word, 0) or not _fits(last, word, end):
        return False
    for part in middle:
        found = next((i for i in range(at, end - len(part) + 1) if _fits(part, word, i)), None)
        if found is None:
            return False
        at = found + len(part)
    return True


def _fits(part: str, word: str, at: int) -> bool:
    if ONE not in part:
        return word.startswith(part, at)
    return len(word) - at >= len(part) and all(
        a in (ONE, b) for a, b in zip(part, word[at : at + len(part)], strict=True)
    )


class Vocabulary:
    """The words of one state of an index as one text, so that those with some letters in a row are found in it."""

    def __init__(self, words: Iterable[str]) -> None:
        self._text = "\n" + "\n".join(words) + "\n"

    def like(self, pattern: str) -> list[str]:
        """The words that match, in the order given."""
        return [word for word in self._with(_longest(pattern)) if matches(pattern, word)]

    def _with(self, letters: str) -> Iterator[str]:
        """Each word with these letters in a row, once; a line break among them is where the word begins or ends."""
        ahead = int(letters.startswith("\n"))
        at = self._text.find(letters)
        while at >= 0:
            start = self._text.rfind("\n", 0, at + ahead) + 1
            end = self._text.find("\n", at + ahead)
            yield self._text[start:end]
            at = self._text.find(letters, end)


def _longest(pattern: str) -> str:
    """The longest piece without a wildcard, with a line break where the word begins or ends with it."""
    return max(re.split(r"[*?]", f"\n{pattern}\n"), key=len)
