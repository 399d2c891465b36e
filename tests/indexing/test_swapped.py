"""A file, a folder or a root that is swapped for a link while it is indexed tells nothing of where the link leads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from localsearch.engine import Engine
from localsearch.errors import NotFoundError, RootUnreadable
from localsearch.scan import raw_of
from localsearch.server.files import open_original
from localsearch.settings import load
from localsearch.types import Progress

Swap = Callable[[Path, Path], None]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine.open(settings=replace(load(tmp_path / "home", environ={}), models=tmp_path)) as opened:
        yield opened


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with 600 files, so that it is read in steps, and a private one with a file of the same name."""
    shared, private = tmp_path / "shared", tmp_path / "private"
    (shared / "z").mkdir(parents=True)
    private.mkdir(mode=0o700)
    for number in range(600):
        (shared / f"{number:03}.txt").write_text(f"bread number {number}")
    (shared / "z" / "target.txt").write_text("harmless words")
    (private / "target.txt").write_text("marker of a private file")
    return shared, private


def swap_file(shared: Path, private: Path) -> None:
    (shared / "z" / "target.txt").unlink()
    (shared / "z" / "target.txt").symlink_to(private / "target.txt")


def swap_folder(shared: Path, private: Path) -> None:
    shutil.rmtree(shared / "z")
    (shared / "z").symlink_to(private)


def hard_device(shared: Path, private: Path) -> None:
    (shared / "z" / "target.txt").unlink()
    os.mkfifo(shared / "z" / "target.txt")


@pytest.mark.parametrize("swap", [swap_file, swap_folder, hard_device])
def test_what_is_swapped_after_the_scan_is_a_failure(
    engine: Engine, places: tuple[Path, Path], swap: Swap
) -> None:
    shared, private = places
    done: list[bool] = []

    def report(step: Progress) -> None:
        if step.stage == "scan" and step.done >= 500 and not done:
            done.append(True)

    def cancelled() -> bool:
        # Asked before every file is opened: from here on the scan is over and the reading has begun.
        if done == [True] and engine.ledger.db.one("SELECT count(*) FROM documents"):
            swap(shared, private)
            done.append(True)
        return False

    outcome = engine.index(shared, embed=False, report=report, cancelled=cancelled)
    assert len(done) == 2
    assert outcome.files.new == 600
    assert engine.search("marker private", mode="lexical").total == 0
    (row,) = engine.why(shared / "z" / "target.txt")
    assert (row.state, row.rule) == ("failed", "special")


def test_an_original_is_not_served_through_a_link(engine: Engine, places: tuple[Path, Path]) -> None:
    shared, private = places
    engine.index(shared, embed=False)
    roots = [(raw_of(path), raw_of(how["true"])) for _, path, how in engine.ledger.roots()]
    wanted = os.fsencode(shared / "z" / "target.txt")
    os.close(open_original(wanted, "text", roots).descriptor)
    swap_folder(shared, private)
    with pytest.raises(NotFoundError):
        open_original(wanted, "text", roots)
    shared.rename(shared.with_name("aside"))
    (private / "z").mkdir()
    (private / "z" / "target.txt").write_text("private too")
    shared.symlink_to(private)
    with pytest.raises(NotFoundError):
        open_original(wanted, "text", roots)


def test_a_root_that_is_a_link_is_indexed_and_served(engine: Engine, places: tuple[Path, Path]) -> None:
    shared, _ = places
    link = shared.with_name("link")
    link.symlink_to(shared)
    assert engine.index(link, embed=False).files.new == 601
    roots = [(raw_of(path), raw_of(how["true"])) for _, path, how in engine.ledger.roots()]
    assert roots == [(os.fsencode(link), os.fsencode(shared))]
    os.close(open_original(os.fsencode(link / "000.txt"), "text", roots).descriptor)


def test_allowed_roots_hold_when_the_work_is_done(engine: Engine, places: tuple[Path, Path]) -> None:
    shared, private = places
    swap_folder(shared, private)
    with pytest.raises(RootUnreadable, match="leads out of the folders"):
        engine.index(shared / "z", embed=False, roots=[shared])
    assert engine.index(shared, embed=False, roots=[shared]).files.new == 600
