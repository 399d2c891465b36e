"""Report changes below some folders to a consumer until closed.

One thread reads events and looks after the roots: those that are missing, replaced or cannot be watched. Another calls
the consumer, which may take as long as it likes.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Literal

from localsearch.errors import LocalSearchError
from localsearch.scan import ScanRules
from localsearch.watch.mounts import remote_filesystem
from localsearch.watch.pending import Changes, Pending
from localsearch.watch.source import EventSource, WatchEvents, WatchLimit

Backend = Literal["auto", "inotify", "watchfiles", "poll"]
OnChanges = Callable[[Changes], None]

_LOG = logging.getLogger("localsearch.watch")
_LONGEST_S = 1.0
_CHECK_S = 0.5
_UNSEEN = (-1, -1)


@dataclass(slots=True)
class _Root:
    """A root: the identity of its folder at the last look, and when it must be read as a whole."""

    path: Path
    raw: bytes
    identity: tuple[int, int] | None = _UNSEEN
    watched: bool = False
    due: float | None = None
    note: str = ""

    def holds(self, raw: bytes) -> bool:
        return raw == self.raw or raw.startswith(self.raw.rstrip(b"/") + b"/")


class Watcher:
    """Tell `on_changes` of what changes below the roots, one root at a time, never two calls at once.

    Each root that is there, or that appears, is told first as a whole: whoever scans on that call misses nothing. Later
    changes follow within about a second of the last write (`debounce` seconds of quiet, at most one second in all).
    A root that cannot be watched is told as a whole every `poll_s` seconds, and `on_note` says why. When `on_changes`
    raises, that root is told again as a whole after `poll_s` seconds. A root that goes away is not told: what is
    indexed from it stays until it is back.
    """

    def __init__(
        self,
        roots: Iterable[Path],
        on_changes: OnChanges,
        *,
        rules: ScanRules | None = None,
        debounce: float = 0.25,
        poll_s: float = 30.0,
        on_note: Callable[[str], None] = _LOG.warning,
        backend: Backend = "auto",
    ) -> None:
        paths = dict.fromkeys(Path(os.path.abspath(root)) for root in roots)
        self._roots = [_Root(path, os.fsencode(path)) for path in paths]
        self._on_changes = on_changes
        self._rules = rules or ScanRules()
        self._poll_s = poll_s
        self._on_note = on_note
        self._backend = backend
        self._pending = Pending(debounce, _LONGEST_S)
        self._stop = Event()
        self._source: EventSource | None = None
        self._threads = [Thread(target=target, daemon=True) for target in (self._read, self._tell)]

    def start(self) -> None:
        """Begin; returns at once."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop; returns when a call of `on_changes` that is under way has ended."""
        self._stop.set()
        self._pending.close()
        if self._source is not None:
            self._source.wake()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        if self._source is not None:
            self._source.close()
            self._source = None

    def __enter__(self) -> Watcher:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the telling thread

    def _tell(self) -> None:
        while changes := self._pending.take():
            for one in changes:
                if not self._stop.is_set():
                    self._tell_one(one)

    def _tell_one(self, changes: Changes) -> None:
        root = next(root for root in self._roots if root.path == changes.root)
        try:
            self._on_changes(changes)
        except Exception as error:
            if not isinstance(error, LocalSearchError):
                _LOG.exception("while following %s", root.path)
            self._note(root, str(error))
            root.due = time.monotonic() + self._poll_s
        else:
            root.note = ""

    # -- the reading thread

    def _read(self) -> None:
        self._source = self._make_source()
        checked = float("-inf")
        while not self._stop.is_set():
            try:
                if time.monotonic() - checked >= _CHECK_S:
                    checked = time.monotonic()
                    self._look_after_roots(self._source)
                self._read_once(self._source)
            except Exception as error:
                _LOG.exception("while reading events")
                self._on_note(f"Watching by looking every {self._poll_s:g} s, because of an error: {error}")
                self._give_up_events()

    def _read_once(self, source: EventSource | None) -> None:
        if source is None:
            self._stop.wait(_CHECK_S)
        else:
            self._sort(source.read(_CHECK_S), source)

    def _give_up_events(self) -> None:
        source, self._source = self._source, None
        for root in self._roots:
            root.watched, root.due = False, 0.0
        if source is not None:
            source.close()

    def _make_source(self) -> EventSource | None:
        """The system's own events; None when there are none to be had and every root is polled."""
        if self._backend == "poll":
            return None
        try:
            return _source(self._backend, self._rules)
        except WatchLimit as limit:
            self._on_note(f"Watching by looking every {self._poll_s:g} s, because {limit}")
            return None

    def _sort(self, signals: WatchEvents, source: EventSource) -> None:
        for root in self._roots:
            inside = {raw for raw in signals.paths if root.holds(raw)} if root.watched else set()
            if inside:
                self._pending.add(root.path, inside)
            if signals.lost and root.watched:
                self._pending.rescan(root.path)
            if root.path in signals.ended and root.watched:
                self._replaced(root, _identity(root.path), source)
            if root.path in signals.limited:
                self._poll_instead(root, source, signals.limited[root.path])

    def _look_after_roots(self, source: EventSource | None) -> None:
        now = time.monotonic()
        for root in self._roots:
            identity = _identity(root.path)
            if identity != root.identity:
                self._replaced(root, identity, source)
            if root.due is not None and now >= root.due and identity is not None:
                root.due = None if root.watched else now + self._poll_s
                self._pending.rescan(root.path)

    def _replaced(self, root: _Root, identity: tuple[int, int] | None, source: EventSource | None) -> None:
        """A root came, went or became another folder."""
        if root.identity is not None:
            self._pending.drop(root.path)
            if source is not None and root.watched:
                source.remove(root.path)
            root.watched = False
        root.identity = identity
        if identity is None:
            self._note(root, f"{root.path} is not there; what is indexed from it stays until it is back")
            return
        root.note = ""
        self._begin(root, source)
        self._pending.rescan(root.path)

    def _begin(self, root: _Root, source: EventSource | None) -> None:
        if source is None:
            root.due = time.monotonic() + self._poll_s
        elif kind := remote_filesystem(root.raw):
            self._poll_instead(root, source, f"other machines can change it unseen ({kind})")
        else:
            try:
                source.add(root.path)
                root.watched = True
            except WatchLimit as limit:
                self._poll_instead(root, source, str(limit))
            except (OSError, LocalSearchError) as error:
                root.identity = None
                self._note(root, f"{root.path} cannot be watched yet: {error}")

    def _poll_instead(self, root: _Root, source: EventSource, why: str) -> None:
        source.remove(root.path)
        root.watched = False
        root.due = time.monotonic() + self._poll_s
        self._note(root, f"{root.path} is looked through every {self._poll_s:g} s instead of watched: {why}")

    def _note(self, root: _Root, text: str) -> None:
        """Warn once, not every time."""
        if root.note != text:
            root.note = text
            self._on_note(text)


def watch(
    roots: Iterable[Path], on_changes: OnChanges, stop: Event, *, rules: ScanRules | None = None
) -> None:
    """Report changes until `stop` is set; see Watcher."""
    with Watcher(roots, on_changes, rules=rules):
        stop.wait()


def _source(backend: Backend, rules: ScanRules) -> EventSource:
    if backend == "inotify" or (backend == "auto" and sys.platform == "linux"):
        from localsearch.watch.linux import InotifySource

        return InotifySource(rules)
    from localsearch.watch.portable import WatchfilesSource

    return WatchfilesSource()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a folder, or of a file's folder, since a file may be replaced; None if it is gone."""
    try:
        state = path.stat()
        if not path.is_dir():
            state = path.parent.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino
