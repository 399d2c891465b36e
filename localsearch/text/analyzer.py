"""Text to index terms: the one analyser for chunks, queries and highlights."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import snowballstemmer

from localsearch.text.candidates import holding
from localsearch.text.folding import fold_word, normalize
from localsearch.text.lexicon import Lexicon, Taken, available
from localsearch.text.pieces import (
    LONGEST,
    PLAIN_WORD,
    RUN,
    Piece,
    any_word,
    inflected,
    is_name,
    is_plain,
    is_simple,
    pairs,
    pieces,
)
from localsearch.text.plain import (
    ACROSS,
    Asked,
    asked,
    places_of,
    raw_words,
    variants,
    words_across,
    words_in,
)
from localsearch.text.stopwords import STOP_WORDS

V = TypeVar("V")
ANALYSIS = "7"
"""Changes whenever the same text gives other terms, so that an index made before is rebuilt."""

_MEMO = 200_000
"""Words remembered per language, about 40 MB at most; then the memory starts afresh."""

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
MOST_LEXICONS = 8
_SCRIPT_LANGUAGES = (
    ("\u0370", "\u03ff", ("el",)),
    ("\u0400", "\u04ff", ("ru", "sr")),
    ("\u0530", "\u058f", ("hy",)),
    ("\u0590", "\u05ff", ("yi",)),
    ("\u0600", "\u06ff", ("ar", "fa")),
    ("\u0900", "\u097f", ("hi", "ne")),
    ("\u0b80", "\u0bff", ("ta",)),
)


_LETTER = re.compile(r"\w")


class Token(NamedTuple):
    """A term and where it stands: `text[start:end]` is the word it was made from."""

    term: str
    start: int
    end: int


class Forms(NamedTuple):
    """What finds a term of a query: its different stems in some languages, the other ones in the default language, and
    its plain forms."""

    own: tuple[str, ...]
    stems: tuple[str, ...]
    plain: tuple[str, ...]


class Entries(NamedTuple):
    """What an index holds of a text or of one word: its terms in reading order; and everything by which a word of it
    can be asked for, folded: `told` by the term in the default language, which is among the terms, `plain` not."""

    terms: Sequence[str]
    told: Collection[str]
    plain: Collection[str]


_TERMS, _TOLD, _PLAIN = map(itemgetter, range(3))
"""Fields of `Entries`, read sooner than by their names."""

Terms = tuple[str, ...]
Found = tuple[str, int, int]
"""What a `Token` says without its names, which take time to give."""


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
        self._memos: dict[str, _Memo[Terms]] = {}
        self._stretches: dict[str, _Memo[list[Found]]] = {}
        self._entries: dict[str, _Memo[Entries]] = {}
        self._lexicons: dict[str, Lexicon] = {}
        self._stemmers: dict[str, _Stemmers] = {}
        self._stems_in: dict[str, _Memo[str]] = {}
        self._plain = _Memo(variants)
        self._stems = _Memo(partial(_stem_of, stem=self._stem_for(default_language)))
        self._forms = lru_cache(10_000)(self._forms_of)
        self._lock = threading.Lock()

    @property
    def options(self) -> tuple[str, bool]:
        """The default language, and whether words are stemmed."""
        return self._default, self._stemming

    @property
    def fingerprint(self) -> str:
        """Equal for two analysers that give the same terms."""
        return (
            f"{ANALYSIS}-{self._default}-{'stem' if self._stemming else 'plain'}-{snowballstemmer.__name__}"
        )

    def terms(self, text: str, language: str = "") -> list[str]:
        """Index terms in reading order, function words included."""
        memo = self._memo(language)
        if is_plain(text):
            return [term for word in PLAIN_WORD.findall(text) for term in memo[word]]
        return [term for raw in any_word().findall(text) for term in _word_terms(raw, memo)]

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

    def asked(self, text: str) -> list[Asked]:
        """The words of a query, runs of an unspaced script whole, each with the plain forms that will do for it."""
        return asked(text)

    def forms(self, word: Asked, languages: tuple[str, ...]) -> tuple[Forms, ...]:
        """For each term of a word of a query what finds it in chunks of these languages: `gehen` gives
        `("geh", "gehen")`."""
        return self._forms(word.raw, word.terms, languages)

    def words(self, text: str) -> set[str]:
        """Everything by which a word of the text can be asked for whatever its language: folded, not stemmed."""
        return words_in(text, self._plain.__getitem__)

    def find_plain(self, text: str, wanted: frozenset[str]) -> list[Found]:
        """Where words stand that can be asked for by these plain forms, ascending."""
        return places_of(text, wanted, self._plain.__getitem__)

    def stem(self, word: str) -> str:
        """The term of a plain word in the default language: by it every query looks."""
        return self._stems[word][0]

    def entries(self, text: str, language: str = "") -> Entries:
        """What an index holds of a text: `terms` and `words` at once, in less than half of their time.

        A query asks for the term of each word in the default language, and for the word among the plain ones: whatever
        language the text is in, whatever the word is a part of, one of them is there.
        """
        raws = raw_words(text)
        each = list(map(self._entries_of(language).__getitem__, raws))
        terms = list(chain.from_iterable(map(_TERMS, each)))
        once = dict(zip(raws, each)).values()
        told: set[str] = set().union(*map(_TOLD, once))
        rest = words_across(text).union(*filter(None, map(_PLAIN, once)))
        if rest:
            rest -= told
            more = self._told(rest, set(terms))
            told.update(more)
            rest.difference_update(more)
        return Entries(terms, told, rest)

    def taken(self, texts: Sequence[tuple[str, str]], language: str = "") -> list[Taken | None]:
        """What an index is given of texts, each with what is told about it, in a small part of the time of `entries`.

        None where the kernels are not there or a text is not for them. Many at once take less time.
        """
        if not available():
            return [None] * len(texts)
        return self._lexicon(language if language in _STEMMERS else "").take(texts)

    def _lexicon(self, language: str) -> Lexicon:
        """The memory of a language's words; of more than MOST_LEXICONS, the one made first is forgotten."""
        with self._lock:
            if language not in self._lexicons:
                if len(self._lexicons) >= MOST_LEXICONS:
                    del self._lexicons[next(iter(self._lexicons))]
                same = self._latin(language) == self._latin(self._default)
                terms = None if same else partial(self._terms_of_ascii, language)
                common = partial(self._terms_of_ascii, self._default)
                entry = partial(_entry_of, self._entry_in(language))
                self._lexicons[language] = Lexicon(entry, worth_suggesting, self._term_of, (terms, common))
            return self._lexicons[language]

    def is_stop(self, word: str, language: str = "") -> bool:
        """True for a function word of the language; of English when the language is unknown."""
        return word.casefold() in STOP_WORDS.get(language or self._default, ())

    def _forms_of(
        self, raw: str, plain: tuple[tuple[str, ...], ...], languages: tuple[str, ...]
    ) -> tuple[Forms, ...]:
        each = [self.terms(raw, language) for language in languages]
        own = [tuple(dict.fromkeys(terms)) for terms in zip(*each)] or [()]
        return tuple(
            Forms(
                terms,
                tuple(dict.fromkeys(stem for stem in map(self.stem, words) if stem not in terms)),
                words[:1] + tuple(word for word in words[1:] if not word.isalpha()),
            )
            for terms, words in zip(own, plain)
        )

    def _memo(self, language: str) -> _Memo[Terms]:
        memo = self._memos.get(language)
        if memo is None:
            with self._lock:
                memo = self._memos.setdefault(
                    language, _Memo(partial(_analyze, stem=self._stem_for(language)))
                )
        return memo

    def _entries_of(self, language: str) -> _Memo[Entries]:
        if language not in self._entries:
            self._entries[language] = _Memo(self._entry_in(language))
        return self._entries[language]

    def _entry_in(self, language: str) -> Callable[[str], Entries]:
        same = self._latin(language) == self._latin(self._default)
        return partial(self._entry, stem=self._stem_for(language), same=same)

    def _entry(self, raw: str, stem: Callable[[str], str], same: bool) -> Entries:
        """What an index holds of one word, or of a run of an unspaced script; `same` is whether words of Latin letters
        have their terms in the default language."""
        if is_simple(raw):
            terms: Terms = _analyze(raw, stem)
            forms: Terms = (raw.lower()[:LONGEST],)
            if same:
                return Entries(terms, forms, ())
        elif RUN.match(raw):
            terms, forms = tuple(pair for pair, _, _ in pairs(raw)), variants(raw)
        else:
            parts = pieces(raw)
            terms, forms = _terms_of(parts, stem), variants(raw, parts)
        told = tuple(self._told(forms, terms))
        return Entries(terms, told, () if len(told) == len(forms) else tuple(set(forms).difference(told)))

    def _told(self, forms: Iterable[str], terms: Collection[str]) -> list[str]:
        """The plain forms whose term in the default language is among these."""
        stems = self._stems
        return [form for form in forms if (form if is_name(form) else stems[form][0]) in terms]

    def _term_of(self, form: str) -> str:
        return form if is_name(form) else self._stems[form][0]

    def _terms_of_ascii(self, language: str, words: Sequence[str]) -> Sequence[str]:
        """The terms of small words of ASCII, all at once: what `_term` gives of each."""
        if not self._stemming:
            return words
        stems = self._stemmers_of(language).stem_ascii(list(words))
        return [fold_word(stem or word) for stem, word in zip(stems, words, strict=True)]

    def _stretches_of(self, language: str) -> _Memo[list[Found]]:
        """The terms of what stands between white space, punctuation and all, with their places in it."""
        if language not in self._stretches:
            self._stretches[language] = _Memo(partial(_found, memo=self._memo(language)))
        return self._stretches[language]

    def _stem_for(self, language: str) -> Callable[[str], str]:
        if not self._stemming:
            return _unstemmed
        if language not in self._stems_in:
            self._stems_in[language] = _Memo(self._stemmers_of(language).stem)
        return self._stems_in[language].__getitem__

    def _stemmers_of(self, language: str) -> _Stemmers:
        if language not in self._stemmers:
            self._stemmers[language] = _Stemmers(self._latin(language), language)
        return self._stemmers[language]

    def _latin(self, language: str) -> str:
        """The language by which words of the Latin alphabet are stemmed."""
        return language if language in _LATIN else self._default


