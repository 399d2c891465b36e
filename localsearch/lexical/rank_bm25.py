"""BM25 in pure Python over rank-bm25: where Tantivy has no wheel, and the reference in tests."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rank_bm25 import BM25Okapi

from localsearch.lexical.query import (
    EXACT,
    LexicalQuery,
    Phrase,
    QueryTerm,
    about_weight,
    inverse_frequency,
    pruned,
)
from localsearch.lexical.stream import (
    FILLER,
    K1,
    B,
    streams,
)
from localsearch.lexical.wildcards import matches
from localsearch.text import Analyzer
from localsearch.types import Ids, IndexedChunk, Ranking, Scores


class _Bm25(BM25Okapi):  # type: ignore[misc]
    """Okapi with Lucene's idf, ln(1 + (N - n + 0.5) / (n + 0.5)), which never goes below zero."""

    def _calc_idf(self, nd: Mapping[str, int]) -> None:
        n = self.corpus_size
        self.idf = {word: math.log1p((n - df + 0.5) / (df + 0.5)) for word, df in nd.items()}


class RankBM25Index:
    """The lexical index in memory: it starts empty at seq 0, so opening replays every change."""

    in_memory = True

    def __init__(self, analyzer: Analyzer, *, about: float = 1.0) -> None:
        self._analyzer = analyzer
        self._about_weight = about
        self._passages: dict[int, tuple[int, str, list[str], list[str], frozenset[str]]] = {}
        self._seq = 0
        self._freeze()

    @property
    def seq(self) -> int:
        return self._seq

    def __len__(self) -> int:
        return len(self._ids)

    def begin(self, chunks: Sequence[IndexedChunk]) -> None:
        """Nothing is gained before they are added."""

    def add(self, chunks: Sequence[IndexedChunk]) -> None:
        for chunk in chunks:
            held = streams(chunk, self._analyzer)
            told = frozenset(held.words.difference(held.plain))
            row = (chunk.document_id, chunk.language, held.terms, held.plain, told)
            self._passages[chunk.chunk_id] = row

    def remove(self, document_ids: Sequence[int]) -> None:
        gone = set(document_ids)
        kept = {chunk: value for chunk, value in self._passages.items() if value[0] not in gone}
        self._passages = kept

    def clear(self) -> None:
        self._passages = {}

    def commit(self, seq: int) -> None:
        self._freeze()
        self._seq = seq

    def _freeze(self) -> None:
        self._ids: Ids = np.fromiter(self._passages, np.int64, len(self._passages))
        self._documents: Ids = np.array([d for d, *_ in self._passages.values()], np.int64)
        self._terms = [terms for _, _, terms, *_ in self._passages.values()]
        self._plain = [plain for *_, plain, _ in self._passages.values()]
        self._told = [told for *_, told in self._passages.values()]
        self._languages = Counter(language for _, language, *_ in self._passages.values())
        self._bm25 = _Bm25(self._terms, k1=K1, b=B) if any(self._terms) else None
        self._plain_bm25 = _Bm25(self._plain, k1=K1, b=B) if any(self._plain) else None
        self._df = Counter(term for terms in self._terms for term in set(terms))
        self._plain_df = Counter(word for words in self._plain for word in set(words))
        self._word_df = self._plain_df + Counter(word for words in self._told for word in words)
        del self._word_df[FILLER]

    @property
    def languages(self) -> Mapping[str, int]:
        return self._languages

    def doc_freq(self, term: str) -> int:
        return self._df[term]

    def search(self, query: LexicalQuery, k: int, allowed: NDArray[np.bool_] | None = None) -> Ranking:
        scores, matched = self._scores(query)
        if allowed is not None:
            matched &= _may(allowed, self._ids)
        found = np.flatnonzero(matched)
        best = found[np.lexsort((self._ids[found], -scores[found]))][:k]
        return Ranking(self._ids[best], scores[best].astype(np.float32))

    def estimate(self, query: LexicalQuery) -> int:
        """How many documents match; exact here."""
        return len(self.matching(query))

    def matching(self, query: LexicalQuery, among: Ids | None = None) -> Ids:
        """Ids of the documents, all or among these, with a chunk that matches, ascending."""
        found = np.unique(self._documents[self._scores(query)[1]])
        return found if among is None else np.intersect1d(found, among, assume_unique=True)

    def score(self, query: LexicalQuery, ids: Ids) -> Scores:
        scores, matched = self._scores(query)
        by_id = dict(zip(self._ids.tolist(), np.where(matched, scores, 0.0).tolist()))
        return np.array([by_id.get(int(i), 0.0) for i in ids], np.float32)

    def term_scores(self, query: LexicalQuery, ids: Ids) -> NDArray[np.float32]:
        rows = [self.score(LexicalQuery(terms=(term,)), ids) for term in query.terms]
        return np.stack(rows) if rows else np.zeros((0, len(ids)), np.float32)

    def idf(self, query: LexicalQuery) -> NDArray[np.float32]:
        return inverse_frequency(len(self), [self.held(term) for term in query.terms])

    def held(self, term: QueryTerm) -> int:
        """Chunks that hold the commonest form of the term; of one in pieces, at most."""
        pieces = (min(map(self.doc_freq, words)) for words in term.apart)
        return max([self._in_text(term), *pieces, *(n for *_, n in self._about(term))], default=0)

    def _in_text(self, term: QueryTerm) -> int:
        """Chunks whose text holds the commonest form of the term, or else what will do instead."""
        return max([*map(self.doc_freq, term.forms), self._missed(term)])

    def _about(self, term: QueryTerm) -> list[tuple[bool, str, int]]:
        """What finds the term among the words about documents: whether it is a stem, and the number of chunks."""
        if not self._about_weight:
            return []
        stems, plain = term.about
        held = [(True, word, self._df[word]) for word in stems]
        held += [(False, word, self._plain_df[word]) for word in plain]
        return [found for found in held if found[2]]

    def pruned(self, query: LexicalQuery) -> LexicalQuery:
        """The query without what would find nothing more."""
        return pruned(query, lambda term: self._missed(term) > 0 or bool(self._about(term)))

    def knows(self, word: str) -> bool:
        """Whether some chunk holds the plain word."""
        return self._plain_df[word] > 0 or self._df[self._analyzer.stem(word)] > 0

    def chunks_with(self, phrase: Phrase) -> Ids:
        """Ids of the chunks that hold the phrase, ascending."""
        return np.sort(self._ids[self._holds(phrase)])

    def count_with(self, phrase: Phrase) -> int:
        """How many chunks hold the phrase."""
        return int(np.count_nonzero(self._holds(phrase)))

    def words_like(self, pattern: str, most: int) -> tuple[list[str], int]:
        """The plain words of the corpus that a pattern stands for, commonest first, at most so many; and how many
        there are."""
        counts = {word: n for word, n in self._word_df.items() if matches(pattern, word)}
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return ranked[:most], len(ranked)

    def complete(self, prefix: str, n: int = 10) -> list[str]:
        """Nothing: only stems are held here."""
        return []

    def correct(self, word: str) -> str | None:
        """Nothing, for the same reason."""
        return None

    def ids(self) -> Ids:
        """Every chunk id held."""
        return self._ids

    def refresh(self) -> None:
        """Nothing: another process's changes come through the log alone."""

    def close(self) -> None:
        self._passages = {}

    def _scores(self, query: LexicalQuery) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        total = np.zeros(len(self._ids))
        for term in query.terms:
            total += self._term_scores(term)
        for phrase in query.phrases:
            holds = self._holds(phrase)
            total += holds * float(inverse_frequency(len(self), [int(np.count_nonzero(holds))])[0])
        return total, total > 0

    def _term_scores(self, term: QueryTerm) -> NDArray[np.float64]:
        """The best of the forms, or else of what will do instead; and of the ways in which it stands in pieces."""
        forms = self._form_scores(self._bm25, term.forms)
        found = np.where(forms > 0, forms, self._other_scores(term))
        pieces = [self._phrase_scores(words) for words in term.apart]
        exact = self._form_scores(self._plain_bm25, term.plain[:1]) * (EXACT if len(term.forms) > 1 else 0.0)
        return (np.max([found, *pieces], axis=0) + exact + self._about_scores(term)) * term.weight  # type: ignore[no-any-return]

    def _about_scores(self, term: QueryTerm) -> NDArray[np.float64]:
        """The best of what finds the term among words about documents, with their weight."""
        scores, in_text = [np.zeros(len(self._ids))], self._in_text(term)
        for is_stem, word, count in self._about(term):
            weight = about_weight(self._about_weight, len(self._ids), in_text, count)
            bm25 = self._bm25 if is_stem else self._plain_bm25
            scores.append(self._form_scores(bm25, [word]) * weight)
        return np.max(scores, axis=0)  # type: ignore[no-any-return]

    def _missed(self, term: QueryTerm) -> int:
        forms = self._form_scores(self._bm25, term.forms)
        return int(np.count_nonzero((forms == 0) & (self._other_scores(term) > 0)))

    def _other_scores(self, term: QueryTerm) -> NDArray[np.float64]:
        stems = self._form_scores(self._bm25, term.stems)
        return np.maximum(stems, self._form_scores(self._plain_bm25, term.plain))

    def _phrase_scores(self, words: Sequence[str]) -> NDArray[np.float64]:
        """BM25 of consecutive terms as of one whose idf is the sum of theirs."""
        counts = np.array([_count(terms, tuple(words)) for terms in self._terms], np.float64)
        lengths = np.array([len(terms) for terms in self._terms], np.float64)
        norms = K1 * (1 - B + B * lengths / max(lengths.mean(), 1e-9)) if len(lengths) else lengths
        idf = float(inverse_frequency(len(self), [self.doc_freq(word) for word in words]).sum())
        return np.divide(idf * counts * (K1 + 1), counts + norms, where=counts > 0, out=np.zeros_like(counts))

    def _form_scores(self, bm25: _Bm25 | None, forms: Sequence[str]) -> NDArray[np.float64]:
        if bm25 is None or not forms:
            return np.zeros(len(self._ids))
        return np.max([np.asarray(bm25.get_scores([form])) for form in forms], axis=0)  # type: ignore[no-any-return]

    def _holds(self, phrase: Phrase) -> NDArray[np.bool_]:
        phrase = phrase.anywhere if self._about_weight else phrase
        others = {*phrase.plain, *phrase.words}
        held = [
            any(_contains(terms, words, phrase.slop) for words in phrase.alternatives)
            or not plain.isdisjoint(others)
            or not told.isdisjoint(phrase.words)
            for terms, plain, told in zip(self._terms, map(set, self._plain), self._told)
        ]
        return np.array(held, np.bool_)


def _contains(terms: list[str], phrase: tuple[str, ...], slop: int) -> bool:
    return _loosely(terms, phrase, slop) if slop and len(phrase) > 1 else _count(terms, phrase) > 0


def _loosely(terms: list[str], phrase: tuple[str, ...], slop: int) -> bool:
    """Whether the words stand at most so many positions from where each other would put them, in any order."""
    least: dict[int, int] = {at: 0 for at, term in enumerate(terms) if term == phrase[0]}
    for word in phrase[1:]:
        places = [at for at, term in enumerate(terms) if term == word]
        least = {
            at: min(cost + abs(at - before - 1) for before, cost in least.items()) for at in places if least
        }
    return any(cost <= slop for cost in least.values())


def _count(terms: list[str], phrase: tuple[str, ...]) -> int:
    n = len(phrase)
    return sum(tuple(terms[i : i + n]) == phrase for i in range(len(terms) - n + 1))


def _may(allowed: NDArray[np.bool_], ids: Ids) -> NDArray[np.bool_]:
    """The mask at these ids; ids beyond its end are not allowed."""
    inside = ids < len(allowed)
    return inside & allowed[np.where(inside, ids, 0)]
