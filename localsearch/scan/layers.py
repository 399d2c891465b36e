"""Which ignore files hold in a folder, and what they say about an entry of it.

A deeper file has the last word over a shallower one of its kind. Whatever their depth, .localsearchignore has the
last word over .ignore, and .ignore over .gitignore, as in ripgrep.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from functools import lru_cache

from localsearch.errors import ExtractionError
from localsearch.scan.content import head
from localsearch.scan.ignore import Pattern, Patterns, is_too_much, parse
from localsearch.scan.names import path_of
from localsearch.scan.rules import IGNORE_FILES

_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Layer:
    """One ignore file and the layer around it; `base` is the length of its folder's path and a slash."""

    patterns: Patterns
    base: int
    source: bytes
    outer: Layer | None


Layers = tuple[Layer | None, ...]
"""The innermost layer of each kind, in the order of IGNORE_FILES."""
NO_LAYERS: Layers = (None,) * len(IGNORE_FILES)


def outer_layers(root: bytes) -> Layers:
    """The layers that reach a root from the folders above it; .gitignore only from inside the same repository."""
    folders = [root]
    while (parent := os.path.dirname(folders[-1])) != folders[-1]:
        folders.append(parent)
    top = next((at for at, path in enumerate(folders) if os.path.lexists(path + b"/.git")), 0)
    layers = NO_LAYERS
    for at in range(len(folders) - 1, 0, -1):
        layers = inner_layers(folders[at], layers, frozenset(IGNORE_FILES if at <= top else IGNORE_FILES[:2]))
    return layers


def inner_layers(
    folder: bytes, layers: Layers, names: Set[bytes], read: Callable[[bytes, int], bytes] | None = None
) -> Layers:
    """The layers that hold inside a folder with these names in it. A repository of its own starts afresh.

    `read` gives the first bytes of a file.
    """
    if names.isdisjoint(IGNORE_FILES) and b".git" not in names:
        return layers
    found = list(layers)
    if b".git" in names:
        found[-1] = None
    prefix = folder.rstrip(b"/") + b"/"
    for at, name in enumerate(IGNORE_FILES):
        if name in names and (patterns := _patterns((read or beginning)(prefix + name, _MAX_BYTES))):
            found[at] = Layer(patterns, len(prefix), prefix + name, found[at])
    return tuple(found)


def decide(layers: Layers, name: bytes, path: bytes, folder: bool) -> tuple[Pattern, bytes] | None:
    """The pattern that has the last word on an entry and the file it stands in, or None."""
    for kind in layers:
        layer = kind
        while layer is not None:
            pattern = layer.patterns.match(name, path[layer.base :], folder)
            if pattern is not None:
                return pattern, layer.source
            layer = layer.outer
    return None


def beginning(raw: bytes, length: int = 4096) -> bytes:
    """The first bytes of a file, or nothing when it cannot be read."""
    try:
        return head(path_of(raw), length)
    except (OSError, ExtractionError):
        return b""


@lru_cache(maxsize=256)
def _patterns(content: bytes) -> Patterns:
    patterns = parse(content)
    return _ALL if is_too_much(patterns) else Patterns(patterns)


_ALL = Patterns([replace(parse(b"*")[0], text="*, as it has too many patterns to obey,")])
"""What stands for an ignore file that is too much to obey: nothing is taken beside and below it."""
