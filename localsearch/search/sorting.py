"""Documents that match, in an order that a person knows: by date, name or size instead of relevance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from localsearch.filters import dated_sql
from localsearch.search.query import SearchQuery
from localsearch.search.rank import Ranked
from localsearch.store import Corpus
from localsearch.types import Sort

MOST_SORTED = 2000
"""Documents that are sorted: of more, the most relevant."""


def widened(query: SearchQuery) -> SearchQuery:
    """The question whose answer holds all that is to be sorted: what matches, as far as it can be sorted."""
    if query.sort == "relevance":
        return query
    return replace(query, offset=0, limit=MOST_SORTED, only_matching=True)


def ordered(corpus: Corpus, documents: Sequence[Ranked], sort: Sort) -> list[Ranked]:
    """The documents in an order; equal ones stay by relevance, those without a date come last."""
    if sort == "relevance":
        return list(documents)
    keys = _keys(corpus, [one.document_id for one in documents], sort)
    last = ("\U0010ffff",) if sort == "name" else (float("inf"),)
    return sorted(documents, key=lambda one: keys.get(one.document_id, last))


def _keys(corpus: Corpus, ids: Sequence[int], sort: Sort) -> Mapping[int, tuple[float] | tuple[str]]:
    if sort == "date":
        dates = corpus.facet_dates(ids, *dated_sql())
        return {id: (-date,) for id, date in dates.items()}
    rows = corpus.documents(ids).values()
    if sort == "size":
        return {row.id: (-float(row.size),) for row in rows}
    return {row.id: ((row.title or row.key).casefold(),) for row in rows}


def note(total: int, sort: Sort) -> str:
    """What is to be said where not all that matches was sorted; empty where it was."""
    if sort == "relevance" or total <= MOST_SORTED:
        return ""
    return f"The {MOST_SORTED:,} most relevant are sorted by {sort}."
