"""Where wanted terms may stand in an English text, found without taking its words apart."""

from __future__ import annotations

import re
from functools import lru_cache

_BLANKS = [blank for blank in map(chr, range(128)) if blank.isspace() and blank != " "]
_DROPPED = re.compile(r"[-'](?<=\w.)\w|,(?<=\d,)\d\d\d")
# What is not ASCII, but for signs and symbols that no word has in it, such as quotation marks and dashes; nor `?`.
_FOREIGN = re.compile(
    "[^\x00-\xa9\xab\xac\xae-\xb1\xb4\xb6-\xb8\xbb\xbf\xd7\xf7\u2000-\u200a\u2012-\u2018\u201a-\u2029\u202f-\u205f\u2065"
    "\u2190-\u245f\u2500-\u2775\u2794-\u2bff\ufffd?]"
)


def holding(text: str, terms: frozenset[str]) -> list[tuple[int, int]] | None:
    """The stretches between white space, ascending, that may hold one of these English terms; None if there is no
    telling, as the letters of the text have no single small form each.

    Apart from case only a hyphen, an apostrophe or a grouping comma is ever dropped from within a word. A term begins
    where a word does, or a part of one: after a sign, or with a capital. What has other letters than those of ASCII
    may hold anything.
    """
    flat = text.lower()
    if len(flat) != len(text):
        return None
    flat += " "
    for blank in _BLANKS:
        if blank in flat:
            flat = flat.replace(blank, " ")
    beginnings = _beginnings(terms)
    places = _starting(text, flat, beginnings)
    places += _reaching_over_signs(flat, beginnings)
    if not flat.isascii():
        places += _foreign(flat)
    return _stretches(places, flat)


def _starting(text: str, flat: str, beginnings: tuple[str, ...]) -> list[int]:
    """Where a word, or a part of one, begins in one of these ways. Before the first letter comes the last, a blank."""
    places = []
    for beginning in beginnings:
        at = flat.find(beginning)
        while at >= 0:
            if not flat[at - 1].isalnum() or text[at].isupper():
                places.append(at)
            at = flat.find(beginning, at + 1)
    return places


def _reaching_over_signs(flat: str, beginnings: tuple[str, ...]) -> list[int]:
    """The signs that are dropped from within words; none if no wanted term can be read there without them."""
    signs = [match.start() for match in _DROPPED.finditer(flat)]
    if not signs:
        return signs
    words = "".join([flat[low:high] for low, high in _stretches(signs, flat)])
    words = words.replace("-", "").replace("'", "").replace(",", "")
    return signs if any(beginning.replace(",", "") in words for beginning in beginnings) else []


def _foreign(flat: str) -> list[int]:
    """The first letter outside ASCII of every stretch that has one: each is a question mark when written in ASCII,
    and those are found several times as fast as by looking at every character."""
    places, marked = [], flat.encode("ascii", "replace")
    at = marked.find(b"?")
    while at >= 0:
        if _FOREIGN.match(flat, at):
            places.append(at)
            at = flat.find(" ", at)
        at = marked.find(b"?", at + 1)
    return places


def _stretches(places: list[int], flat: str) -> list[tuple[int, int]]:
    """The stretches between blanks that these places are in, each once."""
    places.sort()
    stretches, end = [], -1
    for at in places:
        if at > end:
            end = flat.find(" ", at)
            stretches.append((flat.rfind(" ", 0, at) + 1, end))
    return stretches


@lru_cache(1_000)
def _beginnings(terms: frozenset[str]) -> tuple[str, ...]:
    """How words may begin that give these English terms, unless a sign within them is dropped.

    English stemming leaves a word as it is but for what it cuts off, and three letters that may then come last: i for
    y, an e that is added, and the l of `-bility`, which becomes `-ble`. Of its exceptions only `skies` and `vying`
    with its like give what they do not begin with.
    """
    changed = {term for term in terms if len(term) > 2 and term.endswith(("i", "e", "bl"))}
    dying = {f"{term[0]}y" for term in changed if len(term) == 3 and term.endswith("ie")}
    skies = {"sk"} if "sky" in terms else set()
    return tuple((terms - changed) | {term[:-1] for term in changed} | dying | skies)
