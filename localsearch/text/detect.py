"""Which language a text is in: by script first, then by the function words of its commonest alphabet."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from localsearch.text.stopwords import STOP_WORDS

SAMPLE = 4000
"""Characters looked at: enough to be sure, few enough to cost microseconds."""

_SCRIPTS = (
    ("kana", re.compile("[\u3040-\u30ff\uff66-\uff9f]")),
    ("hangul", re.compile("[\uac00-\ud7af\u1100-\u11ff\u3130-\u318f]")),
    ("han", re.compile("[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff]")),
    ("thai", re.compile("[\u0e00-\u0e7f]")),
    ("greek", re.compile("[\u0370-\u03ff\u1f00-\u1fff]")),
    ("cyrillic", re.compile("[\u0400-\u04ff]")),
    ("arabic", re.compile("[\u0600-\u06ff]")),
    ("hebrew", re.compile("[\u0590-\u05ff]")),
    ("devanagari", re.compile("[\u0900-\u097f]")),
    ("tamil", re.compile("[\u0b80-\u0bff]")),
    ("armenian", re.compile("[\u0530-\u058f]")),
    ("latin", re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")),
)
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
_WORD = re.compile(r"[^\W\d_]+")


def _invert(lists: Mapping[str, frozenset[str] | str]) -> dict[str, tuple[str, ...]]:
    languages: dict[str, list[str]] = defaultdict(list)
    for language, items in lists.items():
        for item in items:
            languages[item].append(language)
    return {item: tuple(found) for item, found in languages.items()}


_LANGUAGES_OF_WORD = _invert(STOP_WORDS)
_LANGUAGES_OF_LETTER = _invert(_LETTERS)


def detect_language(text: str) -> str:
    """ISO 639-1 code of the text's main language, '' if unsure.

    Example: `detect_language("Wo liegt der Bahnhof?")` is `"de"`, `detect_language("Bahnhof")` is `""`.
    """
    sample = _sample(text)
    script = _script(sample)
    if script in _OF_SCRIPT:
        return _OF_SCRIPT[script]
    candidates = _CANDIDATES.get(script, ())
    return candidates[0] if len(candidates) == 1 else _by_words(sample, candidates)


def _sample(text: str) -> str:
    """The start, or the start and a piece of the middle: front matter is often in another language."""
    if len(text) <= SAMPLE:
        return text.casefold()
    middle = len(text) // 2
    return (text[: SAMPLE // 2] + " " + text[middle : middle + SAMPLE // 2]).casefold()


def _script(sample: str) -> str:
    counts = {name: len(pattern.findall(sample)) for name, pattern in _SCRIPTS}
    if counts["kana"] * 10 > counts["han"]:
        counts["kana"] += counts["han"]
    # A character of Chinese or Korean says as much as several letters.
    for name in ("kana", "hangul", "han"):
        counts[name] *= 3
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else ""


def _by_words(sample: str, candidates: tuple[str, ...]) -> str:
    votes: defaultdict[str, float] = defaultdict(float)
    for word in _WORD.findall(sample):
        _vote(votes, _LANGUAGES_OF_WORD.get(word, ()), candidates, 1.0 if len(word) > 1 else 0.3)
        if not word.isascii():
            for letter in set(word):
                _vote(votes, _LANGUAGES_OF_LETTER.get(letter, ()), candidates, 0.5)
    ranked = sorted(votes.items(), key=lambda item: -item[1])[:2]
    if not ranked or ranked[0][1] < 1.0:
        return ""
    second = ranked[1][1] if len(ranked) > 1 else 0.0
    return ranked[0][0] if ranked[0][1] >= 1.15 * second else ""


def _vote(
    votes: dict[str, float], languages: tuple[str, ...], candidates: tuple[str, ...], weight: float
) -> None:
    """One vote for each language that has the word, worth less the more languages share it."""
    for language in languages:
        if language in candidates:
            votes[language] += weight / len(languages) ** 0.5
