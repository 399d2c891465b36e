"""Decide whether an entry of a folder is taken, and give the reason if not. The order of the tests is the policy.

For `scan.walk` only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Set
from pathlib import Path

from localsearch.platform.mounts import system_views
from localsearch.scan.ignore import Pattern, Patterns, parse
from localsearch.scan.layers import Layers, beginning, decide
from localsearch.scan.names import display
from localsearch.scan.rules import (
    BUILD_MARKS,
    CACHE_SIGNATURE,
    KEY_SUFFIXES,
    PROFILE_MARKS,
    SYSTEM,
    VCS,
    ScanRules,
    Skip,
    binary_file,
    cache_folder,
    secret_file,
    secret_folder,
    secret_head,
)

_VCS = Skip("vcs", "version control keeps its own data here")
_HIDDEN = Skip("hidden", "its name begins with a dot")
_EXCLUDED = Skip("excluded", "matches an exclude pattern")
_NOT_INCLUDED = Skip("not-included", "matches no include pattern")
_SYSTEM = Skip("system", "a view of the running system, not files")
_OWN = Skip("own-data", "localsearch keeps its own data here")
_PROFILE = Skip("secret", "a browser profile")
_SPECIAL = Skip("special", "a pipe, socket or device, which is never opened")


class Entry:
    """An entry of a folder that was listed through its descriptor: its name, its path, and its state by then."""

    __slots__ = ("_kind", "_state", "name", "path")

    def __init__(self, found: os.DirEntry[str], prefix: bytes) -> None:
        self.name = os.fsencode(found.name)
        self.path = prefix + self.name
        self._kind = (
            stat.S_IFLNK if found.is_symlink() else stat.S_IFDIR if found.is_dir(follow_symlinks=False) else 0
        )
        self._state: os.stat_result | OSError
        try:
            self._state = found.stat(follow_symlinks=False)
        except OSError as error:
            self._state = error

    def is_symlink(self) -> bool:
        return self._kind == stat.S_IFLNK

    def is_dir(self) -> bool:
        return self._kind == stat.S_IFDIR

    def inode(self) -> int:
        return 0 if isinstance(self._state, OSError) else self._state.st_ino

    def stat(self) -> os.stat_result:
        """Its state, of a link itself. Raises OSError where it could not be examined."""
        if isinstance(self._state, OSError):
            raise self._state
        return self._state


class ScanFilter:
    """Fixed rules on entries below a root, whose include and exclude patterns are relative to it."""

    def __init__(
        self, root: bytes, rules: ScanRules, beginning: Callable[[bytes], bytes] = beginning
    ) -> None:
        """`beginning` gives the first bytes of a file."""
        self._rules = rules
        self._beginning = beginning
        self._base = len(root.rstrip(b"/")) + 1
        self._include = _globs(rules.include)
        self._exclude = _globs(rules.exclude)
        self._never = _identities(rules.never)
        self._views = system_views()

    @property
    def takes_all(self) -> bool:
        """Whether no include pattern restricts what is taken."""
        return not self._include

    def folder(self, entry: Entry, layers: Layers, siblings: Set[bytes]) -> Skip | None:
        """Judge a folder by its name, its place and its siblings."""
        name, path, rules = entry.name, entry.path, self._rules
        if name in VCS:
            return _VCS
        if path in SYSTEM or self._is_view(entry):
            return _SYSTEM
        if self._is_own(entry):
            return _OWN
        if self._is_excluded(entry, True):
            return _EXCLUDED
        if not rules.secrets and (skip := secret_folder(name, path)):
            return skip
        if decision := decide(layers, name, path, True):
            return _ignored(*decision)
        if not rules.caches and (skip := cache_folder(name, siblings)):
            return skip
        return _HIDDEN if name.startswith(b".") and not rules.hidden else None

    def contents(self, raw: bytes, names: Set[bytes]) -> Skip | None:
        """Judge a folder by the names in it."""
        if not self._rules.secrets and not names.isdisjoint(PROFILE_MARKS):
            return _PROFILE
        if self._rules.caches or names.isdisjoint(BUILD_MARKS):
            return None
        mark = min(names & BUILD_MARKS)
        if mark == b"CACHEDIR.TAG" and not self._beginning(raw + b"/" + mark).startswith(CACHE_SIGNATURE):
            return None
        return Skip("cache", f"{mark.decode()} in it says that a tool can make it again")

    def file(self, entry: Entry, state: os.stat_result, layers: Layers, included: bool) -> Skip | None:
        """Judge a file. `included`: an include pattern took a folder above it."""
        if not stat.S_ISREG(state.st_mode):
            return _SPECIAL
        if state.st_dev in self._views:
            return _SYSTEM
        name, path, rules = entry.name, entry.path, self._rules
        if name in VCS:
            return _VCS
        if self._is_excluded(entry, False):
            return _EXCLUDED
        if not rules.secrets and (skip := secret_file(name) or self._secret_content(name, path)):
            return skip
        if decision := decide(layers, name, path, False):
            if skip := _ignored(*decision):
                return skip
        elif name.startswith(b".") and not rules.hidden:
            return _HIDDEN
        if not included and not self.is_included(entry, False):
            return _NOT_INCLUDED
        return binary_file(name, lambda: self._beginning(path)) or self._too_large(state)

    def named(self, state: os.stat_result) -> Skip | None:
        """Judge a file that was named as a root: any file is taken that is one and not too large."""
        if state.st_dev in self._views:
            return _SYSTEM
        return self._too_large(state) if stat.S_ISREG(state.st_mode) else _SPECIAL

    def is_included(self, entry: Entry, folder: bool) -> bool:
        """Whether an include pattern takes this entry."""
        return _takes(self._include, entry.name, entry.path[self._base :], folder)

    def _is_excluded(self, entry: Entry, folder: bool) -> bool:
        return _takes(self._exclude, entry.name, entry.path[self._base :], folder)

    def _secret_content(self, name: bytes, path: bytes) -> Skip | None:
        return secret_head(self._beginning(path)) if name.endswith(KEY_SUFFIXES) else None

    def _is_view(self, entry: Entry) -> bool:
        """Whether a folder lies on a file system that shows the running system, wherever that is mounted."""
        try:
            return entry.stat().st_dev in self._views
        except OSError:
            return False

    def _is_own(self, entry: Entry) -> bool:
        if entry.inode() not in self._never:
            return False
        state = entry.stat()
        return self._never.get(state.st_ino) == state.st_dev

    def _too_large(self, state: os.stat_result) -> Skip | None:
        if state.st_size <= self._rules.max_bytes:
            return None
        return Skip("too-large", f"{state.st_size:,} bytes, above the limit of {self._rules.max_bytes:,}")


def _globs(globs: tuple[str, ...]) -> Patterns:
    return Patterns(pattern for glob in globs for pattern in parse(os.fsencode(glob)))


def _takes(patterns: Patterns, name: bytes, path: bytes, folder: bool) -> bool:
    pattern = patterns.match(name, path, folder) if patterns else None
    return pattern is not None and not pattern.negated


def _identities(paths: Iterable[Path]) -> dict[int, int]:
    """Device by inode of those of the paths that exist."""
    states = [os.stat(path) for path in paths if os.path.exists(path)]
    return {state.st_ino: state.st_dev for state in states}


def _ignored(pattern: Pattern, source: bytes) -> Skip | None:
    return None if pattern.negated else Skip("ignored", f"matches {pattern.text} in {display(source)}")
