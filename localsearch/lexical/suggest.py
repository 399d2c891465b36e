"""Spelling from the corpus: the commonest of its words that is one or two slips away."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator

COMMONER = 50
"""How many times commoner a correction must be than a word which does occur, to be worth a question."""
_ALPHABETS = (
    string.ascii_lowercase,
    "абвгдежзийклмнопрстуфхцчшщъыьэюяіїєґ",
    "αβγδεζηθικλμνξοπρστυφχψως",
)
_LONG = 5
"""Letters from which on two slips are believable."""


def correct(
    word: str,
    frequency: Callable[[str], int],
    words_with_prefix: Callable[[str], Iterable[tuple[str, int]]],
) -> str | None:
    """The likeliest word that was meant, or None when `word` is known well enough or nothing is near.

    One slip is a letter left out, put in, changed or two swapped (Damerau 1964); all such words are looked up. Two
    slips are sought among the words that begin alike, but for one slip at the second or third letter.
    """
    if len(word) < 3 or not word.isalpha():
        return None
    known = frequency(word)
    best, count = max(((near, frequency(near)) for near in set(_slips(word))), key=_commonest)
    if count > max(known * COMMONER, 0):
        return best
    return None if known or len(word) < _LONG else _two_slips(word, words_with_prefix)


def _commonest(item: tuple[str, int]) -> tuple[int, str]:
    return item[1], item[0]


def _slips(word: str) -> Iterator[str]:
    letters = _alphabet(word)
    for i in range(len(word) + 1):
        head, tail = word[:i], word[i:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in letters:
            yield head + letter + tail
            if tail and letter != tail[0]:
                yield head + letter + tail[1:]


def _alphabet(word: str) -> str:
    return next((a for a in _ALPHABETS if word[0] in a), string.ascii_lowercase)


def _two_slips(word: str, words_with_prefix: Callable[[str], Iterable[tuple[str, int]]]) -> str | None:
    near = {
        other: count
        for beginning in set(_beginnings(word))
        for other, count in words_with_prefix(beginning)
        if _plausible(word, other) and _distance(word, other, 2) <= 2
    }
    return max(near.items(), key=_commonest)[0] if near else None


def _beginnings(word: str) -> Iterator[str]:
    """How words begin that are two slips away, at most one of them at the second or third letter."""
    yield word[:3]
    for at in (1, 2):
        head, here, after, beyond = word[:at], word[at], word[at + 1], word[at + 2]
        yield head + after + beyond
        yield head + after + here
        for letter in _alphabet(word):
            yield head + letter + here
            yield head + letter + after


def _plausible(left: str, right: str) -> bool:
    """Cheaply false for most pairs that are more than two edits apart: each edit changes at most two letters."""
    return abs(len(left) - len(right)) <= 2 and len(set(left) ^ set(right)) <= 4


def _distance(left: str, right: str, limit: int) -> int:
    """Edits between two words with swaps counted once; stops early above `limit`."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row = row, [i]
        for j, b in enumerate(right, 1):
            cost = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before = previous
        if min(row) > limit:
            return limit + 1
    return row[-1]
