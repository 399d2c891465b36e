"""Which connections of this machine are the server's own user, who needs no key. Belongs to the event loop."""

from __future__ import annotations

from collections.abc import Hashable

from localsearch.platform.peers import Address, SocketOwners, own_uid
from localsearch.server.addresses import client_is_local, is_loopback
from localsearch.server.connections import owner_of
from localsearch.settings import ServerSettings


class Peer:
    """Who is at the other end of a connection. The system is asked once, when it first matters: that takes some 20
    microseconds, a tenth of what a connection costs."""

    __slots__ = ("_asked", "_client", "_owners", "_server", "_uid")

    def __init__(self, owners: SocketOwners, client: Address | None, server: Address | None) -> None:
        self._owners, self._client, self._server = owners, client, server
        self._asked = False
        self._uid: int | None = None

    @property
    def uid(self) -> int | None:
        """The user, where that is one of this machine and told."""
        if not self._asked:
            self._asked = True
            if self._client and self._server and client_is_local(self._client[0]):
                self._uid = self._owners.uid(self._client, self._server)
        return self._uid

    @property
    def owner(self) -> Hashable:
        """Whose connection it is, for sharing places: a user where one is known, else where it comes from."""
        return owner_of(self.uid, self._client[0] if self._client else "")


class LocalUsers:
    """Made before the event loop runs; `close` when it has ended."""

    def __init__(self, settings: ServerSettings) -> None:
        self._owners = SocketOwners()
        self._own = own_uid() if self._owners.available else None
        self._everyone = settings.trust_local_users
        self.asked = is_loopback(settings.host) and not settings.require_keys and not self._everyone
        """Whether it depends on the user if a key is needed."""

    @property
    def known(self) -> bool:
        """Whether this machine tells whose connection it is."""
        return self._own is not None

    def peer(self, client: Address | None, server: Address | None) -> Peer:
        """The other end of a connection."""
        return Peer(self._owners, client, server)

    def stranger(self, peer: Peer | None) -> bool:
        """Whether who is at the other end may not ask without a key, where the server asks for none."""
        if self._everyone:
            return False
        return peer is None or self._own is None or peer.uid != self._own

    def close(self) -> None:
        self._owners.close()
