"""BM25 on Tantivy, holding terms that our own analyser made.

Each chunk is one Tantivy document whose text is the space-joined stream of its terms. One more document, the
marker, carries the last change (`seq`) and the analyser's fingerprint, and is replaced in the same commit as the
passages: both become durable together or not at all.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray

from localsearch.errors import DamagedError, ReadOnlyError
from localsearch.lexical.analysis_pool import AnalysisPool
from localsearch.lexical.borrowed import Borrowed, borrow
from localsearch.lexical.failures import REBUILD, guard
from localsearch.lexical.fields import Fields
from localsearch.lexical.holders import Holders, Term
from localsearch.lexical.integrity import problems
from localsearch.lexical.query import (
    EXACT,
    LexicalQuery,
    Phrase,
    QueryTerm,
    about_weight,
    inverse_frequency,
    pruned,
)
from localsearch.lexical.stream import MARK
from localsearch.lexical.suggest import correct
from localsearch.lexical.wildcards import Vocabulary, literal_start, matches
from localsearch.platform.disk import drop
from localsearch.text import Analyzer, normalize, worth_suggesting
from localsearch.types import Ids, IndexedChunk, Ranking, Scores

HEAP = 48_000_000
"""Bytes of the writer's one arena: a segment of about 40,000 chunks at a time."""
_FORMAT = "3"
_REMEMBERED = 50_000
"""Terms whose frequency is remembered."""
_FEW = 2_000
"""Allowed chunks or documents up to which they are named one by one in the query."""
_NAMED = 256
"""Ids up to which a term each is several times quicker than a set of terms, which builds an automaton."""
_SPARE = 1.5
"""Chunks asked for under a mask, as a multiple of those that would do if it were spread evenly."""
_MUST, _SHOULD, _NOT = tantivy.Occur.Must, tantivy.Occur.Should, tantivy.Occur.MustNot


