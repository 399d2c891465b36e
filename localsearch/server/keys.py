"""API keys: made, listed, revoked, checked. Only their hashes are stored.

A key is `ls_ID_SECRET`. The secret has 256 random bits, so one SHA-256 is as good as a slow hash: there is nothing to
guess. Hashes are compared in constant time, also when the id is unknown.
`KeyRing.find` reads memory, for the event loop; everything else reads the database, for other threads and processes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import msgspec

from localsearch.errors import NotFoundError, UsageError
from localsearch.server.database import ServiceDatabase
from localsearch.server.run_token import RunToken
from localsearch.types import EVERYTHING
from localsearch.types import Scope as Limits

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""Each holds those before it: a write key may read, an admin key may do everything."""

KEY_PREFIX = b"ls_"
_NOBODY = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret. `created` and `revoked` are seconds since 1970; `within` is what it may see."""

    id: str
    name: str
    scope: Scope
    created: float
    revoked: float | None = None
    within: Limits = EVERYTHING

    def may(self, scope: Scope) -> bool:
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


class Keys:
    """The keys of one home folder."""

    def __init__(self, db: ServiceDatabase) -> None:
        self._db = db

    def create(self, name: str, scope: Scope = "read", within: Limits = EVERYTHING) -> tuple[Key, str]:
        """Make a key; the second value is the only time its text is ever seen.

        One that sees a part of the index only may only read.
        """
        if within and scope != "read":
            raise UsageError(
                f"A key with the scope {scope} sees the whole index.", hint="Limit a key that reads."
            )
        if scope not in SCOPES:
            raise UsageError(f"There is no scope {scope!r}.", hint="Scopes are read, write and admin.")
        if not name.strip():
            raise UsageError("A key needs a name.", hint="Name it after the program that will use it.")
        key = Key(secrets.token_hex(4), name.strip(), scope, time.time(), None, within)
        secret = secrets.token_urlsafe(32)
        self._db.write(
            "INSERT INTO keys (id, name, hash, scope, created, within) VALUES (?, ?, ?, ?, ?, ?)",
            (key.id, key.name, _hash(secret), key.scope, key.created, msgspec.json.encode(within).decode()),
        )
        return key, f"{KEY_PREFIX.decode()}{key.id}_{secret}"

    def list(self) -> tuple[Key, ...]:
        """All keys, the revoked ones too, oldest first."""
        rows = self._db.query("SELECT id, name, scope, created, revoked, within FROM keys ORDER BY created")
        return tuple(_key(row) for row in rows)

    def revoke(self, id: str) -> None:
        """End a key's life at once, also in a server that is running. Raises NotFoundError."""
        if not self._db.write(
            "UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL", (time.time(), id)
        ):
            raise NotFoundError(
                f"There is no valid key {id!r}.", hint="`localsearch keys list` shows the ids."
            )

    def any(self) -> bool:
        """Whether some key is valid."""
        return bool(self._db.query("SELECT 1 FROM keys WHERE revoked IS NULL LIMIT 1"))

    def valid(self) -> Mapping[str, tuple[bytes, Key]]:
        """Hash and key by id, of all that are not revoked."""
        rows = self._db.query(
            "SELECT hash, id, name, scope, created, revoked, within FROM keys WHERE revoked IS NULL"
        )
        return {row[1]: (row[0], _key(row[1:])) for row in rows}


class KeyRing:
    """The valid keys in memory. `refresh` reads them again when the file has changed."""

    def __init__(self, db: ServiceDatabase, token: RunToken | None = None) -> None:
        """`token` is that of the run, where several processes have it in common."""
        self._db, self._keys = db, Keys(db)
        self._valid: Mapping[str, tuple[bytes, Key]] = {}
        self._seen: tuple[int, int] | None = None
        token = token or RunToken.new()
        self._token = Key(token.id, "the address that serve printed", "admin", time.time())
        self._token_hash = _hash(token.secret)
        self.token = f"ls_{token.id}_{token.secret}"
        """A key for this run of the server alone, which is written down nowhere but in its lock file."""
        self.refresh()

    def refresh(self) -> None:
        """Look at the file, which any process may have changed. Not for the event loop."""
        changed = self._db.changed()
        if changed != self._seen:
            self._valid, self._seen = self._keys.valid(), changed

    def find(self, text: bytes) -> Key | None:
        """The key with this text, or None."""
        id, _, secret = text.removeprefix(KEY_PREFIX).partition(b"_")
        known = self._known(id.decode("latin-1")) if text.startswith(KEY_PREFIX) else None
        stored, key = known or (_NOBODY, None)
        same = hmac.compare_digest(stored, hashlib.sha256(secret).digest())
        return key if same else None

    def is_token(self, key: Key) -> bool:
        """Whether it is the key of this run, whose holder is treated like a client of this machine."""
        return key is self._token

    def _known(self, id: str) -> tuple[bytes, Key] | None:
        return (self._token_hash, self._token) if id == self._token.id else self._valid.get(id)


def _key(row: Sequence[Any]) -> Key:
    id, name, scope, created, revoked, within = row
    return Key(id, name, scope, created, revoked, msgspec.json.decode(within, type=Limits))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
