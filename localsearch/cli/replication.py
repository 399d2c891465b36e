"""`localsearch ship` and `localsearch promote`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from localsearch.cli.console import Console
from localsearch.cli.interrupt import Interrupt
from localsearch.engine import Engine, named_path
from localsearch.errors import ConflictError, LocalSearchError, LockedError
from localsearch.platform.ownership import Ownership
from localsearch.replication.capture import Mark, mark
from localsearch.replication.replica import promote as promote_home
from localsearch.replication.ship import check_target
from localsearch.replication.ship import ship as ship_index
from localsearch.settings import Settings
from localsearch.store import Database


def ship(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch ship DEST`"""
    target = named_path(args.target).absolute()
    check_target(target, settings.home)
    if args.every is None:
        _ship_once(args, console, settings, target)
        return 0
    with Interrupt() as interrupted:
        told, shipped = "", None
        while not interrupted():
            try:
                shipped = _ship_once(args, console, settings, target, shipped)
                told = ""
            except ConflictError:
                raise  # it would not pass
            except LocalSearchError as error:
                if error.message != told:
                    console.tell(f"Not shipped: {error.message} {error.hint}")
                told = error.message
            interrupted.wait(max(0.05, args.every))
    return 0


def _ship_once(
    args: argparse.Namespace, console: Console, settings: Settings, target: Path, before: Mark | None = None
) -> Mark:
    """Ship unless nothing has changed since `before`; what marks this state."""
    with _database(settings) as db, console.progress() as report:
        now = mark(settings.home, db)
        if now == before:
            return now
        outcome = ship_index(settings, db, target, report, verify=args.verify)
    if console.json:
        console.result(outcome)
    state = outcome.state.rpartition(".")[2]
    if not outcome.changed:
        console.say(f"{outcome.target} has state {state} already.")
        return now
    console.say(
        f"{outcome.documents:,} documents of state {state} in {outcome.target}: {outcome.copied / 1e6:,.1f} of"
        f" {outcome.bytes / 1e6:,.1f} MB copied in {outcome.seconds:.1f} s; writers waited"
        f" {outcome.locked_s * 1000:,.0f} ms."
    )
    return now


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    """The database, brought up to date by this process unless another one writes."""
    try:
        with Engine.open(settings=settings) as engine:
            yield engine.db
    except LockedError as error:
        if "pid" not in error.data:
            raise
        with closing(Database.open(settings.home, read_only=True)) as db:
            yield db


def promote(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch promote`"""
    ownership = Ownership(settings.home)  # no server follows while its folder becomes a primary's
    try:
        outcome = promote_home(settings.home)
    finally:
        ownership.release()
    if console.json:
        console.result(outcome)
    console.say(
        f"{settings.home} is the primary now, with {outcome.documents:,} documents, state {outcome.state}."
    )
    console.say(
        f"What the primary of epoch {outcome.before} wrote after that is not in it. End that one, and have readers"
        " follow this one."
    )
    return 0
