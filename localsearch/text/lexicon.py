"""A memory of words by C of our own (kernels/lexicon.c), which takes many texts apart with it at once."""

from __future__ import annotations

import re
import secrets
import threading
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from ctypes import (
    POINTER,
    PyDLL,
    Structure,
    byref,
    c_char_p,
    c_int32,
    c_int64,
    c_uint32,
    c_uint64,
    c_void_p,
    string_at,
)
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

from localsearch import kernels
from localsearch.text.pieces import SPECIAL
from localsearch.text.plain import ANY_SIGN

LARGEST = 100_000_000
"""Bytes of words and forms remembered; then the memory starts afresh."""
_WORD, _DIGIT, _SPECIAL, _SIGN, _JOINER, _GROUPING, _SPACE, _EDGE = (1 << bit for bit in range(8))
_PATTERNS = (
    (_WORD, r"\w"),
    (_DIGIT, r"\d"),
    (_SPECIAL, f"{SPECIAL.pattern}|[\ud800-\udfff]"),  # no half of a character beyond U+FFFF
    (_SIGN, ANY_SIGN.pattern),
    (_JOINER, "[.'’‐‑-]"),
    (_GROUPING, "[.,'’\u00a0\u202f\u2009 ]"),
    (_SPACE, "[\u00a0\u202f\u2009 ]"),
    (_EDGE, f'[.‐−:;,·‧‘"״׳-]|{ANY_SIGN.pattern}'),
)
"""What characters are, by the bits of kernels/across.h."""


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
    """What an index holds of a text, each list with blanks between.

    Its terms as they stand there; the plain forms that the terms do not tell, sorted, and fillers up to as many as the
    terms; and everything worth suggesting.
    """

    text: str
    plain: str
    words: str


class _Unknown(Structure):
    _fields_ = (("key", c_void_p), ("length", c_int64), ("number", c_uint32), ("kind", c_uint32))


class _Learnt(Structure):
    _fields_ = (
        ("asked", c_void_p * 2),
        ("lengths", c_int64 * 2),
        ("unknown", POINTER(_Unknown)),
        ("left", c_int64),
    )


class _Given(Structure):
    _fields_ = (
        ("strings", c_void_p),
        ("ends", POINTER(c_int64)),
        ("length", c_int64),
        ("count", c_int64),
    )


