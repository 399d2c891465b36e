"""From what was typed to what each leg is query, and which documents may answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from localsearch.caches import MemoryCache
from localsearch.derived import Derived, Mask
from localsearch.errors import NotFoundError, QueryError
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
from localsearch.lexical import LexicalQuery, analyze_query
from localsearch.ranking.constants import MORE_LIKE_THIS_WEIGHT
from localsearch.search.context import QueryContext
from localsearch.search.more_like_this import telling_terms
from localsearch.search.query import SearchQuery
from localsearch.store import Corpus, DocumentRow, scope_sql
from localsearch.text import Analyzer
from localsearch.types import Ids, Scope

DEFAULT = "default"
SPELLED, LONGEST_WORD = 16, 32
"""Words of a query, and letters of a word, up to which a spelling is looked for: more is pasted rather than typed."""
MAX_QUERY = 10_000
"""Characters of a query that are used: more than any question, less than what slows a search down."""
TYPED = 32
"""Words up to which a query has quotes, colons and minus signs of its own; in a longer one they came with the text."""
FILTERS_MB = 16
"""Memory for what filters matched."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A query taken apart: what each leg is query, and which documents and chunks may answer (None: all).

    `like` is the document that others should be like. `narrowed` is whether a filter, a phrase or a likeness chose the
    documents; what is only excluded leaves nearly all. `within` is what may be seen.
    """

    parsed: ParsedQuery
    filter: Filter | None
    words: LexicalQuery
    text: str
    documents: Ids | None
    allowed: Mask | None
    like: int | None = None
    narrowed: bool = False
    within: Scope | None = None

    @property
    def lists(self) -> bool:
        """Whether nothing is query but a filter, and all that it matches is the answer."""
        query = self.words or self.text.strip() or self.like is not None
        return self.documents is not None and not query


@dataclass(frozen=True, slots=True)
class _Fields:
    """The names of metadata that some document has."""

    corpus: Corpus

    def __contains__(self, name: object) -> bool:
        return self.corpus.any(*to_sql(Exists(str(name))))


class Planner:
    """Takes queries apart. Safe to share between threads."""

    def __init__(self, derived: Derived, analyzer: Analyzer) -> None:
        self.derived = derived
        self.corpus = derived.corpus
        self.analyzer = analyzer
        self._matches: MemoryCache[Ids] = MemoryCache(FILTERS_MB * 1_000_000, 3_600.0, lambda ids: ids.nbytes)

    def plan(self, context: QueryContext) -> Plan:
        query = context.query
        if not query.query.strip() and not query.like:
            raise QueryError(
                "The query is empty.", hint="Type at least one word, or name a document to be like."
            )
        if len(query.query) > MAX_QUERY:
            context.notes.append(f"Only the first {MAX_QUERY:,} characters of the query were used.")
        parsed = self._parse(query)
        context.notes.extend(parsed.notes)
        words = analyze_query(
            parsed.words,
            self.analyzer,
            phrases=parsed.phrases,
            excluded=parsed.excluded,
            languages=self.derived.lexical.languages,
            knows=self.derived.lexical.knows,
        )
        words = self.derived.lexical.pruned(words)
        chosen = _all_filters(query, parsed)
        chosen_ones = self._allowed(query, chosen, words)
        narrowed, documents = chosen_ones is not None, self._without(chosen_ones, words)
        if query.like:
            liked = self._liked(query.like, query)
            return replace(self._more_like(liked, parsed, chosen, words, documents), within=query.within)
        allowed = None if documents is None else self.derived.catalog.mask(documents)
        return Plan(
            parsed, chosen, words, parsed.text, documents, allowed, narrowed=narrowed, within=query.within
        )

    def _liked(self, key: str, query: SearchQuery) -> DocumentRow:
        for name in [query.collection] if query.collection else self.corpus.collections():
            found = self.corpus.find(name, key)
            if found and self.corpus.holds(query.within, found.id):
                return found
        raise NotFoundError(f"There is no document {key!r} to be like.", hint="Ids are as search gives them.")

    def _more_like(
        self,
        like: DocumentRow,
        parsed: ParsedQuery,
        chosen: Filter | None,
        words: LexicalQuery,
        documents: Ids | None,
    ) -> Plan:
        """A plan for what is like a document: its telling words beside those typed, and all documents but itself."""
        if documents is None:
            documents = self.derived.catalog.documents
        others = documents[documents != like.id]
        chunks = self.corpus.indexed_chunks([like.id])
        telling = telling_terms(
            chunks, self.analyzer, self.derived.lexical, MORE_LIKE_THIS_WEIGHT if words.terms else 1.0
        )
        typed = {form for term in words.terms for form in term.forms}
        more = tuple(term for term in telling if typed.isdisjoint(term.forms))
        text = parsed.text if parsed.text.strip() else like.title
        words = replace(words, terms=words.terms + more)
        allowed = self.derived.catalog.mask(others)
        return Plan(parsed, chosen, words, text, others, allowed, like.id, narrowed=True)

    def _parse(self, query: SearchQuery) -> ParsedQuery:
        """Words, phrases and filters; a pasted text is words only, since its punctuation asks for nothing."""
        text = query.query[:MAX_QUERY]
        if query.plain or not text.strip() or len(text.split()) > TYPED:
            return ParsedQuery(text, text=text)
        return parse_query(text, _Fields(self.corpus))

    def _selected(self, clause: str, values: list[Any]) -> Ids:
        """What a filter matches: it costs a look at every document, and people keep a filter from query to query."""
        state = self.corpus.db.state
        if state is None:
            return self.corpus.select(clause, values)
        key = (state, clause, tuple(values))
        documents = self._matches.get(key)
        if documents is None:
            documents = self.corpus.select(clause, values)
            self._matches.put(key, documents)
        return documents

    def _allowed(self, query: SearchQuery, chosen: Filter | None, words: LexicalQuery) -> Ids | None:
        """Which documents a filter and phrases leave, ascending; None for all. NotFoundError for no such collection."""
        collection = query.collection
        conditions: list[str] = []
        values: list[Any] = []
        if chosen is not None:
            clause, values = to_sql(chosen)
            conditions.append(clause)
        if query.within:
            clause, visible = scope_sql(query.within)
            conditions.append(clause)
            values += visible
        if collection is not None and (known := self.corpus.collections(query.within)) != [collection]:
            if collection not in known and collection != DEFAULT:
                raise NotFoundError(
                    f"There is no collection {collection}.", hint=f"Known: {', '.join(known) or DEFAULT}."
                )
            conditions.append("d.collection = ?")
            values.append(collection)
        documents = self._selected(" AND ".join(f"({c})" for c in conditions), values) if conditions else None
        for phrase in words.phrases:
            documents = _both(documents, self.derived.lexical.documents_with(phrase))
        return documents

    def _without(self, documents: Ids | None, words: LexicalQuery) -> Ids | None:
        """The same without those that hold what is excluded."""
        for phrase in words.excluded:
            held = self.derived.lexical.documents_with(phrase)
            documents = self.derived.catalog.documents if documents is None else documents
            documents = np.setdiff1d(documents, held, assume_unique=True)
        return documents

    def unknown_fields(self, chosen: Filter) -> Iterator[str]:
        """A note for each field of a filter that no document has."""
        for name in sorted(field_names(chosen)):
            if name not in _Fields(self.corpus):
                yield f"No document has a field {name}."

    def corrections(self, plan: Plan) -> tuple[str, ...]:
        """The query with each word that the corpus does not know replaced by the nearest one that it does.

        None for whoever may see a part of the index only: the word may be of another part.
        """
        if plan.within:
            return ()
        lexical = self.derived.lexical
        if all(map(lexical.held, plan.words.terms)):
            return ()
        words = plan.parsed.words.split()
        if len(words) > SPELLED or len(max(words, key=len, default="")) > LONGEST_WORD:
            return ()
        corrected = [lexical.correct(word.strip(".,;:!?")) or word for word in words]
        return (" ".join(corrected),) if corrected != words else ()


def _both(documents: Ids | None, others: Ids) -> Ids:
    return others if documents is None else np.intersect1d(documents, others)


def _all_filters(query: SearchQuery, parsed: ParsedQuery) -> Filter | None:
    given = query.filters
    asked = parse_filter(given) if isinstance(given, str) else from_json(given)
    present = [part for part in (asked, parsed.filter) if part is not None]
    return And(tuple(present)) if len(present) > 1 else present[0] if present else None