def worth_suggesting(words: Iterable[str]) -> list[str]:
    """Those words that may complete or correct another: not numbers and the shortest."""
    return [word for word in words if 3 <= len(word) <= 40 and not word.isdigit()]


def _entry_of(single: Callable[[str], Entries], raw: str, kind: int) -> Entries:
    """What an index holds of a word, by `single`, or of another kind of `ACROSS`, which has no terms."""
    forms = ACROSS[kind]
    return single(raw) if forms is None else Entries((), (), tuple(dict.fromkeys(forms(raw))))


def _unstemmed(word: str) -> str:
    return word


class _Stemmers:
    """Chooses a Snowball stemmer by the script of each word; they keep state, so one call at a time."""

    def __init__(self, latin: str, language: str) -> None:
        self._latin = latin
        self._language = language
        self._stemmers: dict[str, Any] = {}
        self._lock = threading.Lock()

    def stem(self, word: str) -> str:
        language = self._language_of(word)
        if language not in _STEMMERS:
            return word
        with self._lock:
            return str(self._stemmer(language).stemWord(word))

    def stem_ascii(self, words: list[str]) -> list[str]:
        """The stems of words of ASCII, all at once."""
        if self._latin not in _STEMMERS:
            return words
        with self._lock:
            found: list[str] = self._stemmer(self._latin).stemWords(words)
            return found

    def _stemmer(self, language: str) -> Any:
        if language not in self._stemmers:
            stemmer = snowballstemmer.stemmer(_STEMMERS[language])
            stemmer.maxCacheSize = 0  # words are remembered here, and its own memory is slow to make room
            self._stemmers[language] = stemmer
        return self._stemmers[language]

    def _language_of(self, word: str) -> str:
        first = word[0]
        if first < "\u0370":
            return self._latin
        for low, high, languages in _SCRIPT_LANGUAGES:
            if low <= first <= high:
                return self._language if self._language in languages else languages[0]
        return ""


