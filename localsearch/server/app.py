"""The application: routes made from the operations, pages, and the middleware around them.

The only place that puts the parts together. `create_app` runs before the event loop does.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import cast, get_args

import msgspec
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from localsearch.engine import Engine
from localsearch.errors import NotFoundError
from localsearch.server import reference
from localsearch.server.endpoint import Endpoint
from localsearch.server.files import Pages
from localsearch.server.following import Follower
from localsearch.server.mcp import ROUTE, McpEndpoint
from localsearch.server.middleware import ServiceMiddleware
from localsearch.server.openapi import document
from localsearch.server.operations import Call, Handler, Method, Operation
from localsearch.server.private import PrivateServer
from localsearch.server.responses import Response
from localsearch.server.routes import ALL
from localsearch.server.service import Service
from localsearch.server.shared.plan import Plan
from localsearch.settings import Settings


class DocumentId(Convertor[str]):
    """The rest of a path, whatever is in it: the id of a file is its path, and names may hold line breaks."""

    regex = r"(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class Number(Convertor[int]):
    """A number of 64 bits at most; anything longer names nothing."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("id", DocumentId())
register_url_convertor("number", Number())


def create_app(
    engine: Engine,
    settings: Settings,
    *,
    watch: bool = False,
    plan: Plan | None = None,
    private: socket.socket | None = None,
    follower: Follower | None = None,
) -> Starlette:
    """The app over an open engine. Its lifespan starts and ends the background work; the engine stays the caller's.

    `plan` is this process's part in a server of several, of which the one that writes answers the others at the
    socket `private`. A `follower` exchanges the engine for later states, and closes those before.
    """
    service = Service(engine, settings, watch=watch, plan=plan, follower=follower)
    mcp = McpEndpoint(service)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service.start()
        others = PrivateServer(app.router, service, private) if private else None
        if others:
            await others.start()
        try:
            yield
        finally:
            if others:
                await others.stop()
            await mcp.close()
            service.stop()

    operations = (*ALL, *_pages(settings))
    return App(service, [Route(ROUTE, mcp), *_routes(operations, service)], lifespan)


class App(Starlette):
    """Starlette's routes and lifespan behind one middleware, which answers errors as well.

    A path without parameters is looked up; Starlette would try the pattern of every route before it.
    """

    def __init__(self, service: Service, routes: Sequence[Route], lifespan: Lifespan[Starlette]) -> None:
        super().__init__(routes=routes, lifespan=lifespan)
        self.state.service = service
        self._service = service
        self._fixed: Mapping[str, ASGIApp] = {
            route.path: route.app for route in routes if not route.param_convertors
        }

    def build_middleware_stack(self) -> ASGIApp:
        return cast(ASGIApp, ServiceMiddleware(self._routed, self._service))

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        fixed = scope["type"] == "http" and not scope.get("root_path") and self._fixed.get(scope["path"])
        if fixed:
            scope["path_params"] = {}
            await fixed(scope, receive, send)
        else:
            await self.router(scope, receive, send)


def _routes(operations: Sequence[Operation[Service]], service: Service) -> Iterator[Route]:
    """One route for each path, in the order given, then one for everything else."""
    for path in dict.fromkeys(operation.path for operation in operations):
        yield Route(path, Endpoint([one for one in operations if one.path == path], service), name=path)


def _pages(settings: Settings) -> tuple[Operation[Service], ...]:
    """What a browser shows. They need no key: the page must be there to ask for one."""
    pages = Pages()
    description = document(ALL, settings.server.limits)
    described = msgspec.json.encode(description)
    docs, style = reference.page(description), reference.style()

    def missing(service: Service, call: Call) -> Response:
        raise NotFoundError(
            "There is no such route.", hint="The page is at /, the routes are described at /docs."
        )

    return (
        _page("/", "The search page.", lambda service, call: pages.reply("index.html")),
        _page("/static/{name:id}", "Its files.", lambda service, call: pages.reply(call.path["name"])),
        _page("/openapi.json", "This server, described.", lambda service, call: Response(described)),
        _page("/docs", "The same, for people.", lambda service, call: docs),
        _page("/docs.css", "How that looks.", lambda service, call: style),
        *(
            Operation(method, "/{path:id}", "Nothing.", missing, scope=None, queue="none", anywhere=True)
            for method in get_args(Method)
        ),
    )


def _page(path: str, summary: str, handler: Handler[Service]) -> Operation[Service]:
    return Operation("GET", path, summary, handler, scope=None, queue="none", anywhere=True, tag="page")
