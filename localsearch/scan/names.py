"""File names are bytes; people read text. A name that is valid UTF-8 and printable is shown as it is.

Any other byte is shown as `\\xHH`, control characters too, so that a name can neither break a database nor
drive a terminal. A backslash that would read as such an escape is itself escaped: `raw_of(display(raw)) == raw`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Set
from pathlib import Path

_SPECIAL = re.compile(rb"[\x00-\x1f\x7f-\xff]|\\x[0-9a-f]{2}")
_AMBIGUOUS = re.compile(r"\\(?=x[0-9a-f]{2})")
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\udc80-\udcff]")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


def display(raw: bytes) -> str:
    """Text for a raw name: `b"caf\\xe9"` gives `caf\\xe9` with a real backslash; valid UTF-8 stays itself."""
    if _SPECIAL.search(raw) is None:
        return raw.decode("ascii")
    text = _AMBIGUOUS.sub(r"\\x5c", raw.decode("utf-8", "surrogateescape"))
    return _UNSAFE.sub(_escape, text)


def raw_of(text: str) -> bytes:
    """The raw name behind a text made by `display`."""
    return _ESCAPE.sub(
        lambda match: bytes.fromhex(match[1].decode()), text.encode("utf-8", "surrogateescape")
    )


def path_of(raw: bytes) -> Path:
    """A Path that opens the file of this raw name."""
    return Path(os.fsdecode(raw))


def is_within(raw: bytes, tops: Set[bytes]) -> bool:
    """Whether a path is one of these or lies below one; as quick for many tops as for one."""
    while raw not in tops:
        raw, below = os.path.dirname(raw), raw
        if raw == below:
            return False
    return True


def _escape(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode("utf-8", "surrogateescape"))
