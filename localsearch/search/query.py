"""One question in one frozen shape, from whoever asks to the ranker.

The command line, the server, the engine and the stages of a search all hold a `SearchQuery`. A new option is a field
here and a key of `SearchOptions`; the stage that obeys it reads it from the query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any, Self, TypedDict, get_args

import msgspec

from localsearch import days
from localsearch.caches import canonical, short_key
from localsearch.checked import clean
from localsearch.errors import QueryError
from localsearch.types import Mode, Scope, Sort


class SearchOptions(TypedDict, total=False):
    """What `Engine.search` takes beside the words of a query: the fields of `SearchQuery`, described there."""

    limit: int
    offset: int
    mode: Mode
    rerank: bool
    collection: str | None
    filters: str | Mapping[str, Any] | None
    explain: bool
    budget_ms: float | None
    cache: bool
    facets: bool
    plain: bool
    only_matching: bool
    min_relevance: float
    like: str | None
    within: Scope | None
    time_zone: str
    sort: Sort


_TEXT, _MAYBE_TEXT, _WHOLE, _NUMBER = (str,), (str, NoneType), (int,), (int, float)
_MAYBE_NUMBER = (int, float, NoneType)
_KINDS: Mapping[str, tuple[type, ...]] = {
    "query": _TEXT,
    "limit": _WHOLE,
    "offset": _WHOLE,
    "mode": _TEXT,
    "collection": _MAYBE_TEXT,
    "budget_ms": _MAYBE_NUMBER,
    "min_relevance": _NUMBER,
    "like": _MAYBE_TEXT,
    "within": (Scope, NoneType),
    "time_zone": _TEXT,
    "sort": _TEXT,
}
_WORDS = {
    _TEXT: "text",
    _MAYBE_TEXT: "text or None",
    _WHOLE: "a whole number",
    _NUMBER: "a number",
    _MAYBE_NUMBER: "a number or None",
    (Scope, NoneType): "a Scope or None",
}


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What is asked. Raises QueryError for a value out of its range, FilterError for a time zone that is none.

    `limit` hits from `offset` on (both count documents); `mode` chooses the legs; `rerank` scores the best candidates
    again; `collection` None searches all; `filters` is an expression or JSON; `explain` adds how the order came about;
    `budget_ms` bounds the milliseconds it may take; `cache` False computes the answer anew; `facets` counts types,
    folders, languages, tags and years; `only_matching` ends the ranking with the documents that match, as `facets`
    does too (`count` says which): without either the nearest others follow; `plain` takes quotes, colons and minus
    signs as text; `min_relevance`, 0 to 1,
    leaves out what is known to be below; `like` is the id of a document that the hits should be like;
    `within` is what whoever asks may see: the rest of the index takes no part;
    `time_zone`, such as Europe/Berlin, is whose days the dates of filters and of hits are, empty: as the settings say;
    `sort` orders what matches by relevance, date (the latest first), name or size (the largest first).
    """

    query: str = ""
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
    only_matching: bool = False
    min_relevance: float = 0.0
    like: str | None = None
    within: Scope | None = None
    time_zone: str = ""
    sort: Sort = "relevance"

    def __post_init__(self) -> None:
        for name, kinds in _KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise QueryError(f"{name} is {value!r}.", hint=f"It is {_WORDS[kinds]}.")
        for name in ("query", "collection", "like"):
            if (text := getattr(self, name)) and clean(text) != text:
                object.__setattr__(self, name, clean(text))  # what cannot be encoded is nowhere to be found
        if self.mode not in get_args(Mode):
            raise QueryError(f"There is no mode {self.mode!r}.", hint=f"Modes: {', '.join(get_args(Mode))}.")
        if self.sort not in get_args(Sort):
            raise QueryError(
                f"There is no order {self.sort!r}.", hint=f"Orders: {', '.join(get_args(Sort))}."
            )
        if self.limit < 1 or self.offset < 0:
            raise QueryError(
                f"limit is {self.limit}, offset {self.offset}.", hint="limit is from 1, offset from 0."
            )
        days.zone(self.time_zone)
        if not 0 <= self.min_relevance <= 1:
            raise QueryError(
                f"min_relevance is {self.min_relevance:g}.", hint="It is from 0 (all) to 1 (certain)."
            )
        if self.budget_ms is not None and not self.budget_ms > 0:
            raise QueryError(
                f"budget_ms is {self.budget_ms:g}.", hint="It is a number of milliseconds above 0."
            )

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """A query from the mapping that `canonical` became in JSON; what it does not know is left out.

        Raises msgspec.ValidationError and QueryError for values that are none.
        """
        return msgspec.convert(stored, cls)

    @property
    def ends(self) -> bool:
        """Whether the ranking ends with the documents that match."""
        return self.only_matching or self.facets

    @property
    def canonical(self) -> Self:
        """The same question in one spelling: what makes no other answer is at its default."""
        return replace(
            self,
            query=" ".join(self.query.split()),
            filters=self.filters or None,
            within=self.within or None,
            cache=True,
            budget_ms=None,
        )

    @property
    def key(self) -> bytes:
        """What the answer is cached under: equal for questions that have the same answer, and never long."""
        return short_key(canonical(self.canonical))

    @property
    def cacheable(self) -> bool:
        """Whether the answer may be kept: a budget may have cut it short."""
        return self.cache and self.budget_ms is None
