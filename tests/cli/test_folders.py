"""`folders` and `versions build`, with a server that holds the index and without one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from golden.tiny_bert import Tiny, make
from serving import Served, serving, settings_at

from localsearch.cli.main import main
from localsearch.engine import Engine
from localsearch.models import Card, ModelStore


@pytest.fixture
def garden(tmp_path: Path) -> Path:
    folder = tmp_path / "garden"
    folder.mkdir()
    for name, text in {
        "roses.txt": "Roses want sun.",
        "hoe.txt": "A hoe for weeds.",
        "old.log": "Weeds.",
    }.items():
        (folder / name).write_text(text)
    return folder


@contextmanager
def held(home: Path) -> Iterator[Served]:
    """A server that holds the index of a home folder, as `serve` does."""
    settings = settings_at(home)
    with Engine.open(settings=settings) as engine, serving(engine, settings) as served:
        assert engine.ownership
        engine.ownership.announce(served.url, served.service.keyring.token)
        yield served


@pytest.fixture(params=["alone", "beside a server"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOCALSEARCH_MODELS", str(tmp_path / "models"))
    if request.param == "alone":
        yield tmp_path / "home"
        return
    with held(tmp_path / "home"):
        yield tmp_path / "home"


def run(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> tuple[int, str]:
    code = main(["--home", str(home), "--offline", *words])
    told = capsys.readouterr()
    return code, told.out + told.err


def found(capsys: pytest.CaptureFixture[str], home: Path, query: str) -> list[str]:
    capsys.readouterr()
    assert main(["--home", str(home), "--offline", "--json", "search", "--mode", "lexical", query]) == 0
    return sorted(Path(hit["path"]).name for hit in json.loads(capsys.readouterr().out)["results"])


def test_folders_are_managed(home: Path, garden: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, home, "index", str(garden), "--no-embed")[0] == 0
    code, told = run(capsys, home, "folders", "exclude", str(garden), "*.log")
    assert (code, f"{garden}: from now on without *.log." in told) == (0, True)
    assert found(capsys, home, "weeds") == ["hoe.txt"]
    code, told = run(capsys, home, "folders", "list")
    assert code == 0
    assert told.splitlines() == [
        str(garden),
        "  2 documents, looked through just now",
        "  without *.log",
    ]
    (garden / "bulbs.txt").write_text("Tulips and weeds.")
    assert run(capsys, home, "folders", "scan")[0] == 0
    assert found(capsys, home, "weeds") == ["bulbs.txt", "hoe.txt"]
    code, told = run(capsys, home, "folders", "exclude", str(garden), "--clear")
    assert (code, f"{garden}: from now on nothing is left out." in told) == (0, True)
    assert found(capsys, home, "weeds") == ["bulbs.txt", "hoe.txt", "old.log"]
    code, told = run(capsys, home, "folders", "forget", str(garden))
    assert (code, "is forgotten: 4 files are not found any more." in told) == (0, True)
    assert (found(capsys, home, "weeds"), (garden / "hoe.txt").exists()) == ([], True)
    assert "Nothing is indexed yet" in run(capsys, home, "folders", "list")[1]


def test_what_is_no_folder_of_the_index_is_told(
    home: Path, garden: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, home, "index", str(garden), "--no-embed")
    for words in (("forget",), ("scan",), ("exclude", "--clear")):
        code, told = run(capsys, home, "folders", *words, str(garden / "nowhere"))
        nowhere = f"error: {garden / 'nowhere'} is not one of the folders that were added."
        assert (code, told.split("\n")[:2]) == (1, [nowhere, f"  These were: {garden}."])
        code, told = run(capsys, home, "folders", *words, "--collection", "papers", str(garden))
        assert code == 1
        assert told.startswith(
            f"error: No folder was added in the collection papers, so {garden} is none of them.\n  `localsearch folders"
        )
    assert run(capsys, home, "folders", "exclude", str(garden))[0] == 2


def test_an_empty_path_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = run(capsys, home, "index", "")
    assert (code, "A path is empty" in told) == (2, True)


def test_a_server_builds_and_activates_versions(
    tmp_path: Path, garden: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, models = tmp_path / "home", tmp_path / "models"
    settings = replace(settings_at(home), models=models)
    for name, seed in (("one", 0), ("two", 1)):
        make(tmp_path / name, Tiny(seed=seed))
        card = Card(name, languages=("en",), max_tokens=40, layers=2)
        ModelStore(settings, [card]).import_folder(tmp_path / name)
    settings = replace(settings, model=replace(settings.model, name="one"))
    monkeypatch.setenv("LOCALSEARCH_MODELS", str(models))
    with Engine.open(settings=settings) as engine, serving(engine, settings) as served:
        assert engine.ownership
        engine.ownership.announce(served.url, served.service.keyring.token)
        engine.index(garden)
        code, told = run(capsys, home, "versions", "build", "--model", "two")
        assert (code, f"The server at {served.url} holds the index" in told) == (0, True), told
        ready = next(state for state in engine.versions.states() if state.model == "two")
        assert (ready.state, ready.pending) == ("ready", 0)
        assert f"{ready.name} is ready." in told
        assert run(capsys, home, "versions", "activate", str(ready.id))[0] == 0
        active = engine.embeddings.active()
        assert active is not None
        assert active.model == "two"
        assert f"localsearch versions compare 1 {ready.id}" in told
        code, told = run(capsys, home, "versions", "compare", "1", str(ready.id), "when to prune roses")
        assert (code, "known items, MRR@10" in told, "1 asked" in told) == (0, True, True), told
        code, told = run(capsys, home, "versions", "compare", "1", "7")
        assert (code, "There is no version 7" in told) == (1, True), told
        assert run(capsys, home, "versions", "rollback")[0] == 0
        active = engine.embeddings.active()
        assert active is not None
        assert active.model == "one"
        code, told = run(capsys, home, "versions", "gc")
        assert (code, "MB freed." in told) == (0, True), told
        assert [state.model for state in engine.versions.states()] == ["one"]
        code, told = run(capsys, home, "versions", "rollback")
        assert (code, "No version was active before this one" in told) == (1, True), told
        code, told = run(capsys, home, "versions", "build", "--model", "nobody")
        assert (code, "nobody" in told) == (1, True)


def test_one_is_told_as_one(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lone").mkdir()
    (tmp_path / "lone" / "rose.txt").write_text("Roses want sun.")
    (tmp_path / "lone" / "torn.pdf").write_bytes(b"%PDF-1.7\nnothing more")
    run(capsys, home, "index", str(tmp_path / "lone"), "--no-embed")
    assert "1 document, 1 file could not be read, looked through" in run(capsys, home, "folders", "list")[1]
