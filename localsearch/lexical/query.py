"""A query as the lexical indexes want it: weighted terms with their alternative forms, phrases and patterns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from localsearch.lexical.apart import apart
from localsearch.lexical.stream import MARK
from localsearch.text import Analyzer, Asked, chain, detect_language

if (
    TYPE_CHECKING
):  # the processes that take chunks apart need no numpy, which takes as long to load as all else
    import numpy as np
    from numpy.typing import NDArray

MOST_TERMS = 200
"""Distinct terms used of a query: a whole page pasted as a query is answered by its first words."""
EXACT = 0.1
"""Weight of a word as it was typed beside a stem, where the stems of several languages are asked for."""
_MOST_CODES = 16
"""Different words with digits of a query that are taken apart: what has more is data."""
_LONGEST = MOST_TERMS + 2
"""Characters used of a word: an unspaced script has no end of one, and a term more than are used takes two more."""
_SHARE = 0.02
_MOST_LANGUAGES = 4


class QueryTerm(NamedTuple):
    """One word of the query. `forms` are its stems in the languages of the index; the best of them counts.

    Where a chunk holds none of them others will do: `stems` in the default language, `plain` words that it has in
    another language, as a part of a word, or as others write it; `apart` are the ways in which it may stand in pieces,
    each of consecutive terms.
    """

    forms: tuple[str, ...]
    weight: float = 1.0
    stems: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    apart: tuple[tuple[str, ...], ...] = ()

    @property
    def about(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What finds the word among those about a document: marked stems, then marked plain words."""
        stems = tuple(MARK + form for form in dict.fromkeys(self.forms + self.stems))
        return stems, tuple(MARK + word for word in self.plain)

    @property
    def apart_from_forms(self) -> bool:
        """Whether no chunk can hold one of the forms and a plain word: it would be told by its stem alone."""
        return not self.stems and len(self.forms) <= 1 and len(self.plain) == 1


@dataclass(frozen=True, slots=True)
class Phrase:
    """What a chunk holds or does not: consecutive terms, in alternatives, or one of the plain words.

    There is an alternative for each language; up to `slop` positions may lie between the terms of one. `words` are
    plain words however they are held: those that a pattern such as `ros*` stands for.
    """

    alternatives: tuple[tuple[str, ...], ...] = ()
    plain: tuple[str, ...] = ()
    slop: int = 0
    words: tuple[str, ...] = ()

    @property
    def anywhere(self) -> Phrase:
        """The phrase in the text or in words about the document."""
        about = tuple(tuple(MARK + word for word in words) for words in self.alternatives)
        plain = self.plain + tuple(MARK + word for word in self.plain)
        return replace(self, alternatives=self.alternatives + about, plain=plain)


