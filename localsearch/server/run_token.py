"""The key of one run of a server, which all its processes have in common. Imports nothing of localsearch."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RunToken:
    """For whoever opens the address that `serve` prints; nothing of it is stored but in the lock file."""

    id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> RunToken:
        return cls(secrets.token_hex(4), secrets.token_urlsafe(32))
