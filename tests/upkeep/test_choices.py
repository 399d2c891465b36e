"""Settings that are changed for good: what is written beside them stays, and nothing unreadable is ever left behind."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest

from localsearch.errors import SettingsError
from localsearch.settings import load
from localsearch.upkeep.choices import change

WRITTEN = """# Ours since spring.
offline = true   # never out

[server]
port = 9000

[extract]  # reading
ocr = "on"       # for the scans in the attic
cpu_s = 90

[[alerts.rules]]
name = "Old"
value = "stale_s"
threshold = 5
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "settings.toml").write_text(WRITTEN)
    return tmp_path


def test_every_other_line_stays(home: Path) -> None:
    before = load(home, environ={})
    after = change(before, {"extract.ocr": "off", "model.languages": "auto"})
    text = (home / "settings.toml").read_text()
    left = [line for line in WRITTEN.splitlines() if line and not line.startswith("ocr")]
    assert [line for line in text.splitlines() if line in left] == left
    assert "# for the scans in the attic" in text
    assert tomllib.loads(text)["model"] == {"languages": "auto"}
    assert (after.extract.ocr, after.model.languages) == ("off", "auto")
    assert (after.extract.cpu_s, after.server.port, after.offline) == (90, 9000, True)
    assert load(home, environ={}).extract.ocr == "off"


def test_none_goes_back_to_the_default(home: Path) -> None:
    after = change(load(home, environ={}), {"extract.ocr": None, "model.name": None})
    assert after.extract.ocr == "auto"
    assert "ocr" not in tomllib.loads((home / "settings.toml").read_text())["extract"]


def test_a_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    after = change(load(tmp_path, environ={}), {"extract.memory_mb": 512})
    assert after.extract.memory_mb == 512
    assert stat.S_IMODE((tmp_path / "settings.toml").stat().st_mode) == 0o600
    assert (tmp_path / "settings.toml").read_text() == "[extract]\nmemory_mb = 512\n"


@pytest.mark.parametrize(
    "values",
    [
        {"extract.ocr": "sometimes"},
        {"extract.memory_mb": "much"},
        {"server.require_keys": False},
        {"alerts.command": ["sh"]},
        {"extract.ocr": "off", "hub": "http://elsewhere.example"},
    ],
)
def test_what_cannot_be_is_refused_and_the_file_as_it_was(home: Path, values: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        change(load(home, environ={}), values)
    assert (home / "settings.toml").read_text() == WRITTEN
    assert [file.name for file in home.iterdir()] == ["settings.toml"]


def test_no_file_is_left_where_there_was_none(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        change(load(tmp_path, environ={}), {"extract.ocr": "sometimes"})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_is_not_written_over(home: Path) -> None:
    settings = load(home, environ={})
    (home / "settings.toml").write_text("[extract\n")
    with pytest.raises(SettingsError):
        change(settings, {"extract.ocr": "off"})
    assert (home / "settings.toml").read_text() == "[extract\n"


def test_flags_of_the_command_line_stay(home: Path) -> None:
    settings = load(home, environ={}, offline=False)
    assert change(settings, {"extract.ocr": "off"}).offline is False
