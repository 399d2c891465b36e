"""Which index answers. A reader exchanges it for a later state; requests under way end on the one they began with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from localsearch.engine import Engine
from localsearch.replication.identity import Identity, State


@dataclass(frozen=True, slots=True)
class Answering:
    """An index that answers, and which it is; `number` counts exchanges."""

    engine: Engine
    identity: Identity | None
    number: int = 0

    @property
    def state(self) -> State | None:
        """What a client that has its answers has seen. Reads memory alone."""
        if self.identity is None:
            return None
        return State(self.identity.id, self.identity.epoch, self.engine.db.number)


class Engines:
    """The index that answers, and those before it that requests may still be using. Any thread may ask."""

    def __init__(self, engine: Engine, identity: Identity | None) -> None:
        self._newest = Answering(engine, identity)
        self._leased: ContextVar[Answering | None] = ContextVar("localsearch-index", default=None)
        self._lock = threading.Lock()
        self._leases: dict[object, int] = {}
        self._former: list[Answering] = []

    @property
    def now(self) -> Answering:
        """The one that this request began with; outside of a request, the newest."""
        return self._leased.get() or self._newest

    @property
    def newest(self) -> Answering:
        return self._newest

    @contextmanager
    def lease(self) -> Iterator[Answering]:
        """Keep to one index within the block, in this context and those copied from it; it stays open as long."""
        lease = object()
        with self._lock:
            answering = self._newest
            self._leases[lease] = answering.number
        token = self._leased.set(answering)
        try:
            yield answering
        finally:
            self._leased.reset(token)
            with self._lock:
                del self._leases[lease]

    def exchange(self, engine: Engine, identity: Identity) -> None:
        """Answer from this index from now on."""
        with self._lock:
            self._former.append(self._newest)
            self._newest = Answering(engine, identity, self._newest.number + 1)

    def released(self) -> list[Engine]:
        """Former ones that nobody uses any more, each once, for the caller to close.

        One is in use until every lease that began before the exchange has ended, whichever index that was of.
        """
        with self._lock:
            oldest = min(self._leases.values(), default=self._newest.number)
            done = [one.engine for one in self._former if one.number < oldest]
            self._former = [one for one in self._former if one.number >= oldest]
        return done
