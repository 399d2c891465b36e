"""Walk a tree: one listing per folder, one stat per file, and a word for everything that is left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from localsearch.errors import ExtractionError, RootUnreadable
from localsearch.scan.content import head
from localsearch.scan.ignore import Pattern, Patterns, parse
from localsearch.scan.names import display, path_of
from localsearch.scan.rules import (
    BUILD_MARKS,
    CACHE_SIGNATURE,
    KEY_SUFFIXES,
    PROFILE_MARKS,
    SYSTEM,
    VCS,
    Found,
    ScanRules,
    Skip,
    binary_file,
    cache_folder,
    secret_file,
    secret_folder,
    secret_head,
)

IGNORE_FILES = (b".localsearchignore", b".ignore", b".gitignore")
"""The first has the last word, at whatever depth it stands."""
_MAX_IGNORE_BYTES = 1 << 20

_VCS = Skip("vcs", "version control keeps its own data here")
_HIDDEN = Skip("hidden", "its name begins with a dot")
_EXCLUDED = Skip("excluded", "matches an exclude pattern")
_NOT_INCLUDED = Skip("not-included", "matches no include pattern")
_SYSTEM = Skip("system", "a view of the running system, not files")
_OWN = Skip("own-index", "localsearch keeps its own data here")
_PROFILE = Skip("secret", "a browser profile")
_SPECIAL = Skip("special", "a pipe, socket or device, which is never opened")


@dataclass(frozen=True, slots=True)
class _Layer:
    """The patterns of one ignore file; `base` is the length of its folder's path with the slash."""

    patterns: Patterns
    base: int
    source: bytes
    outer: _Layer | None


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to walk: its path, the ignore layers above it per kind of file, and whether an include took it."""

    raw: bytes
    layers: tuple[_Layer | None, ...]
    included: bool


def scan(root: Path, rules: ScanRules | None = None, *, indexed_before: bool = False) -> Iterator[Found]:
    """Yield every file below a folder, or the one file, and each folder that is skipped as a whole.

    Raises RootUnreadable when the root is missing or unreadable, when it is empty though files were `indexed_before`
    (a disk that is not mounted), or when it is another folder at the end than at the start: then nothing that was
    indexed may be taken for removed.
    """
    rules = rules or ScanRules()
    raw = os.fsencode(os.path.abspath(root))
    state = _root_state(raw)
    if not stat.S_ISDIR(state.st_mode):
        yield _single(raw, rules)
        return
    yield from _Walk(raw, rules).run(indexed_before)
    after = _root_state(raw)
    if (after.st_dev, after.st_ino) != (state.st_dev, state.st_ino):
        raise RootUnreadable(
            f"{display(raw)} was replaced while it was read", hint="Run it again.", path=str(root)
        )


def _root_state(raw: bytes) -> os.stat_result:
    try:
        return os.stat(raw)
    except OSError as error:
        raise _root_error(raw, error) from error


def _root_error(raw: bytes, error: OSError) -> RootUnreadable:
    return RootUnreadable(
        f"{display(raw)} cannot be read: {error.strerror}",
        hint="Check the path, its permissions and whether its disk is mounted. Nothing was removed from the index.",
        path=display(raw),
    )


def _single(raw: bytes, rules: ScanRules) -> Found:
    """A file that was named: taken whatever its name, unless it is too large or no file at all."""
    raw = os.path.realpath(raw)
    state = _root_state(raw)
    skip = None if stat.S_ISREG(state.st_mode) else _SPECIAL
    return _found(raw, state, skip or _too_large(state.st_size, rules))


class _Walk:
    """One walk of one root under fixed rules."""

    def __init__(self, root: bytes, rules: ScanRules) -> None:
        self.root = root
        self.rules = rules
        self.real = os.path.realpath(root)
        self.base = len(root.rstrip(b"/")) + 1
        self.include = _globs(rules.include)
        self.exclude = _globs(rules.exclude)
        self.never = frozenset(os.fsencode(os.path.abspath(path)) for path in rules.never)
        self.never_real = frozenset(os.path.realpath(path) for path in self.never)

    def run(self, indexed_before: bool) -> Iterator[Found]:
        layers = outer_layers(self.root) if self.rules.ignore_files else (None,) * len(IGNORE_FILES)
        try:
            first = _listing(self.root)
        except OSError as error:
            raise _root_error(self.root, error) from error
        if not first and indexed_before:
            raise RootUnreadable(
                f"{display(self.root)} is empty, though files were indexed from it",
                hint="Is its disk mounted? If the files are truly gone, `purge` the path.",
                path=display(self.root),
            )
        pending = [_Folder(self.root, layers, not self.include)]
        listing: list[os.DirEntry[bytes]] | None = first
        while pending:
            folder = pending.pop()
            inner: list[_Folder] = []
            yield from self._folder(folder, listing, inner)
            pending.extend(reversed(inner))
            listing = None

    def _folder(
        self, folder: _Folder, listing: list[os.DirEntry[bytes]] | None, inner: list[_Folder]
    ) -> Iterator[Found]:
        """Yield what one folder holds and collect the folders below it."""
        at_root = listing is not None
        if listing is None:
            try:
                listing = _listing(folder.raw)
            except (FileNotFoundError, NotADirectoryError):
                return
            except OSError as error:
                yield _folder_found(
                    folder.raw, Skip("unreadable", f"the folder cannot be read: {error.strerror}")
                )
                return
        names = frozenset(entry.name for entry in listing)
        if not at_root and (skip := self._marked(folder.raw, names)):
            yield _folder_found(folder.raw, skip)
            return
        layers = self._layers(folder, names)
        for entry in listing:
            found = self._entry(entry, folder, layers, names, inner)
            if found is not None:
                yield found

    def _layers(self, folder: _Folder, names: frozenset[bytes]) -> tuple[_Layer | None, ...]:
        if not self.rules.ignore_files:
            return folder.layers
        return inner_layers(folder.raw, folder.layers, names)

    def _marked(self, raw: bytes, names: frozenset[bytes]) -> Skip | None:
        """A folder that is told by what it holds."""
        if not self.rules.secrets and not names.isdisjoint(PROFILE_MARKS):
            return _PROFILE
        if self.rules.caches or names.isdisjoint(BUILD_MARKS):
            return None
        mark = min(names & BUILD_MARKS)
        if mark == b"CACHEDIR.TAG" and not _head(raw + b"/" + mark).startswith(CACHE_SIGNATURE):
            return None
        return Skip("cache", f"{mark.decode()} in it says that a tool can make it again")

    def _entry(
        self,
        entry: os.DirEntry[bytes],
        folder: _Folder,
        layers: tuple[_Layer | None, ...],
        names: frozenset[bytes],
        inner: list[_Folder],
    ) -> Found | None:
        try:
            if entry.is_symlink():
                return self._link(entry)
            if not entry.is_dir(follow_symlinks=False):
                return self._file(entry, folder, layers)
        except FileNotFoundError:
            return None
        except OSError as error:
            return Found(entry.path, display(entry.path), 0, 0, 0, Skip("unreadable", str(error.strerror)))
        skip = self._judge_folder(entry, layers, names)
        if skip is not None:
            return _folder_found(entry.path, skip)
        included = folder.included or self._included(entry, True)
        inner.append(_Folder(entry.path, layers, included))
        return None

    def _judge_folder(
        self, entry: os.DirEntry[bytes], layers: tuple[_Layer | None, ...], names: frozenset[bytes]
    ) -> Skip | None:
        name, path = entry.name, entry.path
        if name in VCS:
            return _VCS
        if path in SYSTEM:
            return _SYSTEM
        if path in self.never or (self.never_real and os.path.realpath(path) in self.never_real):
            return _OWN
        if self.exclude and self.exclude.match(name, path[self.base :], True):
            return _EXCLUDED
        if not self.rules.secrets and (skip := secret_folder(name)):
            return skip
        pattern, source = _decide(layers, name, path, True)
        if pattern is not None:
            return None if pattern.negated else _ignored(pattern, source)
        if not self.rules.caches and (skip := cache_folder(name, names)):
            return skip
        return _HIDDEN if name.startswith(b".") and not self.rules.hidden else None

    def _file(self, entry: os.DirEntry[bytes], folder: _Folder, layers: tuple[_Layer | None, ...]) -> Found:
        state = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(state.st_mode):
            return _found(entry.path, state, _SPECIAL)
        return _found(entry.path, state, self._judge_file(entry, state, folder, layers))

    def _judge_file(
        self,
        entry: os.DirEntry[bytes],
        state: os.stat_result,
        folder: _Folder,
        layers: tuple[_Layer | None, ...],
    ) -> Skip | None:
        name, path = entry.name, entry.path
        if name in VCS:
            return _VCS
        if self.exclude and self.exclude.match(name, path[self.base :], False):
            return _EXCLUDED
        if not self.rules.secrets and (skip := secret_file(name) or _secret_content(name, path)):
            return skip
        pattern, source = _decide(layers, name, path, False)
        if pattern is not None and not pattern.negated:
            return _ignored(pattern, source)
        if pattern is None and name.startswith(b".") and not self.rules.hidden:
            return _HIDDEN
        if not folder.included and not self._included(entry, False):
            return _NOT_INCLUDED
        return binary_file(name) or _too_large(state.st_size, self.rules)

    def _included(self, entry: os.DirEntry[bytes], is_folder: bool) -> bool:
        pattern = self.include.match(entry.name, entry.path[self.base :], is_folder)
        return pattern is not None and not pattern.negated

    def _link(self, entry: os.DirEntry[bytes]) -> Found | None:
        """A link is not followed: what it leads to inside the root is found there, under its own name."""
        state = entry.stat(follow_symlinks=False)
        target = os.path.realpath(entry.path)
        inside = target == self.real or target.startswith(self.real.rstrip(b"/") + b"/")
        if not os.path.exists(target):
            reason = "a link that leads nowhere"
        elif inside:
            reason = f"a link to {display(target)}, which is found under that name"
        else:
            reason = f"a link that leads out of the folder, to {display(target)}"
        return _found(entry.path, state, Skip("link", reason))


def outer_layers(root: bytes) -> tuple[_Layer | None, ...]:
    """The ignore files above a root that apply inside it; .gitignore only up to the top of the repository."""
    above: list[bytes] = []
    folder = root
    while (parent := os.path.dirname(folder)) != folder:
        above.append(parent)
        folder = parent
    repository = next((at for at, path in enumerate([root, *above]) if os.path.lexists(path + b"/.git")), 0)
    layers: tuple[_Layer | None, ...] = (None,) * len(IGNORE_FILES)
    for at in range(len(above) - 1, -1, -1):
        names = frozenset(IGNORE_FILES if at < repository else IGNORE_FILES[:2])
        layers = inner_layers(above[at], layers, names)
    return layers


def inner_layers(
    raw: bytes, layers: tuple[_Layer | None, ...], names: frozenset[bytes]
) -> tuple[_Layer | None, ...]:
    """The layers that hold inside a folder with these names in it. A repository of its own starts afresh."""
    if names.isdisjoint(IGNORE_FILES) and b".git" not in names:
        return layers
    found = list(layers)
    if b".git" in names:
        found[-1] = None
    base = len(raw.rstrip(b"/")) + 1
    for at, file in enumerate(IGNORE_FILES):
        source = raw[: base - 1] + b"/" + file
        if file in names and (patterns := _compiled(_head(source, _MAX_IGNORE_BYTES))):
            found[at] = _Layer(patterns, base, source, found[at])
    return tuple(found)


def _decide(
    layers: tuple[_Layer | None, ...], name: bytes, path: bytes, is_folder: bool
) -> tuple[Pattern | None, bytes]:
    """The pattern that has the last word on an entry, and the ignore file it stands in."""
    for layer in layers:
        while layer is not None:
            pattern = layer.patterns.match(name, path[layer.base :], is_folder)
            if pattern is not None:
                return pattern, layer.source
            layer = layer.outer
    return None, b""


@lru_cache(maxsize=256)
def _compiled(content: bytes) -> Patterns:
    return Patterns(parse(content))


def _globs(globs: tuple[str, ...]) -> Patterns:
    return Patterns(pattern for glob in globs for pattern in parse(os.fsencode(glob)))


def _head(raw: bytes, length: int = 4096) -> bytes:
    """The first bytes of a file, or nothing when it cannot be read."""
    try:
        return head(path_of(raw), length)
    except (OSError, ExtractionError):
        return b""


def _secret_content(name: bytes, path: bytes) -> Skip | None:
    return secret_head(_head(path)) if name.endswith(KEY_SUFFIXES) else None


def _listing(raw: bytes) -> list[os.DirEntry[bytes]]:
    with os.scandir(raw) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _ignored(pattern: Pattern, source: bytes) -> Skip:
    return Skip("ignored", f"matches {pattern.text} in {display(source)}")


def _too_large(size: int, rules: ScanRules) -> Skip | None:
    if size <= rules.max_bytes:
        return None
    return Skip("too-large", f"{size:,} bytes, above the limit of {rules.max_bytes:,}")


def _found(raw: bytes, state: os.stat_result, skip: Skip | None) -> Found:
    return Found(raw, display(raw), state.st_size, state.st_mtime_ns, state.st_ino, skip)


def _folder_found(raw: bytes, skip: Skip) -> Found:
    try:
        state = os.lstat(raw)
    except OSError:
        return Found(raw, display(raw), 0, 0, 0, skip, folder=True)
    return Found(raw, display(raw), 0, state.st_mtime_ns, state.st_ino, skip, folder=True)
