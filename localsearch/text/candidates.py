"""Where wanted words may stand in a text, found without taking its words apart.

By C of our own (kernels/words.c), and without it by looking for how the words begin. Both may tell of too much, and
never of too little.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable
from ctypes import POINTER, PyDLL, c_char_p, c_int32
from functools import cache, lru_cache
from itertools import groupby
from typing import NamedTuple

from localsearch import kernels
from localsearch.patterns import regex
from localsearch.text.folding import LETTERS, ascii_digits

_BLANKS = [blank for blank in map(chr, range(128)) if blank.isspace() and blank != " "]
_DROPPED = regex(r"[-'](?<=\w.)\w|,(?<=\d,)\d\d\d")
# What is not ASCII, but for signs and symbols that no word has in it, such as quotation marks and dashes; nor `?`.
_FOREIGN = regex(
    "[^\x00-\xa9\xab\xac\xae-\xb1\xb4\xb6-\xb8\xbb\xbf\xd7\xf7\u2000-\u200a\u2012-\u2018\u201a-\u2029\u202f-\u205f\u2065"
    "\u2190-\u245f\u2500-\u2775\u2794-\u2bff\ufffd?]"
)


_JOINTS = b"._',:;-"
_ASCII_SIGNS = bytes(i for i in range(128) if not chr(i).isalnum())
_INSTEAD = [(chr(code), letters) for code, letters in LETTERS.items()]
_ROOM = 256
"""Stretches that one call of the C finds at most."""
_Room = c_int32 * (2 * _ROOM)

Stretch = tuple[int, int]
"""Where a part of a text starts and ends."""


def holding(text: str, terms: frozenset[str]) -> list[Stretch] | None:
    """The stretches between white space, ascending, that may hold one of these English terms; None if there is no
    telling.

    Apart from case only a hyphen, an apostrophe or a grouping comma is ever dropped from within a word. A term begins
    where a word does, or a part of one: after a sign, or with a capital. What has other letters than those of ASCII
    may hold anything.
    """
    compiled, packed = _compiled(), _packed_terms(terms)
    if compiled is None or packed is None:
        return _stretches_with(text, _beginnings(terms))
    return _stretches_by(compiled, text, packed, whole=False)


def holding_plain(text: str, words: frozenset[str]) -> list[Stretch]:
    """Those in which one of these plain forms may be or begin; the whole text if there is no telling."""
    compiled = _compiled()
    if compiled is None:
        return [(0, len(text))] if _may_hold(text, words) else []
    packed, others = _packed_words(words)
    if others and _may_hold(text, others):
        return [(0, len(text))]
    return _stretches_by(compiled, text, packed, whole=True)


class _Packed(NamedTuple):
    """What words.c looks for, as it wants it: beginnings of 4 bytes a character, and where those of each one start."""

    beginnings: bytes
    firsts: bytes


@cache
def _compiled() -> PyDLL | None:
    """The kernels; other threads wait while they are called through it, which takes less time than letting them in."""
    path = kernels.library()
    if path is None:
        return None
    library = PyDLL(str(path))
    try:
        words = library.localsearch_words
    except AttributeError:  # built from an older checkout
        return None
    words.argtypes = [c_char_p, c_int32, c_int32, c_char_p, c_char_p, c_int32, POINTER(c_int32), c_int32]
    return library


def _stretches_by(compiled: PyDLL, text: str, packed: _Packed, whole: bool) -> list[Stretch]:
    code = text.encode("utf-32-le", "surrogatepass")
    found: list[Stretch] = []
    room = _Room()
    at, count = 0, _ROOM
    while count == _ROOM:
        count = compiled.localsearch_words(code, len(text), at, *packed, whole, room, _ROOM)
        places = room[: 2 * count]
        found += zip(places[::2], places[1::2], strict=True)
        at = room[2 * count - 1]
    return found


@lru_cache(1_000)
def _packed_terms(terms: frozenset[str]) -> _Packed | None:
    """None if one begins with nothing that the C looks for, such as `_`."""
    beginnings = _beginnings(terms)
    signs = any(beginning.isascii() and not _letters(beginning) for beginning in beginnings)
    return None if signs else _packed(map(_letters, beginnings))


@lru_cache(1_000)
def _packed_words(words: frozenset[str]) -> tuple[_Packed, frozenset[str]]:
    """Plain forms to be looked for by the C, and those of signs or of letters that ASCII has not."""
    return _packed(map(_letters, words)), frozenset(word for word in words if not _letters(word))


def _letters(word: str) -> str:
    """The letters and digits of ASCII of a word, up to the first other letter."""
    ascii, _, _ = word.encode("ascii", "replace").partition(b"?")
    return "".join(filter(str.isalnum, ascii.decode()))


def _packed(beginnings: Iterable[str]) -> _Packed:
    letters, firsts = array("I"), array("i", [-1] * 128)
    for first, several in groupby(sorted(set(filter(None, beginnings))), lambda word: word[0]):
        firsts[ord(first)] = len(letters)
        for word in several:
            letters.extend([*map(ord, word), 0])
        letters.append(0)
    return _Packed(letters.tobytes(), firsts.tobytes())


def _stretches_with(text: str, beginnings: tuple[str, ...]) -> list[Stretch] | None:
    """The same in Python; None if the letters of the text have no single small form each."""
    flat = text.lower()
    if len(flat) != len(text):
        return None
    flat += " "
    for blank in _BLANKS:
        if blank in flat:
            flat = flat.replace(blank, " ")
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


def _stretches(places: list[int], flat: str) -> list[Stretch]:
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


def _may_hold(text: str, wanted: frozenset[str]) -> bool:
    """The same in Python."""
    flat = (
        text.lower() if text.isascii() else unicodedata.normalize("NFKD", text).casefold().replace("’", "'")
    )
    if not flat.isascii():
        for letter, instead in _INSTEAD:
            flat = flat.replace(letter, instead)
        flat = ascii_digits(flat)
    letters = flat.encode("ascii", "ignore")
    joined = letters.translate(None, _JOINTS)
    return any(
        _begins(word, text, letters, joined)
        if word.isascii()
        else unicodedata.normalize("NFKD", word)[0] in flat
        for word in wanted
    )


def _begins(word: str, text: str, letters: bytes, joined: bytes) -> bool:
    """Whether a word of ASCII, or a part of one, may begin in a text, given its small letters and signs of ASCII, and
    the same without the signs that are dropped from within words."""
    asked = word.encode()
    if not word.isalpha():
        return asked.translate(None, _ASCII_SIGNS) in letters.translate(None, _ASCII_SIGNS)
    if asked in letters:
        capital = word.capitalize() in text or word.upper() in text
        if capital or not text.isascii() or _beginning(asked).search(letters) is not None:
            return True
        return _after_a_hump(word).search(text) is not None
    return asked in joined


@lru_cache(10_000)
def _beginning(word: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(?<![a-z])" + word)


@lru_cache(10_000)
def _after_a_hump(word: str) -> re.Pattern[str]:
    """A part that begins with a capital and goes on in any case, as AAb in aAAb."""
    return re.compile(f"(?=[A-Z])(?i:{word})")
