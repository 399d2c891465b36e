"""Backups of an index under writing restore clean; those that were killed are refused."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import world
from allowed import Allowed
from harness import Fault, Nursery, need_strace

from localsearch.errors import ConflictError, DamagedError, LocalSearchError
from localsearch.types import Record
from localsearch.upkeep.backup import restore

LIVE = 20 if world.ALL else 4
KILLED = 50 if world.ALL else 8
BATCH = 3


def test_backups_under_writing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each holds a state that was there: whole batches, in order, none that was confirmed before it began missing."""
    home = tmp_path / "home"
    world.make_home(home, 40)
    confirmed = 0
    stop = threading.Event()
    sizes = []
    with world.open_engine(home) as engine:

        def write() -> None:
            nonlocal confirmed
            while not stop.is_set():
                start = 1000 + confirmed * BATCH
                engine.add(world.records(BATCH, start))
                confirmed += 1
                if confirmed % 10 == 0:
                    engine.embed_pending()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(LIVE):
                before = confirmed
                while confirmed < before + 2:
                    assert writer.is_alive()
                    time.sleep(0.01)
                before = confirmed
                engine.backup(tmp_path / f"{number}.lsb")
                after = confirmed + 1
                sizes.append((before, after))
        finally:
            stop.set()
            writer.join()
    for number, (before, after) in enumerate(sizes):
        restored = tmp_path / f"restored-{number}"
        restore(tmp_path / f"{number}.lsb", restored)
        with world.open_engine(restored) as again:
            assert again.check().ok, again.check().problems
            added = sorted(int(key[1:]) for key in world.contents(again) if int(key[1:]) >= 1000)
            assert added == list(range(1000, 1000 + len(added)))
            assert len(added) % BATCH == 0
            assert before <= len(added) // BATCH <= after
    with capsys.disabled():
        print(f"\n{LIVE} backups while {confirmed} batches were written: all restored, all sound")


def test_killed_backups_are_refused(
    nursery: Nursery, template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At any system call: no file of the name asked for, or a whole one; what is left over is refused."""
    need_strace()
    shutil.copytree(template, tmp_path / "count" / "home")
    _, events = nursery.census("backing_up", tmp_path / "count" / "home", 0)
    chosen = random.Random(3)
    results: Counter[str] = Counter()
    number = 0
    while results["killed"] < KILLED:
        number += 1
        assert number < 3 * KILLED
        folder = tmp_path / f"{number}"
        shutil.copytree(template, folder / "home")
        call, when = chosen.choice(events)
        fault = Fault(calls=(call,), action="signal=KILL", when=str(when))
        outcome = nursery.run("backing_up", folder / "home", 7, fault)
        if not outcome.killed:
            continue
        results["killed"] += 1
        target = folder / "backup-7.lsb"
        if target.exists():
            restore(target, folder / "whole")
            results["whole"] += 1
        assert target.exists() or not outcome.told
        for left in [file for file in folder.glob(".localsearch-backup-*/*") if file.name == "packed"]:
            if not target.exists():
                refuse(left, folder / "never")
                results["partial refused"] += 1
        assert not (folder / "never" / "index.db").exists()
        with world.open_engine(folder / "home") as engine:
            engine.backup(folder / "backup-8.lsb")
            assert not list(folder.glob(".localsearch-backup-*")), (
                "remains are cleared away by the next backup"
            )
        shutil.rmtree(folder)
    with capsys.disabled():
        print(f"\n{results['killed']} killed backups: {dict(results)}")


def refuse(file: Path, home: Path) -> None:
    """A partial archive restores nothing; one that was complete but for its name may."""
    try:
        restore(file, home)
    except LocalSearchError as error:
        assert isinstance(error, DamagedError), error
        return
    shutil.rmtree(home)


def test_restoring_where_another_index_was(tmp_path: Path) -> None:
    """The log and the derived files of an index whose database was moved away do not come into the restored one."""
    home = tmp_path / "home"
    held = world.make_home(home, 30)
    with world.open_engine(home) as engine:
        engine.backup(tmp_path / "copy.lsb")
        engine.add(world.records(50, 500))
        engine.embed_pending()
        shutil.copy(home / "index.db-wal", tmp_path / "wal")
        with pytest.raises(ConflictError):
            restore(tmp_path / "copy.lsb", home)
    (home / "index.db").rename(tmp_path / "moved.db")
    shutil.copy(tmp_path / "wal", home / "index.db-wal")
    restore(tmp_path / "copy.lsb", home)
    world.verify(home, Allowed(held), tmp_path / "fresh")
    with world.open_engine(home) as engine:
        engine.add([Record("Quinces are picked late.", "quince")])
        assert [hit.id for hit in engine.search("quinces", mode="lexical")] == ["quince"]
