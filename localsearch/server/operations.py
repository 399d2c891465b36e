"""What a route is: one row of data, from which the app, the checks and the OpenAPI document are made.

Types only. An operation does not know the service that its handlers are given: it is generic in it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct

from localsearch.server.keys import Key, Scope
from localsearch.server.responses import Receive, Send
from localsearch.types import Scope as Limits

S = TypeVar("S")
"""What handlers are given beside the call: the app's service."""
Method = Literal["GET", "POST", "DELETE"]
Queue = Literal["search", "work", "none"]


@dataclass(frozen=True, slots=True)
class Call:
    """A request, decoded and checked. `started` is of time.perf_counter; `range` is its header Range."""

    path: Mapping[str, str]
    query: Any = None
    body: Any = None
    key: Key | None = None
    started: float = 0.0
    size: int = 0
    range: str = ""

    @property
    def within(self) -> Limits | None:
        """What whoever asks may see; None for all."""
        return self.key.within if self.key else None


Handler = Callable[[S, Call], Any]
FromMemory = Callable[[S, Call], bytes | None]
Stream = Callable[[S, Call, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Operation(Generic[S]):
    """One method of one path.

    `handler` is a plain function that runs in a worker thread and returns a Struct, a Response or a FileResponse.
    `from_memory` may answer before it, on the event loop, without waiting for anything; None leaves it to the
    handler. `stream` takes the place of `handler` for answers without an end. `query`, `body` and `answer` are the
    types of what comes and goes, `also` those of answers with another status. `queue` bounds how many run at once. A
    `large` body may have limits.documents_mb, and is decoded as `received` where its parts are checked one by one.
    Scope None needs no key, except of another user of this machine, who needs one of the scope `strangers`. `limited`
    ones keep to what the key may see. One that is `anywhere` any process of a server may answer; the others are for the
    one that writes. A `local` one changes nothing but what this server keeps in memory.
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
    strangers: Scope | None = None
    queue: Queue = "work"
    from_memory: FromMemory[S] | None = None
    stream: Stream[S] | None = None
    large: bool = False
    limited: bool = False
    anywhere: bool = False
    local: bool = False
    received: type[Struct] | None = None
    tag: str = "search"

    @property
    def writes(self) -> bool:
        """Whether a server that only reads refuses it."""
        return self.method != "GET" and self.scope in ("write", "admin") and not self.local

    @property
    def template(self) -> str:
        """The path as OpenAPI and the metrics write it."""
        return re.sub(r":\w+}", "}", self.path)
