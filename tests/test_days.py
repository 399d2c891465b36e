"""Days are those of the zone that holds: where they begin, where clocks are put on or back, and at the ends of time."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import ONE_READER

from localsearch import Engine, Record, days
from localsearch.checked import timestamp
from localsearch.errors import FilterError, SettingsError
from localsearch.settings import load

ZONES = ("UTC", "Australia/Sydney", "Asia/Tokyo", "Europe/Berlin", "America/Los_Angeles", "America/New_York",
         "Pacific/Apia", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Kiritimati", "America/Havana")  # fmt: skip


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(settings=replace(load(tmp_path / "home"), extract=ONE_READER)) as opened:
        yield opened


def touched(folder: Path, name: str, zone: str, clock: datetime) -> None:
    """A file that was saved when clocks of the zone showed this."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"minutes of the {name} meeting\n")
    seconds = clock.replace(tzinfo=ZoneInfo(zone)).timestamp()
    os.utime(file, (seconds, seconds))


def found(engine: Engine, query: str, zone: str = "") -> list[str]:
    answer = engine.search(query, mode="lexical", limit=50, time_zone=zone)
    assert not [note for note in answer.notes if "searched as words" in note]
    return sorted(Path(hit.id).name for hit in answer.results)


@given(st.dates(), st.sampled_from(ZONES))
def test_a_day_is_from_its_midnight_to_the_next(day: date, name: str) -> None:
    with days.in_zone(ZoneInfo(name)):
        start, end = days.day_start(day), days.day_start(days.shifted(day, 1))
        assert start <= end or days.shifted(day, 1) == day
        for moment in (start, start + (end - start) / 2) if end > start else ():
            assert abs(days.local(moment).date() - day) <= timedelta(days=1 if day.year in (1, 9999) else 0)


@given(st.datetimes(), st.sampled_from(ZONES))
def test_no_time_is_an_error(moment: datetime, name: str) -> None:
    with days.in_zone(ZoneInfo(name)):
        for there in (days.utc(moment), days.local(moment.replace(tzinfo=UTC)), days.wall(moment.replace(tzinfo=UTC)),
                      days.shown(moment.replace(tzinfo=UTC))):  # fmt: skip
            assert there.tzinfo is not None


@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        ("Europe/Berlin", date(2024, 3, 31), 23),
        ("Europe/Berlin", date(2024, 10, 27), 25),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),
        ("America/Havana", date(2024, 11, 3), 25),
        ("Pacific/Apia", date(2011, 12, 30), 0),
        ("Asia/Tokyo", date(2024, 3, 31), 24),
    ],
)
def test_a_day_has_the_hours_that_it_had(name: str, day: date, hours: int) -> None:
    with days.in_zone(ZoneInfo(name)):
        assert days.day_start(days.shifted(day, 1)) - days.day_start(day) == timedelta(hours=hours)


@pytest.mark.parametrize("zone", ZONES)
def test_a_file_is_of_the_day_on_which_it_was_saved_there(engine: Engine, tmp_path: Path, zone: str) -> None:
    hours = {f"{hour:02}.txt": hour for hour in (0, 1, 8, 15, 16, 17, 19, 23)}
    for name, hour in hours.items():
        touched(tmp_path / "d", name, zone, datetime(2024, 3, 5, hour, 0))
    engine.index(tmp_path / "d", embed=False)
    for asked in ("modified:2024-03-05", "after:2024-03-05", "before:2024-03-06", "modified:20240305"):
        assert found(engine, f"minutes {asked}", zone) == list(hours), asked
    for asked in ("modified:2024-03-04", "modified:2024-03-06", "before:2024-03-05", "after:2024-03-06"):
        assert found(engine, f"minutes {asked}", zone) == [], asked
    for hit in engine.search("minutes", mode="lexical", time_zone=zone).results:
        assert hit.metadata["modified"].startswith(f"2024-03-05T{hours[Path(hit.id).name]:02}:00:00")


def test_the_days_on_which_clocks_change_are_whole(engine: Engine, tmp_path: Path) -> None:
    for zone, day in (("Europe/Berlin", date(2024, 10, 27)), ("America/Sao_Paulo", date(2018, 11, 4))):
        for hour in (1, 23):
            touched(
                tmp_path / "d", f"{day}-{hour}.txt", zone, datetime(day.year, day.month, day.day, hour, 30)
            )
    engine.index(tmp_path / "d", embed=False)
    engine.add([Record("minutes", "2018-11-04-dated.txt", metadata={"modified": "2018-11-04"})])
    assert found(engine, "minutes modified:2024-10-27", "Europe/Berlin") == [
        "2024-10-27-1.txt",
        "2024-10-27-23.txt",
    ]
    assert found(engine, "minutes modified:2018-11-04", "America/Sao_Paulo") == [
        "2018-11-04-1.txt", "2018-11-04-23.txt", "2018-11-04-dated.txt"]  # fmt: skip


