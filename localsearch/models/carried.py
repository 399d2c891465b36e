"""Read the small JSON files of a model folder that came from elsewhere: bounded, typed, and no name led astray.

For `models` only.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from localsearch.errors import ModelFormatError

T = TypeVar("T")
LONGEST_JSON = 4_000_000
"""Bytes of a settings file: a list of 30,000 labels is a tenth of it."""
_AGAIN = "Copy the model again."


def read_json(path: Path, kind: type[T]) -> T:
    """A settings file as a value of a type; FileNotFoundError where there is none, else ModelFormatError."""
    try:
        return msgspec.convert(json.loads(_content(path)), kind)
    except FileNotFoundError:
        raise
    except msgspec.ValidationError as error:
        raise ModelFormatError(f"{path} is not what a model has there: {error}", hint=_AGAIN) from error
    except (ValueError, OSError, RecursionError) as error:
        why = "it is nested too deep" if isinstance(error, RecursionError) else str(error)[:200]
        raise ModelFormatError(f"{path} does not parse: {why}", hint=_AGAIN) from error


def read_table(path: Path) -> dict[str, Any]:
    """A settings file that is a table; an absent one is empty."""
    try:
        return read_json(path, dict[str, Any])
    except FileNotFoundError:
        return {}


def below(folder: Path, name: str) -> Path:
    """The part of a model folder of that name; ModelFormatError for one that lies elsewhere."""
    if os.path.isabs(name) or ".." in Path(name).parts or "\0" in name:
        raise ModelFormatError(
            f"{folder} is no model: its part {name[:100]!r} lies outside of it", hint="Choose another model."
        )
    return folder / name


def _content(path: Path) -> bytes:
    """The bytes of a regular file; ValueError for one that is longer than such files are."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no regular file")
        content = file.read(LONGEST_JSON + 1)
    if len(content) > LONGEST_JSON:
        raise ValueError(f"it is longer than {LONGEST_JSON:,} bytes")
    return content
