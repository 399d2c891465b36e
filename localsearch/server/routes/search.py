"""Asking: search, suggestions, judgements."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from localsearch.search import SearchQuery
from localsearch.server.encoding import encode
from localsearch.server.job_handlers import DEFAULT_COLLECTION
from localsearch.server.operations import Call, Operation
from localsearch.server.responses import Response
from localsearch.server.schemas.search import (
    FeedbackAnswer,
    FeedbackRequest,
    MatchesAnswer,
    MatchesOf,
    MatchesRequest,
    SearchParameters,
    SearchRequest,
    SuggestAnswer,
    SuggestParameters,
)
from localsearch.server.service import Service
from localsearch.types import Answer, Scope

_SHORT = 200
"""Characters of a question that is kept."""
_Sent = SearchRequest | SearchParameters


@dataclass(frozen=True, slots=True)
class _Question:
    """What was asked, and the same in the spelling that is remembered."""

    query: SearchQuery
    canonical: SearchQuery


def question(call: Call) -> _Question:
    """The same question, however it was sent; what was left out is at its default.

    Short ones are kept as they were checked: the same ones come again and again.
    """
    sent: _Sent = call.query if call.body is None else call.body
    text = sent.q if isinstance(sent, SearchParameters) else sent.query
    if len(text) > _SHORT or sent.like or sent.filters is not None:  # which may have no hash, or be long
        return _question(sent, call.within)
    return _kept(sent, call.within)


def _question(sent: _Sent, within: Scope | None) -> _Question:
    options = {name: value for name, value in msgspec.structs.asdict(sent).items() if value is not None}
    if "q" in options:
        options["query"] = options.pop("q")
    query = SearchQuery(**options, within=within)
    return _Question(query, query.canonical)


_kept = lru_cache(maxsize=512)(_question)


def cached(service: Service, call: Call) -> bytes | None:
    """The answer to this very question while nothing has changed; read from memory only."""
    asked = question(call)
    answer = service.engine.cached(asked.query, call.started)
    if answer is None:
        return None
    service.record_query(asked.canonical)
    service.metrics.search(time.perf_counter() - call.started, cached=True)
    return encode(answer)


def search(service: Service, call: Call) -> Response:
    """Answer a question."""
    asked = question(call)
    answer = service.engine.answer(asked.query)
    service.record_query(asked.canonical)
    service.metrics.search(time.perf_counter() - call.started, answer.cached)
    if not answer.cached:
        service.metrics.stages(answer.stages)
    return Response(encode(answer))


def suggest(service: Service, call: Call) -> SuggestAnswer:
    """Complete what is being typed."""
    parameters: SuggestParameters = call.query
    words = service.engine.suggest(parameters.q, parameters.limit, within=call.within)
    return SuggestAnswer(query=parameters.q, suggestions=words)


def matches(service: Service, call: Call) -> MatchesAnswer:
    """All passages of some documents that hold a word of a question."""
    request: MatchesRequest = call.body
    names = [(one.collection, one.id) for one in request.documents]
    found = service.engine.searcher.passages(SearchQuery(request.query, within=call.within), names)
    return MatchesAnswer(
        documents=[
            MatchesOf(id=one.id, collection=one.collection, hits=list(one.hits), more=one.more)
            for one in found
        ]
    )


def feedback(service: Service, call: Call) -> FeedbackAnswer:
    """Keep a judgement."""
    request: FeedbackRequest = call.body
    service.engine.feedback(
        request.query, request.id, request.relevant, collection=request.collection or DEFAULT_COLLECTION
    )
    return FeedbackAnswer()


OPERATIONS = (
    Operation(
        "POST",
        "/search",
        "Ranked documents for a question, by words and by meaning.",
        search,
        body=SearchRequest,
        answer=Answer,
        queue="search",
        from_memory=cached,
        limited=True,
        anywhere=True,
    ),
    Operation(
        "GET",
        "/search",
        "The same, with the question in the query string.",
        search,
        query=SearchParameters,
        answer=Answer,
        queue="search",
        from_memory=cached,
        limited=True,
        anywhere=True,
    ),
    Operation(
        "POST",
        "/matches",
        "The passages of some documents in which words of a question stand.",
        matches,
        body=MatchesRequest,
        answer=MatchesAnswer,
        queue="search",
        limited=True,
    ),
    Operation(
        "GET",
        "/suggest",
        "Completions of what is being typed, from the corpus's own words.",
        suggest,
        query=SuggestParameters,
        answer=SuggestAnswer,
        limited=True,
        anywhere=True,
    ),
    Operation(
        "POST",
        "/feedback",
        "Say whether a document answers a question.",
        feedback,
        body=FeedbackRequest,
        answer=FeedbackAnswer,
        scope="write",
    ),
)
