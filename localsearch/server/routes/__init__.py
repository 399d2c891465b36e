"""The routes, as rows of data. Each module adds its own; `ALL` is what the app and the OpenAPI document are made of.

Handlers run in worker threads and may call the engine; what is `from_memory` or a `stream` runs on the event loop and
may not. Routes know the service; nothing below the app knows the routes.
"""

from __future__ import annotations

from localsearch.server.operations import Operation
from localsearch.server.routes import (
    choices,
    documents,
    embeddings,
    folders,
    jobs,
    preview,
    search,
    snapshot,
    system,
)
from localsearch.server.service import Service

ALL: tuple[Operation[Service], ...] = (
    *search.OPERATIONS,
    *documents.OPERATIONS,
    *preview.OPERATIONS,
    *jobs.OPERATIONS,
    *folders.OPERATIONS,
    *choices.OPERATIONS,
    *embeddings.OPERATIONS,
    *system.OPERATIONS,
    *snapshot.OPERATIONS,
)
