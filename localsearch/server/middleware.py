"""The first and last to touch a request: guards, keys, rate, request id, error answers, headers, metrics, the log.

Belongs to the event loop: nothing here may wait for a disk or a lock that is held for long.
"""

from __future__ import annotations

import itertools
import logging
import re
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from localsearch.replication.identity import State
from localsearch.server.bodies import ClientGone
from localsearch.server.cycle import send_whole
from localsearch.server.headers import DATA_HEADERS
from localsearch.server.keys import KEY_PREFIX, Key
from localsearch.server.logs import request_id
from localsearch.server.problem_page import as_page, reads_pages
from localsearch.server.problems import OPENAI_ROUTES, Headers, HttpError, answer
from localsearch.server.responses import WHOLE, Receive, Send, send_bytes
from localsearch.server.service import Service
from localsearch.server.states import HEADER

access = logging.getLogger("localsearch.access")
log = logging.getLogger("localsearch.server")

QUIET = frozenset(
    {"/health", "/ready", "/metrics", "/static/{name}", "/docs.css", "/snapshot", "/snapshot/{sha256}"}
)
"""Routes that machines ask all the time; their lines would hide the others."""
PARTS = "/snapshot/"
"""Where readers fetch thousands of parts, which no rate is to slow down; an admin key asks for them."""
_ID = re.compile(rb"[A-Za-z0-9._\-]{1,64}")
_MOST_DIGITS = 18
_ONCE = frozenset(
    {
        b"origin",
        b"sec-fetch-site",
        b"sec-fetch-mode",
        b"sec-fetch-dest",
        b"accept",
        b"authorization",
        b"x-api-key",
        b"x-request-id",
        b"content-type",
        b"content-length",
        b"range",
        HEADER,
    }
)


@dataclass(slots=True)
class _Exchange:
    """One request under way. `first` holds the headers that matter, `added` those that every answer gets.

    `cycle` is uvicorn's, behind our protocol; None behind another server.
    """

    scope: dict[str, Any]
    send: Send
    cycle: RequestResponseCycle | None
    state: Callable[[], State | None]
    hosts: list[bytes] = field(default_factory=list)
    first: dict[bytes, bytes] = field(default_factory=dict)
    added: Headers = field(default_factory=list)
    status: int = 0

    def read_headers(self) -> None:
        for name, value in self.scope["headers"]:
            if name == b"host":
                self.hosts.append(value)
            elif name in _ONCE:
                self.first.setdefault(name, value)

    async def sending(self, message: dict[str, Any]) -> None:
        """Send, with what every answer carries."""
        kind = message["type"]
        if kind in (WHOLE, "http.response.start"):
            self.status = message["status"]
            message["headers"] = [*message["headers"], *self.added]
            if "localsearch.stated" in self.scope and (state := self.state()):
                message["headers"].append((HEADER, str(state).encode()))
        if kind != WHOLE:
            await self.send(message)
        elif self.cycle is not None:
            await send_whole(self.cycle, self.status, message["headers"], message["body"])
        else:
            await self.send({**message, "type": "http.response.start"})
            await self.send({"type": "http.response.body", "body": message["body"]})


