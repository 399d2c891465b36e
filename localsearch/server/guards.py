"""Who may ask: exact Host names against DNS rebinding, Origins against other people's pages, JSON only.

A browser page from elsewhere can send requests to this machine. It cannot forge Host or Origin, and it cannot send JSON
without asking first; these three together keep it out. Programs such as curl send no Origin and are not affected.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from localsearch.errors import UsageError
from localsearch.server.problems import Headers, HttpError
from localsearch.settings import ServerSettings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

COMMON_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]
DATA_HEADERS: Headers = [
    *COMMON_HEADERS,
    (b"content-security-policy", DATA_POLICY.encode()),
    (b"cache-control", b"no-store"),
]
PAGE_HEADERS: Headers = [
    *COMMON_HEADERS,
    (b"content-security-policy", PAGE_POLICY.encode()),
    (b"cache-control", b"no-cache"),
]


def is_loopback(host: str) -> bool:
    """Whether every address that `host` stands for is this machine's own. An unknown name is not."""
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", None, type=socket.SOCK_STREAM)
    except OSError:
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


@dataclass(frozen=True, slots=True)
class Guards:
    """The names this server answers to and the origins it trusts, all in lower case."""

    hosts: frozenset[bytes]
    origins: frozenset[bytes]
    foreign: frozenset[bytes]

    @classmethod
    def of(cls, settings: ServerSettings) -> Guards:
        """Names come from the address listened on and from the settings; never from a request."""
        names = {with_port(name, settings.port) for name in _own_names(settings.host)}
        for name in settings.hosts:
            names |= {name} if _has_port(name) else {name, with_port(name, settings.port)}
        if settings.port in (80, 443):
            names |= {name.rpartition(":")[0] for name in names if name.endswith(f":{settings.port}")}
        hosts = frozenset(name.lower().encode() for name in names)
        own = {scheme + host for host in hosts for scheme in (b"http://", b"https://")}
        foreign = frozenset(origin.lower().rstrip("/").encode() for origin in settings.origins)
        return cls(hosts, frozenset(own) | foreign, foreign)

    def check_host(self, hosts: list[bytes]) -> None:
        """Exactly one Host header, and one that is ours."""
        if len(hosts) == 1 and hosts[0].lower() in self.hosts:
            return
        raise HttpError(
            403,
            "bad_host",
            "This server does not answer to that name.",
            hint="Use the address it printed at start, or add the name to server.hosts in settings.toml.",
        )

    def check_origin(self, method: str, origin: bytes | None, fetch_site: bytes | None) -> None:
        """For methods that change state: no Origin, or one of ours; and not a browser's cross-site request."""
        if method in SAFE_METHODS:
            return
        if origin is not None and origin.lower() in self.origins:
            return
        if origin is None and fetch_site in (None, b"same-origin", b"none"):
            return
        raise HttpError(
            403,
            "bad_origin",
            "Pages of other sites may not do this.",
            hint="Add the page's origin to server.origins in settings.toml if you trust it.",
        )

    def cors(self, origin: bytes | None) -> Headers:
        """What lets a page of a configured origin read the answer; nothing for any other."""
        if not self.foreign:
            return []
        vary = (b"vary", b"origin")
        if origin is None or origin.lower() not in self.foreign:
            return [vary]
        exposed = b"x-request-id, retry-after, ratelimit-limit, ratelimit-remaining, ratelimit-reset"
        return [
            vary,
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", exposed),
        ]

    def preflight(self, origin: bytes | None) -> Headers:
        """The answer to a browser that asks before it sends."""
        allowed = self.cors(origin)
        if len(allowed) < 2:
            return allowed
        return [
            *allowed,
            (b"access-control-allow-methods", b"GET, POST, DELETE"),
            (b"access-control-allow-headers", b"authorization, content-type, x-api-key, x-request-id"),
            (b"access-control-max-age", b"600"),
        ]


def check_json(content_type: bytes | None) -> None:
    """A body must say that it is JSON: a page from elsewhere cannot say so without asking first."""
    kind = (content_type or b"").split(b";")[0].strip().lower()
    if kind != b"application/json":
        raise HttpError(
            415,
            "not_json",
            "The body must be JSON.",
            hint="Send the header `Content-Type: application/json`.",
        )


def _own_names(host: str) -> Iterable[str]:
    """A server on one address has that name; on all addresses, the loopback names (others come from the settings)."""
    if is_loopback(host):
        return {*LOOPBACK_NAMES, host}
    if host in ("", "0.0.0.0", "::"):
        return {*LOOPBACK_NAMES, socket.gethostname()}
    return {host}


def _has_port(name: str) -> bool:
    return name.rpartition(":")[2].isdigit() and ":" in name and not name.endswith("]")
