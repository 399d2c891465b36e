"""Text to index terms: the one analyser for passages, queries and highlights."""

from __future__ import annotations

import itertools
import re
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import snowballstemmer

from localsearch.text.candidates import holding
from localsearch.text.stopwords import STOP_WORDS

T = TypeVar("T")
ANALYSIS = "1"
"""Changes whenever the same text gives other terms, so that an index made before is rebuilt."""

LONGEST = 64
"""Characters of a term: what is longer is data rather than a word, and only its start is kept."""

_MEMO = 200_000
"""Words remembered per language, about 40 MB at most; then the memory starts afresh."""

_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a\u0900-\u0963\u0970-\u0dff\u0f71-\u0f84\u1ab0-\u1aff"
    "\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
)
# Written without spaces between words: cut into overlapping pairs. Kana and Han with their iteration marks, Hangul,
# then Thai, Lao, Myanmar and Khmer without their punctuation and digits.
_UNSPACED = (
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecf\u0edc-\u0edf\u1000-\u103f\u1050-\u108f\u1780-\u17d3"
)
_RUN = re.compile(f"[{_UNSPACED}]+")
_CLUSTER = re.compile(
    ".[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecf\u102b-\u103e\u17b4-\u17d3\u3099\u309a\uff9e\uff9f]*"
)
_LETTER = f"[^\\W{_UNSPACED}]"
_ATOM = f"{_LETTER}+(?:[{_MARKS}\u200d]+{_LETTER}*)*"
_GLUE = r"(?<=\d),(?=\d\d\d)\d+"
_WORD = re.compile(f"[{_UNSPACED}]+|{_ATOM}(?:[.'’‑-]{_ATOM}|{_GLUE})*(?:\\+\\+|#)?")
# The same for text without marks and unspaced scripts, which is most text, at several times the speed.
_PLAIN_WORD = re.compile(rf"\w+(?:[.'’‑-]\w+|{_GLUE})*(?:\+\+|#)?")
_SPECIAL = re.compile(f"[{_UNSPACED}{_MARKS}\u200d]")
_HUMP = re.compile("(?<=[a-z][a-z])(?=[A-Z](?:[a-z][a-z]|[A-Z]))|(?<=[A-Z])(?=[A-Z][a-z][a-z])")
_JOINT = re.compile("[._-]+")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+")
_ELISION = re.compile(
    "^(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|dell|all|nell|sull|dall|un|quest)['’](?=\\w)", re.IGNORECASE
)
_APOSTROPHE = re.compile("['’]")
_POSSESSIVE = re.compile("['’]s?$")
# Marks that writers leave out: accents, and the vowel points of Arabic and Hebrew. Voicing marks of kana and vowel
# signs of Indic scripts are letters in their own right and stay.
_FOLDED = re.compile("[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]")
_LETTERS = str.maketrans(
    {
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ł": "l",
        "ı": "i",
        "þ": "th",
        "ħ": "h",
        "ŧ": "t",
        "’": "'",
    }
)
_LATIN = {
    "ca", "cs", "da", "de", "en", "eo", "es", "et", "eu", "fi", "fr", "ga", "hu", "id", "it", "lt", "nl", "no", "pl",
    "pt", "ro", "sr", "st", "sv", "tr",
}  # fmt: skip
_STEMMERS = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "eo": "esperanto", "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish",
    "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian",
    "it": "italian", "lt": "lithuanian", "ne": "nepali", "nl": "dutch", "no": "norwegian", "pl": "polish",
    "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian", "st": "sesotho", "sv": "swedish",
    "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
_SCRIPT_LANGUAGES = (
    ("\u0370", "\u03ff", ("el",)),
    ("\u0400", "\u04ff", ("ru", "sr")),
    ("\u0530", "\u058f", ("hy",)),
    ("\u0590", "\u05ff", ("yi",)),
    ("\u0600", "\u06ff", ("ar", "fa")),
    ("\u0900", "\u097f", ("hi", "ne")),
    ("\u0b80", "\u0bff", ("ta",)),
)


class Token(NamedTuple):
    """A term and where it stands: `text[start:end]` is the word it was made from."""

    term: str
    start: int
    end: int


Found = tuple[str, int, int]
"""What a `Token` says without its names, which take time to give."""


