"""From what was typed to what each leg is query, and which documents may answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from localsearch.caches import MemoryCache, short_key
from localsearch.derived import Derived
from localsearch.errors import ModelError, NotFoundError, QueryError
from localsearch.filters import (
    Exists,
    Filter,
    ParsedQuery,
    all_of,
    asks_text,
    field_names,
    from_json,
    held,
    is_typed,
    leaves,
    parse_filter,
    parse_query,
    to_sql,
)
from localsearch.lexical import MOST_TERMS, LexicalQuery, analyze_query
from localsearch.ranking.constants import MORE_LIKE_THIS_WEIGHT
from localsearch.search.conditions import Conditions
from localsearch.search.context import QueryContext
from localsearch.search.more_like_this import telling_terms
from localsearch.search.query import SearchQuery
from localsearch.search.selection import Selection
from localsearch.search.visible import Visible
from localsearch.store import Corpus, DocumentRow, paths_seen, scope_sql
from localsearch.text import Analyzer, normalize
from localsearch.types import Ids, Scope

DEFAULT = "default"
SPELLED, LONGEST_WORD = 16, 32
"""Words of a query, and letters of a word, up to which a spelling is looked for: more is pasted rather than typed."""
MAX_QUERY = 10_000
"""Characters of a query that are used: more than any question, less than what slows a search down."""
TYPED = 32
"""Words up to which a query without operators has quotes, colons and signs of its own; in a longer one they came with
the text."""
SHORTEST_START, COMPLETIONS = 3, 8
"""Letters from which the last word may be the beginning of others, and how many of these are looked for."""
FILTERS_MB = 16
"""Memory for what filters matched."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A query taken apart: what each leg is query, and which documents and chunks may answer (None: all).

    `like` is the document that others should be like. `narrowed` is whether a filter, a phrase or a likeness chose the
    documents; what is only excluded leaves nearly all. `strict` is whether the texts of the documents were asked to
    hold something: then all of `documents` match and no others. `patterns` are words that a `*` or `?` stood for.
    `within` is what may be seen.
    """

    parsed: ParsedQuery
    filter: Filter | None
    words: LexicalQuery
    text: str
    documents: Ids | None
    allowed: Selection | None
    like: int | None = None
    narrowed: bool = False
    strict: bool = False
    patterns: frozenset[str] = frozenset()
    within: Scope | None = None

    @property
    def lists(self) -> bool:
        """Whether nothing is query but a filter, and all that it matches is the answer."""
        query = self.words or self.text.strip() or self.like is not None
        return self.documents is not None and not query


@dataclass(frozen=True, slots=True)
class _Fields:
    """The names of metadata that some document has, of those that may be seen."""

    corpus: Corpus
    within: Scope | None

    def __contains__(self, name: object) -> bool:
        clause, values = to_sql(Exists(str(name)))
        if self.within:
            seen, more = scope_sql(self.within)
            clause, values = f"{clause} AND {seen}", [*values, *more]
        return self.corpus.any(clause, values)


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
        looked_up = Conditions(
            self.derived,
            self.analyzer,
            lambda tree: self._selected(*to_sql(tree, paths_seen(query.within))),
            self.visible(query.within),
        )
        parsed = self._affordable(self._parse(query, looked_up), looked_up)
        context.notes.extend(parsed.notes)
        words = self._words(parsed, looked_up)
        context.notes.extend(looked_up.notes)
        if words.cut:
            context.notes.append(f"Only the first {MOST_TERMS} different words of the query were used.")
        chosen = _all_filters(query, parsed)
        if not words and chosen is None and not query.like:
            context.notes.append("There is no word in the query to search for.")
        documents = self._allowed(query, chosen, looked_up)
        wanted = (
            any(wanted for _, wanted in leaves(chosen)) or query.collection is not None or bool(query.within)
        )
        if query.like:
            liked = self._liked(query.like, query)
            return replace(self._more_like(liked, parsed, chosen, words, documents), within=query.within)
        strict = bool(held(chosen))
        allowed = None
        if documents is not None:
            mask = looked_up.mask(chosen, documents) if strict and chosen is not None else None
            allowed = Selection(self.derived.catalog, documents, chosen, query.collection, mask)
        words, unfinished = self._completed(query, parsed, words)
        text = " ".join(
            likely[0] if (likely := looked_up.patterns.get(word, unfinished.get(word))) else word
            for word in parsed.text.split(" ")
        )
        return Plan(
            parsed,
            chosen,
            words,
            text,
            documents,
            allowed,
            narrowed=documents is not None and wanted,
            strict=strict,
            patterns=frozenset(word for several in looked_up.patterns.values() for word in several),
            within=query.within,
        )

    def visible(self, within: Scope | None) -> Visible:
        """The word index as far as it may be seen."""
        if not within:
            return Visible(self.derived.lexical)
        return Visible(self.derived.lexical, self.derived.catalog.mask(self._selected(*scope_sql(within))))

    def _affordable(self, parsed: ParsedQuery, looked_up: Conditions) -> ParsedQuery:
        """The query, or its words alone where its conditions would take too long to look up."""
        if looked_up.affordable(parsed.condition):
            return parsed
        looked_up.patterns.clear()
        note = (
            "Its conditions hold too many common words for one search: all of it was searched as plain words."
        )
        return ParsedQuery(parsed.text, text=parsed.text, notes=(*parsed.notes, note))

    def _words(self, parsed: ParsedQuery, looked_up: Conditions) -> LexicalQuery:
        """What ranks by words: the plain ones, those of phrases, and a bonus for a phrase or pattern as such."""
        lexical = self.derived.lexical
        holds = parsed.holds
        texts = [f"{leaf.text} {leaf.beside}".strip() for leaf in holds if leaf.kind != "pattern"]
        bonus = filter(looked_up.ranks, holds)
        words = analyze_query(
            " ".join([parsed.words, *texts]).strip(),
            self.analyzer,
            phrases=[phrase for leaf in bonus for phrase in looked_up.phrases[leaf]],
            languages=lexical.languages,
            knows=lexical.knows,
        )
        pruned: LexicalQuery = lexical.pruned(words)
        return pruned

    def _completed(
        self, query: SearchQuery, parsed: ParsedQuery, words: LexicalQuery
    ) -> tuple[LexicalQuery, dict[str, list[str]]]:
        """The words, where the last is none that occurs but words that begin so do: `firew` finds what `firewall` does.

        Also those words, commonest first, by what was typed.
        """
        lexical, last = self.derived.lexical, parsed.words.rpartition(" ")[2]
        if query.plain or len(last) < SHORTEST_START or not last.isalpha() or not words.terms:
            return words, {}
        term = words.terms[-1]
        alone = analyze_query(last, self.analyzer, languages=lexical.languages, knows=lexical.knows).terms
        if not parsed.text.endswith(last) or not alone or alone[-1].forms != term.forms or lexical.held(term):
            return words, {}
        if not (begun := self.visible(query.within).known(lexical.complete(last, COMPLETIONS))):
            return words, {}
        stems = tuple(dict.fromkeys(map(self.analyzer.stem, begun)))
        whole = term._replace(stems=stems, plain=tuple(begun))
        return replace(words, terms=(*words.terms[:-1], whole)), {last: begun}

    def _liked(self, key: str, query: SearchQuery) -> DocumentRow:
        for name in [query.collection] if query.collection else self.corpus.collections():
            found = self.corpus.find(name, key) or self.corpus.copy_at(name, key)
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
            documents = self.derived.catalog.documents()
        others = documents[documents != like.id]
        chunks = self.corpus.indexed_chunks([like.id])
        telling = telling_terms(
            chunks, self.analyzer, self.derived.lexical, MORE_LIKE_THIS_WEIGHT if words.terms else 1.0
        )
        typed = {form for term in words.terms for form in term.forms}
        more = tuple(term for term in telling if typed.isdisjoint(term.forms))
        text = parsed.text if parsed.text.strip() else like.title
        words = replace(words, terms=words.terms + more)
        allowed = Selection(self.derived.catalog, others, chosen)
        return Plan(parsed, chosen, words, text, others, allowed, like.id, narrowed=True)

    def _parse(self, query: SearchQuery, looked_up: Conditions) -> ParsedQuery:
        """Words and conditions; a pasted text is words only, since its punctuation asks for nothing."""
        text = query.query[:MAX_QUERY]
        if query.plain or not text.strip():
            return ParsedQuery(text, text=text)
        if not is_typed(text, TYPED):
            asks = parse_query(text, {}).condition is not None
            note = f"A query of more than {TYPED} words is taken as text: its signs and quotation marks ask nothing."
            return ParsedQuery(text, text=text, notes=(note,) if asks else ())
        return parse_query(text, _Fields(self.corpus, query.within), looked_up.stands)

    def _selected(self, clause: str, values: list[Any]) -> Ids:
        """What a filter matches: it costs a look at every document, and people keep a filter from query to query."""
        state = self.corpus.db.state
        if state is None:
            return self.corpus.select(clause, values)
        key = (state, short_key(repr((clause, values)).encode("utf-8", "surrogatepass")))
        documents = self._matches.get(key)
        if documents is None:
            documents = self.corpus.select(clause, values)
            self._matches.put(key, documents)
        return documents

    def _allowed(self, query: SearchQuery, chosen: Filter | None, looked_up: Conditions) -> Ids | None:
        """Which documents a condition leaves, ascending; None for all. NotFoundError for no such collection."""
        collection = query.collection
        conditions: list[str] = []
        values: list[Any] = []
        if chosen is not None and not asks_text(chosen):
            clause, values = to_sql(chosen, paths_seen(query.within))
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
        if chosen is not None and asks_text(chosen):
            holding = looked_up.documents(chosen)
            documents = holding if documents is None else np.intersect1d(documents, holding)
        return documents

    def unknown_fields(self, chosen: Filter, within: Scope | None) -> Iterator[str]:
        """A note for each field of a filter that no document has."""
        for name in sorted(field_names(chosen)):
            if name not in _Fields(self.corpus, within):
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
        corrected = [self._spelled(word.strip(".,;:!?")) or word for word in words]
        return (" ".join(corrected),) if corrected != words else ()

    def _spelled(self, word: str) -> str | None:
        """The word of the corpus that was probably meant; None for one that the model has whole: it is a word of the
        language, whether or not it occurs here."""
        semantic = self.derived.semantic
        found: str | None = self.derived.lexical.correct(word)
        if found is None or semantic is None:
            return found
        try:
            whole = semantic.model.encoder().count_tokens([normalize(word)])[0] == 1
        except ModelError:
            return found
        return None if whole else found


def _all_filters(query: SearchQuery, parsed: ParsedQuery) -> Filter | None:
    given = query.filters
    asked = parse_filter(given) if isinstance(given, str) else from_json(given)
    return all_of(part for part in (asked, parsed.condition) if part is not None)
