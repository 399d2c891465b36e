"""Names of files, folders and documents, as callers give them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from localsearch.checked import clean
from localsearch.errors import UsageError
from localsearch.scan import display


def named_path(path: str | os.PathLike[str]) -> Path:
    """The absolute path of one. Raises UsageError for an empty one, which would be the current folder."""
    if not (name := os.fspath(path)) or "\0" in name:
        raise UsageError("A path is empty or no path.", hint="Name a file or folder; `.` is this folder.")
    try:
        os.fsencode(path)
        absolute = Path(os.path.abspath(Path(path).expanduser()))
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            absolute.lstat()  # a name may be too long for any file system
        return absolute
    except (OSError, RuntimeError, UnicodeEncodeError) as error:
        raise UsageError(
            f"{path} cannot be found from here: {error}", hint="Name it from the root."
        ) from error


def within_collection(name: str | None) -> str:
    """Which collection a sentence is about, at its end: the usual one is not named.

    >>> within_collection("default"), within_collection("papers")
    ('', ' in the collection papers')
    """
    return f" in the collection {name}" if name and name != "default" else ""


def meanings(name: str) -> Iterator[str]:
    """What a name of documents may mean: the id itself, then the file or folder at that path, as the index shows it.

    Raises UsageError for an empty one.
    """
    if not name:
        raise UsageError("A name is empty.", hint="Ids are as search gives them.")
    if name.isascii() or clean(name) == name:
        yield name
    with suppress(UsageError):  # an id need be no path
        yield display(os.fsencode(named_path(name)))


def named_paths(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> tuple[Path, ...]:
    """The absolute paths of one or several. Raises UsageError for none, and for an empty one."""
    listed = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not listed or not all(isinstance(path, str | os.PathLike) for path in listed):
        raise UsageError("Nothing to index.", hint="Name at least one file or folder.")
    return tuple(map(named_path, listed))
