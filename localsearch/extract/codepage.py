"""Which legacy code page a text is in: chardet's statistics of letters, corrected by what no text would look like.

In a sentence with two accents the statistics of several alphabets come out nearly alike. What decides then is whether
the words could be words at all: one script in each, no capital or sign in the middle, no control characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache
from itertools import pairwise

SAMPLE = 64 * 1024
JUDGED = 3000
"""Bytes of which candidates are held against each other."""
NEAR, NEARER = 0.05, 0.4
"""Candidates of at least this share of the best confidence are looked at: where little tells, and where much does."""
MUCH = 30
"""Bytes beyond ASCII that tell much."""
FALLBACK = "cp1252"
DOS = frozenset([
    "cp437", "cp850", "cp852", "cp866", "cp737", "cp857", "cp862", "cp775", "cp932", "cp949", "gb18030",
    "big5hkscs",
])  # fmt: skip
"""Code pages in which programs for DOS and Windows name files."""
_BEYOND_ASCII = bytes(range(128, 256))
UNSURE = 6
"""Bytes beyond ASCII that tell as much as is known of an encoding before: with fewer, the common ones lead."""

_SAME = {"ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
         "euc_kr": "cp949", "iso8859-8": "cp1255", "shift_jis_2004": "cp932", "cp858": "cp850"}  # fmt: skip
"""Candidates that are parts of another one, or its twin with one sign changed."""
_COMMON = frozenset([
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874",
    "cp932", "cp949", "gb18030", "big5hkscs",
])  # fmt: skip
_LESS_COMMON = {
    **dict.fromkeys(
        ["iso8859-2", "iso8859-5", "iso8859-7", "iso8859-13", "koi8-r", "koi8-u", "euc_jis_2004"], 0.9799
    ),
    **dict.fromkeys(["cp850", "cp852", "cp866", "mac-roman", "iso8859-15"], 0.97),
    **dict.fromkeys(["cp437", "cp1125", "johab", "mac-cyrillic"], 0.85),
}
_RARE = 0.7
"""How likely an encoding is before the text is seen, beside the Windows code page of the same letters."""

_WORD = re.compile(r"[^\W\d_]+")
_LONE = frozenset("àáâéèêíóòôúýåöøæąęőиваоуксяієјаьαηοшאו")
_INSIDE = re.compile(r"(?<=[^\W\d_])([^\w\s\x00-\x7f])(?=[^\W\d_])")
_BESIDE = re.compile(
    r"[^\W\d_]([\u2190-\u25ff¤¦¨´¸¼½¾¹²³ºª†‡‰±µ¶§×÷¬¢£¥])|([\u2190-\u25ff¤¦¨´¸†‡±¶¬])[^\W\d_]"
)
_JOINTS = frozenset("’‘'‑–—…\u00ad\u200c\u200d“”«»„‹›")
_ELISION = re.compile(
    r"(?<=[^\W\d_])’(?:s|t|re|ll|ve|d|m)\b|\b(?:[cdjlmnst]|qu|un|(?:d|n|s)?[ae]ll)’(?=\w)", re.I
)
_CONTROL = re.compile("[\x80-\x9f\ufffd\ue000-\uf8ff]")
_OTHER_SCRIPT = re.compile(
    "[\u0370-\u03ff\u1f00-\u1fff]+|[\u0400-\u052f]+|[\u0590-\u05ff]+|[\u0600-\u06ff\ufb50-\ufeff]+|"
    "[\u0e00-\u0e7f]+|[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af\uff66-\uff9f]+"
)
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")


def likeliest(data: bytes, among: frozenset[str] | None = None) -> str:
    """Python's name of the encoding that bytes beyond ASCII are most likely in; of DOS, or of `among` alone."""
    import chardet
    from chardet import EncodingEra

    sample = telling(data)
    ranked = chardet.detect_all(
        sample,
        ignore_threshold=True,
        encoding_era=EncodingEra.ALL & ~EncodingEra.MAINFRAME,
        compat_names=False,
        max_bytes=SAMPLE,
        include_encodings=among,
        no_match_encoding="cp1252" if among is None else "cp437",
    )
    candidates: dict[str, float] = {}
    for found in ranked:
        if found["encoding"]:
            name = _SAME.get(found["encoding"], found["encoding"])
            candidates.setdefault(name, found["confidence"])
    if not candidates or max(candidates.values()) <= 0:
        return FALLBACK if among is None else "cp437"
    judged = sample[:JUDGED]
    beyond = len(judged) - len(judged.translate(None, _BEYOND_ASCII))
    least = (NEAR if beyond < MUCH else NEARER) * max(candidates.values())
    told = 1 + UNSURE / max(1, beyond)
    scores = {
        name: sure
        * (prior(name) if among is None else 1.0) ** told
        * plausibility(judged.decode(name, "replace"))
        for name, sure in candidates.items()
        if sure >= least
    }
    best = max(scores, key=lambda name: scores[name])
    return _latin2(judged, best) if best in ("cp1250", "iso8859-2") and _is_czech(judged) else best


