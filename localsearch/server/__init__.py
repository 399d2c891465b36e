"""The HTTP server: routes as data, guards around them, jobs beside them.

    from localsearch.server import create_app, serve

A request passes protocol (time and size) → middleware (host, origin, key, rate) → endpoint (decode, check) → handler in
a worker thread. The event loop does none of the engine's work; it sends answers that are in memory already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localsearch.server.app import create_app
    from localsearch.server.run import serve

__all__ = ["create_app", "serve"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    homes = {"create_app": "localsearch.server.app", "serve": "localsearch.server.run"}
    if name not in homes:
        raise AttributeError(f"module 'localsearch.server' has no attribute {name!r}")
    return getattr(import_module(homes[name]), name)
