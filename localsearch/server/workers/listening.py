"""The server of one of several processes: it takes its share of the connections that all wait for."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from types import FrameType

from starlette.applications import Starlette

from localsearch.server.run import Server
from localsearch.server.service import Service
from localsearch.server.shared.accepting import Acceptor
from localsearch.settings import Settings


class WorkerServer(Server):
    """As `Server`, on one socket that other processes listen on too."""

    def __init__(
        self,
        app: Starlette,
        service: Service,
        settings: Settings,
        ready: Callable[[], None],
        stopped: Callable[[], None],
    ) -> None:
        """`stopped` is called when a signal asks this process to stop."""
        super().__init__(app, service, settings, self._begun)
        self._ready_to_tell = ready
        assert service.board
        assert service.plan
        self._board, self._place, self._stopped = service.board, service.plan.place, stopped
        self._acceptor: Acceptor | None = None
        self._told = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        assert sockets
        self._listener = sockets[0]
        await super().startup([])

    def _begun(self) -> None:
        """The lifespan has begun: connections are taken from now on."""
        self._acceptor = Acceptor(self._listener, self._protocol, self._has_most)
        self._ready_to_tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._acceptor:
            self._acceptor.close()
        await super().shutdown([])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self._told:
            self._told = True  # first of all: a signal may come while another is handled
            self._stopped()
            super().handle_exit(sig, frame)
        elif sig == signal.SIGINT:
            super().handle_exit(sig, frame)

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    def _has_most(self) -> bool:
        self._board.hold(self._place, len(self.server_state.connections))
        return self._board.has_most(self._place)
