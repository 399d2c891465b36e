"""A request type carries its limits and examples on its own fields: nothing else has to name it."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta
from serving import Served, notes

from localsearch.server import app
from localsearch.server.operations import Operation
from localsearch.server.problems import HttpError
from localsearch.server.request_limits import AtMost, AtMostDeep, check, limits_of
from localsearch.server.routes import ALL
from localsearch.server.schemas.base import RequestSchema, ResponseSchema
from localsearch.server.schemas.search import SearchParameters, SearchRequest
from localsearch.server.service import Service
from localsearch.settings import LimitSettings

LIMITS = replace(LimitSettings(), results=20, query_chars=40, filter_depth=2)


class Branch(RequestSchema, frozen=True, kw_only=True):
    """A type that holds itself, and has no example anywhere."""

    pair: tuple[int, Literal["left", "right"]]
    branches: list[Branch]


class ToyRequest(RequestSchema, frozen=True, kw_only=True):
    """A body that no module of the server names."""

    words: Annotated[str, Meta(examples=["neap tides"]), AtMost("query_chars")]
    most: Annotated[int, Meta(ge=1), AtMost("results")] | None = None
    title: Annotated[str, AtMost("query_chars")] | None = None
    within: Annotated[dict[str, Any] | None, AtMostDeep("filter_depth")] = None


class ToyAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Its answer."""

    done: bool = True


TOY: Operation[Service] = Operation(
    "POST", "/toy", "A toy.", lambda service, call: ToyAnswer(), body=ToyRequest, answer=ToyAnswer
)

BRANCH: Operation[Service] = Operation(
    "POST", "/branch", "A tree.", lambda service, call: ToyAnswer(), body=Branch, answer=ToyAnswer
)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with two routes more, whose types only this file knows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "ALL", (*ALL, TOY, BRANCH))
        with notes(tmp_path_factory.mktemp("toys") / "home", LIMITS) as served:
            yield served


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


def test_the_server_describes_the_limits_and_the_examples_of_a_new_route(toys: Served) -> None:
    described = toys.client.get("/openapi.json").json()
    assert "/toy" in described["paths"]
    shape = described["components"]["schemas"]["ToyRequest"]["properties"]
    assert (shape["words"]["maxLength"], shape["words"]["examples"]) == (40, ["neap tides"])
    assert shape["most"]["anyOf"] == [{"type": "integer", "minimum": 1, "maximum": 20}, {"type": "null"}]
    assert shape["title"]["anyOf"] == [{"type": "string", "maxLength": 40}, {"type": "null"}]
    page = html.unescape(toys.client.get("/docs").text)
    assert """-d '{"words":"neap tides"}'""" in page


def test_the_server_enforces_the_limits_of_a_new_route(toys: Served) -> None:
    def post(**body: Any) -> tuple[int, str]:
        answer = toys.client.post("/toy", json=body)
        return answer.status_code, answer.json().get("error", {}).get("message", "")

    assert post(words="x" * 40, most=20, title="y" * 40, within={"a": {"b": 1}}) == (200, "")
    assert post(words="x" * 41) == (400, "`words` may be at most 40 characters.")
    assert post(words="x", title="y" * 41) == (400, "`title` may be at most 40 characters.")
    assert post(words="x", most=21) == (400, "`most` may be at most 20.")
    assert post(words="x", within={"a": {"b": {"c": 1}}}) == (400, "`within` may nest at most 2 deep.")


def test_a_type_without_examples_gets_one_that_the_server_takes(toys: Served) -> None:
    page = html.unescape(toys.client.get("/docs").text)
    made = """{"pair":[1,"left"],"branches":[]}"""
    assert f"-d '{made}'" in page
    assert toys.client.post("/branch", json=json.loads(made)).status_code == 200


def test_both_ways_to_ask_have_the_same_limits() -> None:
    body, query = limits_of(SearchRequest), limits_of(SearchParameters)
    assert {name: body[name] for name in ("limit", "offset")} == {
        name: query[name] for name in ("limit", "offset")
    }
    assert (body["query"], query["q"]) == (AtMost("query_chars"), AtMost("query_chars"))
    assert body["filters"] == AtMostDeep("filter_depth")
