"""From an HTTP request to an operation and back: read, check, run in a worker thread, send.

Belongs to the event loop; only `_finish` and the decoding of large bodies run in worker threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from localsearch.server import request_limits
from localsearch.server.bodies import decode_body, decode_query, read_body
from localsearch.server.encoding import encode
from localsearch.server.guards import authorize, check_json
from localsearch.server.headers import DATA_HEADERS
from localsearch.server.keys import Key
from localsearch.server.operations import Call, Operation
from localsearch.server.problems import JSON, HttpError
from localsearch.server.responses import FileResponse, Receive, Response, Send, send_bytes, send_response
from localsearch.server.service import Service
from localsearch.settings import MB

BIG_BODY = 64 * 1024
"""Bytes from which a body is decoded in a worker thread."""
AsgiScope = dict[str, Any]


class Endpoint:
    """All methods of one path, as an ASGI application."""

    def __init__(self, operations: Sequence[Operation[Service]], service: Service) -> None:
        self._service = service
        self._by_method: Mapping[str, Operation[Service]] = {one.method: one for one in operations}
        self._decoders = {
            one.method: msgspec.json.Decoder(one.body) for one in operations if one.body is not None
        }

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        operation = self._operation(scope)
        scope["localsearch.route"] = operation.template
        authorize(
            scope.get("localsearch.key"), operation.scope, self._service.keys_required, operation.limited
        )
        call = await self._call(operation, scope, receive)
        if operation.stream:
            await operation.stream(self._service, call, receive, send)
            return
        body = operation.from_memory(self._service, call) if operation.from_memory else None
        if body is not None:
            await send_bytes(send, operation.status, [JSON, *DATA_HEADERS], body)
            return
        await send_response(send, await self._work(operation, call), self._service.in_thread)

    def _operation(self, scope: AsgiScope) -> Operation[Service]:
        method = scope["method"]
        found = self._by_method.get("GET" if method == "HEAD" else method)
        if found is None:
            methods = [*self._by_method, *(["HEAD"] if "GET" in self._by_method else [])]
            raise method_not_allowed(methods)
        return found

    async def _call(self, operation: Operation[Service], scope: AsgiScope, receive: Receive) -> Call:
        limits = self._service.settings.server.limits
        # A page's address carries what the page was showing; only its own script reads that.
        query = None if operation.tag == "page" else decode_query(operation.query, scope["query_string"])
        if query is not None:
            request_limits.check(query, limits)
        body, size = None, 0
        if operation.body is not None:
            check_json(scope["localsearch.content_type"])
            most = limits.documents_mb * MB if operation.large else limits.body_kb * MB // 1000
            raw = await read_body(receive, scope["localsearch.length"], most, limits.body_s)
            body, size = await self._decode(operation, raw), len(raw)
            request_limits.check(body, limits)
        key: Key | None = scope.get("localsearch.key")
        return Call(scope["path_params"], query, body, key, scope["localsearch.started"], size)

    async def _decode(self, operation: Operation[Service], raw: bytes) -> Any:
        decoder = self._decoders[operation.method]
        if len(raw) < BIG_BODY:
            return decode_body(decoder, raw)
        return await self._service.in_thread(decode_body, decoder, raw)

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


def _finish(operation: Operation[Service], service: Service, call: Call) -> Response | FileResponse:
    """Run the handler and encode what it gives, all in the worker thread."""
    assert operation.handler is not None
    made = operation.handler(service, call)
    if isinstance(made, FileResponse):
        return made
    reply = made if isinstance(made, Response) else Response(made, operation.status)
    if isinstance(reply.body, bytes):
        return reply
    return Response(encode(reply.body), reply.status, reply.headers, reply.type, reply.page)


def method_not_allowed(methods: Sequence[str]) -> HttpError:
    allowed = ", ".join(methods)
    return HttpError(
        405,
        "method_not_allowed",
        "This path does not take that method.",
        hint=f"It takes {allowed}.",
        headers=[(b"allow", allowed.encode())],
    )
