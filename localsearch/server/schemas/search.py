"""Requests and answers of /search, /suggest and /feedback. The answer to a search is `types.Answer` itself."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from localsearch.server.request_limits import AtMost, AtMostDeep
from localsearch.server.schemas.base import Collection, RequestSchema, ResponseSchema, Text
from localsearch.types import Hit, Mode, Sort

Filters = Annotated[
    dict[str, Any] | str | None,
    Meta(
        description='JSON such as {"year": {"$gte": 2020}}, or an expression such as `type:pdf after:2024-01-01`.',
        examples=[{"type": {"$in": ["pdf", "markdown"]}}, "type:pdf after:2024-01-01"],
    ),
    AtMostDeep("filter_depth"),
]

MinRelevance = Annotated[
    float, Meta(ge=0, le=1, description="Leave out, and do not count, hits whose relevance is below this.")
]

Like = Annotated[
    str,
    Meta(min_length=1, max_length=5000, description="The id of a document: others like it, itself left out."),
]

OnlyMatching = Annotated[
    bool,
    Meta(
        description="End with the documents that match, as `facets` does too; else the nearest others follow them."
    ),
]

TimeZone = Annotated[
    str,
    Meta(
        max_length=100,
        description="Whose days the dates in filters and in the answer are.",
        examples=["Europe/Berlin"],
    ),
]


class SearchRequest(RequestSchema, frozen=True, kw_only=True):
    """A question, or a document that others should be like, or both.

    `filters` is exact: limit 10 gives 10 hits whenever 10 documents match.
    """

    query: Annotated[Text, Meta(examples=["how do I renew the certificate"]), AtMost("query_chars")] = ""
    limit: Annotated[int, Meta(ge=1, examples=[5]), AtMost("results")] = 5
    filters: Filters = None
    mode: Mode | None = None
    rerank: bool | None = None
    collection: Collection | None = None
    offset: Annotated[int, Meta(ge=0), AtMost("offset")] = 0
    explain: bool | None = None
    budget_ms: Annotated[float, Meta(ge=1, le=600_000, description="Milliseconds it may take.")] | None = None
    facets: Annotated[bool, Meta(description="Count types, folders, languages, tags and years.")] | None = (
        None
    )
    cache: Annotated[bool, Meta(description="False computes the answer anew.")] | None = None
    only_matching: OnlyMatching | None = None
    min_relevance: MinRelevance | None = None
    like: Like | None = None
    time_zone: TimeZone | None = None
    sort: Sort | None = None


class SearchParameters(RequestSchema, frozen=True, kw_only=True):
    """The same question in a query string; `filters` is an expression such as `type:pdf after:2024-01-01`."""

    q: Annotated[
        str,
        Meta(pattern=r"\S", description="The question.", examples=["renew the certificate"]),
        AtMost("query_chars"),
    ] = ""
    limit: Annotated[int, Meta(ge=1), AtMost("results")] = 5
    filters: Annotated[str, Meta(description="Such as `type:pdf after:2024-01-01`.")] | None = None
    mode: Mode | None = None
    rerank: bool = False
    collection: Collection | None = None
    offset: Annotated[int, Meta(ge=0), AtMost("offset")] = 0
    explain: bool = False
    budget_ms: Annotated[float, Meta(ge=1, le=600_000, description="Milliseconds it may take.")] | None = None
    facets: bool = False
    cache: bool = True
    only_matching: OnlyMatching = False
    min_relevance: MinRelevance = 0.0
    like: Like | None = None
    time_zone: TimeZone | None = None
    sort: Sort | None = None


class NamedDocument(RequestSchema, frozen=True, kw_only=True):
    """A document by its id."""

    id: Annotated[str, Meta(min_length=1, max_length=5000, examples=["kiln"])]
    collection: Collection = "default"


class MatchesRequest(RequestSchema, frozen=True, kw_only=True):
    """A question, and the documents in which it is to be looked for."""

    query: Annotated[Text, Meta(examples=["kiln"]), AtMost("query_chars")]
    documents: Annotated[list[NamedDocument], Meta(min_length=1, max_length=20)]


class MatchesOf(ResponseSchema, frozen=True, kw_only=True):
    """The passages of a document that hold a word of the question, best first; `more` where not all were looked at."""

    id: str
    collection: str
    hits: list[Hit]
    more: bool


class MatchesAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Documents that are not there, or may not be seen, are left out."""

    documents: list[MatchesOf]


class SuggestParameters(RequestSchema, frozen=True, kw_only=True):
    """The beginning of a question."""

    q: Annotated[str, Meta(max_length=1000)]
    limit: Annotated[int, Meta(ge=1, le=50)] = 8


class SuggestAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Completions from the corpus's own words, best first."""

    query: str
    suggestions: list[str]


class FeedbackRequest(RequestSchema, frozen=True, kw_only=True):
    """A judgement: whether this document answers this question."""

    query: Annotated[Text, Meta(examples=["kiln"]), AtMost("query_chars")]
    id: Annotated[str, Meta(min_length=1, max_length=5000, examples=["kiln"])]
    relevant: Annotated[bool, Meta(examples=[True])]
    collection: Collection | None = None


class FeedbackAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The judgement is kept."""

    recorded: bool = True
