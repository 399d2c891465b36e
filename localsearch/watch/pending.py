"""Gather changes by root, and hand them over after a quiet moment. For `watch.watcher` only."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition

from localsearch.scan import path_of

_MANY = 10_000
"""Above this many paths, reading the whole root costs less than following each."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What may have changed below a root: everything when `rescan`, else these paths and all below them.

    A path that `scan_within` then does not find is gone, with all below it.
    """

    root: Path
    paths: tuple[Path, ...] = ()
    rescan: bool = False


@dataclass(slots=True)
class _Waiting:
    first: float
    last: float
    rescan: bool = False
    raws: set[bytes] = field(default_factory=set)

    def changes(self, root: Path) -> Changes:
        if self.rescan:
            return Changes(root, rescan=True)
        return Changes(root, tuple(path_of(raw) for raw in sorted(self.raws)))


class Pending:
    """A queue between the thread that reads events and the one that reports them.

    A root's changes are due `quiet` seconds after the last of them, at the latest `longest` seconds after the first.
    """

    def __init__(self, quiet: float, longest: float) -> None:
        self._quiet = quiet
        self._longest = longest
        self._waiting: dict[Path, _Waiting] = {}
        self._changed = Condition()
        self._closed = False

    def add(self, root: Path, raws: Iterable[bytes]) -> None:
        """Remember paths below a root."""
        with self._changed:
            waiting = self._touch(root)
            if not waiting.rescan:
                waiting.raws.update(raws)
                waiting.rescan = len(waiting.raws) > _MANY

    def rescan(self, root: Path) -> None:
        """Remember that a root has to be read as a whole."""
        with self._changed:
            self._touch(root).rescan = True

    def drop(self, root: Path) -> None:
        """Forget what waits for a root."""
        with self._changed:
            self._waiting.pop(root, None)

    def take(self) -> list[Changes]:
        """Wait until changes are due and return them; nothing once closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                due = {root: self._due(waiting) for root, waiting in self._waiting.items()}
                ready = [root for root, at in due.items() if at <= now]
                if ready:
                    return [self._waiting.pop(root).changes(root) for root in ready]
                self._changed.wait(min(due.values()) - now if due else None)
            return []

    def close(self) -> None:
        """End every wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _touch(self, root: Path) -> _Waiting:
        now = time.monotonic()
        waiting = self._waiting.setdefault(root, _Waiting(now, now))
        waiting.last = now
        self._changed.notify_all()
        return waiting

    def _due(self, waiting: _Waiting) -> float:
        return min(waiting.last + self._quiet, waiting.first + self._longest)
