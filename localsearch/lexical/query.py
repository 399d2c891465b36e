"""A query as the lexical indexes want it: weighted terms with their alternative forms, phrases and exclusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from localsearch.text import Analyzer, detect_language

MOST_TERMS = 200
"""Distinct terms used of a query: a whole page pasted as a query is answered by its first words."""
_SHARE = 0.02
_MOST_LANGUAGES = 4


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """One word of the query. `forms` are its stems in the languages of the index; the best of them counts."""

    forms: tuple[str, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class LexicalQuery:
    """What to look for. Every phrase must occur, nothing excluded may, terms add up.

    A phrase or an exclusion is a tuple of alternatives (one per language), each a tuple of consecutive terms.
    """

    terms: tuple[QueryTerm, ...] = ()
    phrases: tuple[tuple[tuple[str, ...], ...], ...] = ()
    excluded: tuple[tuple[tuple[str, ...], ...], ...] = ()
    language: str = ""
    text: str = field(default="", compare=False)

    def __bool__(self) -> bool:
        return bool(self.terms or self.phrases)


def analyze_query(
    words: str,
    analyzer: Analyzer,
    *,
    phrases: Sequence[str] = (),
    excluded: Sequence[str] = (),
    languages: Mapping[str, int] | None = None,
) -> LexicalQuery:
    """Make a LexicalQuery out of the words, phrases and exclusions that a person typed.

    `languages` counts passages by language (`LexicalIndex.languages`): words are stemmed as those passages were.
    Function words are dropped unless there is nothing else. The words of phrases also count as terms.
    """
    text = " ".join([words, *phrases])
    detected = detect_language(text)
    stems = _stem_languages(languages or {}, detected)
    return LexicalQuery(
        terms=_terms(text, analyzer, stems, detected or stems[0]),
        phrases=tuple(found for phrase in phrases if (found := _alternatives(phrase, analyzer, stems))),
        excluded=tuple(found for item in excluded if (found := _alternatives(item, analyzer, stems))),
        language=detected,
        text=text,
    )


def _stem_languages(languages: Mapping[str, int], detected: str) -> tuple[str, ...]:
    """The languages that matter: what the passages were stemmed as, commonest first."""
    total = sum(languages.values())
    common = [lang for lang, n in sorted(languages.items(), key=lambda item: -item[1]) if n >= _SHARE * total]
    if detected in languages and detected not in common[:_MOST_LANGUAGES]:
        common.insert(0, detected)
    return tuple(common[:_MOST_LANGUAGES]) or (detected,)


def _terms(text: str, analyzer: Analyzer, languages: tuple[str, ...], spoken: str) -> tuple[QueryTerm, ...]:
    counts: Counter[tuple[str, ...]] = Counter()
    stops: Counter[tuple[str, ...]] = Counter()
    for word in analyzer.split(text):
        for forms in _forms(word, analyzer, languages):
            target = stops if analyzer.is_stop(word, spoken) else counts
            target[forms] += 1
            if len(target) >= MOST_TERMS:
                break
    chosen = counts or stops
    return tuple(QueryTerm(forms, float(n)) for forms, n in chosen.items())


def _forms(word: str, analyzer: Analyzer, languages: tuple[str, ...]) -> list[tuple[str, ...]]:
    """For each term of the word, its different forms in the languages: `gehen` gives `("geh", "gehen")`."""
    per_language = [analyzer.terms(word, language) for language in languages]
    return [tuple(dict.fromkeys(forms)) for forms in zip(*per_language)]


def _alternatives(phrase: str, analyzer: Analyzer, languages: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    found = (tuple(analyzer.terms(phrase, language)) for language in languages)
    return tuple(dict.fromkeys(terms for terms in found if terms))


def inverse_frequency(passages: int, frequencies: Sequence[int]) -> NDArray[np.float32]:
    """Lucene's idf, ln(1 + (N - n + 0.5) / (n + 0.5)), of terms that occur in `frequencies` passages."""
    n = np.asarray(frequencies, np.float32)
    rest = np.maximum(max(passages, 1) - n, 0)
    return np.log1p((rest + 0.5) / (n + 0.5)).astype(np.float32, copy=False)
