"""A request type carries its limits and examples on its own fields: nothing else has to name it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import pytest
from msgspec import Meta

from localsearch.server.openapi import document
from localsearch.server.operations import Operation
from localsearch.server.problems import HttpError
from localsearch.server.reference import page
from localsearch.server.request_limits import AtMost, AtMostDeep, check, limits_of
from localsearch.server.schemas import RequestSchema, ResponseSchema, SearchParameters, SearchRequest
from localsearch.settings import LimitSettings

LIMITS = replace(LimitSettings(), results=20, query_chars=40, filter_depth=2)


class ToyRequest(RequestSchema, frozen=True, kw_only=True):
    """A body that no module of the server names."""

    words: Annotated[str, Meta(examples=["neap tides"]), AtMost("query_chars")]
    most: Annotated[int, Meta(ge=1), AtMost("results")] | None = None
    within: Annotated[dict[str, Any] | None, AtMostDeep("filter_depth")] = None


class ToyAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Its answer."""

    done: bool = True


TOY: Operation[None] = Operation(
    "POST", "/toy", "A toy.", lambda service, call: ToyAnswer(), body=ToyRequest, answer=ToyAnswer
)


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (ToyRequest(words="x" * 41), "words"),
        (ToyRequest(words="x", most=21), "most"),
        (ToyRequest(words="x", within={"a": {"b": {"c": 1}}}), "within"),
    ],
)
def test_a_field_beyond_its_limit_is_named(sent: ToyRequest, field: str) -> None:
    with pytest.raises(HttpError) as refused:
        check(sent, LIMITS)
    assert refused.value.status == 400
    assert f"`{field}` may" in refused.value.message


def test_fields_at_their_limit_pass() -> None:
    check(ToyRequest(words="x" * 40, most=20, within={"a": {"b": 1}}), LIMITS)


def test_the_document_shows_the_limits_and_the_page_the_example() -> None:
    described = document([TOY], LIMITS)
    shape = described["components"]["schemas"]["ToyRequest"]["properties"]
    assert shape["words"]["maxLength"] == 40
    assert b"&quot;words&quot;:&quot;neap tides&quot;" in page(described).body  # type: ignore[operator]


def test_both_ways_to_ask_have_the_same_limits() -> None:
    body, query = limits_of(SearchRequest), limits_of(SearchParameters)
    assert {name: body[name] for name in ("limit", "offset")} == {
        name: query[name] for name in ("limit", "offset")
    }
    assert (body["query"], query["q"]) == (AtMost("query_chars"), AtMost("query_chars"))
    assert body["filters"] == AtMostDeep("filter_depth")
