"""Who may ask: exact Host names against DNS rebinding, Origins against other people's pages, JSON only.

A browser page from elsewhere can send requests to this machine. It cannot forge Host or Origin, and it cannot send JSON
without asking first; these three together keep it out. Programs such as curl send no Origin and are not affected.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from localsearch.server.addresses import is_loopback, with_port
from localsearch.server.keys import Key, Scope
from localsearch.server.problems import Headers, HttpError
from localsearch.settings import ServerSettings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
ALLOWED_HEADERS = b"authorization, content-type, mcp-protocol-version, x-api-key, x-request-id"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Guards:
    """The names this server answers to and the origins it trusts, all in lower case."""

    hosts: frozenset[bytes]
    origins: frozenset[bytes]
    cross_origins: frozenset[bytes]

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
        cross_origins = frozenset(origin.lower().rstrip("/").encode() for origin in settings.origins)
        return cls(hosts, frozenset(own) | cross_origins, cross_origins)

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
        if not self.cross_origins:
            return []
        vary = (b"vary", b"origin")
        if origin is None or origin.lower() not in self.cross_origins:
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
            (b"access-control-allow-headers", ALLOWED_HEADERS),
            (b"access-control-max-age", b"600"),
        ]


def authorize(key: Key | None, scope: Scope | None, required: bool, limited: bool = False) -> None:
    """Raise 401 without a key where one is needed, 403 with one that may not do this.

    `limited` says that what is asked for keeps to what a key may see; nothing else may be asked with a key that sees
    a part of the index only.
    """
    if scope is None or (key is None and not required):
        return
    if key is None:
        raise HttpError(
            401,
            "key_required",
            "This server wants an API key.",
            hint="Send `Authorization: Bearer KEY`; `localsearch keys create NAME` makes one.",
            headers=[(b"www-authenticate", b"Bearer")],
        )
    if not key.may(scope):
        raise HttpError(
            403,
            "scope",
            f"This needs a key with the scope {scope}; this one has {key.scope}.",
            hint=f"`localsearch keys create NAME --scope {scope}` makes one.",
        )
    if key.within and not limited:
        raise HttpError(
            403,
            "limited_key",
            "This key sees a part of the index only, and this route tells of the whole.",
            hint="Search and read with it, or make a key without limits.",
        )


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
