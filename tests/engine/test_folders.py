"""Folders of an index: listed with their counts, kept with their patterns, forgotten with what was read from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import settings_at

from localsearch.engine import Engine
from localsearch.errors import NotFoundError
from localsearch.types import Scope


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(settings=settings_at(tmp_path / "home")) as one:
        yield one


@pytest.fixture
def garden(tmp_path: Path) -> Path:
    folder = tmp_path / "garden"
    for name, text in {
        "roses.txt": "Roses want sun.",
        "sheds/hoe.txt": "A hoe for weeds.",
        "sheds/draft.log": "A log of weeds.",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "torn.pdf").write_bytes(b"%PDF-1.7\nnothing more")
    return folder


def words(engine: Engine, query: str) -> list[str]:
    return sorted(hit.id.rsplit("/", 1)[1] for hit in engine.search(query, mode="lexical"))


def test_a_folder_tells_what_is_in_it(engine: Engine, garden: Path) -> None:
    engine.index(garden, embed=False)
    (found,) = engine.folders.listed()
    assert (found.path, found.collection, found.documents) == (str(garden), "default", 3)
    assert found.files == {"indexed": 3, "skipped": 0, "failed": 1}
    assert found.checked is not None
    assert found.changed is not None
    assert found.checked >= found.changed
    assert (found.include, found.exclude, found.held, found.missing) == ((), (), False, False)
    garden.rename(garden.parent / "elsewhere")
    assert engine.folders.listed()[0].missing


def test_what_is_left_out_stays_left_out(engine: Engine, garden: Path) -> None:
    engine.index(garden, exclude=["*.log"], embed=False)
    assert words(engine, "weeds") == ["hoe.txt"]
    engine.index(garden, embed=False)
    assert words(engine, "weeds") == ["hoe.txt"]
    assert engine.folders.listed()[0].exclude == ("*.log",)
    engine.folders.set_patterns(str(garden), "default", include=[], exclude=["hoe*"])
    engine.index(garden, embed=False)
    assert words(engine, "weeds") == ["draft.log"]
    engine.folders.set_patterns(str(garden), "default", include=[], exclude=[])
    engine.index(garden, embed=False)
    assert words(engine, "weeds") == ["draft.log", "hoe.txt"]


def test_a_forgotten_folder_is_found_no_more_and_its_files_stay(engine: Engine, garden: Path) -> None:
    engine.index(garden, embed=False)
    engine.index(garden, collection="other", embed=False)
    outcome = engine.folders.forget(str(garden), "default")
    assert (outcome.path, outcome.files) == (str(garden), 3)
    assert [folder.collection for folder in engine.folders.listed()] == ["other"]
    assert len(engine.search("weeds", mode="lexical")) == 2
    assert engine.search("weeds", mode="lexical", collection="other").results != ()
    assert engine.corpus.tally("collection") == {"other": 3}
    assert engine.ledger.counts(Scope(("default",))) == {"indexed": 0, "skipped": 0, "failed": 0}
    assert (garden / "roses.txt").exists()
    with pytest.raises(NotFoundError):
        engine.folders.forget(str(garden), "default")


def test_what_another_folder_holds_stays(engine: Engine, garden: Path) -> None:
    engine.index(garden, embed=False)
    engine.index(garden / "sheds", include=["*.txt"], embed=False)
    assert [folder.path for folder in engine.folders.listed()] == [str(garden), str(garden / "sheds")]
    assert engine.folders.forget(str(garden), "default").files == 1
    assert words(engine, "weeds OR roses") == ["hoe.txt"]
    engine.index(garden, embed=False)
    assert engine.folders.forget(str(garden / "sheds"), "default").files == 0
    assert words(engine, "hoe OR roses") == ["hoe.txt", "roses.txt"]


def test_a_scope_shows_the_part_of_a_folder_that_it_may_see(engine: Engine, garden: Path) -> None:
    (garden / "copy.txt").write_text("A hoe for weeds.")
    engine.index(garden, embed=False)
    sheds = str(garden / "sheds")
    (part,) = engine.folders.listed(Scope((), (sheds,)))
    assert (part.path, part.documents, part.files["indexed"], part.files["failed"]) == (sheds, 2, 2, 0)
    assert [one.path for one in engine.folders.listed(Scope((), (str(garden.parent),)))] == [str(garden)]
    assert engine.folders.listed(Scope(("other",))) == []
    assert engine.folders.listed(Scope((), (f"{garden}en",))) == []
    seen = engine.reader.recent(10, within=Scope((), (sheds,)))
    assert sorted(row.path or "" for row in seen) == [f"{sheds}/draft.log", f"{sheds}/hoe.txt"]


def test_the_latest_change_comes_first(engine: Engine, garden: Path) -> None:
    import os

    for at, name in enumerate(("sheds/draft.log", "roses.txt", "sheds/hoe.txt")):
        os.utime(garden / name, (1_700_000_000 + at, 1_700_000_000 + at))
    engine.index(garden, embed=False)
    rows = engine.reader.recent(2)
    assert [(row.path, row.modified) for row in rows] == [
        (f"{garden}/sheds/hoe.txt", 1_700_000_002.0),
        (f"{garden}/roses.txt", 1_700_000_001.0),
    ]
