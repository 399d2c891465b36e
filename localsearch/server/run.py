"""Listening: the socket, the checks before it, uvicorn, watching, and a graceful end.

`serve` holds the calling thread, which becomes the event loop's, until a signal or `Server.stop` from another thread.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from uvicorn.server import HANDLED_SIGNALS

from localsearch.engine import Engine
from localsearch.server import logs
from localsearch.server.addresses import check_bind, with_port
from localsearch.server.app import create_app
from localsearch.server.database import ServiceDatabase
from localsearch.server.following import Follower
from localsearch.server.keys import Keys
from localsearch.server.listener import listening
from localsearch.server.protocol import limited
from localsearch.server.schemas.jobs import IndexRequest
from localsearch.server.service import Service
from localsearch.settings import Settings

log = logging.getLogger("localsearch.server")


def serve(
    engine: Engine,
    settings: Settings,
    *,
    paths: Sequence[Path] = (),
    watch: bool = False,
    say: Callable[[str], None] = print,
    follower: Follower | None = None,
) -> None:
    """Serve until a signal to stop, then finish what was accepted.

    `paths` are indexed first, in the background; with `watch` they, and every folder indexed before, are kept current.
    `say` is told the address, once it answers. Port 0 takes a free one. Raises UsageError when the address is beyond
    this machine and there is no key, UnavailableError when it is taken. A socket that the service manager hands on
    is taken with its address, whatever the settings say.
    """
    settings, listener = listening(settings)
    handler = logs.set_up(settings.server)
    try:
        check_keys(settings)
        app = create_app(engine, settings, watch=watch, follower=follower)
        service: Service = app.state.service
        begin(engine, service, paths)

        def tell() -> None:
            for line in address_lines(service):
                say(line)

        Server(app, service, settings, tell).run(sockets=[listener])
    finally:
        listener.close()
        logs.tear_down(handler)


def begin(engine: Engine, service: Service, paths: Sequence[Path]) -> None:
    """Write into the lock file where the index is served, and queue the indexing of `paths`."""
    if engine.ownership:
        engine.ownership.announce(_url(service), service.keyring.token)
    if paths:
        service.jobs.submit("index", IndexRequest(paths=[str(path.absolute()) for path in paths]))


def address_lines(service: Service) -> list[str]:
    """Where it serves, and the address for whoever is not, or cannot be seen to be, its own user."""
    url = _url(service)
    lines = [f"serving on {url}"]
    if service.local_users.asked:
        who = "for another user or a proxy" if service.local_users.known else "for this user"
        lines.append(f"with a key for this run, {who}: {url}/?token={service.keyring.token}")
    return lines


def _url(service: Service) -> str:
    server = service.settings.server
    return f"http://{with_port(server.host, server.port)}"


def check_keys(settings: Settings) -> None:
    """Raise UsageError for an address beyond this machine while no key protects the index."""
    db = ServiceDatabase(settings.home)
    try:
        check_bind(settings.server.host, Keys(db).any())
    finally:
        db.close()


class Server(uvicorn.Server):
    """uvicorn, told to say when it answers and to let streams end when it is asked to stop."""

    def __init__(
        self, app: Starlette, service: Service, settings: Settings, ready: Callable[[], None]
    ) -> None:
        limits = settings.server.limits
        config = uvicorn.Config(
            app,
            http=limited(limits, service.local_users),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=limits.idle_s,
            timeout_graceful_shutdown=limits.shutdown_s,
        )
        super().__init__(config)
        self._service, self._ready = service, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to signals, but do not raise them again at the end: the engine has to be closed after the server."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {sig: signal.signal(sig, self.handle_exit) for sig in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for sig, handler in former.items():
                signal.signal(sig, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal: no new work, streams end. A second one: now."""
        self._service.stopping.set()
        super().handle_exit(sig, frame)

    def stop(self) -> None:
        """Ask it to stop, from another thread."""
        self._service.stopping.set()
        self.should_exit = True