class _Memo(dict[str, V]):
    """What is made of a word, computed once: text repeats its words, and stemming in Python is slow."""

    def __init__(self, compute: Callable[[str], V]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, raw: str) -> V:
        made = self._compute(raw)
        if len(raw) <= LONGEST:
            if len(self) >= _MEMO:
                self.clear()
            self[raw] = made
        return made


def _analyze(raw: str, stem: Callable[[str], str]) -> tuple[str, ...]:
    """The terms of a word; most words are letters of one case and need no taking apart."""
    if is_simple(raw):
        return (normalize(stem(raw.lower()[:LONGEST])),)
    return _terms_of(pieces(raw), stem)


def _terms_of(parts: Iterable[Piece], stem: Callable[[str], str]) -> Terms:
    return tuple([_term(text, stem) if inflected else _folded(text) for text, inflected in parts])


def _term(part: str, stem: Callable[[str], str]) -> str:
    """Stem, then fold. What had accents is stemmed once more, so that it meets the word typed without them."""
    word = part[:LONGEST]
    folded = fold_word(stem(word) or word)
    return folded if word.isascii() else fold_word(stem(folded) or folded)


def _stem_of(word: str, stem: Callable[[str], str]) -> tuple[str]:
    """What is no word, such as a sign, has no stem; nor has a run of an unspaced script."""
    if word.isascii():
        bends = word.isalpha() or (not is_name(word) and not word.isdigit() and any(map(str.isalpha, word)))
    else:
        bends = inflected(word) and _LETTER.search(word) is not None and not RUN.match(word)
    return (_term(word, stem) if bends else word,)


def _folded(part: str) -> str:
    return fold_word(part[:LONGEST])


def _word_terms(raw: str, memo: _Memo[Terms]) -> tuple[str, ...]:
    return tuple(pair for pair, _, _ in pairs(raw)) if RUN.match(raw) else memo[raw]


def _found(text: str, memo: _Memo[Terms]) -> list[Found]:
    """All terms of a text, each with where its word stands."""
    if is_plain(text):
        words = PLAIN_WORD.finditer(text)
        return [(term, match.start(), match.end()) for match in words for term in memo[match[0]]]
    return [found for match in any_word().finditer(text) for found in _found_in(match, memo)]


def _found_in(match: re.Match[str], memo: _Memo[Terms]) -> Iterator[Found]:
    raw, start = match.group(), match.start()
    if RUN.match(raw):
        for pair, low, high in pairs(raw):
            yield pair, start + low, start + high
    else:
        for term in memo[raw]:
            yield term, start, match.end()
