"""What one process of a server with several runs, from its start to its end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from localsearch.errors import LocalSearchError
from localsearch.platform.cores import cores
from localsearch.server.shared.plan import Plan
from localsearch.settings import Settings

if TYPE_CHECKING:
    from localsearch.engine import Engine

Prepare = Callable[["Engine"], Any]


@dataclass(frozen=True, slots=True)
class Work:
    """What the process that writes does: `prepare` before it serves, index `paths`, `watch`."""

    paths: Sequence[str] = ()
    watch: bool = False
    prepare: Prepare | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """A process answers; `lines` are to be said, once."""

    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A process could not start, for a reason that was foreseen."""

    kind: type[LocalSearchError]
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Stopping:
    """A process was told to stop, and so shall the others."""


def run(
    plan: Plan,
    settings: Settings,
    listener: socket.socket,
    private: socket.socket,
    told: Connection,
    work: Work,
) -> None:
    """Serve until a signal to stop. `told` takes Ready, Failed and Stopping to the supervisor."""
    os.setsid()  # what is typed at a terminal is for the supervisor
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which ends without a word, until the server takes signals
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _end_with_supervisor()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(plan.metrics)  # read when prometheus_client is loaded
    try:
        _serve(plan, _share(settings, plan), listener, private, told, work)
    except LocalSearchError as error:
        told.send(Failed(type(error), error.message, error.hint))
        raise SystemExit(1) from error
    finally:
        supervisor = parent_process()
        if plan.primary and supervisor and not supervisor.is_alive():
            shutil.rmtree(plan.folder, ignore_errors=True)  # nobody else will


def _serve(
    plan: Plan,
    settings: Settings,
    listener: socket.socket,
    private: socket.socket,
    told: Connection,
    work: Work,
) -> None:
    from localsearch.engine import Engine, named_path
    from localsearch.server import logs
    from localsearch.server.app import create_app
    from localsearch.server.run import address_lines, begin, check_keys
    from localsearch.server.shared.board import Board
    from localsearch.server.workers.listening import WorkerServer

    board = Board(plan.board, plan.workers)
    board.enter(plan.place)
    if plan.primary:
        check_keys(settings)
        board.counts.commits.add()  # the one before may have died between a commit and its count
    with Engine.open(settings=settings, read_only=not plan.primary, counts=board.counts) as engine:
        if plan.primary and work.prepare:
            work.prepare(engine)
        handler = logs.set_up(settings.server)
        try:
            app = create_app(
                engine, settings, watch=work.watch, plan=plan, private=private if plan.primary else None
            )
            service = app.state.service
            if plan.primary:
                begin(engine, service, [named_path(path) for path in work.paths])
            lines = address_lines(service) if plan.primary else ()

            def tell(message: Ready | Stopping) -> None:
                with suppress(OSError):  # a supervisor that has died is told nothing
                    told.send(message)

            server = WorkerServer(
                app, service, settings, lambda: tell(Ready(tuple(lines))), lambda: tell(Stopping())
            )
            server.run(sockets=[listener])
        finally:
            listener.close()
            logs.tear_down(handler)


def _share(settings: Settings, plan: Plan) -> Settings:
    """The settings of one of several processes: its part of the cores, of memory for caches, of what is done at once.

    The one that writes encodes documents on all cores, in threads that give way to searches.
    """
    limits, workers = settings.server.limits, plan.workers
    own = max(1, cores() // workers)
    limits = replace(
        limits,
        concurrent=max(2, -(-(limits.concurrent or cores() + 1) // workers)),
        connections=-(-limits.connections // workers),
    )
    caches = replace(
        settings.caches,
        results_mb=-(-settings.caches.results_mb // workers),
        query_vectors_mb=-(-settings.caches.query_vectors_mb // workers),
    )
    model = settings.model if plan.primary else replace(settings.model, threads=settings.model.threads or own)
    server = replace(settings.server, limits=limits)
    return replace(settings, cores=own, model=model, caches=caches, server=server)


def _end_with_supervisor() -> None:
    """Stop in order when the supervisor dies."""

    def wait() -> None:
        process = parent_process()
        if process:
            process.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="localsearch-supervisor", daemon=True).start()
