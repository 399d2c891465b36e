"""`localsearch serve`. A process that only starts others loads nothing else."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from localsearch.cli.console import Console
from localsearch.server.workers.process import Work
from localsearch.server.workers.supervisor import serve_workers, worker_count
from localsearch.settings import Settings

if TYPE_CHECKING:
    from localsearch.engine import Engine


def serve(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch serve`"""
    server = replace(
        settings.server,
        host=args.host or settings.server.host,
        port=settings.server.port if args.port is None else args.port,
        workers=settings.server.workers if args.workers is None else args.workers,
    )
    settings = replace(settings, server=server)
    workers = worker_count(server)
    if workers > 1:
        work = Work(
            tuple(args.paths), args.watch, partial(_prepare, json=console.json, verbosity=console.verbosity)
        )
        serve_workers(settings, workers, work, console.say)
        return 0
    _serve_alone(args, console, settings)
    return 0


def _serve_alone(args: argparse.Namespace, console: Console, settings: Settings) -> None:
    from localsearch.cli.commands import fetch_model
    from localsearch.engine import Engine, named_path
    from localsearch.server.run import serve as run_server

    with Engine.open(settings=settings) as engine:
        fetch_model(engine, console)
        paths = [named_path(path) for path in args.paths]
        run_server(engine, settings, paths=paths, watch=args.watch, say=console.say)


def _prepare(engine: Engine, *, json: bool, verbosity: int) -> None:
    """In the process that writes, what `serve` does with the index before it answers."""
    from localsearch.cli.commands import fetch_model

    fetch_model(engine, Console(json=json, verbosity=verbosity))
