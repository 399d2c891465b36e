"""`localsearch serve`. A process that only starts others loads nothing else."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from localsearch.cli.console import Console
from localsearch.errors import UsageError
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
    if args.follow or args.read_only:
        _serve_reader(args, console, settings)
        return 0
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


def _serve_reader(args: argparse.Namespace, console: Console, settings: Settings) -> None:
    """One process that only answers: from the index in the home folder, or from what it takes of a primary."""
    from localsearch.engine import Engine
    from localsearch.server.run import serve as run_server

    if args.paths or args.watch:
        raise UsageError("A reader indexes nothing.", hint="Leave out PATH and --watch.")
    if args.workers and args.workers > 1:
        raise UsageError("A reader is one process.", hint="Start one for each core, each with its --port.")
    if not args.follow:
        with Engine.open(settings=settings, read_only=True) as engine:
            run_server(engine, settings, say=console.say)
        return
    from localsearch.platform.ownership import Ownership
    from localsearch.replication.sources import source_of
    from localsearch.server.following import Follower

    if settings.offline and "://" in args.follow:
        raise UsageError("--offline connects to nothing.", hint="Follow a folder, or leave it out.")
    source = source_of(args.follow, settings.server.follow_key)
    follower = Follower(settings, source)
    ownership = Ownership(settings.home)
    try:
        engine = follower.first(console.say)
        run_server(engine, settings, say=console.say, follower=follower)
    finally:
        follower.close()
        ownership.release()


def _prepare(engine: Engine, *, json: bool, verbosity: int) -> None:
    """In the process that writes, what `serve` does with the index before it answers."""
    from localsearch.cli.commands import fetch_model

    fetch_model(engine, Console(json=json, verbosity=verbosity))
