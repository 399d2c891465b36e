"""Counts over the documents that match: by type, folder, language, tag and year."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import NamedTuple

FACETS = ("type", "folder", "language", "tag", "year")
TOP = 12
"""Values shown of each facet, commonest first."""


class FacetRow(NamedTuple):
    """What is counted of one document, as the database has it."""

    type: str
    path: str | None
    language: str
    tags: str
    modified: float | None


def facets(rows: Iterable[FacetRow]) -> dict[str, Mapping[str, int]]:
    """Count each facet's values.

    >>> facets([FacetRow("pdf", "/a/b/c.pdf", "de", "[]", 0.0)])["year"]
    {'1970': 1}
    """
    counters: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
    for row in rows:
        counters["type"][row.type] += 1
        if row.path:
            counters["folder"][str(PurePosixPath(row.path).parent)] += 1
        if row.language:
            counters["language"][row.language] += 1
        if row.tags != "[]":
            counters["tag"].update(set(json.loads(row.tags)))
        if row.modified is not None:
            counters["year"][str(datetime.fromtimestamp(row.modified, UTC).year)] += 1
    return {name: _top(counter) for name, counter in counters.items()}


def _top(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:TOP])
