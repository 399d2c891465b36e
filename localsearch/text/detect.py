"""Which language a text is in: by script first, then by function words, then by the statistics of its letters."""

from __future__ import annotations

import re
import string
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cache

from localsearch.patterns import regex
from localsearch.text import letters
from localsearch.text.stopwords import STOP_WORDS

SAMPLE = 4000
"""Characters looked at: enough to be sure, few enough to cost microseconds."""

_SCRIPTS = (
    ("kana", "[\u3040-\u30ff\uff66-\uff9f]"),
    ("hangul", "[\uac00-\ud7af\u1100-\u11ff\u3130-\u318f]"),
    ("han", "[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff]"),
    ("thai", "[\u0e00-\u0e7f]"),
    ("greek", "[\u0370-\u03ff\u1f00-\u1fff]"),
    ("cyrillic", "[\u0400-\u04ff]"),
    ("arabic", "[\u0600-\u06ff]"),
    ("hebrew", "[\u0590-\u05ff]"),
    ("devanagari", "[\u0900-\u097f]"),
    ("tamil", "[\u0b80-\u0bff]"),
    ("armenian", "[\u0530-\u058f]"),
    ("latin", "[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"),
)
_LETTER = regex("[A-Za-z]")
_ASCII_LETTERS = string.ascii_letters.encode()
_SPACED = bytes(octet if octet in _ASCII_LETTERS else 0x20 for octet in range(256))
"""All that is no letter of ASCII becomes a space."""
_BEYOND_ASCII = regex(r"[^\x00-\x7f]+")
_OF_SCRIPT = {"kana": "ja", "hangul": "ko", "han": "zh", "thai": "th", "tamil": "ta", "armenian": "hy"}
_NOT_LATIN = ("ru", "uk", "bg", "el", "ar", "fa", "he", "hi")
_CANDIDATES = {
    "cyrillic": ("ru", "uk", "bg", "sr"),
    "arabic": ("ar", "fa"),
    "greek": ("el",),
    "hebrew": ("he",),
    "devanagari": ("hi",),
    "latin": tuple(STOP_WORDS.keys() - set(_NOT_LATIN)),
}
_LETTERS = {
    "de": "äöüß",
    "fr": "çèêëîïôûœ",
    "es": "ñ¿¡",
    "pt": "ãõ",
    "it": "ìò",
    "sv": "åäö",
    "da": "æøå",
    "no": "æøå",
    "fi": "äö",
    "hu": "őű",
    "ro": "șțăâ",
    "pl": "łąęśźżćń",
    "cs": "řěůžš",
    "tr": "ğşı",
    "et": "õ",
    "lt": "ėųįš",
    "ru": "ыэё",
    "uk": "іїєґ",
    "bg": "ъ",
    "sr": "ђјљњћџđ",
    "fa": "پچژگ",
}
PHRASE = 60
"""Characters of a text that is a phrase, such as a query: its function words tell more than its letters."""
_UNLIKE = frozenset(["en", "de", "fr", "it", "nl", "hu", "tr"])
"""Languages that their function words tell from all others, where they lead by as many votes."""
_PLAINLY = 3.0
_WORD = regex(r"[^\W\d_]+")


def _invert(lists: Mapping[str, frozenset[str] | str]) -> dict[str, tuple[str, ...]]:
    languages: dict[str, list[str]] = defaultdict(list)
    for language, items in lists.items():
        for item in items:
            languages[item].append(language)
    return {item: tuple(found) for item, found in languages.items()}


_LANGUAGES_OF_WORD = _invert(STOP_WORDS)
_LANGUAGES_OF_LETTER = _invert(_LETTERS)


