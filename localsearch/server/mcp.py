"""/mcp: the Model Context Protocol over streamable HTTP, behind the same checks as every route.

Stateless: each request carries its own key and is answered with JSON, so that nothing is kept between requests and no
stream stays open. The SDK is loaded, and its tasks begin, with the first request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from localsearch.errors import UnavailableError
from localsearch.server.bodies import read_body
from localsearch.server.endpoint import AsgiScope, method_not_allowed
from localsearch.server.guards import authorize, check_json
from localsearch.server.headers import DATA_HEADERS
from localsearch.server.logs import request_id
from localsearch.server.problems import HttpError
from localsearch.server.responses import Receive, Send
from localsearch.server.service import Service
from localsearch.settings import MB
from localsearch.types import Scope

ROUTE = "/mcp"
Message = MutableMapping[str, Any]


class McpEndpoint:
    """An ASGI application. `close` ends what the first request began."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._answer: Callable[[AsgiScope, Receive, Send], Awaitable[None]] | None = None
        self._end = asyncio.Event()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        service = self._service
        scope["localsearch.route"] = ROUTE
        key = scope.get("localsearch.key")
        authorize(
            key,
            "read",
            required=service.keys_required,
            stranger=key is None and service.local_users.stranger(scope.get("localsearch.peer")),
            limited=True,
        )
        if scope["method"] != "POST":
            raise method_not_allowed(["POST"])
        check_json(scope["localsearch.content_type"])
        limits = service.settings.server.limits
        most, declared = limits.body_kb * MB // 1000, scope["localsearch.length"]
        async with service.bodies.small_or_room(declared, most, limits.body_s):
            body = await read_body(receive, declared, most, limits.body_s)
            if service.link:
                await service.link.forward(scope, body, request_id.get(), receive, send)
                return
            answer = await self._started()
            await service.states.reach(scope.get("localsearch.seen"))
            with service.engines.lease():
                scope["localsearch.stated"] = True
                await answer(scope, _replay(body, receive), _with_headers(send))

    async def close(self) -> None:
        """End the SDK's tasks."""
        self._end.set()
        if self._task:
            with suppress(asyncio.CancelledError):
                await self._task

    async def _started(self) -> Callable[[AsgiScope, Receive, Send], Awaitable[None]]:
        async with self._starting:
            if self._answer is None:
                ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                self._task = asyncio.create_task(self._run(ready))
                self._answer = await ready
            return self._answer

    async def _run(self, ready: asyncio.Future[Any]) -> None:
        """Hold the SDK's task group open in one task, as it must be entered and left in the same."""
        try:
            manager = await self._service.in_thread(self._manager)
            async with manager.run():
                ready.set_result(manager.handle_request)
                await self._end.wait()
        except Exception as error:
            if not ready.done():
                ready.set_exception(error)
                return
            raise

    def _manager(self) -> Any:
        try:
            from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

            from localsearch.mcp.protocol import build
            from localsearch.mcp.service import Caller, Calls
        except ImportError as error:
            raise HttpError(
                501,
                "no_mcp",
                "This server was installed without the Model Context Protocol.",
                hint="pip install 'localsearch[mcp]'",
            ) from error

        def caller(request: Any) -> Caller:
            key = request.scope.get("localsearch.key") if request is not None else None
            if request is None and self._service.keys_required:
                raise UnavailableError("Who asks is not known.", hint="Ask again.")
            return Caller("http", key=key.id if key else None, within=key.within if key else Scope())

        return StreamableHTTPSessionManager(
            build(Calls(lambda: self._service.engine), caller, self._queued),
            json_response=True,
            stateless=True,
        )

    async def _queued(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """In a worker thread, in the queue of searches."""
        async with self._service.queues["search"].enter():
            return await self._service.in_thread(work, *arguments)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, then whatever comes after it."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> dict[str, Any]:
        return waiting.pop() if waiting else await receive()

    return replayed


def _with_headers(send: Send) -> Send:
    """Add the headers that every answer of ours has and this one lacks."""

    async def sending(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            more = [(name, value) for name, value in DATA_HEADERS if name not in given]
            message["headers"] = [*message["headers"], *more]
        await send(message)

    return sending
