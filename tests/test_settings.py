"""Settings: what may be set, what is a constant now, and the word that a line without effect is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from localsearch import Engine
from localsearch.cli.main import main
from localsearch.errors import SettingsError
from localsearch.settings import GONE, Settings, load


def leaves(shape: Any, prefix: str = "") -> Iterator[tuple[str, Field[Any]]]:
    """Every setting and constant with its whole name."""
    kinds = get_type_hints(shape)
    for entry in fields(shape):
        if is_dataclass(kinds[entry.name]):
            yield from leaves(kinds[entry.name], f"{prefix}{entry.name}.")
        else:
            yield prefix + entry.name, entry


ALL = dict(leaves(Settings))
CONSTANTS = [
    name for name, entry in ALL.items() if entry.metadata.get("constant") and name not in ("home", "notes")
]


def written(home: Path, toml: str) -> Settings:
    home.mkdir(exist_ok=True)
    (home / "settings.toml").write_text(toml, "utf-8")
    return load(home, environ={})


def line(name: str, value: str) -> str:
    group, _, last = name.rpartition(".")
    return f"[{group}]\n{last} = {value}\n" if group else f"{last} = {value}\n"


def test_every_setting_and_constant_says_what_it_means() -> None:
    assert [name for name, entry in ALL.items() if not entry.metadata.get("meaning")] == []


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_line_that_sets_a_constant_has_no_effect_and_is_told_so(tmp_path: Path, name: str) -> None:
    default = ALL[name].default
    value = f'"{default}"' if isinstance(default, str) else "7"
    settings = written(tmp_path / "home", line(name, value))
    assert settings.notes == (
        f"{tmp_path}/home/settings.toml: {name} is a constant now, {default}; the line has no effect and can go.",
    )
    found: Any = settings
    for part in name.split("."):
        found = getattr(found, part)
    assert found == default


@pytest.mark.parametrize("name", GONE)
def test_a_setting_of_an_earlier_release_is_told_what_became_of_it(tmp_path: Path, name: str) -> None:
    (note,) = written(tmp_path / "home", line(name, "0.5")).notes
    assert f"{name} is {GONE[name]}" in note


def test_a_name_that_never_was_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        written(tmp_path / "home", "[search]\nfuzion = 'rrf'\n")
    assert "unknown setting search.fuzion" in refused.value.message


def test_a_name_within_a_list_of_groups_is_checked_too(tmp_path: Path) -> None:
    rule = '[[alerts.rules]]\nname = "Slow"\nvalue = "p99_ms"\nthreshold = 9.0\n'
    assert written(tmp_path / "home", rule).alerts.rules[0].threshold == 9.0
    with pytest.raises(SettingsError) as refused:
        written(tmp_path / "home", rule + "treshold = 1\n")
    assert "unknown setting alerts.rules.treshold" in refused.value.message


def test_what_is_set_is_read(tmp_path: Path) -> None:
    settings = written(
        tmp_path / "home", "[server]\nport = 9\n[server.limits]\nrate = 3.0\n[vectors]\nm = 16\n"
    )
    assert (settings.server.port, settings.server.limits.rate, settings.vectors.m, settings.notes) == (
        9,
        3.0,
        16,
        (),
    )


def test_the_command_line_says_the_word_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Engine.open(tmp_path / "home").close()
    written(tmp_path / "home", "[search]\ncoverage = 0.5\n")
    assert main(["--home", str(tmp_path / "home"), "status"]) == 0
    assert "search.coverage is a constant of ranking now" in capsys.readouterr().err