@pytest.mark.parametrize("written", ["2024-03-05", "2024-03-05T20:30:00", "2024-03-05 00:30"])
def test_a_date_that_names_no_zone_is_that_day_everywhere(engine: Engine, written: str) -> None:
    engine.add([Record("minutes", name, metadata={name: written}) for name in ("date", "created", "due")])
    for zone, name in itertools.product(ZONES, ("date", "created", "due")):
        assert name in found(engine, f"minutes {name}:>=2024-03-05 {name}:<2024-03-06", zone)
        assert name not in found(engine, f"minutes {name}:>=2024-03-06", zone)
        assert name not in found(engine, f"minutes {name}:<2024-03-05", zone)


def test_front_matter_is_dated_by_its_day(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.md").write_text("---\ncreated: 2024-03-05\nmodified: 2024-01-01\n---\n\nminutes\n")
    engine.index(tmp_path / "d", embed=False)
    for zone in ZONES:
        assert found(engine, "minutes created:2024-03-05", zone) == ["a.md"]
        assert found(engine, "minutes year:2024", zone) == ["a.md"]
        answer = engine.search("minutes", mode="lexical", facets=True, time_zone=zone)
        assert answer.facets is not None
        assert answer.facets["year"] == {"2024": 1}
        assert answer.results[0].metadata["created"].startswith("2024-03-05T")


def test_the_year_is_that_of_the_zone(engine: Engine, tmp_path: Path) -> None:
    touched(tmp_path / "d", "eve.txt", "America/New_York", datetime(2023, 12, 31, 21, 0))
    engine.index(tmp_path / "d", embed=False)
    for zone, year in (("America/New_York", 2023), ("Europe/Berlin", 2024)):
        answer = engine.search("minutes", mode="lexical", facets=True, time_zone=zone)
        assert answer.facets is not None
        assert answer.facets["year"] == {str(year): 1}
        assert found(engine, f"minutes year:{year}", zone) == ["eve.txt"]
        assert found(engine, f"minutes year:{2023 + 2024 - year}", zone) == []
        assert found(engine, f"minutes year:>={year} year:<={year}", zone) == ["eve.txt"]


def test_the_zone_of_the_machine_the_settings_and_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched(tmp_path / "d", "note.txt", "UTC", datetime(2024, 3, 4, 21, 30))
    home = tmp_path / "home"
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        with Engine.open(home) as engine:
            engine.index(tmp_path / "d", embed=False)
            assert found(engine, "minutes modified:2024-03-05") == ["note.txt"]
            assert found(engine, "minutes modified:2024-03-05", "UTC") == []
        (home / "settings.toml").write_text('time_zone = "America/New_York"\n')
        with Engine.open(settings=load(home)) as engine:
            assert found(engine, "minutes modified:2024-03-05") == []
            assert found(engine, "minutes modified:2024-03-04") == ["note.txt"]
            assert found(engine, "minutes modified:2024-03-05", "Asia/Tokyo") == ["note.txt"]
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "../etc/passwd", "Europe", "/etc/localtime", "x" * 5000, "a\0b"]
)
def test_a_name_that_is_no_zone_is_told(engine: Engine, tmp_path: Path, name: str) -> None:
    with pytest.raises(FilterError, match="no time zone") as caught:
        engine.search("minutes", time_zone=name)
    assert "Europe/Berlin" in caught.value.hint
    (tmp_path / "settings.toml").write_text('time_zone = "Mars/Olympus"\n')
    with pytest.raises(SettingsError, match="time_zone"):
        load(tmp_path)


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_dates_that_nothing_holds_are_clamped(engine: Engine, zone: str) -> None:
    engine.add([Record("minutes", "m", metadata={"created": "2024-03-05"})])
    for asked in ("after:0000-01-01", "after:0001-01-01", "before:9999-12-31", "before:99999", "before:12345-06-07",
                  "after:-0044-03-15", "created:>9999y", "created:<9999", "before:9999-12-31T23:59:59-12:00"):  # fmt: skip
        assert found(engine, f"minutes date:* {asked}", zone) == ["m"], asked
    for asked in ("modified:9999", "modified:9999-12-31", "after:99999", "before:0000", "modified:0001", "created:12345",
                  "after:9999-12", "year:0", "year:>12345"):  # fmt: skip
        assert found(engine, f"minutes {asked}", zone) == [], asked


def test_a_time_without_a_zone_is_of_the_zone_that_holds() -> None:
    with days.in_zone(ZoneInfo("Asia/Tokyo")):
        assert timestamp("2024-03-05T08:30") == datetime(2024, 3, 4, 23, 30, tzinfo=UTC).timestamp()
        assert timestamp("2024-03-05") == datetime(2024, 3, 5, tzinfo=UTC).timestamp()
        assert timestamp("2024-03-05T09:00") == datetime(2024, 3, 5, tzinfo=UTC).timestamp() + 0.001
        assert timestamp("2024-03-04T16:00-08:00") == datetime(2024, 3, 5, tzinfo=UTC).timestamp() + 0.001