def normalize(text: str) -> str:
    """NFKC, case folded, accents and vowel points removed: `"Ｃａｆé"` gives `"cafe"`."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", _FOLDED.sub("", folded).translate(_LETTERS))


class Analyzer:
    """Text to terms, remembered word by word. Safe to share between threads.

    Words are taken apart and kept whole (`readFile_v2` gives `readfile_v2 read file v2`), numbers lose their
    grouping (`1,000` gives `1000`), words are stemmed by Snowball in the language given, then folded. Scripts
    without spaces give overlapping pairs of characters. A language without a stemmer, or '', stems words of the
    Latin alphabet as `default_language`.
    """

    def __init__(self, default_language: str = "en", *, stemming: bool = True) -> None:
        self._default = default_language
        self._stemming = stemming
        self._memos: dict[str, _Memo[str]] = {}
        self._stretches: dict[str, _Memo[Found]] = {}
        self._surfaces = _Memo(_surface)
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """Equal for two analysers that give the same terms."""
        return (
            f"{ANALYSIS}-{self._default}-{'stem' if self._stemming else 'plain'}-{snowballstemmer.__name__}"
        )

    def terms(self, text: str, language: str = "") -> list[str]:
        """Index terms in reading order, function words included."""
        memo = self._memo(language)
        if text.isascii() or _SPECIAL.search(text) is None:
            return [term for word in _PLAIN_WORD.findall(text) for term in memo[word]]
        return [term for word in _WORD.findall(text) for term in _word_terms(word, memo)]

    def tokens_with_offsets(self, text: str, language: str = "") -> list[Token]:
        """The same terms with the place of the word in `text` that each came from."""
        return [Token(*found) for found in _found(text, self._memo(language))]

    def find(self, text: str, wanted: frozenset[str], language: str = "") -> list[Found]:
        """Those of `tokens_with_offsets` whose term is wanted, much sooner in English: no word reaches over white
        space, so what stands between is looked at as a whole, and only if it may hold a wanted term."""
        stretches = holding(text, wanted) if self._latin(language) == "en" else None
        if stretches is None:
            return [found for found in _found(text, self._memo(language)) if found[0] in wanted]
        tokens = self._stretches_of(language)
        return [
            (term, start + low, start + high)
            for start, end in stretches
            for term, low, high in tokens[text[start:end]]
            if term in wanted
        ]

    def split(self, text: str) -> list[str]:
        """The words of a text as written, runs of an unspaced script whole."""
        return _WORD.findall(text)

    def words(self, text: str) -> list[str]:
        """Whole words as people type them, folded but not stemmed: what completions are made of."""
        return [word for raw in _WORD.findall(text) for word in self._surfaces[raw]]

    def is_stop(self, word: str, language: str = "") -> bool:
        """True for a function word of the language; of English when the language is unknown."""
        return word.casefold() in STOP_WORDS.get(language or self._default, ())

    def _memo(self, language: str) -> _Memo[str]:
        memo = self._memos.get(language)
        if memo is None:
            with self._lock:
                memo = self._memos.setdefault(
                    language, _Memo(partial(_analyze, stem=self._stem_for(language)))
                )
        return memo

    def _stretches_of(self, language: str) -> _Memo[Found]:
        """The terms of what stands between white space, punctuation and all, with their places in it."""
        if language not in self._stretches:
            self._stretches[language] = _Memo(partial(_found, memo=self._memo(language)))
        return self._stretches[language]

    def _stem_for(self, language: str) -> Callable[[str], str]:
        if not self._stemming:
            return _unstemmed
        return _Stemmers(self._latin(language), language).stem

    def _latin(self, language: str) -> str:
        """The language by which words of the Latin alphabet are stemmed."""
        return language if language in _LATIN else self._default


def _unstemmed(word: str) -> str:
    return word


class _Stemmers:
    """Chooses a Snowball stemmer by the script of each word; they keep state, so one call at a time."""

    def __init__(self, latin: str, language: str) -> None:
        self._latin = latin
        self._language = language
        self._stemmers: dict[str, Callable[[str], str]] = {}
        self._lock = threading.Lock()

    def stem(self, word: str) -> str:
        language = self._language_of(word)
        if language not in _STEMMERS:
            return word
        with self._lock:
            if language not in self._stemmers:
                self._stemmers[language] = snowballstemmer.stemmer(_STEMMERS[language]).stemWord
            return self._stemmers[language](word)

    def _language_of(self, word: str) -> str:
        first = word[0]
        if first < "\u0370":
            return self._latin
        for low, high, languages in _SCRIPT_LANGUAGES:
            if low <= first <= high:
                return self._language if self._language in languages else languages[0]
        return ""


class _Memo(dict[str, tuple[T, ...]]):
    """Word to terms, computed once: text repeats its words, and stemming in Python is slow."""

    def __init__(self, compute: Callable[[str], Sequence[T]]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, raw: str) -> tuple[T, ...]:
        terms = tuple(self._compute(raw))
        if len(raw) <= LONGEST:
            if len(self) >= _MEMO:
                self.clear()
            self[raw] = terms
        return terms


def _analyze(raw: str, stem: Callable[[str], str]) -> tuple[str, ...]:
    """The terms of a word; most words are letters of one case and need no taking apart."""
    if raw.isascii() and raw.isalpha() and (raw.islower() or raw.isupper() or raw.istitle()):
        return (normalize(stem(raw.lower()[:LONGEST])),)
    return _taken_apart(raw, stem)


def _taken_apart(raw: str, stem: Callable[[str], str]) -> tuple[str, ...]:
    """The whole, when the word is composed, then its parts; `O'Neill's` is simple, `os.path`, `IL-6` are not."""
    if not raw.isascii():
        raw = unicodedata.normalize("NFKC", raw).replace("‑", "-")
    if "," in raw and _GROUPED.fullmatch(raw):
        return (raw.replace(",", ""),)
    if raw.endswith(("#", "++")):
        sign = raw.lstrip("".join(set(raw) - {"#", "+"}))
        base = _analyze(raw[: -len(sign)], stem)
        return (raw.casefold(), *base) if len(raw) - len(sign) <= 2 else base
    word = _without_apostrophes(raw)
    parts = [part for piece in _JOINT.split(word) if piece for part in _humps(piece)]
    if len(parts) <= 1:
        return tuple(_term(part, stem) for part in parts)
    if not _kept_whole(word):
        return tuple(_term(part, stem) for part in parts)
    whole = normalize(word.replace("-", "").strip("_"))[:LONGEST]
    return (whole, *(_term(part, stem) for part in parts[:LONGEST] if not _small_number(part)))


def _humps(piece: str) -> list[str]:
    """`readFile` gives `read File`; what has no capitals has no humps to look for."""
    return [piece] if piece.islower() else _HUMP.split(piece)


def _without_apostrophes(raw: str) -> str:
    """`l'eau` gives `eau`, `Anna's` gives `Anna`, `O'Neill` and `don't` become one word."""
    if "'" not in raw and "’" not in raw:
        return raw
    return _APOSTROPHE.sub("", _ELISION.sub("", _POSSESSIVE.sub("", raw)))


def _small_number(part: str) -> bool:
    """The 3 and 11 of 3.11, the 01 of 2024-01-15: on their own they only add noise."""
    return len(part) <= 2 and part.isdigit()


def _kept_whole(word: str) -> bool:
    """Identifiers, versions, dates and names with numbers are searched as one; hyphenated prose is not."""
    return "_" in word or "." in word or any(map(str.isdigit, word)) or _HUMP.search(word) is not None


def _term(part: str, stem: Callable[[str], str]) -> str:
    """Stem, then fold. What had accents is stemmed once more, so that it meets the word typed without them."""
    word = part.casefold()[:LONGEST]
    folded = normalize(stem(word))
    return folded if word.isascii() else (normalize(stem(folded)) if folded else word)


def _word_terms(raw: str, memo: _Memo[str]) -> tuple[str, ...]:
    return tuple(pair for pair, _, _ in _pairs(raw)) if _RUN.match(raw) else memo[raw]


def _found(text: str, memo: _Memo[str]) -> list[Found]:
    """All terms of a text, each with where its word stands."""
    if text.isascii() or _SPECIAL.search(text) is None:
        words = _PLAIN_WORD.finditer(text)
        return [(term, match.start(), match.end()) for match in words for term in memo[match[0]]]
    return [found for match in _WORD.finditer(text) for found in _found_in(match, memo)]


def _found_in(match: re.Match[str], memo: _Memo[str]) -> Iterator[Found]:
    raw, start = match.group(), match.start()
    if _RUN.match(raw):
        for pair, low, high in _pairs(raw):
            yield pair, start + low, start + high
    else:
        for term in memo[raw]:
            yield term, start, match.end()


def _pairs(run: str) -> list[tuple[str, int, int]]:
    """Overlapping pairs of characters with their places; a single character stays alone."""
    places = [(m.start(), m.end()) for m in _CLUSTER.finditer(run)]
    if len(places) == 1:
        return [(normalize(run), 0, len(run))]
    spans = [(low, high) for (low, _), (_, high) in itertools.pairwise(places)]
    return [(normalize(run[low:high]), low, high) for low, high in spans]


def _surface(raw: str) -> tuple[str, ...]:
    if _RUN.match(raw):
        return ()
    word = _without_apostrophes(raw)
    parts = tuple(normalize(part) for part in _JOINT.split(word) if part)
    return (normalize(word), *parts) if len(parts) > 1 and _kept_whole(word) else parts
