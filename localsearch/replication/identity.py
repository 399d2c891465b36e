"""Which index this is, of which line, in which state: what a client carries and a copy is compared by."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec

from localsearch.errors import DamagedError
from localsearch.platform.disk import sync_path, write_errors, write_file
from localsearch.store.database import IDENTITY

_STATE = re.compile(r"([0-9a-f]{16})\.([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,17})")


class Identity(msgspec.Struct, frozen=True):
    """A random id, made once for each home folder, and an epoch, which grows when a reader is made the primary."""

    id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class State:
    """The state `n` of an index within an epoch.

    >>> State.parse("00c0ffee00c0ffee.2.17")
    State(id='00c0ffee00c0ffee', epoch=2, n=17)
    >>> str(State.parse("00c0ffee00c0ffee.2.17")), State.parse("now")
    ('00c0ffee00c0ffee.2.17', None)
    """

    id: str
    epoch: int
    n: int

    def __str__(self) -> str:
        return f"{self.id}.{self.epoch}.{self.n}"

    @classmethod
    def parse(cls, text: str) -> State | None:
        """The state that a text names, or None."""
        found = _STATE.fullmatch(text)
        return cls(found[1], int(found[2]), int(found[3])) if found else None

    @property
    def order(self) -> tuple[int, int]:
        """Compares states of one index: a later epoch is newer, whatever it counts."""
        return self.epoch, self.n


def read_identity(home: Path) -> Identity | None:
    """The identity of a home folder, None before it has one. Raises DamagedError."""
    try:
        found = msgspec.json.decode((home / IDENTITY).read_bytes(), type=Identity)
        if State.parse(f"{found.id}.{found.epoch}.0") is None:
            raise msgspec.ValidationError("it names no index")
        return found
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise DamagedError(
            f"{home / IDENTITY} is damaged: {error}.",
            hint="Remove it: the index gets a new identity, and its readers must be begun anew.",
        ) from error


def make_identity(home: Path) -> Identity:
    """The identity of a home folder, made if there is none; of two processes that make one, the first wins."""
    if known := read_identity(home):
        return known
    fresh = home / f".{IDENTITY}.{os.getpid()}-{secrets.token_hex(4)}"
    with write_errors(home):
        try:
            write_file(fresh, msgspec.json.encode(Identity(secrets.token_hex(8), 1)))
            if not (home / IDENTITY).exists():
                os.link(fresh, home / IDENTITY)
                sync_path(home)
        except FileExistsError:
            pass
        finally:
            fresh.unlink(missing_ok=True)
    return make_identity(home)


def write_identity(home: Path, identity: Identity) -> None:
    """Give a home folder this identity, durably. Raises StorageError."""
    with write_errors(home):
        write_file(home / IDENTITY, msgspec.json.encode(identity))
