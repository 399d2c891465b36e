"""The socket to serve on: made here, or handed on by a service manager."""

from __future__ import annotations

import socket
from dataclasses import replace

from localsearch.errors import UnavailableError, UsageError
from localsearch.server.addresses import with_port
from localsearch.settings import Settings

FIRST_INHERITED = 3
"""The descriptor of the first socket that a service manager hands on: SD_LISTEN_FDS_START of sd_listen_fds(3)."""


def listening(settings: Settings) -> tuple[Settings, socket.socket]:
    """The socket to serve on, handed on or made, and the settings with its address.

    Raises UnavailableError when the address is taken, UsageError when it is none.
    """
    handed = inherited(settings.server.inherited)
    if handed:
        settings = replace(settings, server=replace(settings.server, host=handed.getsockname()[0]))
    listener = handed or listen(settings.server.host, settings.server.port)
    port = int(listener.getsockname()[1])
    return replace(settings, server=replace(settings.server, port=port)), listener


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to this address. Raises UnavailableError when it is taken, UsageError when it is none."""
    try:
        family = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0][0]
        # Named TCP, or asyncio leaves Nagle's algorithm on, and every answer waits 40 ms for an acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except (OSError, ValueError) as error:  # the second for what no name of a machine may hold
        why = getattr(error, "strerror", None) or "no name of a machine has such characters"
        raise UsageError(f"{host} is no address: {why}", hint="Try --host 127.0.0.1.") from error
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
