"""Receive change events through watchfiles, on systems other than Linux. For `watch.watcher` only.

watchfiles reports neither lost events nor names that are not UTF-8. So after any large burst, and after any error,
every root is read again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import watchfiles

from localsearch.scan import decides_folder
from localsearch.watch.source import WatchEvents, WatchLimit

_STEP_MS = 50
_BURST = 1000
_SETTLED_S = 0.7


class WatchfilesSource:
    """One watcher for all roots, made anew when a root comes or goes."""

    def __init__(self) -> None:
        self._watched: dict[Path, Path] = {}
        self._events: Iterator[set[watchfiles.main.FileChange]] = iter(())
        self._caught = WatchEvents()
        self._burst_ended: float | None = None

    def add(self, root: Path) -> None:
        """Watch a root; one that is a file is watched through its folder, to see it replaced."""
        self._watched[root] = root if root.is_dir() else root.parent
        try:
            self._renew()
        except (OSError, RuntimeError) as error:
            del self._watched[root]
            raise WatchLimit(str(error)) from error

    def remove(self, root: Path) -> None:
        """Forget a root."""
        if self._watched.pop(root, None):
            self._renew_or_wait()

    def read(self, timeout: float) -> WatchEvents:
        """Wait for events and return those that came together; most of the time the wait is shorter than asked."""
        if self._watched:
            self._next()
        else:
            time.sleep(min(timeout, _STEP_MS / 1000))
        signals, self._caught = self._caught, WatchEvents()
        return signals

    def wake(self) -> None:
        """Nothing to do: no wait is longer than a few steps."""

    def close(self) -> None:
        """Drop the watcher; its thread ends with it."""
        self._events = iter(())

    def _next(self) -> None:
        try:
            changes = next(self._events)
        except (StopIteration, OSError, RuntimeError):
            self._caught.lost = True
            self._renew_or_wait()
        else:
            self._note(changes)

    def _note(self, changes: set[watchfiles.main.FileChange]) -> None:
        now = time.monotonic()
        for change, path in changes:
            folder, name = os.path.split(os.fsencode(path))
            self._caught.paths.add(os.fsencode(path))
            if change == watchfiles.Change.deleted and Path(path) in self._watched:
                self._caught.ended.add(Path(path))
            if decides_folder(name, comes_or_goes=change != watchfiles.Change.modified):
                self._caught.paths.add(folder)
        if len(changes) >= _BURST:
            self._burst_ended = now
        elif self._burst_ended is not None and now - self._burst_ended > _SETTLED_S:
            self._caught.lost = True
            self._burst_ended = None

    def _renew(self) -> None:
        """Start a watcher for the roots of now before the old one ends, so that nothing falls between."""
        old, self._events = self._events, iter(())
        paths = {path for path in self._watched.values() if path.exists()}
        if paths:
            events = self._watch(paths)
            self._note(next(events))
            self._events = events
        self._note(next(old, set()))

    def _renew_or_wait(self) -> None:
        try:
            self._renew()
        except (OSError, RuntimeError):
            time.sleep(_STEP_MS / 1000)

    def _watch(self, paths: set[Path]) -> Iterator[set[watchfiles.main.FileChange]]:
        return watchfiles.watch(
            *paths,
            watch_filter=None,
            debounce=4 * _STEP_MS,
            step=_STEP_MS,
            rust_timeout=4 * _STEP_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
