"""Walk a tree: one listing per folder, one stat per file, and a reason for everything left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, KeysView
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Self

from localsearch.checked import count, nanoseconds
from localsearch.errors import RootUnreadable
from localsearch.platform.beneath import list_beneath, open_beneath, open_folder
from localsearch.scan.judge import Entry, ScanFilter
from localsearch.scan.layers import NO_LAYERS, Layers, inner_layers, outer_layers
from localsearch.scan.names import display, is_within
from localsearch.scan.rules import ScannedFile, ScanRules, Skip


def scan(
    root: Path, rules: ScanRules | None = None, *, indexed_before: bool = False, folder: int | None = None
) -> Iterator[ScannedFile]:
    """Yield every file below a folder, or the one file, and each folder that is skipped as a whole.

    Raises RootUnreadable when the root is missing or unreadable, when it is empty though files were `indexed_before`
    (a disk that is not mounted), or when it is another folder at the end than at the start: then nothing that was
    indexed may be taken for removed. Below a folder skipped as `unreadable` nothing may be taken for removed either.
    `folder` is the root where the caller holds it open.
    """
    with Walk(root, rules or ScanRules(), folder) as walk:
        if not walk.is_folder:
            yield walk.single()
            return
        yield from walk.below(walk.top(), indexed_before=indexed_before)
        walk.check_same()


def scan_within(
    root: Path, paths: Iterable[Path], rules: ScanRules | None = None, *, folder: int | None = None
) -> Iterator[ScannedFile]:
    """Yield what `scan` of the root would yield at and below these paths, listing only the folders on the way.

    A path that is gone yields nothing; one in a skipped folder yields that folder. Raises ValueError for a path
    outside the root and RootUnreadable as `scan` does, except that here an empty root is taken for empty.
    """
    with Walk(root, rules or ScanRules(), folder) as walk:
        if not walk.is_folder:
            yield walk.single()
            return
        skipped: set[bytes] = set()
        for raw in _topmost({os.fsencode(os.path.abspath(path)) for path in paths}, walk.root):
            at = walk.locate(raw)
            if isinstance(at, Folder):
                yield from walk.below(at)
            elif at is not None and at.raw not in skipped:
                skipped.add(at.raw)
                yield at
        walk.check_same()


def reaches(root: Path, path: Path, rules: ScanRules | None = None) -> bool:
    """Whether `scan` of the root takes what stands at a path below it. Raises RootUnreadable."""
    with Walk(root, rules or ScanRules()) as walk:
        found = walk.locate(os.fsencode(path)) if walk.is_folder else None
    return isinstance(found, Folder) or (found is not None and found.skip is None)


def folders(root: Path, rules: ScanRules | None = None, below: Iterable[Path] = ()) -> Iterator[bytes]:
    """Yield each folder that `scan` reads, or only those at and below some paths, each before it is listed.

    A watch set between two steps misses nothing: what was there is listed, what comes later is an event.
    """
    with Walk(root, rules or ScanRules()) as walk:
        starts = {os.fsencode(os.path.abspath(path)) for path in below} or {walk.root}
        located = (walk.locate(raw) for raw in _topmost(starts, walk.root)) if walk.is_folder else ()
        for start in located:
            pending = [start] if isinstance(start, Folder) else []
            while pending:
                folder = pending.pop()
                yield folder.raw
                level = walk.open(folder)
                if isinstance(level, Level):
                    pending.extend(reversed(walk.inner(level)))


def _topmost(raws: set[bytes], root: bytes) -> list[bytes]:
    """The paths that lie below no other of them, sorted."""
    prefix = root.rstrip(b"/") + b"/"
    outside = next((raw for raw in raws if raw != root and not raw.startswith(prefix)), None)
    if outside is not None:
        raise ValueError(f"{display(outside)} is not below {display(root)}")
    return sorted(raw for raw in raws if raw == root or not is_within(os.path.dirname(raw), raws))


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder to read: the ignore layers that reach it, and whether an include pattern took it as a whole."""

    raw: bytes
    layers: Layers
    included: bool