class TantivyIndex:
    """The lexical index in a folder. Searching is safe from many threads; writing takes one at a time."""

    in_memory = False

    _frequencies: tuple[tantivy.Searcher, dict[Hashable, int]]

    def __init__(
        self,
        folder: Path,
        index: tantivy.Index,
        analyzer: Analyzer,
        writable: bool,
        borrowed: Borrowed | None = None,
        about: float = 1.0,
    ) -> None:
        self._folder = folder
        self._borrowed = borrowed
        self._index = index
        self._schema = index.schema
        self._analyzer = analyzer
        self._writable = writable
        self._about_weight = about
        self._writer: tantivy.IndexWriter | None = None
        self._pool = AnalysisPool(analyzer)
        self._lock = threading.Lock()
        self._holders = Holders(index.schema)
        self._vocabulary: tuple[tantivy.Searcher | None, Vocabulary | None] = (None, None)
        self._reload()

    @classmethod
    def create(cls, folder: Path, analyzer: Analyzer, *, about: float = 1.0) -> TantivyIndex:
        """Make an empty index in `folder`, dropping what was there; `about` weighs words about a document."""
        drop(folder)
        folder.mkdir(parents=True, mode=0o700)  # the files in it heed the umask alone
        with guard(folder):
            index = tantivy.Index(_schema(), str(folder), reuse=False)
            created = cls(folder, index, analyzer, writable=True, about=about)
        created.commit(0)
        return created

    @classmethod
    def open(
        cls, folder: Path, analyzer: Analyzer, *, writable: bool = True, about: float = 1.0
    ) -> TantivyIndex:
        """Open the index in `folder`; read-only takes no lock.

        Raises DamagedError when it is missing, broken or made by another analyser: rebuild it with `create`.
        """
        if not (folder / "meta.json").is_file():
            raise DamagedError(f"no word index in {folder}", hint=REBUILD)
        if found := problems(folder):
            raise DamagedError(f"the word index in {folder} is damaged: {found[0]}", hint=REBUILD)
        borrowed = None if writable else borrow(folder)
        with guard(folder):
            place = borrowed.folder if borrowed else folder
            opened = cls(folder, tantivy.Index.open(str(place)), analyzer, writable, borrowed, about)
        if opened._state.get("analyzer") != _fingerprint(analyzer):
            raise DamagedError(f"the word index in {folder} was made by another analyser", hint=REBUILD)
        return opened

    @property
    def seq(self) -> int:
        """The last change that this index holds."""
        return int(self._state.get("seq", 0))

    def __len__(self) -> int:
        return max(0, self._searcher.num_docs - 1)

    @property
    def languages(self) -> Mapping[str, int]:
        """Chunks by the language they were analysed in ('' is unknown)."""
        return self._languages

    def begin(self, chunks: Sequence[IndexedChunk]) -> None:
        """Have chunks taken apart that will be added, whatever their ids will be."""
        self._pool.begin(chunks)

    def add(self, chunks: Sequence[IndexedChunk]) -> None:
        """Take chunks in; they are searchable after `commit`."""
        with self._lock, guard(self._folder, self._forget_writer):
            writer = self._writing()
            for chunk, held in zip(chunks, self._pool.fields(chunks), strict=True):
                writer.add_document(_document(chunk, held))

    def remove(self, document_ids: Sequence[int]) -> None:
        """Drop all chunks of these documents added so far; takes effect at `commit`."""
        with self._lock, guard(self._folder, self._forget_writer):
            gone = [int(document_id) for document_id in document_ids]
            # By query: a delete by term makes a signed term, which never equals an unsigned field's.
            named = tantivy.Query.term_set_query(self._schema, "document_id", gone)
            self._writing().delete_documents_by_query(named)

    def clear(self) -> None:
        """Forget everything, to be filled again; takes effect at `commit`."""
        with self._lock, guard(self._folder, self._forget_writer):
            self._writing().delete_all_documents()

    def commit(self, seq: int) -> None:
        """Make all added and removed so far durable and searchable, and remember `seq`, atomically.

        After an error nothing since the last commit is kept: replay the changes after `seq`.
        """
        state = json.dumps({"seq": seq, "analyzer": _fingerprint(self._analyzer)})
        with self._lock, guard(self._folder, self._forget_writer):
            writer = self._writing()
            writer.delete_documents_by_term("marker", "state")
            marker = tantivy.Document()
            marker.add_text("marker", "state")
            marker.add_text("state", state)
            writer.add_document(marker)
            writer.commit()
            self._reload()
        self._pool.forget()

    def ids(self) -> Ids:
        """Every chunk id held, in no order; one held twice comes twice."""
        searcher = self._searcher
        hits = searcher.search(tantivy.Query.all_query(), max(1, searcher.num_docs), count=False).hits
        found = searcher.fast_field_values("chunk_id", [address for _, address in hits])
        return np.array([chunk_id for chunk_id in found if chunk_id is not None], np.int64)

    def refresh(self) -> None:
        """See what another process has committed since."""
        with self._lock, guard(self._folder):
            if self._borrowed:
                self._borrowed.renew()
            self._reload()

    def close(self) -> None:
        """Wait for merging to end and let go of the folder; what was not committed is lost."""
        with self._lock, guard(self._folder):
            if self._writer is not None:
                writer, self._writer = self._writer, None
                writer.rollback()
                writer.wait_merging_threads()
            self._pool.close()
            if self._borrowed:
                self._borrowed.close()

    def search(self, query: LexicalQuery, k: int, allowed: NDArray[np.bool_] | None = None) -> Ranking:
        """The k best chunks; `allowed[chunk_id]` says which may appear. Exact under the mask."""
        searcher = self._searcher
        built = self._query(searcher, query)
        if built is None or k <= 0:
            return Ranking.empty()
        if allowed is None:
            return _run(searcher, built, k)
        few = np.flatnonzero(allowed)
        if len(few) <= _FEW:
            return _run(searcher, self._within(built, few), k) if len(few) else Ranking.empty()
        return _fetch_until(searcher, built, k, allowed)

    def estimate(self, query: LexicalQuery) -> int:
        """About how many documents match, within a few per cent (HyperLogLog), at the cost of a search."""
        searcher = self._searcher
        built = self._query(searcher, query)
        return 0 if built is None else round(searcher.cardinality(built, "document_id"))

    def matching(self, query: LexicalQuery, among: Ids | None = None) -> Ids:
        """Ids of the documents, all or among these, with a chunk that matches, ascending.

        Costs about a microsecond a chunk, for a common word only the first time in a state of the index.
        """
        searcher = self._searcher
        built = self._query(searcher, query)
        if built is None:
            return np.empty(0, np.int64)
        if among is not None and len(among) <= _FEW:
            within = self._within(built, among, "document_id")
            return self._owners(searcher, within, searcher.num_docs)
        if query.phrases or any(term.apart for term in query.terms):
            found = self._owners(searcher, built, searcher.num_docs)
            return found if among is None else np.intersect1d(found, among, assume_unique=True)
        keys = {key for term in query.terms for key in (*_forms(term), *_others(term))}
        keys.update(key for term in query.terms for key in self._about(searcher, term))
        held = {key: n for key in keys if (n := self._frequency(searcher, key))}
        return self._holders.of_any(searcher, held, among)

    def _owners(self, searcher: tantivy.Searcher, query: tantivy.Query, most: int) -> Ids:
        """Ids of the documents of at most so many chunks that match, ascending."""
        hits = searcher.search(query, max(1, most), count=False).hits
        owners = searcher.fast_field_values("document_id", [address for _, address in hits])
        return np.unique(np.array(owners, np.int64))

    def score(self, query: LexicalQuery, ids: Ids) -> Scores:
        """Exact scores of these chunks, shape (len(ids),); 0 where nothing matches."""
        searcher = self._searcher
        built = self._query(searcher, query)
        scores = np.zeros(len(ids), np.float32)
        if built is None or len(ids) == 0:
            return scores
        found = _run(searcher, self._within(built, ids), len(ids))
        known = dict(zip(found.ids.tolist(), found.scores.tolist()))
        return np.array([known.get(int(i), 0.0) for i in ids], np.float32)

    def term_scores(self, query: LexicalQuery, ids: Ids) -> NDArray[np.float32]:
        """What each term adds to the score of each chunk, shape (terms, len(ids)); 0 where it does not occur."""
        single = (LexicalQuery(terms=(term,)) for term in query.terms)
        rows = [self.score(term, ids) for term in single]
        return np.stack(rows) if rows else np.zeros((0, len(ids)), np.float32)

    def idf(self, query: LexicalQuery) -> NDArray[np.float32]:
        """How rare each term is, shape (terms,): ln(1 + (N - n + 0.5) / (n + 0.5)) of its commonest form."""
        return inverse_frequency(len(self), [self.held(term) for term in query.terms])

    def held(self, term: QueryTerm) -> int:
        """Chunks that hold the commonest form of the term; of one in pieces, at most."""
        searcher = self._searcher
        known = self._remembered(searcher)
        if term not in known:
            pieces = [min(map(self.doc_freq, words)) for words in term.apart]
            about = [self._frequency(searcher, key) for key in self._about(searcher, term)]
            known[term] = max([self._in_text(searcher, term), *pieces, *about])
        return known[term]

    def _in_text(self, searcher: tantivy.Searcher, term: QueryTerm) -> int:
        """Chunks whose text holds the commonest form of the term, or else what will do instead."""
        forms = [self._frequency(searcher, key) for key in _forms(term)]
        return max([*forms, self._missed(searcher, term)])

    def _about(self, searcher: tantivy.Searcher, term: QueryTerm) -> list[Term]:
        """What finds the term among the words about documents; nothing where no document has any."""
        if not self._about_weight or not self._frequency(searcher, ("plain", MARK)):
            return []
        stems, plain = term.about
        keys = [*(("text", stem) for stem in stems), *(("plain", word) for word in plain)]
        return [key for key in keys if self._frequency(searcher, key)]

    def pruned(self, query: LexicalQuery) -> LexicalQuery:
        """The query without what would find nothing more: found out once, it is asked for several times."""
        return pruned(query, partial(self._missed_by_forms, self._searcher))

    def knows(self, word: str) -> bool:
        """Whether some chunk holds the plain word."""
        searcher, stem = self._searcher, self._analyzer.stem(word)
        return any(self._frequency(searcher, key) for key in (("plain", word), ("text", stem)))

    def doc_freq(self, term: str) -> int:
        """Chunks that hold the term."""
        return self._frequency(self._searcher, ("text", term))

    def _frequency(self, searcher: tantivy.Searcher, term: Term) -> int:
        """Asked once for each term of a state of the index: a query asks several times, once for each language."""
        known = self._remembered(searcher)
        if term not in known:
            known[term] = int(searcher.doc_freq(*term))
        return known[term]

    def _remembered(self, searcher: tantivy.Searcher) -> dict[Hashable, int]:
        """Numbers of this state of the index."""
        seen, known = self._frequencies
        if seen is not searcher or len(known) >= _REMEMBERED:
            known = {}
            self._frequencies = searcher, known
        return known

    def _missed(self, searcher: tantivy.Searcher, term: QueryTerm) -> int:
        """Chunks that hold none of the forms and something else that will do; counted once a state of the index."""
        if not term.stems and not term.plain:
            return 0
        known, key = self._remembered(searcher), (term.forms, term.stems, term.plain)
        if key not in known:
            known[key] = self._counted(searcher, term)
        return known[key]

    def _missed_by_forms(self, searcher: tantivy.Searcher, term: QueryTerm) -> bool:
        """Whether other words than the forms find the term in a text, or any find it about a document."""
        known, key = self._remembered(searcher), ("missed", term)
        if key not in known:
            known[key] = self._missed(searcher, term) or len(self._about(searcher, term))
        return known[key] > 0

    def _counted(self, searcher: tantivy.Searcher, term: QueryTerm) -> int:
        others = sum(self._frequency(searcher, key) for key in _others(term))
        if not others or term.apart_from_forms:
            return others
        return int(searcher.search(self._but_for_forms(searcher, term), 1, count=True).count)  # type: ignore[attr-defined]

    def _but_for_forms(self, searcher: tantivy.Searcher, term: QueryTerm) -> tantivy.Query:
        others = tantivy.Query.disjunction_max_query(self._terms(searcher, _others(term)))
        forms = [(_NOT, form) for form in self._terms(searcher, _forms(term))]
        return tantivy.Query.boolean_query([(_MUST, others), *forms]) if forms else others

    def _terms(self, searcher: tantivy.Searcher, keys: Iterable[Term]) -> list[tantivy.Query]:
        known = [key for key in keys if self._frequency(searcher, key)]
        return [tantivy.Query.term_query(self._schema, field, form, "freq") for field, form in known]

    def chunks_with(self, phrase: Phrase) -> Ids:
        """Ids of the chunks that hold the phrase, ascending; costs about a microsecond each."""
        searcher = self._searcher
        hits = searcher.search(self._phrase(phrase), max(1, searcher.num_docs), count=False).hits
        found = searcher.fast_field_values("chunk_id", [address for _, address in hits])
        return np.unique(np.array(found, np.int64))

    def count_with(self, phrase: Phrase) -> int:
        """How many chunks hold the phrase, without listing them."""
        return int(self._searcher.search(self._phrase(phrase), 1, count=True).count)  # type: ignore[attr-defined]

    def words_like(self, pattern: str, most: int) -> tuple[list[str], int]:
        """The plain words of the corpus that a pattern stands for (`wildcards.matches`), commonest first, at most so
        many; and how many there are."""
        searcher, beginning = self._searcher, literal_start(pattern)
        if not beginning:
            found = self._vocabulary_of(searcher).like(pattern)
            return found[:most], len(found)
        known = _words_with(searcher, beginning)
        ranked = _commonest((word, n) for word, n in known if matches(pattern, word))
        return ranked[:most], len(ranked)

    def _vocabulary_of(self, searcher: tantivy.Searcher) -> Vocabulary:
        """All plain words, commonest first: read once for each state of the index."""
        seen, known = self._vocabulary
        if known is None or seen is not searcher:
            known = Vocabulary(_commonest(_words_with(searcher, "")))
            self._vocabulary = searcher, known
        return known

    def complete(self, prefix: str, n: int = 10) -> list[str]:
        """The commonest words of the corpus that start with `prefix` (folded, not stemmed)."""
        prefix = normalize(prefix)
        return _commonest(self._searcher.terms_with_prefix("words", prefix))[:n] if prefix else []

    def correct(self, word: str) -> str | None:
        """The word of the corpus that was probably meant (folded), or None when `word` needs no correction."""
        searcher = self._searcher
        return correct(
            normalize(word),
            lambda candidate: searcher.doc_freq("words", candidate),
            lambda prefix: searcher.terms_with_prefix("words", prefix),
        )

    def _writing(self) -> tantivy.IndexWriter:
        if not self._writable:
            raise ReadOnlyError("the word index was opened for reading", hint="Open it with writable=True.")
        if self._writer is None:
            self._writer = self._index.writer(HEAP, 1)
        return self._writer

    def _forget_writer(self) -> None:
        """A writer that failed is dead: the next write takes a new one, which starts at the last commit.

        It must let go of its lock now: the error's traceback may keep it alive for long.
        """
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(ValueError, OSError, RuntimeError):
                writer.wait_merging_threads()

    def _reload(self) -> None:
        self._index.reload()
        searcher = self._index.searcher()
        self._state: dict[str, Any] = _read_state(self._schema, searcher)
        self._languages = _count_languages(self._schema, searcher)
        self._searcher = searcher
        self._frequencies = (searcher, {})

    def _query(self, searcher: tantivy.Searcher, query: LexicalQuery) -> tantivy.Query | None:
        terms = [built for term in query.terms for built in self._term(searcher, term)]
        if not terms and not query.phrases:
            return None
        phrases = [tantivy.Query.const_score_query(self._phrase(p), self._rarity(p)) for p in query.phrases]
        return tantivy.Query.boolean_query([(_SHOULD, one) for one in (*terms, *phrases)])

    def _rarity(self, phrase: Phrase) -> float:
        """What a chunk gets for holding a phrase: its idf."""
        known = self._remembered(self._searcher)
        if phrase not in known:
            known[phrase] = self.count_with(phrase)
        return float(inverse_frequency(len(self), [known[phrase]])[0])

    def _term(self, searcher: tantivy.Searcher, term: QueryTerm) -> list[tantivy.Query]:
        """What finds the term. One stem and one plain word are in no chunk both, and their sum is quicker to find
        than the better of them: Tantivy skips through a union of plain terms (block-max WAND)."""
        found = self._terms(searcher, _forms(term))
        if self._missed(searcher, term):
            apart = term.apart_from_forms
            found += self._terms(searcher, _others(term)) if apart else [self._but_for_forms(searcher, term)]
        found += [tantivy.Query.phrase_query(self._schema, "text", list(words)) for words in term.apart]
        if len(found) > 1 and (term.apart or not term.apart_from_forms):
            found = [tantivy.Query.disjunction_max_query(found)]
        if len(term.forms) > 1 and (
            exact := self._terms(searcher, [("plain", word) for word in term.plain[:1]])
        ):
            found.append(tantivy.Query.boost_query(exact[0], EXACT))
        if about := self._about(searcher, term):
            found.append(self._weighed_about(searcher, term, about))
        return found if term.weight == 1.0 else [tantivy.Query.boost_query(one, term.weight) for one in found]

    def _weighed_about(
        self, searcher: tantivy.Searcher, term: QueryTerm, about: Sequence[Term]
    ) -> tantivy.Query:
        """The best of what finds the term among words about documents, with their weight."""
        chunks, in_text = searcher.num_docs, self._in_text(searcher, term)
        each = [
            tantivy.Query.boost_query(
                tantivy.Query.term_query(self._schema, field, word, "freq"),
                about_weight(self._about_weight, chunks, in_text, self._frequency(searcher, (field, word))),
            )
            for field, word in about
        ]
        return each[0] if len(each) == 1 else tantivy.Query.disjunction_max_query(each)

    def _phrase(self, phrase: Phrase) -> tantivy.Query:
        """Whether the phrase occurs; it adds nothing to the score."""
        phrase = phrase.anywhere if self._about_weight else phrase
        queries = [
            tantivy.Query.term_query(self._schema, "text", words[0], "basic")
            if len(words) == 1
            else tantivy.Query.phrase_query(self._schema, "text", list(words), slop=phrase.slop)
            for words in phrase.alternatives
        ]
        queries += [tantivy.Query.term_query(self._schema, "plain", word, "basic") for word in phrase.plain]
        short = [word for word in phrase.words if not worth_suggesting([word])]
        for name, words in (("words", list(phrase.words)), ("plain", short), ("text", short)):
            if words:
                queries.append(tantivy.Query.term_set_query(self._schema, name, words))
        either = tantivy.Query.boolean_query([(_SHOULD, query) for query in queries])
        return tantivy.Query.const_score_query(either, 0.0)

    def _within(self, query: tantivy.Query, ids: Ids, field: str = "chunk_id") -> tantivy.Query:
        if len(ids) <= _NAMED:
            each = (tantivy.Query.term_query(self._schema, field, int(i), "basic") for i in ids)
            named = tantivy.Query.boolean_query([(_SHOULD, one) for one in each])
        else:
            named = tantivy.Query.term_set_query(self._schema, field, [int(i) for i in ids])
        filtered = tantivy.Query.const_score_query(named, 0.0)
        return tantivy.Query.boolean_query([(_MUST, filtered), (_MUST, query)])