def detect_language(text: str, *, phrase: bool = False) -> str:
    """ISO 639-1 code of the text's main language, '' if unsure.

    By script, then by function words; what is longer than a phrase, and not plainly one of the languages that no
    other is like, by the statistics of letters that py3langid keeps. A `phrase`, such as a query, is told by its
    function words alone however long it is: a search must not wait for a model.

    Example: `detect_language("Wo liegt der Bahnhof?")` is `"de"`, `detect_language("Bahnhof")` is `""`.
    """
    whole = _sample(text)
    sample = whole.casefold()
    script = _script(sample)
    if script in _OF_SCRIPT:
        return _OF_SCRIPT[script]
    candidates = _CANDIDATES.get(script, ())
    if len(candidates) == 1:
        return candidates[0]
    language, lead = _by_words(sample, candidates)
    if phrase or len(sample) < PHRASE or (language in _UNLIKE and lead >= _PLAINLY) or not candidates:
        return language
    return letters.by_letters(whole) or language


def _sample(text: str) -> str:
    """The start, or the start and a piece of the middle: front matter is often in another language."""
    if len(text) <= SAMPLE:
        return text
    middle = len(text) // 2
    return text[: SAMPLE // 2] + " " + text[middle : middle + SAMPLE // 2]


@cache
def _scripts() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Compiled when the first text asks: that takes longer than to look at a query of ASCII."""
    return tuple((name, re.compile(letters)) for name, letters in _SCRIPTS)


def _script(sample: str) -> str:
    if sample.isascii():
        return "latin" if _LETTER.search(sample) else ""
    rest = "".join(_BEYOND_ASCII.findall(sample))
    counts = {name: len(pattern.findall(rest)) for name, pattern in _scripts()}
    octets = sample.encode("ascii", "ignore")
    counts["latin"] += len(octets) - len(octets.translate(None, _ASCII_LETTERS))
    if counts["kana"] * 10 > counts["han"]:
        counts["kana"] += counts["han"]
    # A character of Chinese or Korean says as much as several letters.
    for name in ("kana", "hangul", "han"):
        counts[name] *= 3
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else ""


def _by_words(sample: str, candidates: tuple[str, ...]) -> tuple[str, float]:
    """The language with most votes, '' if unsure, and by how many votes it leads."""
    votes: defaultdict[str, float] = defaultdict(float)
    of_words, of_letters = _shares(candidates)
    words = _words(sample)
    for word, times in Counter(filter(of_words.__contains__, words)).items():
        for language, share in of_words[word]:
            votes[language] += times * share
    for word in () if sample.isascii() else words:
        if not word.isascii():
            for letter in set(word):
                for language, share in of_letters.get(letter, ()):
                    votes[language] += share
    ranked = sorted(votes.items(), key=lambda item: -item[1])[:2]
    if not ranked or ranked[0][1] < 1.0:
        return "", 0.0
    second = ranked[1][1] if len(ranked) > 1 else 0.0
    language = ranked[0][0] if ranked[0][1] >= 1.15 * second else ""
    return language, ranked[0][1] - 2 * second


def _words(sample: str) -> list[str]:
    """Runs of letters; of western texts in a tenth of the time."""
    if sample.isascii():
        return sample.encode().translate(_SPACED).decode().split()
    try:
        return sample.encode("cp1252").translate(_spaced_western()).decode("cp1252").split()
    except UnicodeEncodeError:
        return _WORD.findall(sample)


@cache
def _spaced_western() -> bytes:
    """All that is no letter of Windows-1252, which has the quotes and dashes of English texts, becomes a space."""
    letters = (_WORD.match(bytes([octet]).decode("cp1252", "replace")) for octet in range(256))
    return bytes(octet if letter else 0x20 for octet, letter in enumerate(letters))


Shares = dict[str, tuple[tuple[str, float], ...]]


@cache
def _shares(candidates: tuple[str, ...]) -> tuple[Shares, Shares]:
    """What each word and letter gives to each of these languages that has it: less the more have it."""
    words = {
        word: _votes(of, candidates, 1.0 if len(word) > 1 else 0.3) for word, of in _LANGUAGES_OF_WORD.items()
    }
    letters = {letter: _votes(of, candidates, 0.5) for letter, of in _LANGUAGES_OF_LETTER.items()}
    return words, letters


def _votes(
    languages: tuple[str, ...], candidates: tuple[str, ...], weight: float
) -> tuple[tuple[str, float], ...]:
    share = weight / len(languages) ** 0.5
    return tuple((language, share) for language in languages if language in candidates)
