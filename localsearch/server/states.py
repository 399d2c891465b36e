"""No state before one that a client has seen: what X-Localsearch-State asks for, and the wait for it.

Belongs to the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from localsearch.replication.identity import State
from localsearch.server.exchange import Engines
from localsearch.server.problems import HttpError, busy

HEADER = b"x-localsearch-state"
log = logging.getLogger("localsearch.server")

_POLL_S = 0.01
_HINT = "Ask again, ask the primary, or leave X-Localsearch-State out to take an older answer."


class States:
    """Compares states that clients have seen with the one that answers."""

    def __init__(self, engines: Engines, wait_s: float, *, writes: bool) -> None:
        """`writes` tells whether this server is the primary."""
        self._engines, self._wait_s, self._writes = engines, wait_s, writes
        self.hurry: Callable[[], object] = lambda: None
        """Called when somebody waits: a reader then looks for a later state at once."""

    async def reach(self, given: bytes | None) -> None:
        """Return once this server has the state that a request carries, or a later one.

        Raises HttpError: 400 for what is no state, 409 for one of another index or, at the
        primary, of a later epoch; 503 when it has not come in time.
        """
        if given is None:
            return
        wanted = State.parse(given.decode("latin-1"))
        if wanted is None:
            raise HttpError(
                400,
                "bad_request",
                "X-Localsearch-State names no state.",
                hint="Send it as an answer gave it.",
            )
        until = time.monotonic() + self._wait_s
        while not self._reached(wanted):
            if time.monotonic() >= until:
                raise busy(
                    "state_not_reached",
                    f"This server has not yet reached state {wanted.n} of epoch {wanted.epoch}.",
                    1.0,
                    _HINT,
                )
            self.hurry()
            await asyncio.sleep(_POLL_S)

    def _reached(self, wanted: State) -> bool:
        have = self._engines.newest.state
        if have is None:
            return True
        if have.id != wanted.id:
            raise HttpError(
                409,
                "other_index",
                "X-Localsearch-State is of another index.",
                hint="Leave it out: what it says of that index means nothing here.",
            )
        if self._writes and wanted.epoch > have.epoch:
            log.error(
                "another server is the primary since epoch %d, this one is of %d", wanted.epoch, have.epoch
            )
            raise HttpError(
                409,
                "superseded",
                f"Another server is the primary since epoch {wanted.epoch}; this one is of epoch {have.epoch}.",
                hint="Ask that one, and end this one: what it writes is lost.",
            )
        return have.order >= wanted.order