@dataclass(frozen=True, slots=True)
class Level:
    """A folder that was listed, sorted by name, with the ignore layers that hold inside it."""

    folder: Folder
    entries: dict[bytes, Entry]
    layers: Layers

    @property
    def names(self) -> KeysView[bytes]:
        return self.entries.keys()


class Walk:
    """One root under fixed rules, held open: folders are listed, and files looked into, below it and nowhere else."""

    def __init__(self, root: Path, rules: ScanRules, folder: int | None = None) -> None:
        """`folder` is a descriptor of the root that is already open; it stays the caller's."""
        self.root = os.fsencode(os.path.abspath(root))
        self._state = self._root_state() if folder is None else os.fstat(folder)
        self.is_folder = stat.S_ISDIR(self._state.st_mode)
        self._real = os.path.realpath(self.root).rstrip(b"/")
        self._judge = ScanFilter(self.root, rules, self._beginning)
        self._ignore_files = rules.ignore_files
        self._levels: dict[bytes, Level | Skip | None] = {}
        self._top: int | None = None
        if self.is_folder:
            try:
                self._top = open_folder(self.root) if folder is None else os.dup(folder)
            except OSError as error:
                raise self._unreadable(f"cannot be read: {error.strerror}") from error
            self._state = os.fstat(self._top)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._top is not None:
            os.close(self._top)
            self._top = None

    def _below(self, raw: bytes) -> bytes:
        """A path relative to the root; empty for the root itself."""
        return raw[len(self.root) :].lstrip(b"/")

    def _beginning(self, raw: bytes, length: int = 4096) -> bytes:
        """The first bytes of a file below the root, no link followed, or nothing when it cannot be read."""
        assert self._top is not None
        try:
            handle = open_beneath(self._top, self._below(raw))
        except OSError:
            return b""
        try:
            return os.read(handle, length)
        except OSError:
            return b""
        finally:
            os.close(handle)

    def _list(self, raw: bytes) -> dict[bytes, Entry]:
        """The entries of a folder, sorted by name."""
        assert self._top is not None
        prefix = raw.rstrip(b"/") + b"/"
        handle = list_beneath(self._top, self._below(raw))
        try:
            with os.scandir(handle) as listing:
                found = [Entry(entry, prefix) for entry in listing]
        finally:
            os.close(handle)
        return {entry.name: entry for entry in sorted(found, key=attrgetter("name"))}

    def top(self) -> Folder:
        """The root as a folder to read."""
        layers = outer_layers(self.root) if self._ignore_files else NO_LAYERS
        return Folder(self.root, layers, self._judge.takes_all)

    def single(self) -> ScannedFile:
        """The root as the one file that was named."""
        return _found(os.path.realpath(self.root), self._state, self._judge.named(self._state))

    def check_same(self) -> None:
        """Raise RootUnreadable if the root is no longer the folder it was at the start."""
        now = self._root_state()
        if (now.st_dev, now.st_ino) != (self._state.st_dev, self._state.st_ino):
            raise self._unreadable("was replaced while it was read")

    def below(self, top: Folder, *, indexed_before: bool = False) -> Iterator[ScannedFile]:
        """Everything below a folder, or the folder itself when what it holds tells that it is skipped."""
        pending = [top]
        while pending:
            folder = pending.pop()
            level = self.open(folder)
            if isinstance(level, Skip):
                yield _folder_found(folder.raw, level)
            elif level is not None:
                if folder.raw == self.root and indexed_before and not level.entries:
                    raise self._unreadable("is empty, though files were indexed from it")
                inner: list[Folder] = []
                yield from self._entries(level, inner)
                pending.extend(reversed(inner))

    def _entries(self, level: Level, inner: list[Folder]) -> Iterator[ScannedFile]:
        for entry in level.entries.values():
            one = self.entry(entry, level)
            if isinstance(one, Folder):
                inner.append(one)
            elif one is not None:
                yield one

    def inner(self, level: Level) -> list[Folder]:
        """The folders of a level to go on with; no file is looked at."""
        entries = [self.entry(entry, level) for entry in level.entries.values() if entry.is_dir()]
        return [one for one in entries if isinstance(one, Folder)]

    def locate(self, raw: bytes) -> Folder | ScannedFile | None:
        """Return what is at a path below the root: a folder to read, a file, the skipped folder above it, or None."""
        at: Folder | ScannedFile | None = self.top()
        for part in raw[len(self.root) :].split(b"/"):
            if part and isinstance(at, Folder):
                at = self._step(at, part)
        gone = isinstance(at, ScannedFile) and not at.folder and at.raw != raw
        return None if gone else at

    def _step(self, folder: Folder, name: bytes) -> Folder | ScannedFile | None:
        """From a folder to an entry of it, listing each folder once."""
        if folder.raw not in self._levels:
            self._levels[folder.raw] = self.open(folder)
        level = self._levels[folder.raw]
        if isinstance(level, Skip):
            return _folder_found(folder.raw, level)
        entry = level.entries.get(name) if level else None
        return self.entry(entry, level) if entry and level else None

    def open(self, folder: Folder) -> Level | Skip | None:
        """List a folder. Return a Skip if it is unreadable or its content excludes it, None if it is gone."""
        try:
            entries = self._list(folder.raw)
        except OSError as error:
            if folder.raw == self.root:
                raise self._unreadable(f"cannot be read: {error.strerror}") from error
            gone = isinstance(error, FileNotFoundError | NotADirectoryError)
            return None if gone else Skip("unreadable", f"the folder cannot be read: {error.strerror}")
        if folder.raw != self.root and (skip := self._judge.contents(folder.raw, entries.keys())):
            return skip
        layers = folder.layers
        if self._ignore_files:
            layers = inner_layers(folder.raw, layers, entries.keys(), self._beginning)
        return Level(folder, entries, layers)

    def entry(self, entry: Entry, level: Level) -> Folder | ScannedFile | None:
        """A folder to go on with, a file or a skipped folder, or None for what is gone by now."""
        try:
            if entry.is_symlink():
                return self._link(entry)
            if entry.is_dir():
                return self._folder(entry, level)
            state = entry.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = f"it cannot be examined: {error.strerror}"
            return ScannedFile(entry.path, display(entry.path), 0, 0, 0, Skip("unreadable", reason))
        skip = self._judge.file(entry, state, level.layers, level.folder.included)
        return _found(entry.path, state, skip)

    def _folder(self, entry: Entry, level: Level) -> Folder | ScannedFile:
        skip = self._judge.folder(entry, level.layers, level.names)
        if skip is not None:
            return _folder_found(entry.path, skip)
        included = level.folder.included or self._judge.is_included(entry, True)
        return Folder(entry.path, level.layers, included)

    def _link(self, entry: Entry) -> ScannedFile:
        """A link is never followed: what it leads to inside the root is found there, under its own name."""
        target = os.path.realpath(entry.path)
        if not os.path.exists(target):
            reason = "a link that leads nowhere"
        elif target == self._real or target.startswith(self._real + b"/"):
            reason = f"a link to {display(target)}, which is found under that name"
        else:
            reason = f"a link that leads out of the folder, to {display(target)}"
        return _found(entry.path, entry.stat(), Skip("link", reason))

    def _root_state(self) -> os.stat_result:
        try:
            return os.stat(self.root)
        except OSError as error:
            raise self._unreadable(f"cannot be read: {error.strerror}") from error

    def _unreadable(self, what: str) -> RootUnreadable:
        return RootUnreadable(
            f"{display(self.root)} {what}",
            hint="Is its disk mounted, and may you read it? What is indexed from it stays; `purge` removes it.",
            path=display(self.root),
        )


def _found(raw: bytes, state: os.stat_result, skip: Skip | None) -> ScannedFile:
    mtime_ns = nanoseconds(state.st_mtime_ns)
    return ScannedFile(raw, display(raw), count(state.st_size), mtime_ns, state.st_ino, skip)


def _folder_found(raw: bytes, skip: Skip) -> ScannedFile:
    try:
        state = os.lstat(raw)
    except OSError:
        return ScannedFile(raw, display(raw), 0, 0, 0, skip, folder=True)
    return ScannedFile(raw, display(raw), 0, nanoseconds(state.st_mtime_ns), state.st_ino, skip, folder=True)
