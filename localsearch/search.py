"""A query, top to bottom, in the order it happens.

    parse -> filter -> cached answer? -> words and meaning side by side -> fuse -> best passage of each document
    -> look closer (rerank) if asked -> snippets for the page shown

Two legs find passages: BM25 by words, HNSW by meaning. What either found is scored exactly by both, fused, and each
document is shown once with its best passage. Candidates come in tiers of fixed size, so that a later page continues
the ranking of an earlier one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from localsearch.caches import MemoryCache, ResultCache, VectorCache, canonical
from localsearch.derived import Derived, Mask, Semantic
from localsearch.embedding import Embedder
from localsearch.errors import ModelError, NotFoundError, QueryError
from localsearch.facets import facets
from localsearch.filters import (
    And,
    Exists,
    Filter,
    ParsedQuery,
    field_names,
    from_json,
    parse_filter,
    parse_query,
    to_sql,
)
from localsearch.fusion import Candidates, Closer, Signals, fuse, letters_per_piece, maxsim, union
from localsearch.lexical import LexicalQuery, analyze_query
from localsearch.prepare import context
from localsearch.settings import SearchSettings
from localsearch.snippets import anchor, snippet, snippet_terms
from localsearch.store import Corpus, DocumentRow, PassageRow
from localsearch.text import Analyzer, normalize
from localsearch.types import Answer, Encoder, Hit, Ids, Mode, Place, Ranking, Scores, Vectors

DEFAULT = "default"
SPELLED, LONGEST_WORD = 16, 32
"""Words of a query, and letters of a word, up to which a spelling is looked for: more is pasted rather than typed."""
COUNTED = 2_000
"""Matching passages up to which documents are counted exactly even without a filter or facets."""
SKETCHED = 20_000
"""Matching passages up to which documents are counted by a sketch, whose cost grows with them."""
CLOSER_MS = 150.0
"""What a closer look at passages not seen before may take; with less left it is left out."""
TOKENS_MB = 64
"""Memory for token vectors of passages looked at before."""
MAX_QUERY = 10_000
"""Characters of a query that are used: more than any question, less than what slows a search down."""
TYPED = 32
"""Words up to which a query has quotes, colons and minus signs of its own; in a longer one they came with the text."""
_TIERS = (1, 5, 25)
"""Candidates of each leg, as multiples of the setting, tried in turn until the page is full."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked."""

    query: str
    limit: int = 5
    offset: int = 0
    mode: Mode = "hybrid"
    rerank: bool = False
    collection: str | None = None
    filters: str | Mapping[str, Any] | None = None
    explain: bool = False
    budget_ms: float | None = None
    cache: bool = True
    facets: bool = False
    plain: bool = False


@dataclass(slots=True)
class _Trip:
    """One query under way: its clock, what it did and what it has to say."""

    request: Request
    began: float = field(default_factory=time.perf_counter)
    stages: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = (time.perf_counter() - began) * 1000
            self.stages[name] = round(self.stages.get(name, 0.0) + spent, 3)

    def took_ms(self) -> float:
        return round((time.perf_counter() - self.began) * 1000, 3)

    def left_s(self) -> float | None:
        """Seconds of the budget that are left, or None without a budget."""
        budget = self.request.budget_ms
        return None if budget is None else max(budget / 1000 - (time.perf_counter() - self.began), 0.0)

    def has_time(self, stage: str, needs_ms: float) -> bool:
        """Whether a stage still fits the budget; if not, the answer says that it was left out."""
        left = self.left_s()
        if left is None or left * 1000 >= needs_ms:
            return True
        self.notes.append(f"No time for {stage} within {self.request.budget_ms:g} ms.")
        return False


@dataclass(frozen=True, slots=True)
class Plan:
    """A query taken apart: what each leg is asked, and which documents and chunks may answer (None: all)."""

    parsed: ParsedQuery
    filter: Filter | None
    words: LexicalQuery
    text: str
    documents: Ids | None
    allowed: Mask | None


