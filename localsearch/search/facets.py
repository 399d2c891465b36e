"""Counts over the documents that match: by type, folder, language, tag and year."""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping

from localsearch import days
from localsearch.checked import moment
from localsearch.store import FacetRow

FACETS = ("type", "folder", "language", "tag", "year")
TOP = 12
"""Values shown of each facet, commonest first."""


def facets(rows: Iterable[FacetRow]) -> dict[str, Mapping[str, int]]:
    """Count each facet's values. A folder counts what is in it and below it, as a filter on its path does.

    Where all documents are of one year, its months are counted too.

    >>> facets([FacetRow("pdf", ("/a/b/c.pdf",), "de", "[]", None, 0.0, 0)])["year"]
    {'1970': 1}
    """
    rows = list(rows)
    counters: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
    for row in rows:
        counters["type"][row.type] += 1
        if row.language:
            counters["language"][row.language] += 1
        if row.tags != "[]":
            counters["tag"].update(_tags(row.tags))
        if year := _year(row):
            counters["year"][year] += 1
    counters["folder"] = _folders(row.paths for row in rows if row.paths)
    counted: dict[str, Mapping[str, int]] = {name: _top(counter) for name, counter in counters.items()}
    if len(counters["year"]) == 1:
        counted["month"] = _months(rows, next(iter(counters["year"])))
    return counted


def _months(rows: Iterable[FacetRow], year: str) -> dict[str, int]:
    """Documents of each month of a year, as `date:2024-05` finds them; those that tell only a year have none."""
    dates = ((moment(row.date), row.floating) for row in rows)
    months = (f"{date if floating else days.shown(date):%Y-%m}" for date, floating in dates if date)
    return dict(sorted(Counter(month for month in months if month.startswith(f"{year}-")).items()))


def _year(row: FacetRow) -> str:
    """The year by which a filter `year:` finds the document; "" for none."""
    if row.year is not None:
        return f"{row.year:g}" if abs(row.year) < 1e6 else str(row.year)
    if (date := moment(row.date)) is None:
        return ""
    return str((date if row.floating else days.shown(date)).year)


def _tags(stored: str) -> set[str]:
    """A document's tags, each once; none where the database is damaged, which showing the document tells."""
    try:
        return {tag for tag in json.loads(stored) if isinstance(tag, str)}
    except (ValueError, TypeError, RecursionError):
        return set()


def _folders(documents: Iterable[tuple[str, ...]]) -> Counter[str]:
    """Documents in and below each folder, from the one that holds all of them down.

    That one is left out where it only leads to others.

    >>> sorted(_folders([("/n/a/1.md", "/n/b/1.md"), ("/n/a/x/2.md",)]).items())
    [('/n/a', 2), ('/n/a/x', 1), ('/n/b', 1)]
    """
    homes = Counter(
        frozenset(posixpath.dirname(path) for path in paths if path.startswith("/")) for paths in documents
    )
    direct: frozenset[str] = frozenset().union(*homes)
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
