"""The HTTP server: routes as data, guards around them, jobs beside them.

    from localsearch.server import create_app, serve

A request passes protocol (time and size) → middleware (host, origin, key, rate) → endpoint (decode, check) → handler in
a worker thread. The event loop does none of the engine's work; it sends answers that are in memory already.
`serve_workers` does the same with several processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localsearch.server.app import create_app
    from localsearch.server.run import serve
    from localsearch.server.workers.process import Work
    from localsearch.server.workers.supervisor import serve_workers, worker_count

__all__ = ["Work", "create_app", "serve", "serve_workers", "worker_count"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    homes = {
        "Work": "localsearch.server.workers.process",
        "create_app": "localsearch.server.app",
        "serve": "localsearch.server.run",
        "serve_workers": "localsearch.server.workers.supervisor",
        "worker_count": "localsearch.server.workers.supervisor",
    }
    if name not in homes:
        raise AttributeError(f"module 'localsearch.server' has no attribute {name!r}")
    return getattr(import_module(homes[name]), name)