def _forms(term: QueryTerm) -> list[Term]:
    return [("text", form) for form in term.forms]


def _others(term: QueryTerm) -> list[Term]:
    return [("text", stem) for stem in term.stems] + [("plain", word) for word in term.plain]


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("chunk_id", indexed=True, fast=True)
    builder.add_unsigned_field("document_id", indexed=True, fast=True)
    builder.add_text_field("text", tokenizer_name="whitespace", index_option="position")
    builder.add_text_field("plain", tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("words", tokenizer_name="whitespace", index_option="basic")
    builder.add_text_field("language", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("marker", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("state", stored=True, tokenizer_name="raw", index_option="basic")
    return builder.build()


def _fingerprint(analyzer: Analyzer) -> str:
    return f"{_FORMAT}/{analyzer.fingerprint}"


def _document(chunk: IndexedChunk, held: Fields) -> tantivy.Document:
    document = tantivy.Document()
    document.add_unsigned("chunk_id", chunk.chunk_id)
    document.add_unsigned("document_id", chunk.document_id)
    for name, text in zip(Fields._fields, held):
        document.add_text(name, text)
    document.add_text("language", chunk.language or "-")
    return document


def _read_state(schema: tantivy.Schema, searcher: tantivy.Searcher) -> dict[str, Any]:
    query = tantivy.Query.term_query(schema, "marker", "state", "basic")
    hits = searcher.search(query, 1, count=False).hits
    if not hits:
        return {}
    state: dict[str, Any] = json.loads(searcher.doc(hits[0][1]).get_first("state") or "{}")
    return state


def _count_languages(schema: tantivy.Schema, searcher: tantivy.Searcher) -> dict[str, int]:
    """Living chunks per language; the frequencies of the terms themselves still count deleted ones."""
    counts = {}
    for language, _ in searcher.terms_with_prefix("language", ""):
        query = tantivy.Query.term_query(schema, "language", language, "basic")
        counts["" if language == "-" else language] = int(searcher.search(query, 1, count=True).count)  # type: ignore[attr-defined]
    return {language: n for language, n in counts.items() if n}


def _commonest(counted: Iterable[tuple[str, int]]) -> list[str]:
    return [word for word, _ in sorted(counted, key=lambda item: (-item[1], item[0]))]


def _words_with(searcher: tantivy.Searcher, prefix: str) -> list[tuple[str, int]]:
    """The plain words that begin so, each with the number of chunks. `words` leaves out numbers and the shortest: those
    are no stems of others, so `text` and `plain` tell them."""
    counts = Counter(dict(searcher.terms_with_prefix("text", prefix)))
    counts.update(dict(searcher.terms_with_prefix("plain", prefix)))
    short = [(word, n) for word, n in counts.items() if not worth_suggesting([word])]
    return short + searcher.terms_with_prefix("words", prefix)


def _run(searcher: tantivy.Searcher, query: tantivy.Query, k: int) -> Ranking:
    hits = searcher.search(query, k, count=False).hits
    ids = searcher.fast_field_values("chunk_id", [address for _, address in hits])
    return _sorted(np.array(ids, np.int64), np.array([score for score, _ in hits], np.float32))


def _sorted(ids: Ids, scores: Scores) -> Ranking:
    """Best first, equal scores by id: the order must not depend on how segments happen to be merged."""
    order = np.lexsort((ids, -scores))
    return Ranking(ids[order], scores[order])


def _fetch_until(
    searcher: tantivy.Searcher, query: tantivy.Query, k: int, allowed: NDArray[np.bool_]
) -> Ranking:
    """Ask for as many as should hold k allowed ones, and for more until they do or there are no more."""
    limit = max(64, round(_SPARE * k * len(allowed) / max(int(np.count_nonzero(allowed)), 1)))
    while True:
        found = _run(searcher, query, limit)
        inside = found.ids < len(allowed)
        kept = inside & allowed[np.where(inside, found.ids, 0)]
        if int(kept.sum()) >= k or len(found) < limit:
            return Ranking(found.ids[kept][:k], found.scores[kept][:k])
        limit *= 8
