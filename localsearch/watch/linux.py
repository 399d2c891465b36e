"""Change events from the Linux kernel: one watch per folder that a scan would read, and no other.

The order makes it exact. A folder is watched before it is listed, so a file in it is either listed or an event. The
path of a new folder is reported as a whole, so what was made in it before its watch stood is found by who reads it.
When the kernel's queue overflows it says so; then every folder is watched anew and every root is to be read again.
See inotify(7).
"""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from inotify_simple import INotify, flags

from localsearch.errors import RootUnreadable
from localsearch.scan import ScanRules, decides_folder, folders, is_within, path_of
from localsearch.watch.source import WatchEvents, WatchLimit

_CONTENT = flags.MODIFY | flags.ATTRIB | flags.CLOSE_WRITE
_NAMES = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
_MASK = int(_CONTENT | _NAMES | flags.ONLYDIR | flags.EXCL_UNLINK)
_ANY_NAME = int(_NAMES)
_OVERFLOW, _IGNORED, _UNMOUNT = int(flags.Q_OVERFLOW), int(flags.IGNORED), int(flags.UNMOUNT)
_IS_FOLDER, _GONE, _MOVED = int(flags.ISDIR), int(flags.DELETE), int(flags.MOVED_FROM)
_NO_LINK = int(flags.DONT_FOLLOW)


@dataclass(slots=True)
class _Batch:
    """The events of one read. Watches of folders that moved away are removed before new folders are watched."""

    signals: WatchEvents = field(default_factory=WatchEvents)
    left: set[bytes] = field(default_factory=set)
    fresh: set[bytes] = field(default_factory=set)


