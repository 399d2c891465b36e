"""Which connections of this machine are the server's own user, who needs no key.

`uid` is asked once for each connection, on the event loop; it takes some 40 microseconds.
"""

from __future__ import annotations

from localsearch.platform.peers import Address, SocketOwners, own_uid
from localsearch.server.addresses import client_is_local, is_loopback
from localsearch.settings import ServerSettings


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

    def uid(self, client: Address | None, server: Address | None) -> int | None:
        """The user at the other end of a connection, where that is on this machine and told."""
        if client is None or server is None or not client_is_local(client[0]):
            return None
        return self._owners.uid(client, server)

    def trusted(self, uid: int | None) -> bool:
        """Whether this user may ask without a key, where the server asks for none."""
        return self._everyone or (uid is not None and uid == self._own)

    def close(self) -> None:
        self._owners.close()
