"""Which documents meet the condition of a query: fields by SQL, text by the word index, joined as sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from localsearch.derived import Derived, Mask
from localsearch.filters import And, Filter, Holds, Not, Or, all_of, asks_text, leaves
from localsearch.lexical import Phrase, analyze_phrase
from localsearch.search.visible import MOST_LISTED, Visible
from localsearch.text import Analyzer, dashed
from localsearch.types import Ids

MOST_WORDS = 2_000
"""Words that a pattern stands for which are looked up: more are told."""
_POSITIONS = 3
"""What a chunk costs whose positions are compared, to one that is only listed."""
_ALONE = 3
"""What a single condition may cost, to several."""
MOST_MINUSES = 8
"""Words with a minus in front that are looked for in the texts."""
_NONE = np.empty(0, np.int64)


@dataclass(slots=True)
class Conditions:
    """The text conditions of one query, looked up. `select` lists what a filter on fields alone matches;
    `visible` is which words whoever asks may know of.

    `phrases` are what each leaf looks for (None: no word in it), `patterns` the words that each pattern stands for.
    """

    derived: Derived
    analyzer: Analyzer
    select: Callable[[Filter], Ids]
    visible: Visible
    notes: list[str] = field(default_factory=list)
    phrases: dict[Holds, tuple[Phrase, ...]] = field(default_factory=dict)
    patterns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _chunks: dict[Holds, Ids] = field(default_factory=dict)
    _costs: dict[Holds, int] = field(default_factory=dict)
    _minuses: int = 0

    def affordable(self, condition: Filter | None) -> bool:
        """Look up what the condition asks of texts; whether few enough chunks are to be listed for it."""
        for leaf, _ in leaves(condition):
            if isinstance(leaf, Holds) and leaf not in self.phrases:
                self.phrases[leaf] = self._looked_for(leaf)
        most = MOST_LISTED * (_ALONE if len(self.phrases) == 1 else 1)
        return sum(map(self._cost, self.phrases)) <= most

    def ranks(self, leaf: Holds) -> bool:
        """Whether a chunk that holds it is worth more than one with its words, and is cheaply told."""
        several = leaf.kind == "near" or " " in leaf.text
        return leaf.kind == "pattern" or (several and self._cost(leaf) <= MOST_LISTED // _POSITIONS)

    def _cost(self, leaf: Holds) -> int:
        """Chunks that are looked at to list those that hold it; positions take longer than words."""
        if leaf in self._costs:
            return self._costs[leaf]
        lexical, cost = self.derived.lexical, 0
        for phrase in self.phrases[leaf]:
            if all(len(words) == 1 for words in phrase.alternatives):
                cost += lexical.count_with(phrase)
            else:
                rarest = [min(map(lexical.doc_freq, words)) for words in phrase.alternatives]
                cost += _POSITIONS * (2 if phrase.slop else 1) * sum(rarest)
        self._costs[leaf] = cost
        return cost

    def documents(self, condition: Filter) -> Ids:
        """Ids of the documents that meet it, ascending."""
        if not asks_text(condition):
            return self.select(condition)
        if isinstance(condition, Holds):
            return self._owners(self._holding(condition))
        if isinstance(condition, Not):
            return self._without(self.derived.catalog.documents(), condition.part)
        assert isinstance(condition, And | Or)
        return self._all(condition) if isinstance(condition, And) else self._any(condition)

    def mask(self, condition: Filter, documents: Ids) -> Mask:
        """Which chunks of these documents may be shown: those that hold something asked for, where there are any."""
        asked = [leaf for leaf, wanted in leaves(condition) if wanted and isinstance(leaf, Holds)]
        catalog = self.derived.catalog
        allowed = catalog.mask(documents)
        chunks = np.concatenate([_NONE, *map(self._holding, asked)])
        chunks = chunks[chunks < len(allowed)]
        chunks = chunks[allowed[chunks]]
        allowed = catalog.mask(np.setdiff1d(documents, self._owners(chunks)))
        allowed[chunks] = True
        return allowed

    def stands(self, before: str, word: str) -> bool:
        """Whether a word stands in the texts with its minus as typed: mostly so, or after the word before it."""
        lexical, form = self.derived.lexical, dashed("-" + word.rstrip(".,;:!?-"))
        self._minuses += 1
        if self._minuses > MOST_MINUSES or not lexical.knows(form):
            return False
        dash, alone, most = Phrase(plain=(form,)), self._analyzed(word), MOST_LISTED // MOST_MINUSES
        if alone is None or (self.visible.limited and lexical.count_with(alone) > most):
            return False
        with_minus = self.visible.count_with(dash)
        if not with_minus:
            return False
        if 2 * with_minus >= self.visible.count_with(alone):
            return True
        pair = self._analyzed(f"{before} {word}") if before else None
        if pair is None or max(with_minus, lexical.count_with(pair)) > most:
            return False
        return len(np.intersect1d(self.visible.chunks_with(pair), self.visible.chunks_with(dash))) > 0

    def _looked_for(self, leaf: Holds) -> tuple[Phrase, ...]:
        if leaf.kind == "pattern":
            return (self._words_like(leaf.text),)
        texts = [leaf.text]
        if leaf.kind == "near":
            texts = [f"{leaf.text} {leaf.beside}", f"{leaf.beside} {leaf.text}"]
        found = tuple(one for text in texts if (one := self._analyzed(text, leaf.within)) is not None)
        if not found:
            self.notes.append(f"{leaf.text} has no word in it and was ignored.")
        elif signs := self._signs_beside_words(texts[0]):
            self.notes.append(f"Signs have no place among words: {signs} was not looked for with them.")
        return found

    def _signs_beside_words(self, text: str) -> str:
        """The signs of a text of words and signs: a phrase is of words, which alone have positions."""
        asked = self.analyzer.asked(text)
        signs = [text[word.start : word.end] for word in asked if not word.raw]
        found = [sign for sign in dict.fromkeys(signs) if not any(map(str.isalnum, sign))]
        return " ".join(found) if len(signs) < len(asked) else ""

    def _words_like(self, pattern: str) -> Phrase:
        """One of the words that a pattern stands for."""
        words, known = self.derived.lexical.words_like(pattern, MOST_WORDS)
        if self.visible.limited:
            cut, words = known > len(words), self.visible.known(words)
            known = len(words)
            if cut:
                self.notes.append(f"{pattern} stands for many words: not all of them were looked for.")
        self.patterns[pattern] = tuple(words)
        if not known:
            self.notes.append(f"No word here is like {pattern}.")
        elif known > len(words):
            self.notes.append(
                f"{pattern} stands for {known:,} words: the {len(words):,} commonest were looked for."
            )
        return Phrase(words=tuple(words))

    def _analyzed(self, text: str, slop: int = 0) -> Phrase | None:
        lexical = self.derived.lexical
        return analyze_phrase(
            text, self.analyzer, slop=slop, languages=lexical.languages, knows=lexical.knows
        )

    def _holding(self, leaf: Holds) -> Ids:
        """The chunks that hold it, ascending."""
        if leaf not in self._chunks:
            found = [self.derived.lexical.chunks_with(phrase) for phrase in self.phrases[leaf]]
            self._chunks[leaf] = found[0] if len(found) == 1 else np.unique(np.concatenate([_NONE, *found]))
        return self._chunks[leaf]

    def _owners(self, chunks: Ids) -> Ids:
        owners = np.unique(self.derived.catalog.documents_of(chunks)).astype(np.int64)
        return owners[owners > 0]

    def _without(self, documents: Ids, part: Filter) -> Ids:
        if isinstance(part, Holds) and not self.phrases[part]:
            return documents
        return np.setdiff1d(documents, self.documents(part), assume_unique=True)

    def _all(self, condition: And) -> Ids:
        """Fields first, in one statement, then texts, then what is turned away."""
        parts = [part for part in condition.parts if not (isinstance(part, Holds) and not self.phrases[part])]
        fields = all_of(part for part in parts if not asks_text(part))
        found = None if fields is None else self.select(fields)
        for part in [part for part in parts if asks_text(part) and not isinstance(part, Not)]:
            documents = self.documents(part)
            found = documents if found is None else np.intersect1d(found, documents, assume_unique=True)
        found = self.derived.catalog.documents() if found is None else found
        for turned in [part.part for part in parts if isinstance(part, Not) and asks_text(part)]:
            found = self._without(found, turned)
        return found

    def _any(self, condition: Or) -> Ids:
        return np.unique(np.concatenate([_NONE, *map(self.documents, condition.parts)]))