class ServiceMiddleware:
    """A pure ASGI middleware, so that it costs little."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app: Any = app
        self._service = service
        self._prefix = secrets.token_hex(4).encode()
        self._numbers = itertools.count(1)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        # Taken out of the scope, which the cycle refers to: a ring is freed late.
        exchange = _Exchange(scope, send, scope.pop("localsearch.cycle", None), self._state)
        exchange.read_headers()
        id = self._id(exchange.first.get(b"x-request-id"))
        exchange.added.append((b"x-request-id", id))
        token = request_id.set(id.decode())
        scope["localsearch.started"] = started
        try:
            await self._answer(exchange, receive)
        finally:
            self._record(exchange, time.perf_counter() - started)
            request_id.reset(token)

    def _state(self) -> State | None:
        return self._service.engines.now.state

    def _id(self, given: bytes | None) -> bytes:
        if given and _ID.fullmatch(given):
            return given
        return b"%s-%08x" % (self._prefix, next(self._numbers))

    async def _answer(self, exchange: _Exchange, receive: Receive) -> None:
        try:
            if await self._admit(exchange):
                await self._app(exchange.scope, receive, exchange.sending)
        except ClientGone:
            exchange.status = 499
        except Exception as error:
            await self._explain(exchange, error)

    async def _admit(self, exchange: _Exchange) -> bool:
        """Check everything that does not depend on the route. False when the answer has been given."""
        scope, first, guards = exchange.scope, exchange.first, self._service.guards
        origin = first.get(b"origin")
        guards.check_host(exchange.hosts, scope.get("localsearch.target_host"))
        if scope["method"] == "OPTIONS" and origin is not None:
            await send_bytes(exchange.sending, 204, [*guards.preflight(origin), *DATA_HEADERS], b"")
            return False
        exchange.added += guards.cors(origin)
        guards.check_site(scope, first)
        key = self._key(first) or self._token(scope)
        if not (key and key.may("admin") and scope["path"].startswith(PARTS)):
            exchange.added += self._service.take(scope.get("client"), key)
        if key is None and self._gave_key(first) and not self._is_filler(scope["path"], first):
            raise HttpError(
                401,
                "bad_key",
                "This API key is not valid.",
                hint="`localsearch keys list` shows the valid ones.",
                headers=[(b"www-authenticate", b"Bearer")],
            )
        scope["localsearch.key"] = key
        scope["localsearch.range"] = first.get(b"range")
        scope["localsearch.seen"] = first.get(HEADER)
        scope["localsearch.content_type"] = first.get(b"content-type")
        scope["localsearch.length"] = _length(first.get(b"content-length"))
        return True

    def _token(self, scope: dict[str, Any]) -> Key | None:
        """The key in the address, taken out of it, so that nothing further down sees, refuses or logs it."""
        if b"token=" not in scope["query_string"]:
            return None
        fields = scope["query_string"].split(b"&")
        given = [field for field in fields if field.startswith(b"token=")]
        scope["query_string"] = b"&".join(field for field in fields if not field.startswith(b"token="))
        return self._service.keyring.find(given[0].removeprefix(b"token=")) if given else None

    def _gave_key(self, first: dict[bytes, bytes]) -> bool:
        return b"authorization" in first or b"x-api-key" in first

    def _is_filler(self, path: str, first: dict[bytes, bytes]) -> bool:
        """Clients of OpenAI's API must be given some key; where none is wanted, one that is not of our form is none."""
        if self._service.keys_required or not path.startswith(OPENAI_ROUTES):
            return False
        return not _given(first).startswith(KEY_PREFIX)

    def _key(self, first: dict[bytes, bytes]) -> Key | None:
        """The valid key of a request, from `Authorization: Bearer` or `X-API-Key`."""
        if not self._gave_key(first):
            return None
        return self._service.keyring.find(_given(first))

    async def _explain(self, exchange: _Exchange, error: Exception) -> None:
        status, headers, body = answer(error, exchange.scope["path"])
        if reads_pages(exchange.scope["method"], exchange.first.get(b"accept")):
            headers, body = as_page(error, headers, body)
        else:
            headers = [*headers, *DATA_HEADERS]
        if status >= 500 and not isinstance(error, HttpError):
            log.error("%s", error, exc_info=error)
        if exchange.status:
            # The answer has begun; all that is left is to end the connection, which uvicorn does for an exception.
            raise error
        if isinstance(error, HttpError):
            self._service.metrics.refused(status, error.code)
        await send_bytes(exchange.sending, status, headers, body)

    def _record(self, exchange: _Exchange, seconds: float) -> None:
        scope = exchange.scope
        route = scope.get("localsearch.route", "other")
        self._service.metrics.request(route, _known(scope["method"]), exchange.status or 500, seconds)
        level = logging.DEBUG if route in QUIET else logging.INFO
        if access.isEnabledFor(level):
            fields = {
                "method": scope["method"],
                "route": route,
                "status": exchange.status,
                "ms": round(seconds * 1000, 2),
                "client": (scope.get("client") or ("",))[0],
            }
            if access.isEnabledFor(logging.DEBUG):
                fields["query_string"] = scope["query_string"].decode("latin-1")
            # Not access.log, which looks up the line of code that this is.
            line = access.makeRecord(access.name, level, __file__, 0, "request", (), None)
            line.fields = fields
            access.handle(line)


def _given(first: dict[bytes, bytes]) -> bytes:
    """The text of a key, as it was sent."""
    scheme, _, bearer = first.get(b"authorization", b"").partition(b" ")
    return bearer.strip() if scheme.lower() == b"bearer" else first.get(b"x-api-key", b"")


def _length(value: bytes | None) -> int | None:
    """Content-Length as a number, however many digits it has: `int` refuses more than 4,300, zeros in front too."""
    if not value or not value.isdigit():
        return None
    digits = value.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= _MOST_DIGITS else sys.maxsize


def _known(method: str) -> str:
    """A method for a label: a client must not be able to make up new ones."""
    return method if method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH") else "other"
