"""Asking: search, suggestions, judgements."""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec

from localsearch.caches import canonical
from localsearch.server.endpoint import encode
from localsearch.server.operations import Call, Operation, Response
from localsearch.server.schemas import (
    FeedbackAnswer,
    FeedbackRequest,
    SearchParameters,
    SearchRequest,
    SuggestAnswer,
    SuggestParameters,
)
from localsearch.server.service import Service
from localsearch.server.work import DEFAULT_COLLECTION
from localsearch.types import Answer

_TOOK = re.compile(rb'"took_ms":[^,]*,')
_UNCACHED = re.compile(rb'"cached":false')


def question(call: Call) -> SearchRequest:
    """The same question, however it was sent."""
    if call.body is not None:
        asked: SearchRequest = call.body
        return asked
    sent: SearchParameters = call.query
    return SearchRequest(
        query=sent.q,
        limit=sent.limit,
        filters=sent.filters,
        mode=sent.mode,
        rerank=sent.rerank,
        collection=sent.collection,
        offset=sent.offset,
        explain=sent.explain,
        budget_ms=sent.budget_ms,
        facets=sent.facets,
        cache=sent.cache,
        min_relevance=sent.min_relevance,
        like=sent.like,
    )


def normal(asked: SearchRequest) -> dict[str, Any]:
    """A request with what it leaves out filled in, so that equal questions are one key."""
    return {
        "query": asked.query,
        "limit": asked.limit,
        "offset": asked.offset,
        "mode": asked.mode or "hybrid",
        "rerank": bool(asked.rerank),
        "collection": asked.collection,
        "filters": asked.filters or None,
        "explain": bool(asked.explain),
        "facets": bool(asked.facets),
        "min_relevance": asked.min_relevance or 0.0,
        "like": asked.like,
    }


def cached(service: Service, call: Call) -> bytes | None:
    """The stored answer to this very question while nothing has changed; read from memory only."""
    asked = question(call)
    if asked.cache is False or asked.budget_ms is not None:
        return None
    request = normal(asked)
    body = service.bodies.get(canonical(request), service.stamp())
    if body is None:
        return None
    service.asked(request)
    took = time.perf_counter() - call.started
    service.metrics.search(took, cached=True)
    return _opening(took * 1000) + body


def search(service: Service, call: Call) -> Response:
    """Answer a question, and keep the answer for the next time."""
    return Response(_answer(service, question(call), call.started))


def warm(service: Service, request: dict[str, Any]) -> None:
    """Answer a question that was asked often, so that its answer is there when it is asked again."""
    asked = {name: value for name, value in request.items() if name != "query" or value}
    _answer(service, msgspec.convert(asked, SearchRequest), time.perf_counter(), counted=False)


def _answer(service: Service, asked: SearchRequest, started: float, counted: bool = True) -> bytes:
    request, stamp = normal(asked), service.stamp()
    use_cache = asked.cache is not False
    answer = service.engine.search(**request, budget_ms=asked.budget_ms, cache=use_cache)
    body = encode(answer)
    if use_cache and asked.budget_ms is None and stamp == service.stamp():
        service.bodies.put(canonical(request), stamp, _closing(body))
    if counted:
        service.asked(request)
        service.metrics.search(time.perf_counter() - started, answer.cached)
        if not answer.cached:
            service.metrics.stages(answer.stages)
    return body


def _opening(took_ms: float) -> bytes:
    """The start of a stored answer's JSON: `_closing` is the rest of it."""
    return b'{"took_ms":%.3f,' % took_ms


def _closing(body: bytes) -> bytes:
    """All of an answer's JSON but its opening brace and `took_ms`, marked as cached.

    Both names come before any hit, and inside a string a quotation mark never stands without a backslash before it.
    """
    return _UNCACHED.sub(b'"cached":true', _TOOK.sub(b"", body, count=1), count=1)[1:]


def suggest(service: Service, call: Call) -> SuggestAnswer:
    """Complete what is being typed."""
    asked: SuggestParameters = call.query
    return SuggestAnswer(query=asked.q, suggestions=service.engine.suggest(asked.q, asked.limit))


def feedback(service: Service, call: Call) -> FeedbackAnswer:
    """Keep a judgement."""
    said: FeedbackRequest = call.body
    service.engine.feedback(
        said.query, said.id, said.relevant, collection=said.collection or DEFAULT_COLLECTION
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
        lane="search",
        quick=cached,
    ),
    Operation(
        "GET",
        "/search",
        "The same, with the question in the query string.",
        search,
        query=SearchParameters,
        answer=Answer,
        lane="search",
        quick=cached,
    ),
    Operation(
        "GET",
        "/suggest",
        "Completions of what is being typed, from the corpus's own words.",
        suggest,
        query=SuggestParameters,
        answer=SuggestAnswer,
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
