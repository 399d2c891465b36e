"""One process owns an index for writing. The lock file names it, so that a second one can say who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localsearch.errors import LockedError
from localsearch.platform.disk import open_error

FILE = "owner.lock"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds an index: `url` is set while it serves, and `token`, a key for as long."""

    pid: int
    started: float
    url: str | None = None
    token: str | None = field(default=None, repr=False)


class Ownership:
    """The exclusive right to write to a home folder, held until `release` or the end of the process."""

    def __init__(self, home: Path) -> None:
        """Take it. Raises LockedError, with `pid` and `url` of the holder, or ReadOnlyError."""
        self._file = home / FILE
        try:
            self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise open_error(home, error) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise _locked(home) from error
        with suppress(OSError):  # an older one may have been made for others to read
            os.fchmod(self._descriptor, 0o600)
        self.announce(None)

    def announce(self, url: str | None, token: str | None = None) -> None:
        """Write into the lock file, which no other user can read, who holds it, where it serves and for which key."""
        owner = {"pid": os.getpid(), "started": time.time(), "url": url, "token": token}
        os.ftruncate(self._descriptor, 0)
        with suppress(OSError):  # the lock is what counts; a full disk only leaves it without a name
            os.pwrite(self._descriptor, json.dumps(owner).encode(), 0)

    def release(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def owner_of(home: Path) -> Owner | None:
    """Who holds this home folder now, or None."""
    try:
        with open(home / FILE, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _read(home)
    except OSError:
        return None


def _read(home: Path) -> Owner:
    try:
        values: dict[str, Any] = json.loads((home / FILE).read_bytes())
        return Owner(int(values["pid"]), float(values["started"]), values.get("url"), values.get("token"))
    except (OSError, ValueError, KeyError):
        return Owner(0, 0.0)


def _locked(home: Path) -> LockedError:
    owner = _read(home)
    what = f"serving at {owner.url}" if owner.url else "writing to it"
    return LockedError(
        f"The index in {home} is held by process {owner.pid}, {what}.",
        hint="Wait for it to finish, send the work to that server, or use another --home.",
        pid=owner.pid,
        url=owner.url,
        token=owner.token,
    )
