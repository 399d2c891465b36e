"""Facets, counted by column, beside the same counted document by document."""

from __future__ import annotations

import json
import posixpath
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from localsearch import days
from localsearch.checked import moment
from localsearch.engine import Engine
from localsearch.filters import dated_sql
from localsearch.search.facets import TOP, facets
from localsearch.settings import Settings
from localsearch.store import FacetColumns

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia")


def one_by_one(columns: FacetColumns) -> dict[str, dict[str, int]]:
    """The counts of each facet's values, by the plainest way there is."""
    counts: dict[str, Counter[str]] = {
        name: Counter() for name in ("type", "folder", "language", "tag", "year")
    }
    months: Counter[str] = Counter()
    placed = []
    for at, (type, own, language, tags, year, seconds, floating) in enumerate(zip(*columns[:7], strict=True)):
        counts["type"][type] += 1
        counts["language"].update([language] if language else [])
        counts["tag"].update({tag for tag in _json(tags) if isinstance(tag, str)})
        when = moment(seconds)
        shown = when and (when if floating else days.shown(when))
        counts["year"].update([f"{year:g}"] if year is not None else [str(shown.year)] if shown else [])
        months.update([f"{shown:%Y-%m}"] if shown else [])
        paths = [own, *columns.copies.get(at, ())] if own is not None else []
        placed.append({posixpath.dirname(path) for path in paths if path.startswith("/")})
    every = set().union(*placed)
    top = posixpath.commonpath(every) if every else ""
    for folders in placed:
        counts["folder"].update({above for folder in folders for above in _above(folder, top)})
    if top not in every:
        del counts["folder"][top]
    found = {name: _first(counter) for name, counter in counts.items()}
    if len(counts["year"]) == 1:
        (year,) = counts["year"]
        found["month"] = {month: months[month] for month in sorted(months) if month.startswith(f"{year}-")}
    return found


def _json(text: str) -> list[object]:
    try:
        found = json.loads(text)
        return found if isinstance(found, list) else []
    except ValueError:
        return []


def _above(folder: str, top: str) -> list[str]:
    return [folder] if folder == top else [folder, *_above(posixpath.dirname(folder), top)]


def _first(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:TOP])


def made_up(chance: random.Random, number: int, first: int, last: int) -> FacetColumns:
    """Columns of documents whose dates lie between two moments; some at the edges of years and months."""
    folders = ["/n", "/n/a", "/n/a/b", "/n/c d", "/n/é"]

    def day() -> float | None:
        kind = chance.random()
        if kind < 0.05:
            return chance.choice([None, 1e18, -1e18, float("inf")])
        at = datetime.fromtimestamp(chance.randint(first, last), UTC)
        if kind < 0.4:
            return at.replace(hour=0, minute=0, second=0).timestamp()
        if kind < 0.7:
            edge = at.replace(month=chance.choice([1, at.month]), day=1, hour=0, minute=0, second=0)
            return edge.timestamp() + chance.randint(-15, 15) * 3600 + chance.choice([-0.001, 0.001, 0.5])
        return at.timestamp() + chance.random()

    def path() -> str | None:
        return chance.choice([None, "", *(f"{folder}/{chance.randint(0, 9)}.md" for folder in folders)])

    times = range(number)
    return FacetColumns(
        [chance.choice(["pdf", "text"]) for _ in times],
        [path() for _ in times],
        [chance.choice(["", "de", "en"]) for _ in times],
        [chance.choice(["[]", '["x"]', '["x", "y", "x", 3]', "{"]) for _ in times],
        [chance.choice([None] * 20 + [1999, 2001.5, -3]) if last - first > 4e7 else None for _ in times],
        [day() for _ in times],
        [int(chance.random() < 0.2) for _ in times],
        {at: [f"{chance.choice(folders)}/copy {at}"] for at in times if chance.random() < 0.1},
    )


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("first", "last"),
    [(-62_000_000_000, 200_000_000_000), (0, 1_800_000_000), (1_714_600_000, 1_727_600_000)],
)
def test_columns_are_counted_as_documents_are(zone: str, first: int, last: int) -> None:
    chance = random.Random(f"{zone} {first}")
    with days.in_zone(ZoneInfo(zone)):
        for number in (0, 1, 7, 400):
            columns = made_up(chance, number, first, last)
            assert facets(columns) == one_by_one(columns)


def test_the_months_of_one_year_are_counted() -> None:
    stamps = [
        1_709_251_200.0,
        1_709_251_199.0,
        1_717_200_000.0,
        1_717_200_000.5,
    ]  # ends of February and May 2024
    columns = FacetColumns(["a"] * 4, [None] * 4, [""] * 4, ["[]"] * 4, [None] * 4, stamps, [0] * 4, {})
    with days.in_zone(ZoneInfo("America/New_York")):
        assert facets(columns)["month"] == {"2024-02": 1, "2024-03": 1, "2024-05": 1, "2024-06": 1}
    with days.in_zone(ZoneInfo("Asia/Kolkata")):
        assert facets(columns)["month"] == {"2024-03": 2, "2024-06": 2}


def test_copies_are_found_whether_all_are_known_or_some_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("a/one", "heron"), ("b/same", "heron"), ("b/two", "stork"), ("c/three", "crane")):
        file = tmp_path / "birds" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    settings = Settings(home=tmp_path / "home", models=tmp_path / "none", offline=True)
    with Engine.open(settings=settings) as engine:
        engine.index(tmp_path / "birds", embed=False)
        corpus = engine.searcher.corpus

        def counted() -> dict[str, int]:
            ids = engine.searcher.derived.catalog.documents()
            found = facets(corpus.facet_columns(ids.tolist(), *dated_sql()))["folder"]
            return {path.rpartition("/")[2]: number for path, number in found.items()}

        assert counted() == {"a": 1, "b": 2, "c": 1}
        monkeypatch.setattr("localsearch.store.corpus._MANY", 1)
        assert counted() == {"a": 1, "b": 2, "c": 1}
        (tmp_path / "birds" / "c" / "again.txt").write_text("stork")
        engine.index(tmp_path / "birds", embed=False)
        assert counted() == {"a": 1, "b": 2, "c": 2}
