"""The other passages of a document that a query's words stand in, folded below its hit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from localsearch.derived import Derived
from localsearch.search.context import QueryContext
from localsearch.search.hits import Presenter
from localsearch.search.plan import Plan, Planner
from localsearch.search.query import SearchQuery
from localsearch.search.rank import Ranked
from localsearch.types import Hit

MOST_CHUNKS, MOST_SHOWN = 2000, 40
"""Chunks of one document that are scored, and the best of them in which words are looked for."""


@dataclass(frozen=True, slots=True)
class Passages:
    """A document's passages that hold a word of the query in their own text, best first.

    `more` is whether there may be others than were looked at.
    """

    id: str
    collection: str
    hits: tuple[Hit, ...]
    more: bool


def passages(
    derived: Derived,
    planner: Planner,
    presenter: Presenter,
    query: SearchQuery,
    names: Sequence[tuple[str, str]],
) -> list[Passages]:
    """The passages of documents, named by collection and id. One that may not be seen, or is not there, is left out."""
    plan = planner.plan(QueryContext(query))
    found = []
    for collection, id in names:
        row = derived.corpus.find(collection, id)
        if row and derived.corpus.holds(query.within, row.id):
            ranked, more = _ranked(derived, plan, row.id)
            found.append(Passages(id, collection, _apart(presenter.hits(plan, ranked, False, [])), more))
    return found


def _apart(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """Those that hold a word in text that none before them has: chunks overlap."""
    kept: list[Hit] = []
    for hit in hits:
        start = hit.location["start"]
        own = list(hit.text)
        for other in kept:
            low, high = other.location["start"] - start, other.location["end"] - start
            for at in range(max(low, 0), min(high, len(own))):
                own[at] = " "
        rest = "".join(own)
        if any(hit.snippet[a:b] in rest for a, b in hit.highlights):
            kept.append(hit)
    return tuple(kept)


def _ranked(derived: Derived, plan: Plan, document: int) -> tuple[list[Ranked], bool]:
    """The chunks of a document that hold a word, best first, and whether there are more than are shown."""
    listed = [chunk for chunk, _ in derived.corpus.chunk_ids([document])]
    ids = np.array(listed[:MOST_CHUNKS], np.int64)
    scores = derived.lexical.score(plan.words, ids) if len(ids) else np.empty(0)
    best = [at for at in np.argsort(-scores, kind="stable") if scores[at] > 0]
    ranked = [
        Ranked(document, int(ids[at]), float(scores[at]), float(scores[at]), None) for at in best[:MOST_SHOWN]
    ]
    return ranked, len(best) > MOST_SHOWN or len(listed) > MOST_CHUNKS
