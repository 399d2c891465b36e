"""Whether an address is this machine's own, and whether it may be listened on. Plain functions, callable from anywhere.

`is_loopback` and `check_bind` may ask the resolver and wait for it: not for the event loop.
"""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache

from localsearch.errors import UsageError


def is_loopback(host: str) -> bool:
    """Whether every address that `host` stands for is this machine's own. An unknown name is not."""
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return False
    return bool(found) and all(
        ipaddress.ip_address(str(row[4][0]).split("%")[0]).is_loopback for row in found
    )


@lru_cache(maxsize=1024)
def client_is_local(host: str) -> bool:
    """Whether a connection's peer address is this machine."""
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def check_bind(host: str, has_keys: bool) -> None:
    """Refuse to listen beyond this machine while no key protects the index."""
    if is_loopback(host) or has_keys:
        return
    raise UsageError(
        f"Listening on {host} would let anyone on the network read and change the index.",
        hint="Make a key first: `localsearch keys create NAME --scope read`; or listen on 127.0.0.1.",
    )


def with_port(name: str, port: int) -> str:
    return f"[{name}]:{port}" if ":" in name and not name.startswith("[") else f"{name}:{port}"
