"""Values from outside as checked types: dates that a calendar has, text that UTF-8 can hold, JSON of bounded size.

Files, mail headers, archives, programs that send documents, and databases made elsewhere all pass here once, where
they come in. What is behind this edge needs no check of its own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from localsearch import days
from localsearch.patterns import regex

FIRST_SECOND = -62_135_596_800
"""0001-01-01 UTC, in seconds since 1970."""
LAST_SECOND = 253_402_300_799
"""The last second of 9999-12-31 UTC."""
DEPTH = 32
"""Levels of lists and objects that are kept of metadata."""
VALUES = 10_000
"""Values that are kept of one document's metadata."""
LONGEST_NAME = 200
LONGEST_VALUE = 100_000
"""Characters of one text in metadata."""

EARLIEST_NS, LATEST_NS = -(1 << 63), (1 << 63) - 1

_SURROGATE = regex("[\ud800-\udfff]")
_CONTROL = regex("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_BEYOND_ASCII = regex("[\x7f-\U0010ffff]")
_BITS = 1 << 63


def clean(text: str) -> str:
    """Text with U+FFFD for each lone surrogate, one for one, so that offsets into it stay true.

    >>> clean("a\\ud800b") == "a\\ufffdb"
    True
    """
    try:
        text.isascii() or text.encode()  # in a tenth of the time of the search
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text


def printable(text: str) -> str:
    """Text that cannot drive a terminal or forge a line of a log: control characters are shown, not obeyed.

    Line ends and tabs stay; so does all that only looks odd. Marks that turn the direction of what follows are shown.

    >>> print(printable("a\x1b[2Jb"))
    a\\x1b[2Jb
    """
    return text if text.isprintable() else _CONTROL.sub(_escaped, text)


def printable_json(text: str, encoding: str = "utf-8") -> str:
    """JSON that means the same, without control characters and without what an encoding lacks."""
    pattern = _CONTROL if encoding.lower().replace("-", "") == "utf8" else _BEYOND_ASCII
    return pattern.sub(lambda match: json.dumps(match[0])[1:-1], text)


def _escaped(match: re.Match[str]) -> str:
    return repr(match[0])[1:-1]


def seconds(value: float) -> float | None:
    """Seconds since 1970 UTC if they lie in the years 1 to 9999, else None.

    >>> seconds(0), seconds(1e300), seconds(float("nan"))
    (0.0, None, None)
    """
    return float(value) if FIRST_SECOND <= value <= LAST_SECOND else None


def timestamp(value: Any) -> float | None:
    """Seconds since 1970 UTC of an ISO 8601 date or time, or of a number; None for what is no date of years 1 to 9999.

    A time that names no zone is one of the zone that holds, a date without a time is kept as one (`days`).

    >>> timestamp("1970-01-02"), timestamp("9999-12-31T23:59:59-12:00")
    (86400.0, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return seconds(value)
    try:
        when = value if isinstance(value, datetime) else datetime.fromisoformat(str(value)[:100].strip())
        return seconds(_moment(when))
    except (ValueError, OverflowError):
        return None


def _moment(when: datetime) -> float:
    if when.tzinfo is None and when.time() == time():
        return when.replace(tzinfo=UTC).timestamp()
    if when.tzinfo is None:
        return days.instant(days.utc(when).timestamp())
    return days.instant(when.timestamp()) if when.utcoffset() else when.timestamp()


def moment(value: float | None) -> datetime | None:
    """The UTC time of seconds since 1970; None where the calendar has none."""
    if value is None or (known := seconds(value)) is None:
        return None
    return datetime.fromtimestamp(known, UTC)


def nanoseconds(value: int) -> int:
    """Nanoseconds since 1970 as a signed integer of 64 bits: years 1677 to 2262, the nearest end beyond.

    File systems hold wider times: ext4 reaches 2446, tar any year.
    """
    if EARLIEST_NS <= value <= LATEST_NS:
        return value
    return EARLIEST_NS if value < 0 else LATEST_NS


def count(value: int) -> int:
    """A size or count as SQLite can hold it: 0 to 2**63 - 1."""
    return value if 0 <= value < _BITS else 0 if value < 0 else _BITS - 1


class Metadata:
    """One document's metadata on its way in: `values`, bounded plain JSON, and `notes`, what was lost.

    Numbers are finite, integers beyond 64 bits become text, dates ISO 8601, all else its text.
    """

    __slots__ = ("_left", "_lost", "values")

    def __init__(self, given: Mapping[Any, Any]) -> None:
        self._left = VALUES
        self._lost: dict[str, None] = {}
        self.values: dict[str, Any] = self._object(given, DEPTH)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(f"metadata: {what}" for what in self._lost)

    def _plain(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, LONGEST_VALUE)
        if isinstance(value, int):
            return int(value) if -_BITS <= value < 2 * _BITS else self._wide(value)
        if isinstance(value, float):
            return (
                float(value)
                if math.isfinite(value)
                else self._lose("a number that is not finite was left out")
            )
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, Mapping):
            return self._object(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return self._list(list(value), depth)
        return self._text(str(value), LONGEST_VALUE)

    def _object(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, item in value.items() if self._goes_on(depth) else ():
            if not self._take():
                break
            kept[self._text(str(name), LONGEST_NAME)] = self._plain(item, depth - 1)
        return kept

    def _list(self, value: list[Any], depth: int) -> list[Any]:
        kept: list[Any] = []
        for item in value if self._goes_on(depth) else ():
            if not self._take():
                break
            kept.append(self._plain(item, depth - 1))
        return kept

    def _goes_on(self, depth: int) -> bool:
        if depth == 0:
            self._lose(f"what is nested more than {DEPTH} deep was left out")
        return depth > 0

    def _take(self) -> bool:
        self._left -= 1
        if self._left < 0:
            self._lose(f"only the first {VALUES:,} values were kept")
        return self._left >= 0

    def _text(self, value: str, longest: int) -> str:
        if len(value) > longest:
            self._lose(f"texts longer than {longest:,} characters were cut")
        return clean(value[:longest])

    def _wide(self, value: int) -> str | None:
        if value.bit_length() > 1024:
            self._lose("a number of more than 300 digits was left out")
            return None
        return str(value)

    def _lose(self, what: str) -> None:
        self._lost[what] = None
