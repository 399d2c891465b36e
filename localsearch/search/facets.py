"""Counts over the documents that match: by type, folder, language, tag and year.

A hundred thousand match where a word is common, so values are counted by column: what is done in Python is done for
each value that occurs, or for each document that has copies.
"""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from localsearch import days
from localsearch.checked import FIRST_SECOND, LAST_SECOND
from localsearch.store import FacetColumns

FACETS = ("type", "folder", "language", "tag", "year")
TOP = 12
"""Values shown of each facet, commonest first."""
_Folders = frozenset[str]


def facets(columns: FacetColumns) -> dict[str, Mapping[str, int]]:
    """Count each facet's values. A folder counts what is in it and below it, as a filter on its path does.

    Where all documents are of one year, its months are counted too.

    >>> facets(FacetColumns(["pdf"], ["/a/b/c.pdf"], ["de"], ["[]"], [None], [0.0], [0], {}))["year"]
    {'1970': 1}
    """
    dates = _Dates(columns.dates, columns.floating)
    years = _years(columns.years, dates)
    languages = Counter(columns.languages)
    del languages[""]
    counted: dict[str, Mapping[str, int]] = {
        "type": _top(Counter(columns.types)),
        "folder": _top(_folders(_homes(columns))),
        "language": _top(languages),
        "tag": _top(_tags(columns.tags)),
        "year": _top(years),
    }
    if len(years) == 1:
        counted["month"] = dates.months(next(iter(years)))
    return counted


class _Dates:
    """The dates of documents: which year or month each is in, where whoever asks is, as a filter has it."""

    def __init__(self, seconds: Sequence[float | None], floating: Sequence[int]) -> None:
        found = np.array(seconds, np.float64)
        known = (found >= FIRST_SECOND) & (found <= LAST_SECOND)
        self._seconds = np.where(known, found, 0.0)
        self._known = known
        self._anywhere = np.array(floating, np.bool_) | (self._seconds % days.DAY == 0)

    def years(self, without: NDArray[np.bool_]) -> Counter[str]:
        """How many are in each year, but for those that metadata gives another."""
        known = self._known & ~without
        local, utc = self._seconds[known & ~self._anywhere], self._seconds[known & self._anywhere]
        near = np.unique(_year_of(local))
        starts = np.unique(np.concatenate([near - 1, near, near + 1])) if len(near) else near
        begun = [days.year_start(int(year)).timestamp() for year in starts]
        there = starts[np.searchsorted(begun, local, side="right") - 1]
        return _numbered(np.concatenate([there, _year_of(utc)]))

    def months(self, year: str) -> dict[str, int]:
        """How many are in each month of a year, as `date:2024-05` finds them; what tells only a year is in none."""
        if not (year.isdigit() and 1 <= int(year) < 9999):
            return {}
        firsts = [date(int(year), month, 1) for month in range(1, 13)] + [date(int(year) + 1, 1, 1)]
        counts = np.zeros(14, np.int64)
        for anywhere in (True, False):
            starts = [_midnight(first) if anywhere else days.day_start(first).timestamp() for first in firsts]
            chosen = self._seconds[self._known & (self._anywhere == anywhere)]
            counts += np.bincount(np.searchsorted(starts, chosen, side="right"), minlength=14)
        return {f"{year}-{month:02}": int(counts[month]) for month in range(1, 13) if counts[month]}


def _midnight(day: date) -> float:
    """The seconds by which a date without a time is kept."""
    return float((day - date(1970, 1, 1)).days * days.DAY)


def _year_of(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """The year of each of these in UTC."""
    whole = np.floor(seconds).astype(np.int64).astype("datetime64[s]")
    return whole.astype("datetime64[Y]").astype(np.int64) + 1970


def _numbered(years: NDArray[np.int64]) -> Counter[str]:
    values, counts = np.unique(years, return_counts=True)
    return Counter({str(year): int(number) for year, number in zip(values, counts)})


def _years(named: Sequence[int | float | None], dates: _Dates) -> Counter[str]:
    """The years by which a filter `year:` finds the documents: those that metadata names, else those of their dates."""
    has_name = [year is not None for year in named]
    years = dates.years(np.array(has_name, np.bool_))
    for year, number in Counter(compress(named, has_name)).items():
        assert year is not None
        years[f"{year:g}" if abs(year) < 1e6 else str(year)] += number
    return years


def _tags(columns: Sequence[str]) -> Counter[str]:
    """Documents of each tag; none of those whose row is damaged, which showing the document tells."""
    counts: Counter[str] = Counter()
    for stored, number in Counter(columns).items():
        try:
            counts.update(dict.fromkeys({tag for tag in json.loads(stored) if isinstance(tag, str)}, number))
        except (ValueError, TypeError, RecursionError):
            continue
    return counts


def _homes(columns: FacetColumns) -> Counter[_Folders]:
    """How many documents are in each folder, or are in several by their copies."""
    alone = Counter(
        path.rpartition("/")[0] or "/"
        for at, path in enumerate(columns.paths)
        if path and path[0] == "/" and at not in columns.copies
    )
    homes = Counter({frozenset([folder]): number for folder, number in alone.items()})
    for at, others in columns.copies.items():
        own = columns.paths[at]
        if own is not None:
            homes[frozenset(posixpath.dirname(path) for path in (own, *others) if path.startswith("/"))] += 1
    return homes


def _folders(homes: Mapping[_Folders, int]) -> Counter[str]:
    """Documents in and below each folder, from the one that holds all of them down.

    That one is left out where it only leads to others.

    >>> sorted(_folders({frozenset(["/n/a", "/n/b"]): 1, frozenset(["/n/a/x"]): 1}).items())
    [('/n/a', 2), ('/n/a/x', 1), ('/n/b', 1)]
    """
    direct: _Folders = frozenset().union(*homes)
    if not direct:
        return Counter()
    top = posixpath.commonpath(direct)
    counts: Counter[str] = Counter()
    for folders, number in homes.items():
        counts.update(dict.fromkeys((above for one in folders for above in _up_to(one, top)), number))
    if top not in direct:
        del counts[top]
    return counts


def _up_to(folder: str, top: str) -> Iterable[str]:
    """A folder and those around it, as far as `top`."""
    while folder != top:
        yield folder
        folder = posixpath.dirname(folder)
    yield top


def _top(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:TOP])
