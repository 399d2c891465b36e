"""Documents and folders by a part of their names: whole names first, in any case, and nothing out of sight."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import settings_at

from localsearch.engine import Engine
from localsearch.types import Record, Scope

FILES = (
    "garden/garden plan.txt",
    "garden/plan.txt",
    "garden/old/garden-plan-2019.txt",
    "garden/old/explanation.txt",
    "garden/tools/rake_100%.txt",
    "house/plan.md",
    "house/Übung macht den Meister.txt",
    "house/roof garden/beams.txt",
    "house/.ssh/plan.pem",
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    top = tmp_path_factory.mktemp("named")
    for name in FILES:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(f"Something about {name} alone.")
    with Engine.open(settings=settings_at(top / "home")) as one:
        one.index(top / "garden", embed=False)
        one.index(top / "house", embed=False)
        one.add([Record("Sent by a program.", "p-1", "The plan of a program")])
        yield one


@pytest.fixture(scope="module")
def top(engine: Engine) -> Path:
    return engine.settings.home.parent


def names(engine: Engine, typed: str, limit: int = 9, within: Scope | None = None) -> list[str]:
    rows = engine.folders.documents_named(typed, limit, within)
    return [row.path.rpartition("/")[2] if row.path else row.key for row in rows]


def folders(engine: Engine, typed: str, within: Scope | None = None) -> list[str]:
    top = engine.settings.home.parent
    return [str(Path(path).relative_to(top)) for _, path in engine.folders.named(typed, 9, within)]


def test_a_whole_name_comes_first_then_its_beginning_then_the_shortest(engine: Engine) -> None:
    assert names(engine, "plan") == [
        "plan.md",
        "plan.txt",
        "garden plan.txt",
        "garden-plan-2019.txt",
        "explanation.txt",
        "p-1",
    ]
    assert names(engine, "garden") == ["garden plan.txt", "garden-plan-2019.txt"]
    assert names(engine, "GARDEN-PLAN-2019.txt") == ["garden-plan-2019.txt"]
    assert names(engine, "plan", 2) == ["plan.md", "plan.txt"]


def test_every_word_must_be_in_the_name_and_no_letter_is_special(engine: Engine) -> None:
    assert names(engine, "plan garden") == ["garden plan.txt", "garden-plan-2019.txt"]
    assert names(engine, "rake_1") == ["rake_100%.txt"]
    assert names(engine, "100%") == ["rake_100%.txt"]
    assert names(engine, "r_ke") == []
    assert names(engine, "g%n") == []
    assert names(engine, " ") == names(engine, "plan", 0) == []


@pytest.mark.parametrize("typed", ["übung", "ÜBUNG", unicodedata.normalize("NFD", "Übung"), "meister"])
def test_letters_of_other_alphabets_ignore_case_too(engine: Engine, typed: str) -> None:
    assert names(engine, typed) == ["Übung macht den Meister.txt"]


def test_folders_at_any_depth_and_none_above_what_was_indexed(engine: Engine, top: Path) -> None:
    assert folders(engine, "gard") == ["garden", "house/roof garden"]
    assert folders(engine, "OLD") == ["garden/old"]
    assert folders(engine, top.name) == []
    assert folders(engine, "garden/old") == folders(engine, " ") == []


def test_what_is_out_of_sight_is_not_named(engine: Engine, top: Path) -> None:
    old = Scope((), (str(top / "garden" / "old"),))
    assert names(engine, "plan", within=old) == ["garden-plan-2019.txt", "explanation.txt"]
    assert folders(engine, "garden", old) == []
    assert folders(engine, "old", old) == ["garden/old"]
    assert names(engine, "plan", within=Scope(("other",), ())) == []
    assert folders(engine, "garden", Scope(("other",), ())) == []


def test_names_of_secrets_are_not_told(engine: Engine) -> None:
    assert [row.path for row in engine.ledger.troubled("indexed") if "pem" in row.path] == []
    assert names(engine, "pem") == []
    assert folders(engine, "ssh") == []


def test_a_copy_in_sight_is_named_by_its_own_place(engine: Engine, top: Path) -> None:
    copy = top / "house" / "copied.txt"
    shutil.copyfile(top / "garden" / "plan.txt", copy)
    engine.index(top / "house", embed=False)
    house = Scope((), (str(top / "house"),))
    (found,) = engine.folders.documents_named("copied", 5, house)
    assert (found.path, found.key, found.title) == (str(copy), str(copy), "copied.txt")
    assert "plan.txt" not in names(engine, "plan", within=house)