@dataclass(frozen=True, slots=True)
class Scored:
    """Candidates of both legs in fused order, each of shape (n,): ids, fused score, BM25 and cosine (NaN: unknown)."""

    ids: Ids
    scores: Scores
    lexical: Scores
    semantic: Scores
    why: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document with its best passage."""

    document_id: int
    chunk_id: int
    score: float
    lexical: float
    semantic: float | None


@dataclass(frozen=True, slots=True)
class Matching:
    """How many documents match, and which, where that was asked for."""

    total: int
    documents: Ids | None
    estimated: bool = False
    few: bool = False


@dataclass(frozen=True, slots=True)
class _Fields:
    """The names of metadata that some document has."""

    corpus: Corpus

    def __contains__(self, name: object) -> bool:
        return self.corpus.any(*to_sql(Exists(str(name))))


class Searcher:
    """Answers queries from the derived indexes. Safe to share between threads."""

    def __init__(
        self,
        derived: Derived,
        embedder: Embedder,
        analyzer: Analyzer,
        settings: SearchSettings,
        vectors: VectorCache,
        answers: ResultCache[Answer],
    ) -> None:
        self.derived = derived
        self.corpus = derived.corpus
        self.embedder = embedder
        self.analyzer = analyzer
        self.settings = settings
        self.query_vectors = vectors
        self.answers = answers
        self._tokens: MemoryCache[NDArray[np.float16]] = MemoryCache(
            TOKENS_MB << 20, 86_400.0, lambda v: v.nbytes
        )
        self._legs = ThreadPoolExecutor(4, "localsearch-leg")

    def search(self, request: Request) -> Answer:
        """Answer one query. Raises QueryError and FilterError for what cannot be answered."""
        trip = _Trip(request)
        semantic = self.derived.semantic if request.mode != "lexical" else None
        stamp = (self.derived.seq, semantic and (semantic.version.id, len(semantic.vectors)))
        key = _cache_key(request)
        if request.cache and (known := self.answers.get(key, stamp)):
            return replace(known, took_ms=trip.took_ms(), cached=True)
        answer = self._answer(trip, semantic)
        if request.cache and request.budget_ms is None:
            self.answers.put(key, stamp, answer)
        return answer

    def answer(self, request: Request, semantic: Semantic | None) -> Answer:
        """Answer from one version of embeddings, past the cache."""
        return self._answer(_Trip(request), semantic)

    def _answer(self, trip: _Trip, semantic: Semantic | None) -> Answer:
        request = trip.request
        with trip.stage("parse"):
            plan = self._plan(trip)
        ranked, explanation = self._rank(trip, plan, semantic)
        if not ranked and plan.filter is not None:
            trip.notes.extend(self._unknown_fields(plan.filter))
        page = ranked[request.offset : request.offset + request.limit]
        with trip.stage("count"):
            matching = self._matching(request, plan, ranked)
        with trip.stage("snippets"):
            hits = tuple(self._hits(plan, page, request.explain))
        return Answer(
            query=request.query,
            total=matching.total,
            total_is_estimate=matching.estimated,
            facets=None if matching.documents is None else facets(self.corpus.facet_rows(matching.documents)),
            took_ms=trip.took_ms(),
            mode=request.mode,
            version=semantic.version.name if semantic else None,
            stages=trip.stages,
            cached=False,
            results=hits,
            semantic_coverage=self.derived.coverage(),
            corrections=self._corrections(plan) if matching.few else (),
            notes=tuple(trip.notes),
            explanation=explanation if request.explain else None,
        )

    # -- parse

    def _plan(self, trip: _Trip) -> Plan:
        request = trip.request
        if not request.query.strip():
            raise QueryError("The query is empty.", hint="Type at least one word.")
        if len(request.query) > MAX_QUERY:
            trip.notes.append(f"Only the first {MAX_QUERY:,} characters of the query were used.")
        parsed = self._parse(request)
        trip.notes.extend(parsed.notes)
        words = analyze_query(
            parsed.words,
            self.analyzer,
            phrases=parsed.phrases,
            excluded=parsed.excluded,
            languages=self.derived.lexical.languages,
        )
        chosen = _all_filters(request, parsed)
        documents = self._allowed(request.collection, chosen, words)
        allowed = None if documents is None else self.derived.catalog.mask(documents)
        return Plan(parsed, chosen, words, parsed.text, documents, allowed)

    def _parse(self, request: Request) -> ParsedQuery:
        """Words, phrases and filters; a pasted text is words only, since its punctuation asks for nothing."""
        text = request.query[:MAX_QUERY]
        if request.plain or len(text.split()) > TYPED:
            return ParsedQuery(text, text=text)
        return parse_query(text, _Fields(self.corpus))

    def _allowed(self, collection: str | None, chosen: Filter | None, words: LexicalQuery) -> Ids | None:
        """Which documents may answer, ascending; None when all may. Raises NotFoundError for no such collection."""
        conditions: list[str] = []
        values: list[Any] = []
        if chosen is not None:
            clause, values = to_sql(chosen)
            conditions.append(clause)
        if collection is not None and (known := self.corpus.collections()) != [collection]:
            if collection not in known and collection != DEFAULT:
                raise NotFoundError(
                    f"There is no collection {collection}.", hint=f"Known: {', '.join(known) or DEFAULT}."
                )
            conditions.append("d.collection = ?")
            values.append(collection)
        documents = (
            self.corpus.select(" AND ".join(f"({c})" for c in conditions), values) if conditions else None
        )
        for phrase in words.phrases:
            documents = _both(documents, self.derived.lexical.documents_with(phrase))
        for phrase in words.excluded:
            if documents is None:
                documents = np.array(self.corpus.document_ids(), np.int64)
            documents = np.setdiff1d(documents, self.derived.lexical.documents_with(phrase))
        return documents

    def _unknown_fields(self, chosen: Filter) -> Iterator[str]:
        """A note for each field of a filter that no document has."""
        for name in sorted(field_names(chosen)):
            if name not in _Fields(self.corpus):
                yield f"No document has a field {name}."

    def _corrections(self, plan: Plan) -> tuple[str, ...]:
        """The query with each word that the corpus does not know replaced by the nearest one that it does."""
        lexical = self.derived.lexical
        if all(any(map(lexical.doc_freq, term.forms)) for term in plan.words.terms):
            return ()
        words = plan.parsed.words.split()
        if len(words) > SPELLED or len(max(words, key=len, default="")) > LONGEST_WORD:
            return ()
        corrected = [lexical.correct(word.strip(".,;:!?")) or word for word in words]
        return (" ".join(corrected),) if corrected != words else ()

    # -- rank

    def _rank(
        self, trip: _Trip, plan: Plan, semantic: Semantic | None
    ) -> tuple[list[Ranked], Mapping[str, Any]]:
        """Documents in order, enough for the page asked for, and how the order came about."""
        request = trip.request
        needed = request.offset + request.limit
        if plan.documents is not None and not plan.words and not plan.text.strip():
            return self._newest(plan.documents, needed), {"method": "newest first"}
        ranked: dict[int, Ranked] = {}
        explanation: Mapping[str, Any] = {}
        vector = self._start_encoding(trip, plan, semantic)
        for tier in _TIERS:
            count = self.settings.candidates * tier
            found, full = self._candidates(trip, plan, semantic, vector, count)
            explanation = explanation or found.why
            for document in self._best_passages(found):
                ranked.setdefault(document.document_id, document)
            if len(ranked) >= needed or not full:
                break
        return list(ranked.values()), explanation

    def _newest(self, documents: Ids, count: int) -> list[Ranked]:
        """What a filter alone asks for: all that it matches, what changed last first."""
        return [
            Ranked(document, chunk, 0.0, 0.0, None)
            for document, chunk in self.corpus.newest(documents, count)
        ]

    def _start_encoding(self, trip: _Trip, plan: Plan, semantic: Semantic | None) -> Future[Vectors] | None:
        """Encode the query in another thread while its words are looked up; None when there is no semantic leg."""
        if semantic is None or not plan.text.strip():
            if trip.request.mode != "lexical" and semantic is None:
                trip.notes.append(
                    "Words only: nothing is embedded yet. Run `localsearch index` with a model in place."
                )
            return None
        return self._legs.submit(self._encode, trip, semantic, plan.text)

    def _encode(self, trip: _Trip, semantic: Semantic, text: str) -> Vectors:
        with trip.stage("encode"):
            vector, _ = self.query_vectors.vector(semantic.model.encoder(), text)
        return vector

    def _candidates(
        self, trip: _Trip, plan: Plan, semantic: Semantic | None, vector: Future[Vectors] | None, count: int
    ) -> tuple[Scored, bool]:
        """What each leg finds, scored by both and fused; and whether a leg might have more."""
        words, meaning = Ranking.empty(), Ranking.empty()
        if trip.request.mode != "semantic":
            with trip.stage("lexical"):
                words = self.derived.lexical.search(plan.words, count, plan.allowed)
            self.embedder.want(words.ids[:20].tolist())
        query = self._finish_encoding(trip, vector)
        if query is not None and semantic is not None:
            with trip.stage("semantic"):
                meaning = semantic.vectors.search(query, count, plan.allowed, self._exact(semantic))
        with trip.stage("fuse"):
            found = self._fuse(trip, plan, semantic, query, words, meaning)
        return found, len(words) >= count or len(meaning) >= count

    def _finish_encoding(self, trip: _Trip, vector: Future[Vectors] | None) -> Vectors | None:
        """The query's vector, unless the model is missing or the budget runs out first; the answer says which."""
        if vector is None or not trip.has_time("meaning", 0.1):
            return None
        try:
            return vector.result(trip.left_s())
        except ModelError as error:
            if trip.request.mode == "semantic":
                raise
            trip.notes.append(f"Words only: {error.message}. {error.hint}")
        except TimeoutError:
            trip.notes.append(
                f"Words only: no time to encode the query within {trip.request.budget_ms:g} ms."
            )
        return None

    def _exact(self, semantic: Semantic) -> Callable[[Ids], tuple[Ids, Vectors]]:
        return lambda ids: self.derived.embeddings.vectors_of(semantic.version.id, ids)

    def _fuse(
        self,
        trip: _Trip,
        plan: Plan,
        semantic: Semantic | None,
        query: Vectors | None,
        words: Ranking,
        meaning: Ranking,
    ) -> Scored:
        """Score what either leg found on both legs, then weigh the legs against each other."""
        ids = union(words, meaning)
        lexical = np.zeros(len(ids), np.float32)
        if trip.request.mode != "semantic":
            lexical = _known(ids, words, lambda missing: self.derived.lexical.score(plan.words, missing))
        cosine = np.full(len(ids), np.nan, np.float32)
        if query is not None and semantic is not None:
            cosine = _known(ids, meaning, lambda missing: self._cosines(semantic, query, missing))
        method, weight = self.settings.fusion, self.settings.semantic_weight
        if trip.request.mode == "semantic":
            method, weight = "convex", 1.0
        vectors = self._vectors(semantic, query, ids) if method == "adaptive" else None
        signals = self._signals(semantic, plan) if semantic is not None and query is not None else None
        closer = (
            self._closer(trip, plan, semantic, ids) if trip.request.rerank and query is not None else None
        )
        candidates = Candidates(ids, lexical, None if query is None else cosine, vectors)
        fused = fuse(candidates, method, weight=weight, signals=signals, query=query, closer=closer)
        order = fused.order
        why = {"method": method, "weights": fused.weights, "signals": fused.why}
        return Scored(ids[order], fused.ranking.scores, lexical[order], cosine[order], why)

    def _cosines(self, semantic: Semantic, query: Vectors, ids: Ids) -> Scores:
        """The cosine of each chunk to the query, shape (len(ids),); NaN for a chunk without a vector."""
        have, vectors = self.derived.embeddings.vectors_of(semantic.version.id, ids)
        cosines = np.full(len(ids), np.nan, np.float32)
        if len(have):
            cosines[np.searchsorted(ids, have)] = vectors @ query
        return cosines

    def _vectors(self, semantic: Semantic | None, query: Vectors | None, ids: Ids) -> Vectors | None:
        return None if semantic is None or query is None else semantic.vectors.vectors_of(ids)

    def _signals(self, semantic: Semantic, plan: Plan) -> Signals:
        """How well the model's tokenizer knows the query's words."""
        pieces = semantic.model.encoder().count_tokens([plan.text])[0]
        return Signals(letters_per_piece(plan.text, pieces))

    def _closer(self, trip: _Trip, plan: Plan, semantic: Semantic | None, ids: Ids) -> Closer | None:
        """Late interaction with the passages at some positions of `ids`, unless the budget forbids it."""
        if semantic is None or not trip.has_time("a closer look", CLOSER_MS):
            return None
        encoder = semantic.model.encoder()

        def look(positions: NDArray[np.intp]) -> Scores:
            with trip.stage("rerank"):
                query = encoder.token_vectors([plan.text], query=True)[0]
                tokens = self._token_vectors(semantic, encoder, ids[positions].tolist())
                return np.array([maxsim(query, tokens[int(i)]) for i in ids[positions]], np.float32)

        return look

    def _token_vectors(self, semantic: Semantic, encoder: Encoder, ids: list[int]) -> dict[int, Vectors]:
        """Vectors of every token of these passages, remembered at half precision."""
        version = semantic.version.id
        known: dict[int, NDArray[np.float16]] = {}
        for i in ids:
            if (kept := self._tokens.get((version, i))) is not None:
                known[i] = kept
        missing = [i for i in ids if i not in known]
        passages = self.corpus.passages(missing)
        documents = self.corpus.documents({passage.document_id for passage in passages.values()})
        texts = {
            i: context(documents[passage.document_id].title, passage.place.heading, passage.text)
            for i, passage in passages.items()
            if passage.document_id in documents
        }
        for i, tokens in zip(texts, encoder.token_vectors(list(texts.values()))):
            known[i] = tokens.astype(np.float16)
            self._tokens.put((version, i), known[i])
        empty = np.empty((0, encoder.dimensions), np.float32)
        return {i: known[i].astype(np.float32) if i in known else empty for i in ids}

    def _best_passages(self, scored: Scored) -> Iterator[Ranked]:
        """Each document once, where its best passage stands in the order."""
        owners = self.derived.catalog.documents_of(scored.ids)
        _, first = np.unique(owners, return_index=True)
        for at in np.sort(first).tolist():
            if owners[at]:
                cosine = float(scored.semantic[at])
                yield Ranked(
                    int(owners[at]),
                    int(scored.ids[at]),
                    float(scored.scores[at]),
                    float(scored.lexical[at]),
                    None if math.isnan(cosine) else cosine,
                )

    # -- count

    def _matching(self, request: Request, plan: Plan, ranked: list[Ranked]) -> Matching:
        """How many documents match, and, when facets are asked for, which.

        By words, a document matches that holds any of them; meaning adds those that were ranked.
        """
        passages = self.derived.lexical.count(plan.words)
        few = passages <= COUNTED
        if few or request.facets or plan.documents is not None:
            documents = self._all_matching(plan, ranked)
            return Matching(len(documents), documents if request.facets else None, few=few)
        estimate = self._estimate(plan, passages)
        return Matching(max(len(ranked), estimate), None, estimated=True)

    def _estimate(self, plan: Plan, passages: int) -> int:
        """About how many documents hold these passages: counted by sketch, or, for very many, by chance alone.

        With p of all passages matching and c passages a document, a document matches with probability 1 - (1 - p)^c.
        """
        if passages <= SKETCHED:
            return self.derived.lexical.estimate(plan.words)
        chunks = max(len(self.derived.catalog), 1)
        documents = self.corpus.document_count()
        missed: float = max(0.0, 1 - passages / chunks) ** (chunks / max(documents, 1))
        return round(documents * (1 - missed))

    def _all_matching(self, plan: Plan, ranked: list[Ranked]) -> Ids:
        if not plan.words and not plan.text.strip() and plan.documents is not None:
            return plan.documents
        documents = self.derived.lexical.matching(plan.words)
        if plan.documents is not None:
            documents = np.intersect1d(documents, plan.documents)
        found = np.array([one.document_id for one in ranked], np.int64)
        return np.union1d(documents, found)

    # -- show

    def _hits(self, plan: Plan, page: list[Ranked], with_scores: bool) -> Iterator[Hit]:
        documents = self.corpus.documents(ranked.document_id for ranked in page)
        passages = self.corpus.passages(ranked.chunk_id for ranked in page)
        terms = snippet_terms([term.forms for term in plan.words.terms])
        for ranked in page:
            document, passage = documents.get(ranked.document_id), passages.get(ranked.chunk_id)
            if document and passage:
                cut, highlights = snippet(passage.text, terms, self.analyzer, language=document.language)
                place = self._place(passage, terms, document.language)
                yield _hit(ranked, document, replace(passage, place=place), cut, highlights, with_scores)

    def _place(self, passage: PassageRow, terms: frozenset[str], language: str) -> Place:
        """Where the passage stands; in text with lines, the line of what matched rather than the passage's first."""
        place = passage.place
        if place.line is None:
            return place
        at = anchor(passage.text, terms, self.analyzer, language=language)
        return replace(place, line=place.line + passage.text.count("\n", 0, at))

    def suggest(self, prefix: str, limit: int) -> list[str]:
        """Completions of the last word typed."""
        before, _, last = prefix.rpartition(" ")
        words = self.derived.lexical.complete(normalize(last), limit) if last else []
        return [f"{before} {word}".strip() for word in words]

    def close(self) -> None:
        """End the threads."""
        self._legs.shutdown(wait=True, cancel_futures=True)