def _is_czech(data: bytes) -> bool:
    """Whether a Latin-2 text has letters of Czech or its neighbours, which have no ą: č, ě, ř, ů."""
    return any(letter in data for letter in (b"\xe8", b"\xc8", b"\xec", b"\xf8", b"\xf9"))


def _latin2(data: bytes, likely: str) -> str:
    """Which of two code pages that differ in š, ž, ť: in Windows' they are where the other has control characters."""
    if any(0x80 <= byte <= 0x9F for byte in data):
        return "cp1250"
    czech = any(letter in data for letter in (b"\xec", b"\xf8", b"\xf9"))
    standard = any(letter in data for letter in (b"\xb9", b"\xa9", b"\xae")) or (czech and b"\xbe" in data)
    return "iso8859-2" if standard else likely


def telling(data: bytes) -> bytes:
    """The lines that have a byte beyond ASCII, up to SAMPLE bytes: nothing else tells one code page from another."""
    lines: list[bytes] = []
    length = 0
    for line in data.splitlines(keepends=True):
        if not line.isascii():
            lines.append(line)
            length += len(line)
            if length > SAMPLE:
                break
    return b"".join(lines)[:SAMPLE]


def prior(encoding: str) -> float:
    """How likely an encoding is before the text is seen, from 0 to 1."""
    if encoding in _COMMON:
        return 1.0 if encoding == FALLBACK else 0.98
    return _LESS_COMMON.get(encoding, _RARE)


def plausibility(text: str) -> float:
    """Whether decoded text looks as people write, from near 0 to 2: about 1 where nothing speaks for or against it."""
    beyond = len(text) - len(text.encode("ascii", "ignore"))
    if not beyond:
        return 1.0
    odd = 2.0 * len(_CONTROL.findall(text)) + _strange_signs(text) + _strays(text)
    known = words = len(_ELISION.findall(text))
    several = _LATIN.search(text) is not None and _OTHER_SCRIPT.search(text) is not None
    for word, times in Counter(_WORD.findall(text)).items():
        if word.isascii():
            continue
        strange = _strange_case(word) + (_mixed(word) if several else 0.0) + (len(word) == 1 and _alone(word))
        odd += strange * times
        words += times
        known += times * (word.casefold() in _function_words())
    return float((1.0 + 1.5 * known / max(words, 2)) * max(0.02, 1 - odd / beyond) ** 2)


@cache
def _function_words() -> frozenset[str]:
    """Words beyond ASCII that are among the commonest of some language."""
    from localsearch.text.stopwords import STOP_WORDS  # with the analyzer of words, which no reader needs

    return frozenset(word for words in STOP_WORDS.values() for word in words if not word.isascii())


def _strange_signs(text: str) -> float:
    """Signs inside of words, or right beside them, that stand there in no language."""
    inside = sum(
        1 for sign in _INSIDE.findall(text) if sign not in _JOINTS and unicodedata.category(sign)[0] != "M"
    )
    catalan = text.count("l·l") + text.count("L·L")
    return inside - catalan + 0.5 * len(_BESIDE.findall(text))


def _strays(text: str) -> float:
    """Letters of another script strewn into Latin text."""
    latin = len(_LATIN.findall(text))
    runs = _OTHER_SCRIPT.findall(text)
    others = sum(map(len, runs))
    few = others * 4 < latin and others < 3 * len(runs)
    return float(others) if others and (few or (others == len(runs) and others * 2 < latin)) else 0.0


def _strange_case(word: str) -> float:
    """Capitals after small letters: 1 for each."""
    if word[1:] == word[1:].lower() or word == word.upper():
        return 0.0
    return float(
        sum(1 for one, two in pairwise(word) if one.islower() and two.isupper() and not two.isascii())
    )


def _mixed(word: str) -> float:
    """Letters of two alphabets in one word."""
    others = sum(map(len, _OTHER_SCRIPT.findall(word)))
    latin = len(_LATIN.findall(word))
    cased = others and not re.search("[\u3040-\uffdc]", word)
    return float(min(others, latin)) if cased else 0.0


def _alone(word: str) -> float:
    """A letter beyond ASCII by itself that is no word: what quotation marks become in a wrong code page."""
    if ord(word) > 0x3000 or word.lower() in _LONE:
        return 0.0
    return 0.7
