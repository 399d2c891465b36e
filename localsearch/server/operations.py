"""What a route is: one row of data, from which the app, the checks and the OpenAPI document are made."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct

from localsearch.server.keys import Key, Scope
from localsearch.server.problems import Headers

S = TypeVar("S")
"""What handlers are given beside the call: the app's service."""
Method = Literal["GET", "POST", "DELETE"]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Lane = Literal["search", "work", "none"]


@dataclass(frozen=True, slots=True)
class Call:
    """A request, decoded and checked. `started` is of time.perf_counter."""

    path: Mapping[str, str]
    query: Any = None
    body: Any = None
    key: Key | None = None
    started: float = 0.0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that is not simply JSON with the operation's usual status."""

    body: bytes | Struct
    status: int = 200
    headers: Headers = field(default_factory=list)
    type: bytes = b"application/json"
    page: bool = False


@dataclass(frozen=True, slots=True)
class FileResponse:
    """An open file to send; it is closed afterwards."""

    descriptor: int
    size: int
    headers: Headers


Handler = Callable[[S, Call], Any]
Quick = Callable[[S, Call], bytes | None]
Stream = Callable[[S, Call, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Operation(Generic[S]):
    """One method of one path.

    `handler` is a plain function that runs in a worker thread and returns a Struct, a Response or a FileResponse.
    `quick` may answer on the event loop from memory alone. `stream` takes the place of
    `handler` for answers without an end. `lane` is the queue that bounds how many run at once. Scope None needs no key.
    """

    method: Method
    path: str
    summary: str
    handler: Handler[S] | None = None
    query: type[Struct] | None = None
    body: type[Struct] | None = None
    answer: type | None = None
    status: int = 200
    also: Mapping[int, type] = field(default_factory=dict)
    produces: str = "application/json"
    scope: Scope | None = "read"
    lane: Lane = "work"
    quick: Quick[S] | None = None
    stream: Stream[S] | None = None
    large: bool = False
    tag: str = "search"
    errors: tuple[int, ...] = ()

    @property
    def template(self) -> str:
        """The path as OpenAPI and the metrics write it."""
        return re.sub(r":\w+}", "}", self.path)
