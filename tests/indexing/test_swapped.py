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
from localsearch.indexing.roots import OpenRoot
from localsearch.scan import raw_of
from localsearch.server.files import open_original
from localsearch.settings import load
from localsearch.types import Progress
from localsearch.watch.pending import Changes

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


def swap_root(shared: Path, private: Path) -> None:
    shared.rename(shared.with_name("aside"))
    shared.symlink_to(private)


def swap_root_for_a_link_to_a_link(shared: Path, private: Path) -> None:
    shared.rename(shared.with_name("aside"))
    shared.with_name("step").symlink_to(private)
    shared.symlink_to(shared.with_name("step"))


def swap_folder_above(shared: Path, private: Path) -> None:
    """The folder that holds the root becomes a link to one that holds a folder of the same name."""
    above = shared.parent
    above.rename(above.with_name("aside"))
    (private / shared.name).mkdir()
    (private / shared.name / "target.txt").write_text("marker of a private file")
    above.symlink_to(private)


@pytest.mark.parametrize("swap", [swap_root, swap_root_for_a_link_to_a_link, swap_folder_above])
@pytest.mark.parametrize("part", [False, True], ids=["whole", "one path"])
def test_a_watched_root_that_was_replaced_is_not_read(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: Swap, part: bool
) -> None:
    """What asks then is a change of files, which anybody who may write there can make."""
    shared, private = tmp_path / "above" / "shared", tmp_path / "private"
    shared.mkdir(parents=True)
    private.mkdir()
    (shared / "target.txt").write_text("harmless words")
    (private / "target.txt").write_text("marker of a private file")
    engine.index(shared, embed=False)
    before = engine.ledger.roots()
    updates: list[Callable[[Changes], None]] = []

    class Watching:
        def __init__(self, roots: list[Path], update: Callable[[Changes], None], **_: object) -> None:
            updates.append(update)

        def start(self) -> None:
            pass

    monkeypatch.setattr("localsearch.engine.engine.Watcher", Watching)
    engine.watch()
    swap(shared, private)
    with pytest.raises(RootUnreadable, match="leads to"):
        updates[0](Changes(shared, (shared / "target.txt",) if part else (), not part))
    assert engine.ledger.roots() == before
    assert engine.search("marker private", mode="lexical").total == 0
    assert engine.search("harmless", mode="lexical").total == 1


def test_scans_are_read_later_from_the_root_that_was_indexed(
    engine: Engine, places: tuple[Path, Path]
) -> None:
    shared, private = places
    engine.index(shared, embed=False)
    swap_root(shared, private)
    assert engine.ledger.leads_to("default", str(shared / "z")) == str(shared / "z")
    for root in (shared, shared / "z"):
        with pytest.raises(RootUnreadable, match="leads to"):
            OpenRoot(root, true=engine.ledger.leads_to("default", str(root)))


def test_names_are_listed_in_the_folder_that_was_checked(
    engine: Engine, places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root that is swapped after it was held against the allowed ones tells no name of another folder."""
    shared, private = places
    (private / "marker.so").write_bytes(b"\x7fELF")
    opened = OpenRoot.__init__

    def swapped(self: OpenRoot, *arguments: object, **options: object) -> None:
        opened(self, *arguments, **options)  # type: ignore[arg-type]
        swap_root(shared, private)

    monkeypatch.setattr(OpenRoot, "__init__", swapped)
    with pytest.raises(RootUnreadable, match="was replaced"):
        engine.index(shared, embed=False, roots=[shared])
    assert engine.ledger.at(str(shared / "marker.so")) == engine.ledger.at(str(private / "marker.so")) == []


def test_a_named_file_that_becomes_a_link_is_not_read(
    engine: Engine, places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, private = places
    wanted = shared / "z" / "target.txt"
    opened = OpenRoot.__init__

    def swapped(self: OpenRoot, *arguments: object, **options: object) -> None:
        opened(self, *arguments, **options)  # type: ignore[arg-type]
        swap_file(shared, private)

    monkeypatch.setattr(OpenRoot, "__init__", swapped)
    assert engine.index(wanted, embed=False, roots=[shared]).files.new == 0
    assert engine.search("marker private", mode="lexical").total == 0


@pytest.mark.parametrize("link", [False, True], ids=["rewritten", "hard link"])
def test_an_original_that_became_a_secret_is_not_served(
    engine: Engine, places: tuple[Path, Path], link: bool
) -> None:
    shared, private = places
    key = private / "target.txt"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n")
    engine.index(shared, embed=False)
    wanted = shared / "z" / "target.txt"
    roots = [(os.fsencode(shared), os.fsencode(shared))]
    if link:
        wanted.unlink()
        os.link(key, wanted)
    else:
        wanted.write_bytes(key.read_bytes())
    with pytest.raises(NotFoundError):
        open_original(os.fsencode(wanted), "text", roots)
    os.close(open_original(os.fsencode(wanted), "text", roots, secrets=True).descriptor)
    os.close(open_original(os.fsencode(wanted), "text", [(os.fsencode(wanted),) * 2]).descriptor)
