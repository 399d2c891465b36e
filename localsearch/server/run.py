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
from dataclasses import replace
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from uvicorn.server import HANDLED_SIGNALS

from localsearch.engine import Engine
from localsearch.errors import UnavailableError
from localsearch.server import logs
from localsearch.server.addresses import check_bind, with_port
from localsearch.server.app import create_app
from localsearch.server.database import ServiceDatabase
from localsearch.server.keys import Keys
from localsearch.server.protocol import limited
from localsearch.server.schemas.jobs import IndexRequest
from localsearch.server.service import Service
from localsearch.settings import Settings

log = logging.getLogger("localsearch.server")

FIRST_INHERITED = 3
"""The descriptor of the first socket that a service manager hands on: SD_LISTEN_FDS_START of sd_listen_fds(3)."""


def serve(
    engine: Engine,
    settings: Settings,
    *,
    paths: Sequence[Path] = (),
    watch: bool = False,
    say: Callable[[str], None] = print,
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
        app = create_app(engine, settings, watch=watch)
        service: Service = app.state.service
        begin(engine, service, paths)

        def tell() -> None:
            for line in address_lines(service):
                say(line)

        Server(app, service, settings, tell).run(sockets=[listener])
    finally:
        listener.close()
        logs.tear_down(handler)


def listening(settings: Settings) -> tuple[Settings, socket.socket]:
    """The socket to serve on, handed on or made, and the settings with its address. Raises what `serve` does."""
    handed = inherited(settings.server.inherited)
    if handed:
        settings = replace(settings, server=replace(settings.server, host=handed.getsockname()[0]))
    _check_keys(settings)
    listener = handed or listen(settings.server.host, settings.server.port)
    port = int(listener.getsockname()[1])
    return replace(settings, server=replace(settings.server, port=port)), listener


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


def _check_keys(settings: Settings) -> None:
    db = ServiceDatabase(settings.home)
    try:
        check_bind(settings.server.host, Keys(db).any())
    finally:
        db.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to this address. Raises UnavailableError when it is taken or is no address."""
    try:
        family = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0][0]
        # Named TCP, or asyncio leaves Nagle's algorithm on, and every answer waits 40 ms for an acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise UnavailableError(
            f"{host} is no address: {error.strerror}", hint="Try --host 127.0.0.1."
        ) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UnavailableError(
            f"Cannot listen on {with_port(host, port)}: {error.strerror}", hint="Choose another with --port."
        ) from error
    return listener


def inherited(count: int) -> socket.socket | None:
    """The socket that a service manager handed on, one of `count`, as sd_listen_fds(3) has it; None where count is 0.

    Raises UnavailableError for more than one, and for one that is not of TCP.
    """
    if not count:
        return None
    listener = socket.socket(fileno=FIRST_INHERITED)
    listener.set_inheritable(False)
    if (
        count == 1
        and listener.family in (socket.AF_INET, socket.AF_INET6)
        and listener.proto == socket.IPPROTO_TCP
    ):
        return listener
    listener.close()
    raise UnavailableError(
        "The service manager hands on something else than one TCP socket.",
        hint="Give the unit of the socket one line: ListenStream=127.0.0.1:8765.",
    )


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
