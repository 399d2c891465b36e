"""Taking connections from a socket that several processes listen on, each its share.

All processes wait on one socket: a connection that nobody has taken yet outlives the process that would have. One at
a time is taken, and a process with more connections than another lets that one go first.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

YIELD_S = 0.002
"""Seconds that a process with more connections leaves a new one to the others."""
_FULL_S = 0.1
"""Seconds until the next try, when descriptors are out."""


class Acceptor:
    """Belongs to the event loop."""

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        has_most: Callable[[], bool],
    ) -> None:
        self._listener, self._protocol, self._has_most = listener, protocol, has_most
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Take no more; the socket stays open for the others."""
        self._loop.remove_reader(self._listener.fileno())
        if self._later:
            self._later.cancel()
        self._listener.close()

    def _listen(self) -> None:
        self._later = None
        self._loop.add_reader(self._listener.fileno(), self._ready)

    def _ready(self) -> None:
        if self._has_most():
            self._pause(YIELD_S, self._take)
        else:
            self._accept()

    def _take(self) -> None:
        self._accept()
        if self._later is None:
            self._listen()

    def _pause(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._later = self._loop.call_later(seconds, then)

    def _accept(self) -> None:
        self._later = None
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was faster, or the client has gone
        except OSError:
            self._pause(_FULL_S, self._listen)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._connect(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:
            connection.close()
