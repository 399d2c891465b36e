"""Patterns of words: `ros*` and `colo?r`, matched in time that grows with pattern times word and no more."""

from __future__ import annotations

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
