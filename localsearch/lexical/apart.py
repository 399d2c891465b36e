"""What is typed in one piece and stands in pieces: 500mg for 500 mg, DE893704 for DE89 3704."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator

_CODE = re.compile(r"(?=.*\d)(?:[^\W_]|(?<=\d)\.(?=\d)){3,34}")
_CHANGE = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_GROUPED = 6
"""Digits in a row from which people write them in groups: numbers of telephones, accounts, cards."""
_GROUP = 2
"""Digits of the smallest group."""
_MOST = 4
"""Ways to take a word apart that are looked for."""
_STEPS = 500
"""Beginnings looked at before giving up."""


def apart(word: str, known: Callable[[str], bool]) -> list[tuple[str, ...]]:
    """The ways to take a folded word with a digit apart into words of the corpus, those of fewest pieces first.

    Pieces end where letters and digits meet, and anywhere in a long number. A number that begins with 0 is also looked
    for without it, as telephone numbers are written with and without the prefix of their country.

    >>> apart("500mg", {"500", "mg"}.__contains__)
    [('500', 'mg')]
    """
    if not _CODE.fullmatch(word):
        return []
    found = list(_ways(word, known))
    if word.isdigit() and word[0] == "0" and len(word) > _GROUPED:
        found += _ways(word[1:], known)
    return sorted((pieces for pieces in found if len(pieces) > 1), key=len)[:_MOST]


def _ways(word: str, known: Callable[[str], bool]) -> Iterator[tuple[str, ...]]:
    """Breadth first, so that fewer pieces come before more."""
    ends = _ends(word)
    waiting: deque[tuple[int, tuple[str, ...]]] = deque([(0, ())])
    for _ in range(_STEPS):
        if not waiting:
            return
        at, pieces = waiting.popleft()
        if at == len(word):
            yield pieces
            continue
        waiting += [
            (end, (*pieces, word[at:end]))
            for end in ends
            if end > at and _whole(word, at, end) and known(word[at:end])
        ]


def _ends(word: str) -> list[int]:
    """Where a piece may end, the longest piece first."""
    ends = {match.start() for match in _CHANGE.finditer(word)} | {len(word)}
    for run in re.finditer(r"\d+", word):
        if len(run[0]) >= _GROUPED:
            ends.update(range(run.start() + _GROUP, run.end() - _GROUP + 1))
    return sorted(ends, reverse=True)


def _whole(word: str, at: int, end: int) -> bool:
    """A part of the word, not all of it, whose digits are a group."""
    return end - at < len(word) and (end - at >= _GROUP or not _within_digits(word, at, end))


def _within_digits(word: str, at: int, end: int) -> bool:
    before, after = word[:at][-1:], word[end : end + 1]
    return word[at].isdigit() and (before.isdigit() or after.isdigit())
