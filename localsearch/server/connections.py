"""The connections that are open, shared fairly between clients. Belongs to the event loop.

A client is a user of this machine, a network of IPv6, or an address of IPv4. Where all places are taken, a newcomer
gets that of the client with the most: of its connections the one that does least, longest.
"""

from __future__ import annotations

import ipaddress
import resource
import time
from collections.abc import Callable, Hashable
from enum import IntEnum
from functools import lru_cache
from typing import Protocol

PATIENCE_S = 1.0
"""Seconds that sending a body or taking an answer may last before the client's own next connection may end it."""


class Doing(IntEnum):
    """What a connection does, that which is given up first before the others."""

    NOTHING_YET = 0
    RESTING = 1
    SENDING = 2
    TAKING = 3
    BEING_ANSWERED = 4


class Connection(Protocol):
    """What is asked of a connection. `since` is of the clock of `Connections`, which the event loop shares."""

    since: float

    @property
    def owner(self) -> Hashable:
        """Whose it is; asked for when places become scarce, and always the same."""

    def doing(self) -> Doing: ...

    def displace(self) -> None:
        """End it now."""


class Connections:
    """At most `most` at once, and no more than leave half of the process's descriptors for its files."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if descriptors != resource.RLIM_INFINITY:
            most = min(most, max(8, descriptors // 2))
        self._most, self._clock = most, clock
        self._unsorted: dict[Connection, None] = {}
        self._of: dict[Hashable, dict[Connection, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def admit(self, connection: Connection) -> bool:
        """Take it in, at the cost of another if need be. False when it must go itself."""
        self._unsorted[connection] = None
        self._count += 1
        if self._count <= self._most:
            return True
        self._sort()
        victim = self._victim(connection)
        if victim is None:
            self.remove(connection)
            return False
        self.remove(victim)
        victim.displace()
        return True

    def remove(self, connection: Connection) -> None:
        """Forget it, if it is not forgotten already."""
        if connection in self._unsorted:
            del self._unsorted[connection]
            self._count -= 1
            return
        group = self._of.get(connection.owner, {})
        if connection in group:
            del group[connection]
            self._count -= 1
            if not group:
                del self._of[connection.owner]

    def _sort(self) -> None:
        for connection in self._unsorted:
            self._of.setdefault(connection.owner, {})[connection] = None
        self._unsorted.clear()

    def _victim(self, newcomer: Connection) -> Connection | None:
        """One of the client with the most, of those of one moment the first; of the newcomer's own only what is not
        under way."""
        own = self._of[newcomer.owner]
        group = max(self._of.values(), key=lambda one: (len(one), one is own))
        if group is not own:
            return min(group, key=lambda one: (one.doing(), one.since))
        late = self._clock() - PATIENCE_S
        ended = [
            (doing, one.since, number, one)
            for number, one in enumerate(group)
            if one is not newcomer
            and ((doing := one.doing()) <= Doing.RESTING or (doing <= Doing.TAKING and one.since < late))
        ]
        return min(ended)[3] if ended else None


@lru_cache(maxsize=1024)
def owner_of(uid: int | None, host: str) -> Hashable:
    """Whose connection it is: a user where one is known, else where it comes from."""
    if uid is not None:
        return uid
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return address.packed[:8]
    return host
