"""Who may ask: exact Host names against DNS rebinding, Origins against other people's pages, JSON only.

A browser page from elsewhere can send requests to this machine. It cannot forge Host, Origin or Sec-Fetch-Site, and it
cannot send JSON without asking first; these together keep it out. Programs such as curl send none of them and are not
affected.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from localsearch.server.addresses import is_loopback, with_port
from localsearch.server.keys import Key, Scope
from localsearch.server.problems import Headers, HttpError
from localsearch.settings import ServerSettings

ALLOWED_HEADERS = (
    b"authorization, content-type, mcp-protocol-version, x-api-key, x-localsearch-state, x-request-id"
)
LINKED_PAGES = frozenset({"/", "/docs"})
_KEY = "Send `Authorization: Bearer KEY`; `localsearch keys create NAME` makes one."
_TOKEN = "Open the address with `?token=` that `serve` printed, or have your proxy send a key."
_TRUST = "server.trust_local_users = true in settings.toml lets every user of this machine in."
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

    def check_host(self, hosts: list[bytes], target: bytes | None = None) -> None:
        """Exactly one Host header, and one that is ours; the host of an absolute `target` must be the same."""
        given = hosts[0].lower() if len(hosts) == 1 else b""
        if given in self.hosts and (target is None or target.lower() == given):
            return
        raise HttpError(
            403,
            "bad_host",
            "This server does not answer to that name.",
            hint="Use the address it printed at start, or add the name to server.hosts in settings.toml.",
        )

    def check_site(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> None:
        """Refuse what a page of another site sends, for reading too: answers and their times tell what is indexed.

        A link from elsewhere may open a page of ours, without a question in its address, since that would be asked.
        """
        origin, fetch_site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        if origin is not None and origin.lower() in self.origins:
            return
        if origin is None and (fetch_site in (None, b"same-origin", b"none") or _opens_page(scope, headers)):
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
        exposed = b"x-request-id, x-localsearch-state, retry-after"
        exposed += b", ratelimit-limit, ratelimit-remaining, ratelimit-reset"
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


def _opens_page(scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser follows a link to a page, to show it in a tab of its own."""
    return (
        scope["method"] == "GET"
        and scope["path"] in LINKED_PAGES
        and not scope["query_string"]
        and headers.get(b"sec-fetch-mode") == b"navigate"
        and headers.get(b"sec-fetch-dest") == b"document"
    )


def authorize(
    key: Key | None, scope: Scope | None, *, required: bool, stranger: bool, limited: bool = False
) -> None:
    """Raise 401 without a key where one is needed, 403 with one that may not do this.

    Keys are `required` of everybody, or of a `stranger` alone: another user of this machine. `limited` says that what
    is asked for keeps to what a key may see; nothing else may be asked with a key that sees a part of the index only.
    """
    if scope is None or (key is None and not required and not stranger):
        return
    if key is None:
        raise HttpError(
            401,
            "key_required",
            "This server wants an API key."
            if required
            else "Only the user who runs this server needs no key.",
            hint=_KEY if required else f"{_TOKEN} {_KEY} {_TRUST}",
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