@dataclass(frozen=True, slots=True)
class LexicalQuery:
    """What to look for: terms and phrases add up. `cut` is whether there were more terms than are used."""

    terms: tuple[QueryTerm, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    language: str = ""
    text: str = field(default="", compare=False)
    cut: bool = False

    def __bool__(self) -> bool:
        return bool(self.terms or self.phrases)


def _nothing(_: str) -> bool:
    return False


def analyze_query(
    text: str,
    analyzer: Analyzer,
    *,
    phrases: Sequence[Phrase] = (),
    languages: Mapping[str, int] | None = None,
    knows: Callable[[str], bool] = _nothing,
) -> LexicalQuery:
    """Make a LexicalQuery out of the words that a person typed, those of `phrases` among them.

    `languages` counts chunks by language (`LexicalIndex.languages`): words are stemmed as those of the commonest
    were. Function words are dropped unless there is nothing else. `knows` says which plain words occur
    (`LexicalIndex.knows`), to take apart what has digits in it.
    """
    detected = detect_language(text, phrase=True)
    stems = _stem_languages(languages or {}, detected)
    terms = _terms(text, analyzer, stems, detected or stems[0], knows)
    return LexicalQuery(terms[:MOST_TERMS], tuple(phrases), detected, text, len(terms) > MOST_TERMS)


def analyze_phrase(
    text: str,
    analyzer: Analyzer,
    *,
    slop: int = 0,
    languages: Mapping[str, int] | None = None,
    knows: Callable[[str], bool] = _nothing,
) -> Phrase | None:
    """Make a Phrase out of a word or several, stemmed as the chunks of each language were; None without a word."""
    return _phrase(text, analyzer, tuple(languages or {}) or ("",), slop, knows)


def _stem_languages(languages: Mapping[str, int], detected: str) -> tuple[str, ...]:
    """The languages that matter: what the chunks were stemmed as, commonest first."""
    total = sum(languages.values())
    common = [lang for lang, n in sorted(languages.items(), key=lambda item: -item[1]) if n >= _SHARE * total]
    if detected in languages and detected not in common[:_MOST_LANGUAGES]:
        common.insert(0, detected)
    return tuple(common[:_MOST_LANGUAGES]) or (detected,)


def _terms(
    text: str, analyzer: Analyzer, languages: tuple[str, ...], spoken: str, knows: Callable[[str], bool]
) -> tuple[QueryTerm, ...]:
    """The different terms of a text, one more than are used at most."""
    counts: Counter[QueryTerm] = Counter()
    stops: Counter[QueryTerm] = Counter()
    taken: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = {}
    for word in analyzer.asked(text):
        if len(counts) > MOST_TERMS:
            break
        target = stops if analyzer.is_stop(word.raw, spoken) else counts
        if len(target) > MOST_TERMS:
            continue
        if not word.raw.isalpha() and word.whole not in taken and any(map(str.isdigit, word.raw)):
            taken[word.whole] = _apart(word, analyzer, languages, knows) if len(taken) < _MOST_CODES else ()
        if len(word.raw) > _LONGEST:
            word = word._replace(raw=word.raw[:_LONGEST])
        pieces = taken.get(word.whole, ()) if taken else ()
        for own, stems, plain in analyzer.forms(word, languages):
            target[QueryTerm(own, 1.0, stems, plain, pieces)] += 1
    chosen = counts or stops
    return tuple([term if n == 1 else term._replace(weight=float(n)) for term, n in chosen.items()])


def _apart(
    word: Asked, analyzer: Analyzer, languages: tuple[str, ...], knows: Callable[[str], bool]
) -> tuple[tuple[str, ...], ...]:
    """The terms of a word that may stand in pieces, in each language."""
    ways = [" ".join(pieces) for pieces in apart(word.whole[0], knows)] if word.whole else []
    return tuple(
        dict.fromkeys(tuple(analyzer.terms(way, language)) for way in ways for language in languages)
    )


def _phrase(
    text: str, analyzer: Analyzer, languages: tuple[str, ...], slop: int, knows: Callable[[str], bool]
) -> Phrase | None:
    """The words of a text in their order; None for none."""
    words = analyzer.asked(text)
    if len(words) == 2 and words[1].whole and (option := words[1].whole[0]).startswith("-") and knows(option):
        return Phrase(plain=(option,))
    if words and not words[0].raw and len({word.whole for word in words}) == 1:
        words = words[:1]  # one sign several times, as in §§
    plain = words[0].whole if len(words) == 1 else () if " " in text.strip() else (chain(text),)
    plain = tuple(filter(None, plain))
    found = [tuple(analyzer.terms(text, language)) for language in languages]
    found += [(analyzer.stem(word),) for word in plain]
    if len(words) == 1:
        found += _apart(words[0], analyzer, languages, knows)
    alternatives = tuple(dict.fromkeys(terms for terms in found if terms))
    return Phrase(alternatives, plain, slop) if alternatives or plain else None


def pruned(query: LexicalQuery, misses: Callable[[QueryTerm], bool]) -> LexicalQuery:
    """The query without stems and plain words of those terms whose forms miss nothing that these would find."""
    kept = [
        term if len(term.forms) > 1 or misses(term) else term._replace(stems=(), plain=())
        for term in query.terms
    ]
    return replace(query, terms=tuple(kept))


def about_weight(weight: float, chunks: int, in_text: int, about: int) -> float:
    """The weight of a word about a document, that is in `about` chunks, beside one of the text, that is in `in_text`.

    A word that few have among their tags is not rarer than the word is: its idf is that of all chunks that have it.
    """
    shared, own = inverse_frequency(chunks, [in_text + about, about]).tolist()
    return weight * shared / own if own > 0 else weight


def inverse_frequency(chunks: int, frequencies: Sequence[int]) -> NDArray[np.float32]:
    """Lucene's idf, ln(1 + (N - n + 0.5) / (n + 0.5)), of terms that occur in `frequencies` chunks."""
    import numpy as np

    n = np.asarray(frequencies, np.float32)
    rest = np.maximum(max(chunks, 1) - n, 0)
    return np.log1p((rest + 0.5) / (n + 0.5)).astype(np.float32, copy=False)
