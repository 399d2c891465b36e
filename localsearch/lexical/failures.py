"""What Tantivy raises, its panics included, as our errors."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localsearch.errors import DamagedError, DiskFullError, LocalSearchError, StorageError

REBUILD = "It is rebuilt from the database: run `localsearch check --repair`."
_ROOM = 64 << 20
"""Free bytes below which a writer that died in a thread of its own, which does not tell why, died of a full disk."""
_FREE = "Free some space and retry."


@contextmanager
def guard(folder: Path, failed: Any = None) -> Iterator[None]:
    """Turn what Tantivy raises, its panics included, into our errors."""
    try:
        yield
    except LocalSearchError:
        raise
    except (ValueError, OSError, KeyError, RuntimeError) as error:
        if failed is not None:
            failed()
        raise _translated(folder, error) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        if failed is not None:
            failed()
        raise _translated(folder, error) from error


def _translated(folder: Path, error: BaseException) -> StorageError:
    words = str(error)
    if "No space left" in words or "StorageFull" in words:
        return DiskFullError(f"no space left for the word index in {folder}", hint=_FREE)
    killed = "writer was killed" in words
    if killed and shutil.disk_usage(folder).free < _ROOM:
        return DiskFullError(f"no space left for the word index in {folder}", hint=_FREE)
    if killed or "Input/output error" in words:
        return StorageError(
            f"the disk failed under the word index in {folder}", hint="Check the disk.", io=True
        )
    if "LockBusy" in words or "acquire Lockfile" in words:
        return StorageError(f"the word index in {folder} is being written by another", hint="Try again.")
    if "Too many open files" in words or "Cannot allocate memory" in words:
        return StorageError(f"the word index in {folder} cannot be used: {words}", hint="Raise the limit.")
    return DamagedError(f"the word index in {folder} failed: {words}", hint=REBUILD)