class InotifySource:
    """One kernel queue for all roots. Raises WatchLimit when the system gives no further queue."""

    def __init__(self, rules: ScanRules) -> None:
        self._rules = rules
        self._roots: dict[Path, bool] = {}
        self._by_watch: dict[int, list[bytes]] = {}
        self._by_path: dict[bytes, int] = {}
        try:
            self._queue = INotify(nonblocking=True)
        except OSError as error:
            raise WatchLimit(_limit("max_user_instances", "queues for events")) from error
        self._woken, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._queue.fileno(), select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)

    def add(self, root: Path) -> None:
        """Watch the folders of a root, or the folder of a root that is one file."""
        is_folder = root.is_dir()
        self._roots[root] = is_folder
        if is_folder:
            self._watch_all(folders(root, self._rules))
        else:
            self._watch(os.fsencode(root.parent))

    def remove(self, root: Path) -> None:
        """Forget a root and the watches below it, save those that another root needs."""
        if self._roots.pop(root, False):
            self._forget_below({os.fsencode(root)})
            for other in [other for other, is_folder in self._roots.items() if is_folder]:
                if other.is_relative_to(root) or root.is_relative_to(other):
                    self._try(other, folders(other, self._rules), WatchEvents())

    def read(self, timeout: float) -> WatchEvents:
        """Wait for events and return all there are, after watching the folders that are new."""
        batch = _Batch()
        self._poll.poll(max(0, round(timeout * 1000)))
        self._drain_wakes()
        while events := self._queue.read(timeout=0):
            for watch, mask, _, name in events:
                self._event(watch, mask, os.fsencode(name), batch)
        if batch.signals.lost:
            self._watch_anew(batch.signals)
        else:
            self._forget_below(batch.left)
            self._watch_fresh(batch.fresh, batch.signals)
        return batch.signals

    def wake(self) -> None:
        """End a wait."""
        try:
            os.write(self._waker, b"x")
        except BlockingIOError:
            return

    def close(self) -> None:
        """Close the queue, which ends all watches."""
        self._queue.close()
        os.close(self._woken)
        os.close(self._waker)

    def _event(self, watch: int, mask: int, name: bytes, batch: _Batch) -> None:
        if mask & _OVERFLOW:
            batch.signals.lost = True
            return
        folders_there = self._by_watch.get(watch, ())
        if mask & _IGNORED:
            self._forget(watch)
        for folder in folders_there:
            self._event_in(folder, mask, name, batch)

    def _event_in(self, folder: bytes, mask: int, name: bytes, batch: _Batch) -> None:
        if mask & _IGNORED:
            batch.signals.ended |= self._roots_watched_at(path_of(folder))
        elif mask & _UNMOUNT:
            batch.signals.paths.add(folder)
        elif name:
            batch.signals.paths.add(folder.rstrip(b"/") + b"/" + name)
            if decides_folder(name, comes_or_goes=bool(mask & _ANY_NAME)):
                batch.signals.paths.add(folder)
                batch.fresh.add(folder)
            if mask & _IS_FOLDER and not mask & _GONE:
                side = batch.left if mask & _MOVED else batch.fresh
                side.add(folder.rstrip(b"/") + b"/" + name)

    def _roots_watched_at(self, folder: Path) -> set[Path]:
        return {
            root for root, is_folder in self._roots.items() if (root if is_folder else root.parent) == folder
        }

    # -- watches

    def _watch_all(self, raws: Iterable[bytes]) -> None:
        for raw in raws:
            self._watch(raw)

    def _watch(self, raw: bytes) -> None:
        follow = path_of(raw) in self._roots
        try:
            watch = self._queue.add_watch(raw, _MASK if follow else _MASK | _NO_LINK)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise WatchLimit(_limit("max_user_watches", "watched folders")) from error
            return
        old = self._by_path.get(raw)
        if old == watch:
            return
        if old is not None:
            self._drop(raw)
        self._by_path[raw] = watch
        self._by_watch.setdefault(watch, []).append(raw)

    def _watch_fresh(self, fresh: set[bytes], signals: WatchEvents) -> None:
        """Watch new folders, those of each root in one walk."""
        for root, is_folder in list(self._roots.items()):
            prefix = os.fsencode(root).rstrip(b"/") + b"/"
            inside = [path_of(raw) for raw in fresh if raw.startswith(prefix) or raw + b"/" == prefix]
            if is_folder and inside:
                self._try(root, folders(root, self._rules, inside), signals)

    def _watch_anew(self, signals: WatchEvents) -> None:
        """After an overflow: watch every folder again; the kernel gives a folder it watches the same number."""
        old = set(self._by_watch)
        self._by_watch.clear()
        self._by_path.clear()
        for root, is_folder in list(self._roots.items()):
            raws = folders(root, self._rules) if is_folder else [os.fsencode(root.parent)]
            self._try(root, raws, signals)
        for watch in old - self._by_watch.keys():
            self._unwatch(watch)

    def _try(self, root: Path, raws: Iterable[bytes], signals: WatchEvents) -> None:
        try:
            self._watch_all(raws)
        except WatchLimit as limit:
            signals.limited[root] = str(limit)
        except RootUnreadable:
            return

    def _forget_below(self, tops: set[bytes]) -> None:
        """Drop the watches of folders and of all below them, in one pass."""
        if not tops:
            return
        for raw in [raw for raw in self._by_path if is_within(raw, tops)]:
            self._drop(raw)

    def _drop(self, raw: bytes) -> None:
        """Forget a path, and the watch with its last path. A folder has several paths when roots link to each other."""
        watch = self._by_path.pop(raw)
        self._by_watch[watch].remove(raw)
        if not self._by_watch[watch]:
            del self._by_watch[watch]
            self._unwatch(watch)

    def _unwatch(self, watch: int) -> None:
        try:
            self._queue.rm_watch(watch)
        except OSError:
            return

    def _forget(self, watch: int) -> None:
        """The kernel ended a watch."""
        for raw in self._by_watch.pop(watch, ()):
            self._by_path.pop(raw, None)

    def _drain_wakes(self) -> None:
        try:
            os.read(self._woken, 4096)
        except BlockingIOError:
            return


def _limit(name: str, what: str) -> str:
    return f"the system allows no more {what}; raise it with: sysctl fs.inotify.{name}=1048576"
