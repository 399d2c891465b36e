"""A disk that is full and a disk that fails: a clear error, nothing confirmed lost, and it goes on afterwards."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import world
from harness import Fault, Nursery, need_root, need_strace

from localsearch.errors import DiskFullError, LocalSearchError
from localsearch.types import Record

SIZES = range(8, 65) if world.ALL else (8, 21, 64)
EIO_RUNS = 1_000 if world.ALL else 6


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A tmpfs of this size."""
    need_root("mounting a small disk")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "localsearch-test", str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(engine: world.Engine, held: dict[str, str], number: int) -> LocalSearchError | None:
    """Add documents until the disk is full; `held` has what was confirmed. None if that never happens."""
    words = " ".join(world.passages())
    for step in range(400):
        record = Record(f"{number}-{step} " + words[step * 50 : step * 50 + 30_000], f"big{number}-{step}")
        try:
            engine.add([record])
        except LocalSearchError as error:
            held["under way"] = str(record.id)
            return error
        held[str(record.id)] = record.text
        if step % 8 == 7:
            with suppress(DiskFullError):  # a new vector index needs room of its own
                engine.embed_pending()
    return None


@pytest.mark.parametrize("megabytes", SIZES)
def test_a_full_disk(megabytes: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with small_disk(tmp_path / "disk", megabytes) as disk:
        home = disk / "home"
        held = world.make_home(tmp_path / "made" / "home", 40)
        shutil.copytree(tmp_path / "made" / "home", home)
        used = sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(max(0, (megabytes << 20) * 7 // 8 - used - (2 << 20))))
        confirmed: dict[str, str] = dict(held)
        with world.open_engine(home) as engine:
            error = fill(engine, confirmed, 0)
            assert isinstance(error, DiskFullError), error
            assert "full" in error.message or "free" in error.message
            assert "room" in error.hint or "space" in error.hint
            assert engine.search("sourdough starter", mode="lexical").results, "searching goes on"
            assert isinstance(fill(engine, confirmed, 1), DiskFullError)
        with world.open_engine(home, read_only=True) as reader:
            assert reader.search("sourdough starter", mode="lexical").results, "searching a full disk"
        try:
            world.open_engine(home).close()
        except LocalSearchError as again:
            assert isinstance(again, DiskFullError), again
        subprocess.run(["mount", "-o", f"remount,size={megabytes + 200}m", str(disk)], check=True)
        under_way = confirmed.pop("under way", None)
        with world.open_engine(home) as engine:
            assert engine.check().ok, engine.check().problems
            found = world.contents(engine)
            assert {key for key in found if key not in confirmed} <= {
                under_way,
                "big0-0",
                *found,
            } - held.keys()
            assert {key: found.get(key) for key in confirmed} == confirmed
            engine.add([Record("There is room again.", "room")])
            engine.embed_pending()
            assert engine.check().ok
            assert [hit.id for hit in engine.search("room again", mode="lexical")][:1] == ["room"]
    with capsys.disabled():
        print(f"\ndisk of {megabytes} MiB: full after {len(confirmed) - len(held)} documents, none lost")


def test_a_disk_that_fails_stops_the_writing(
    nursery: Nursery, template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """EIO at one fsync: what comes after is refused until the index is opened again."""
    need_strace()
    with world.open_engine(template) as engine:
        held = world.contents(engine)
    shutil.copytree(template, tmp_path / "count")
    _, events = nursery.census("failing_writes", tmp_path / "count", 1)
    syncs = [event for event in events if event[0] in ("fsync", "fdatasync")]
    assert len(syncs) > 20
    random.Random(5).shuffle(syncs)
    results: Counter[str] = Counter()
    for number, (call, when) in enumerate(sorted(set(syncs[:EIO_RUNS]))):
        home = tmp_path / f"{number}" / "home"
        shutil.copytree(template, home)
        outcome = nursery.run(
            "failing_writes", home, 1, Fault(calls=(call,), action="error=EIO", when=str(when))
        )
        assert outcome.status == 0, outcome.error
        words = [word for word, _ in outcome.told]
        failed = "error" in words
        if failed:
            assert "done" not in words[words.index("error") :], f"{call} {when}: {outcome.told}"
            assert {value["code"] for value in outcome.of("error")} == {"storage"}, [
                v["message"] for v in outcome.of("error")
            ]
            assert all(value["hint"] for value in outcome.of("error"))
        results["stopped" if failed else "refused" if "refused" in words else "not met"] += 1
        try:
            world.verify(home, outcome.allowed(held), tmp_path / f"{number}" / "fresh")
        except BaseException as error:
            error.add_note(f"{call} {when}")
            raise
        shutil.rmtree(home)
    with capsys.disabled():
        print(f"\nEIO at {sum(results.values())} of {len(set(syncs))} syncs: {dict(results)}")
    assert results["stopped"] > 0
