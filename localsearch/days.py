"""Days and times in the time zone of whoever asks: where a day begins, and which day a moment is in.

A date without a time belongs to no zone. It is kept as midnight UTC, a whole multiple of `DAY`, and is that day for
everybody. An instant is never such a multiple: `instant` moves one at midnight UTC by a millisecond.

Which zone holds is set for the work at hand by `in_zone`, as the precision of decimal numbers is by their context.
"""

from __future__ import annotations

import time as clock
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from localsearch.errors import FilterError

DAY = 86_400
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)
"""Every other time is clamped to these: Python and SQLite know the years 1 to 9999."""
_LONGEST = 100
_ZONE: ContextVar[ZoneInfo | None] = ContextVar("time zone", default=None)


def zone(name: str) -> ZoneInfo | None:
    """A time zone by its name in the IANA database; None, for that of this machine, where the name is empty.

    Raises FilterError for a name that is none.
    """
    if not name:
        return None
    try:
        return ZoneInfo(name[:_LONGEST])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise FilterError(
            f"There is no time zone {name[:_LONGEST]!r}.",
            hint="Name one such as Europe/Berlin, America/New_York or UTC.",
        ) from None


@contextmanager
def in_zone(chosen: ZoneInfo | None) -> Iterator[None]:
    """Take days as those of this zone, None: of this machine's, in this thread until the end of the block."""
    before = _ZONE.set(chosen)
    try:
        yield
    finally:
        _ZONE.reset(before)


def here() -> Hashable:
    """What tells the zone that holds from every other one: a key for what is remembered of times in it."""
    return _ZONE.get() or clock.tzname


def utc(wall: datetime) -> datetime:
    """The moment at which clocks show this: the first of two, or that of the change where they skip it; clamped."""
    try:
        chosen = _ZONE.get()
        return (wall if chosen is None else wall.replace(tzinfo=chosen)).astimezone(UTC)
    except (OverflowError, ValueError, OSError):
        return wall.replace(tzinfo=UTC)


def local(moment: datetime) -> datetime:
    """What clocks show at a moment, with its offset; clamped."""
    try:
        return moment.astimezone(_ZONE.get())
    except (OverflowError, ValueError, OSError):
        return moment


def today() -> date:
    """The day that it is."""
    return local(datetime.now(UTC)).date()


def day_start(day: date) -> datetime:
    """The moment at which a day begins."""
    return utc(datetime.combine(day, time()))


def year_start(year: int) -> datetime:
    """The moment at which a year begins, clamped."""
    if not 1 <= year <= 9999:
        return FIRST if year < 1 else LAST
    return day_start(date(year, 1, 1))


def wall(moment: datetime) -> datetime:
    """What clocks show at a moment, as if it were UTC: by it dates that belong to no zone compare.

    The first moment of a day is its midnight, also where clocks skip that.
    """
    if moment in (FIRST, LAST):
        return moment
    shown = local(moment)
    midnight = datetime.combine(shown.date(), time())
    return (midnight if utc(midnight) == moment else shown).replace(tzinfo=UTC)


def instant(seconds: float) -> float:
    """Seconds since 1970 UTC of a moment, told apart from a date without a time."""
    return seconds + 0.001 if seconds % DAY == 0 else seconds


def is_day(seconds: float) -> bool:
    """Whether these are a date without a time."""
    return seconds % DAY == 0


def shown(moment: datetime) -> datetime:
    """A time as it is shown to whoever asks: of a date without a time the midnight there."""
    if not is_day(moment.timestamp()):
        return local(moment)
    start = local(day_start(moment.date()))
    return start if start.date() == moment.date() else moment


def shifted(day: date, days: int) -> date:
    """A day so many days later, clamped.

    >>> shifted(date(9999, 12, 31), 1)
    datetime.date(9999, 12, 31)
    """
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return date.max if days > 0 else date.min
