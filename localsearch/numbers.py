"""What counts as a number: one rule for values, one for text. Imports nothing and may be used everywhere."""

from __future__ import annotations

import math
import re
from typing import TypeGuard

_WRITTEN = re.compile(
    r"[+-]?(?:\d{1,300}(?:\.\d{0,300})?|\.\d{1,300})(?:[eE][+-]?\d{1,3})?", re.ASCII
)  # bounds keep int() and float() from reading for seconds


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a finite number. True and False are none, though Python counts them as integers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def is_integer64(value: object) -> TypeGuard[int]:
    """Whether a value is an integer that SQLite can hold: 64 bits with a sign."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def read_number(text: str) -> int | float | None:
    """The number that a text is, or None. Whole ones beyond 64 bits become floating.

    >>> read_number("12"), read_number("-.5"), read_number("1e3"), read_number("1e999"), read_number("nan")
    (12, -0.5, 1000.0, None, None)
    """
    if not _WRITTEN.fullmatch(text):
        return None
    if text.lstrip("+-").isdigit() and is_integer64(whole := int(text)):
        return whole
    value = float(text)
    return value if math.isfinite(value) else None
