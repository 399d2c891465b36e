"""A folder that cannot be written, a clock that was set back, too few descriptors, too little memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import world
from harness import Nursery, need_root

from localsearch.errors import LocalSearchError, ReadOnlyError
from localsearch.types import Record

STEPS = 40 if world.ALL else 6


@pytest.fixture
def sealed(nursery: Nursery, template: Path, tmp_path: Path) -> Iterator[Path]:
    """A home folder on a disk that was made read-only after its writer was killed: part of it is in the log."""
    need_root("mounting a read-only disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m,mode=700", "localsearch-test", str(disk)]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.decode().strip()}")
    try:
        shutil.copytree(template, disk / "home")
        assert nursery.run("dying", disk / "home", 4).killed
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        yield disk / "home"
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_read_only_folder_is_searched_and_not_written(sealed: Path, tmp_path: Path) -> None:
    shutil.copytree(sealed, tmp_path / "copy")
    with world.open_engine(tmp_path / "copy") as writable:
        right, held = world.answers(writable), world.contents(writable)
    with world.open_engine(sealed, read_only=True) as engine:
        assert world.contents(engine) == held, "what is only in the log is there"
        world.same_answers(world.answers(engine), right)
        with pytest.raises(ReadOnlyError) as caught:
            engine.add([Record("No.", "no")])
        assert caught.value.hint
    with pytest.raises(ReadOnlyError, match="cannot be written"):
        world.open_engine(sealed)


def test_the_command_line_on_a_read_only_folder(sealed: Path, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("Something to index.", "utf-8")
    done = run_command(sealed, "--json", "search", "--mode", "lexical", "water")
    assert done.returncode == 0, done.stderr
    assert "water" in json.loads(done.stdout)["results"][0]["text"].lower()
    done = run_command(sealed, "index", "--no-embed", str(tmp_path / "file.txt"))
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def run_command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "localsearch", "--home", str(home), "--offline", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_a_clock_that_was_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes are counted, not dated: nothing is lost or taken for old, and going back goes by the order."""
    home = tmp_path / "home"
    held = world.make_home(home, 30, versions="ab")
    now = time.time
    with world.open_engine(home) as engine:
        files = tmp_path / "files"
        files.mkdir()
        (files / "a.txt").write_text("The first text about quinces.", "utf-8")
        engine.index(files, embed=False)
        engine.versions.activate(2)
        monkeypatch.setattr(time, "time", lambda: now() - 86_400 * 365)
        engine.versions.activate(1)
        engine.versions.build(world.HashingEncoder("c"))
        engine.versions.activate(3)
        assert engine.versions.rollback().id == 1, "the one before, not the one with the latest date"
        (files / "a.txt").write_text("The second text is about medlars.", "utf-8")
        os.utime(files / "a.txt", (now() - 86_400 * 365,) * 2)
        assert engine.index(files, embed=False).files.changed == 1
        engine.add([Record("Written in the past.", "past")])
        engine.embed_pending()
        assert engine.search("medlars", mode="lexical").results
        assert not engine.search("quinces", mode="lexical").results
    with world.open_engine(home) as engine:
        assert engine.check().ok, engine.check().problems
        assert world.contents(engine).keys() == {*held, "past", str(files / "a.txt")}


@pytest.mark.slow
def test_descriptors_run_out(
    nursery: Nursery, template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    shutil.copytree(template, home)
    with world.open_engine(home) as engine:
        held = world.contents(engine)
    outcome = nursery.run("starving", home, STEPS * 4)
    assert outcome.status == 0, outcome.error
    errors = outcome.of("refused") + outcome.of("error")
    assert errors, "descriptors never ran out"
    assert all(error["hint"] and "damaged" not in error["code"] for error in errors), errors
    world.verify(home, outcome.allowed(held), tmp_path / "fresh")
    with capsys.disabled():
        print(f"\ndescriptors: {len(errors)} refusals, {len(outcome.of('done'))} confirmed, none lost")


def test_memory_runs_out(
    nursery: Nursery, template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However a process ends that has no memory, what it confirmed is there."""
    with world.open_engine(template) as engine:
        held = world.contents(engine)
    ends = []
    for megabytes in range(2, 2 + STEPS * 12, 12):
        home = tmp_path / f"{megabytes}" / "home"
        shutil.copytree(template, home)
        outcome = nursery.run("hungry", home, megabytes)
        ends.append("refused" if outcome.of("refused") else outcome.status)
        world.verify(home, outcome.allowed(held), tmp_path / f"{megabytes}" / "fresh")
        shutil.rmtree(home)
    with capsys.disabled():
        print(f"\nmemory: ended with {ends}, nothing confirmed lost")


def test_a_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LocalSearchError) as caught:
        world.open_engine(tmp_path / "none", read_only=True)
    assert "localsearch index" in caught.value.hint
