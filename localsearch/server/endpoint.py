"""From an HTTP request to an operation and back: read, check, run in a worker thread, send."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from localsearch.server import request_limits
from localsearch.server.bodies import decode_body, decode_query, read_body
from localsearch.server.encoding import encode
from localsearch.server.guards import DATA_HEADERS, PAGE_HEADERS, check_json
from localsearch.server.keys import Key, Scope
from localsearch.server.operations import Call, FileResponse, Operation, Receive, Response, Send
from localsearch.server.problems import JSON, Headers, HttpError
from localsearch.server.service import Service
from localsearch.settings import MB

BIG_BODY = 64 * 1024
"""Bytes from which a body is decoded in a worker thread."""
FILE_PIECE = 256 * 1024
Scope_ = dict[str, Any]


class Endpoint:
    """All methods of one path, as an ASGI application."""

    def __init__(self, operations: Sequence[Operation[Service]], service: Service) -> None:
        self._service = service
        self._by_method: Mapping[str, Operation[Service]] = {one.method: one for one in operations}
        self._decoders = {
            one.method: msgspec.json.Decoder(one.body) for one in operations if one.body is not None
        }

    async def __call__(self, scope: Scope_, receive: Receive, send: Send) -> None:
        operation = self._operation(scope)
        scope["localsearch.route"] = operation.template
        authorize(scope.get("localsearch.key"), operation.scope, self._service.keys_required)
        call = await self._call(operation, scope, receive)
        if operation.stream:
            await operation.stream(self._service, call, receive, send)
            return
        body = operation.quick(self._service, call) if operation.quick else None
        if body is not None:
            await send_bytes(send, operation.status, [JSON, *DATA_HEADERS], body)
            return
        await send_response(send, await self._work(operation, call), self._service)

    def _operation(self, scope: Scope_) -> Operation[Service]:
        method = scope["method"]
        found = self._by_method.get("GET" if method == "HEAD" else method)
        if found is None:
            methods = [*self._by_method, *(["HEAD"] if "GET" in self._by_method else [])]
            raise method_not_allowed(methods)
        return found

    async def _call(self, operation: Operation[Service], scope: Scope_, receive: Receive) -> Call:
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
        gate = self._service.gates.get(operation.lane)
        if gate is None:
            return _finish(operation, self._service, call)
        async with gate.enter():
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


def authorize(key: Key | None, scope: Scope | None, required: bool) -> None:
    """Raise 401 without a key where one is needed, 403 with one that may not do this."""
    if scope is None or (key is None and not required):
        return
    if key is None:
        raise HttpError(
            401,
            "key_required",
            "This server wants an API key.",
            hint="Send `Authorization: Bearer KEY`; `localsearch keys create NAME` makes one.",
            headers=[(b"www-authenticate", b"Bearer")],
        )
    if not key.may(scope):
        raise HttpError(
            403,
            "scope",
            f"This needs a key with the scope {scope}; this one has {key.scope}.",
            hint=f"`localsearch keys create NAME --scope {scope}` makes one.",
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


async def send_response(send: Send, reply: Response | FileResponse, service: Service) -> None:
    if isinstance(reply, FileResponse):
        await _send_file(send, reply, service)
        return
    headers = PAGE_HEADERS if reply.page else DATA_HEADERS
    assert isinstance(reply.body, bytes)
    await send_bytes(
        send, reply.status, [(b"content-type", reply.type), *reply.headers, *headers], reply.body
    )


async def send_bytes(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """One whole answer."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def _send_file(send: Send, reply: FileResponse, service: Service) -> None:
    try:
        length = (b"content-length", str(reply.size).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [*reply.headers, length]})
        left = reply.size
        while left:
            piece = await service.in_thread(os.read, reply.descriptor, min(left, FILE_PIECE))
            if not piece:
                raise ConnectionError("The file became shorter while it was sent.")
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": bool(left)})
        if not reply.size:
            await send({"type": "http.response.body", "body": b""})
    finally:
        os.close(reply.descriptor)


def elapsed_ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