def _hit(
    ranked: Ranked,
    document: DocumentRow,
    passage: PassageRow,
    cut: str,
    highlights: tuple[tuple[int, int], ...],
    with_scores: bool,
) -> Hit:
    place = {name: value for name, value in msgspec.to_builtins(passage.place).items() if value}
    if document.member:
        place["member"] = document.member
    return Hit(
        id=document.key,
        score=round(ranked.score, 6),
        text=passage.text,
        metadata=metadata_of(document),
        title=document.title,
        path=document.path,
        snippet=cut,
        highlights=highlights,
        location={**place, "start": passage.start, "end": passage.stop},
        scores={"lexical": ranked.lexical, "semantic": ranked.semantic} if with_scores else None,
        collection=document.collection,
    )


def metadata_of(document: DocumentRow) -> dict[str, Any]:
    """A document's own metadata, with the columns that every document has beneath it."""
    columns = {
        "type": document.type,
        "language": document.language,
        "author": document.author,
        "size": document.size,
        "created": _iso(document.created),
        "modified": _iso(document.modified),
        "tags": list(document.tags),
    }
    return {**{name: value for name, value in columns.items() if value}, **document.metadata}


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _known(ids: Ids, ranking: Ranking, score: Callable[[Ids], Scores]) -> Scores:
    """Scores of `ids` (ascending), from the ranking where it has them, else by asking."""
    scores = np.zeros(len(ids), np.float32)
    scores[np.searchsorted(ids, ranking.ids)] = ranking.scores
    missing = np.setdiff1d(ids, ranking.ids, assume_unique=True)
    if len(missing):
        scores[np.searchsorted(ids, missing)] = score(missing)
    return scores


def _both(documents: Ids | None, others: Ids) -> Ids:
    return others if documents is None else np.intersect1d(documents, others)


def _all_filters(request: Request, parsed: ParsedQuery) -> Filter | None:
    given = request.filters
    asked = parse_filter(given) if isinstance(given, str) else from_json(given)
    present = [part for part in (asked, parsed.filter) if part is not None]
    return And(tuple(present)) if len(present) > 1 else present[0] if present else None


def _cache_key(request: Request) -> bytes:
    return canonical(replace(request, query=" ".join(request.query.split()), cache=True, budget_ms=None))
