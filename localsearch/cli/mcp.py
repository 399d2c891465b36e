"""`localsearch mcp`. Its library is two thirds of what a start loads: that is done where no garbage is looked for."""

from __future__ import annotations

import argparse

from localsearch.cli.commands import scope_of
from localsearch.cli.console import Console
from localsearch.engine import Engine
from localsearch.errors import UsageError
from localsearch.settings import Settings

try:
    from localsearch.mcp.stdio import run
except ImportError as error:
    raise UsageError(
        "The Model Context Protocol is not installed.", hint="pip install 'localsearch[mcp]'"
    ) from error


def mcp(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch mcp`"""
    with Engine.open(settings=settings, read_only=True) as engine:
        run(engine, scope_of(args.collections, args.paths))
    return 0