class Lexicon:
    """Takes texts apart, and words of ASCII too. Safe to share between threads.

    What an index holds of another word, or of what is no single word, is asked for once, by `entry`, which is told the
    kind by its number in `ACROSS`, 0 for a word.

    `suggested` chooses the forms that are worth suggesting, `stem` gives the term of a plain form. `terms` give those
    of small words of ASCII in the language of the texts and in the default one; None in place of the first says that it
    is the same. Raises OSError where the kernels are not there.
    """

    def __init__(
        self,
        entry: Callable[[str, int], Entry],
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
        self._memory: int | None = None

    def __del__(self) -> None:
        if self._memory:
            self._compiled.localsearch_lexicon_end(self._memory)

    def take(self, texts: Sequence[tuple[str, str]]) -> list[Taken | None]:
        """Take texts apart, each with what is told about it; None where a character needs more than this."""
        codes = [each.encode("utf-8", "surrogatepass") for text in texts for each in text]
        borders = array("q", accumulate(map(len, codes), initial=0))
        with self._lock:
            memory = self._remembered()
            if self._done("read", memory, b"".join(codes), borders.buffer_info()[0], len(codes)) > 0:
                self._learn(memory)
            given = _Given()
            self._done("give", memory, byref(given))
            return list(_given(given))

    def _remembered(self) -> int:
        """The memory; where it holds too much, all is forgotten."""
        if self._memory and self._compiled.localsearch_lexicon_size(self._memory) > LARGEST:
            self._compiled.localsearch_lexicon_end(self._memory)
            self._memory = None
        if not self._memory:
            self._memory = self._compiled.localsearch_lexicon_begin(_kinds(), secrets.randbits(64))
        if not self._memory:
            raise MemoryError
        return self._memory

    def _done(self, name: str, *arguments: Any) -> int:
        """What a function of the kernels returns."""
        found: int = getattr(self._compiled, f"localsearch_lexicon_{name}")(*arguments)
        if found < 0:
            raise MemoryError
        return found

    def _learn(self, memory: int) -> None:
        """Put in what was not known of texts: of words of ASCII their terms alone are asked for here."""
        learnt = _Learnt()
        self._done("learn", memory, self._same, byref(learnt))
        asked = (
            string_at(at, length).decode("ascii").split() if length else []
            for at, length in zip(learnt.asked, learnt.lengths, strict=True)
        )
        told = [
            "".join([f"{term} " for term in terms(forms)]).encode() if forms else b""
            for forms, terms in zip(asked, self._terms, strict=True)
        ]
        self._done("tell", memory, self._same, *told, byref(learnt))
        for unknown in learnt.unknown[: learnt.left]:
            raw = string_at(unknown.key, unknown.length).decode("utf-16-le")
            entry = self._entry(raw, unknown.kind)
            told_of, plain = entry.told, b""
            if entry.plain:
                told_of = (*told_of, *entry.plain)
                plain = _joined([each for form in entry.plain for each in (form, self._stem(form))])
            words = _joined(self._suggested(told_of))
            self._done("put", memory, unknown.number, _joined(entry.terms), words, plain)


def _given(given: _Given) -> Iterator[Taken | None]:
    strings = string_at(given.strings, given.length)
    ends: list[int] = given.ends[: given.count]
    start = 0
    for terms, plain, words in zip(ends[::3], ends[1::3], ends[2::3], strict=True):
        if terms < 0:
            yield None
            continue
        yield Taken(
            strings[start:terms].decode(), strings[terms:plain].decode(), strings[plain:words].decode()
        )
        start = words


def _joined(words: Collection[str]) -> bytes:
    return " ".join(words).encode()


@cache
def _kinds() -> bytes:
    """What each character up to U+FFFF is."""
    kinds, every = bytearray(0x10000), "".join(map(chr, range(0x10000)))
    for bit, pattern in _PATTERNS:
        added = bytes(kind | bit for kind in range(0x100))
        for match in re.finditer(f"(?:{pattern})+", every):
            here = slice(*match.span())
            kinds[here] = kinds[here].translate(added)
    return bytes(kinds)


@cache
def _compiled() -> PyDLL | None:
    """The kernels; other threads wait while they are called through it, which takes less time than letting them in."""
    path = kernels.library()
    if path is None:
        return None
    library = PyDLL(str(path))
    try:
        begin, read, give, learn, tell, put = (
            getattr(library, f"localsearch_lexicon_{name}")
            for name in ("begin", "read", "give", "learn", "tell", "put")
        )
    except AttributeError:  # built from an older checkout
        return None
    begin.argtypes, begin.restype = [c_char_p, c_uint64], c_void_p
    read.argtypes, read.restype = [c_void_p, c_char_p, c_void_p, c_int64], c_int64
    give.argtypes = [c_void_p, POINTER(_Given)]
    learn.argtypes, learn.restype = [c_void_p, c_int32, POINTER(_Learnt)], c_int64
    tell.argtypes = [c_void_p, c_int32, c_char_p, c_char_p, POINTER(_Learnt)]
    put.argtypes = [c_void_p, c_uint32, c_char_p, c_char_p, c_char_p]
    library.localsearch_lexicon_end.argtypes = [c_void_p]
    library.localsearch_lexicon_end.restype = None
    library.localsearch_lexicon_size.argtypes, library.localsearch_lexicon_size.restype = [c_void_p], c_int64
    return library


def available() -> bool:
    """Whether the kernels are there."""
    return _compiled() is not None
