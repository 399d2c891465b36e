"""From an HTTP request to an operation and back: read, check, run in a worker thread, send.

Belongs to the event loop; only `_finish` and the decoding of large bodies run in worker threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import msgspec

from localsearch.server import request_limits
from localsearch.server.bodies import decode_body, decode_query, read_body
from localsearch.server.encoding import encode
from localsearch.server.guards import authorize, check_json
from localsearch.server.headers import DATA_HEADERS
from localsearch.server.keys import Key
from localsearch.server.logs import request_id
from localsearch.server.operations import Call, Operation
from localsearch.server.problems import JSON, HttpError
from localsearch.server.responses import FileResponse, Receive, Response, Send, send_bytes, send_response
from localsearch.server.service import Service
from localsearch.settings import MB, LimitSettings

BIG_BODY = 64 * 1024
"""Bytes from which a body is decoded in a worker thread."""
AsgiScope = dict[str, Any]


class Endpoint:
    """All methods of one path, as an ASGI application."""

    def __init__(self, operations: Sequence[Operation[Service]], service: Service) -> None:
        self._service = service
        self._route = operations[0].template
        self._by_method: Mapping[str, Operation[Service]] = {one.method: one for one in operations}
        self._decoders = {
            one.method: msgspec.json.Decoder(one.received or one.body)
            for one in operations
            if one.body is not None
        }

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        operation = self._operation(scope)
        scope["localsearch.route"] = self._route
        key = scope.get("localsearch.key")
        stranger = self._stranger(operation, scope, key)
        authorize(
            key,
            operation.scope or (operation.strangers if stranger else None),
            required=self._service.keys_required,
            stranger=stranger,
            limited=operation.limited,
        )
        if operation.writes and self._service.read_only:
            raise read_only(self._service.primary)
        if operation.scope is not None:
            await self._service.states.reach(scope.get("localsearch.seen"))
            scope["localsearch.stated"] = True
        with self._service.engines.lease():
            await self._answer(operation, scope, receive, send)

    async def _answer(
        self, operation: Operation[Service], scope: AsgiScope, receive: Receive, send: Send
    ) -> None:
        if self._service.link and not operation.anywhere:
            async with self._room(operation, scope):
                raw = await self._read(operation, scope, receive)
                await self._service.link.forward(scope, raw, request_id.get(), receive, send)
            return
        if operation.stream:
            call = self._call(operation, scope, None, 0)
            await operation.stream(self._service, call, receive, send)
            return
        async with self._room(operation, scope):
            made = await self._made(operation, scope, receive)
        if isinstance(made, bytes):
            await send_bytes(send, operation.status, [JSON, *DATA_HEADERS], made)
            return
        await send_response(send, made, self._service.in_thread)

    def _stranger(self, operation: Operation[Service], scope: AsgiScope, key: Key | None) -> bool:
        """Whether another user of the machine asks; not looked up where nothing depends on it."""
        depends = operation.strangers if operation.scope is None else key is None
        return bool(depends) and self._service.local_users.stranger(scope.get("localsearch.peer"))

    def _room(self, operation: Operation[Service], scope: AsgiScope) -> AbstractAsyncContextManager[None]:
        """Room for the body among those of all clients, until it is done with; a small one needs none."""
        if operation.body is None:
            return nullcontext()
        limits = self._service.settings.server.limits
        return self._service.bodies.small_or_room(
            scope["localsearch.length"], _most(operation, limits), limits.body_s
        )

    async def _made(
        self, operation: Operation[Service], scope: AsgiScope, receive: Receive
    ) -> Response | FileResponse | bytes:
        """The answer. Of requests with a large body one is worked on at a time: each may cost as much as a hundred."""
        raw = await self._read(operation, scope, receive)
        if len(raw) < BIG_BODY:
            call = self._call(operation, scope, self._decode(operation, raw), len(raw))
            known = operation.from_memory(self._service, call) if operation.from_memory else None
            return await self._work(operation, call) if known is None else known
        async with self._service.large.enter():
            body = await self._service.in_thread(self._decode, operation, raw)
            return await self._work(operation, self._call(operation, scope, body, len(raw)))

    def _operation(self, scope: AsgiScope) -> Operation[Service]:
        method = scope["method"]
        found = self._by_method.get("GET" if method == "HEAD" else method)
        if found is None:
            methods = [*self._by_method, *(["HEAD"] if "GET" in self._by_method else [])]
            raise method_not_allowed(methods)
        return found

    async def _read(self, operation: Operation[Service], scope: AsgiScope, receive: Receive) -> bytes:
        if operation.body is None:
            return b""
        check_json(scope["localsearch.content_type"])
        limits = self._service.settings.server.limits
        declared, received = scope["localsearch.length"], "localsearch.received" in scope
        return await read_body(receive, declared, _most(operation, limits), limits.body_s, received=received)

    def _decode(self, operation: Operation[Service], raw: bytes) -> Any:
        """The body as the operation's type, each field within its limit; None where there is none."""
        if operation.body is None:
            return None
        body = decode_body(self._decoders[operation.method], raw)
        request_limits.check(body, self._service.settings.server.limits)
        return body

    def _call(self, operation: Operation[Service], scope: AsgiScope, body: Any, size: int) -> Call:
        # A page's address carries what the page was showing; only its own script reads that.
        query = None if operation.tag == "page" else decode_query(operation.query, scope["query_string"])
        if query is not None:
            request_limits.check(query, self._service.settings.server.limits)
        key: Key | None = scope.get("localsearch.key")
        given = scope.get("localsearch.range") or b""
        return Call(
            scope["path_params"],
            query,
            body,
            key,
            scope["localsearch.started"],
            size,
            given.decode("latin-1"),
        )

    async def _work(self, operation: Operation[Service], call: Call) -> Response | FileResponse:
        assert operation.handler is not None
        queue = self._service.queues.get(operation.queue)
        if queue is None:
            return _finish(operation, self._service, call)
        async with queue.enter():
            made: Response | FileResponse = await self._service.in_thread(
                _finish, operation, self._service, call
            )
            return made


def _most(operation: Operation[Service], limits: LimitSettings) -> int:
    """Bytes that a body of this operation may have."""
    return limits.documents_mb * MB if operation.large else limits.body_kb * MB // 1000


def _finish(operation: Operation[Service], service: Service, call: Call) -> Response | FileResponse:
    """Run the handler and encode what it gives, all in the worker thread."""
    assert operation.handler is not None
    made = operation.handler(service, call)
    service.engine.db.hear()  # what it has read may be of a later state than was known
    if isinstance(made, FileResponse):
        return made
    reply = made if isinstance(made, Response) else Response(made, operation.status)
    if isinstance(reply.body, bytes):
        return reply
    return Response(encode(reply.body), reply.status, reply.headers, reply.type, reply.page)


def read_only(primary: str) -> HttpError:
    """What a server that only reads says of a request to write."""
    return HttpError(
        409,
        "read_only",
        "This server only reads.",
        hint=f"Write to the primary: {primary}" if primary else "Write to the primary.",
        headers=[(b"x-localsearch-primary", primary.encode("latin-1", "replace"))] if primary else [],
    )


def method_not_allowed(methods: Sequence[str]) -> HttpError:
    allowed = ", ".join(methods)
    return HttpError(
        405,
        "method_not_allowed",
        "This path does not take that method.",
        hint=f"It takes {allowed}.",
        headers=[(b"allow", allowed.encode())],
    )
