"""A memory of words by C of our own (kernels/lexicon.c), which takes whole texts apart with it in one pass."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Collection, Sequence
from ctypes import (
    POINTER,
    PyDLL,
    Structure,
    byref,
    c_char_p,
    c_int32,
    c_int64,
    c_uint64,
    c_void_p,
    string_at,
)
from functools import cache
from typing import NamedTuple, Protocol

from localsearch import kernels
from localsearch.text.pieces import SPECIAL
from localsearch.text.plain import ANY_SIGN

LARGEST = 100_000_000
"""Bytes of words and forms remembered; then the memory starts afresh."""
_WORD, _DIGIT, _SPECIAL, _SIGN, _JOINER, _GROUPING, _MIDDLE = (1 << bit for bit in range(7))
_PATTERNS = (
    (_WORD, re.compile(r"\w")),
    (_DIGIT, re.compile(r"\d")),
    (_SPECIAL, SPECIAL),
    (_SIGN, ANY_SIGN),
    (_JOINER, re.compile("[.'’‐‑-]")),
    (_GROUPING, re.compile("[.,'’\u00a0\u202f\u2009 ]")),
    (_MIDDLE, re.compile('[:;,·‧‘"״׳]')),
)
"""What characters are, by the bits of lexicon.c."""


_REFUSED = -1


class Entry(Protocol):
    """What an index holds of a word."""

    @property
    def terms(self) -> Sequence[str]: ...
    @property
    def told(self) -> Collection[str]: ...
    @property
    def plain(self) -> Collection[str]: ...


Terms = Callable[[Sequence[str]], Sequence[str]]


class Taken(NamedTuple):
    """What an index holds of the words of a text: so many terms in order, everything worth suggesting, and the plain
    forms that the terms do not tell, each list with blanks between; then which kinds of what is no single
    word there may be (`words_across`)."""

    terms: str
    number: int
    words: str
    plain: str
    across: int


class _Taken(Structure):
    _fields_ = (
        ("strings", c_void_p),
        ("length", c_int32),
        ("count", c_int32),
        ("across", c_int32),
        ("unknown", POINTER(c_int32)),
    )


class _Learnt(Structure):
    _fields_ = (
        ("asked", c_void_p * 2),
        ("lengths", c_int32 * 2),
        ("unknown", POINTER(c_int32)),
        ("left", c_int32),
    )


class Lexicon:
    """Takes texts apart, and words too: those of ASCII itself, another is asked for once, by `entry`. Safe to share
    between threads.

    `suggested` chooses the forms that are worth suggesting, `stem` gives the term of a plain form. `terms` give those
    of small words of ASCII in the language of the texts and in the default one; None in place of the first says that it
    is the same. Raises OSError where the kernels are not there.
    """

    def __init__(
        self,
        entry: Callable[[str], Entry],
        suggested: Callable[[Collection[str]], Collection[str]],
        stem: Callable[[str], str],
        terms: tuple[Terms | None, Terms],
    ) -> None:
        compiled = _compiled()
        if compiled is None:
            raise OSError("the kernels were not built")
        self._compiled = compiled
        self._entry = entry
        self._suggested = suggested
        self._stem = stem
        self._terms = terms[0] or terms[1], terms[1]
        self._same = terms[0] is None
        self._lock = threading.Lock()
        self._taken = _Taken()
        self._memory: int | None = None

    def __del__(self) -> None:
        if self._memory:
            self._compiled.localsearch_lexicon_end(self._memory)

    def take(self, text: str) -> Taken | None:
        """Take a text apart; None where one of its characters needs more than this."""
        code = text.encode("utf-32-le", "surrogatepass")
        with self._lock:
            unknown = self._look(code)
            if unknown > 0:
                self._learn(code)
                unknown = self._look(code)
            return None if unknown < 0 else self._told()

    def meet(self, text: str) -> None:
        """Learn the words of a text that are not known."""
        code = text.encode("utf-32-le", "surrogatepass")
        with self._lock:
            if self._look(code) > 0:
                self._learn(code)

    def _look(self, code: bytes) -> int:
        if self._memory is None:
            self._memory = self._compiled.localsearch_lexicon_begin(_kinds(), secrets.randbits(64))
        found = self._compiled.localsearch_lexicon_take(
            self._memory, code, len(code) // 4, byref(self._taken)
        )
        if found < _REFUSED:
            raise MemoryError
        return int(found)

    def _learn(self, code: bytes) -> None:
        """Put in words of a text that are not known; where there are too many, all others are forgotten."""
        if self._compiled.localsearch_lexicon_size(self._memory) > LARGEST:
            self._compiled.localsearch_lexicon_end(self._memory)
            self._memory = None
            self._look(code)
        places = self._learn_ascii(code)
        for key in dict.fromkeys(
            code[4 * start : 4 * end] for start, end in zip(places[::2], places[1::2], strict=True)
        ):
            entry = self._entry(key.decode("utf-32-le", "surrogatepass"))
            terms, told, plain = _joined(entry.terms), entry.told, b""
            if entry.plain:
                told = (*told, *entry.plain)
                plain = _joined([each for form in entry.plain for each in (form, self._stem(form))])
            words = _joined(self._suggested(told))
            if not self._compiled.localsearch_lexicon_put(
                self._memory, key, len(key) // 4, terms, len(terms), len(entry.terms), words, plain
            ):
                raise MemoryError

    def _learn_ascii(self, code: bytes) -> Sequence[int]:
        """Put in the words of ASCII, whose terms alone are asked for here; returns the places of the others."""
        learnt = _Learnt()
        if self._taught(code, learnt) > 0:
            asked = (
                string_at(at, length).decode("ascii").split() if length else []
                for at, length in zip(learnt.asked, learnt.lengths, strict=True)
            )
            told = [
                _utf8("".join([f"{term} " for term in terms(forms)]))
                for forms, terms in zip(asked, self._terms, strict=True)
            ]
            if self._compiled.localsearch_lexicon_tell(self._memory, *told) < 0:
                raise MemoryError
            self._taught(code, learnt)
        places: list[int] = learnt.unknown[: 2 * learnt.left]
        return places

    def _taught(self, code: bytes, learnt: _Learnt) -> int:
        asked: int = self._compiled.localsearch_lexicon_learn(self._memory, code, self._same, byref(learnt))
        if asked < 0:
            raise MemoryError
        return asked

    def _told(self) -> Taken:
        taken = self._taken
        strings = string_at(taken.strings, taken.length).decode("utf-8", "surrogatepass")
        terms, words, plain = strings.split("\n")
        return Taken(terms, taken.count, words, plain, taken.across)


def _joined(words: Collection[str]) -> bytes:
    return _utf8(" ".join(words))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@cache
def _kinds() -> bytes:
    """What each character up to U+FFFF is."""
    kinds, every = bytearray(0x10000), "".join(map(chr, range(0x10000)))
    for bit, pattern in _PATTERNS:
        for match in pattern.finditer(every):
            kinds[match.start()] |= bit
    return bytes(kinds)


@cache
def _compiled() -> PyDLL | None:
    """The kernels; other threads wait while they are called through it, which takes less time than letting them in."""
    path = kernels.library()
    if path is None:
        return None
    library = PyDLL(str(path))
    try:
        begin, put, take, learn, tell = (
            library.localsearch_lexicon_begin,
            library.localsearch_lexicon_put,
            library.localsearch_lexicon_take,
            library.localsearch_lexicon_learn,
            library.localsearch_lexicon_tell,
        )
    except AttributeError:  # built from an older checkout
        return None
    begin.argtypes, begin.restype = [c_char_p, c_uint64], c_void_p
    put.argtypes = [c_void_p, c_char_p, c_int32, c_char_p, c_int32, c_int32, c_char_p, c_char_p]
    take.argtypes = [c_void_p, c_char_p, c_int32, POINTER(_Taken)]
    learn.argtypes = [c_void_p, c_char_p, c_int32, POINTER(_Learnt)]
    tell.argtypes = [c_void_p, c_char_p, c_char_p]
    library.localsearch_lexicon_end.argtypes = [c_void_p]
    library.localsearch_lexicon_end.restype = None
    library.localsearch_lexicon_size.argtypes, library.localsearch_lexicon_size.restype = [c_void_p], c_int64
    return library


def available() -> bool:
    """Whether the kernels are there."""
    return _compiled() is not None
