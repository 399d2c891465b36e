"""`localsearch mcp`: the protocol over standard input and output, until the input ends."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from mcp.server.stdio import stdio_server

from localsearch.engine import Engine
from localsearch.mcp.protocol import build
from localsearch.mcp.service import Caller, Calls
from localsearch.platform.cores import cores
from localsearch.types import Scope


def run(engine: Engine, within: Scope) -> None:
    """Serve one client. Standard output carries the protocol alone: whatever else is printed goes to standard error."""
    anyio.run(_serve, engine, within)


async def _serve(engine: Engine, within: Scope) -> None:
    limiter = anyio.CapacityLimiter(cores() + 1)

    async def in_thread(work: Any, *arguments: Any) -> Any:
        return await anyio.to_thread.run_sync(partial(work, *arguments), limiter=limiter)

    caller = Caller("stdio", within=within)
    server = build(Calls(lambda: engine), lambda _: caller, in_thread)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())
