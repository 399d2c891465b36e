"""Damage to a generation is found before it is trusted; a crash leaves the former generation or the next, whole."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from localsearch.errors import DamagedError, DiskFullError, FormatError, StorageError
from localsearch.settings import VectorSettings
from localsearch.types import Ids, Vectors
from localsearch.vectors import FaissIndex
from localsearch.vectors.files import HashingFile

DIMENSIONS = 24
SETTINGS = VectorSettings(m=6, ef_construction=40)
STEP = 60
"""Generation g of the tests holds the ids below 60 g."""
SEED = 20_240_229
DAMAGES = 400


def vectors_of(ids: Ids) -> Vectors:
    """The vector of an id, the same in every process."""
    found = np.stack([np.random.default_rng(int(some)).standard_normal(DIMENSIONS) for some in ids])
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def ids_of(generation: int) -> Ids:
    return np.arange(generation * STEP)


def add_generation(index: FaissIndex) -> None:
    number = index.generation.number + 1 if index.generation else 1
    fresh = ids_of(number)[-STEP:]
    index.add(fresh, vectors_of(fresh))
    index.publish(index.merge(threads=1))


def holds_exactly(index: FaissIndex, generation: int) -> None:
    """The index has the vectors of this generation, finds them by themselves, and has nothing else."""
    ids = ids_of(generation)
    assert index.ids().tolist() == ids.tolist()
    assert index.check() == []
    for some, vector in zip(ids[::7], vectors_of(ids[::7])):
        found = index.search(vector, 3)
        assert found.ids[0] == some
        assert found.scores[0] == pytest.approx(1, abs=1e-3)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a third generation."""
    folder = tmp_path_factory.mktemp("sound") / "vectors"
    index = FaissIndex.open(folder, DIMENSIONS, SETTINGS)
    for _ in range(3):
        add_generation(index)
    return folder


def damages(folder: Path) -> Iterator[tuple[str, bytes]]:
    """File names with their bytes truncated, with a bit flipped, a block zeroed, or a piece moved."""
    chance = random.Random(SEED)
    for number in range(DAMAGES):
        file = chance.choice(sorted(folder.iterdir()))
        data = bytearray(file.read_bytes())
        at = chance.randrange(len(data))
        kind = number % 4
        if kind == 0:
            del data[at:]
        elif kind == 1:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            data[at : at + chance.choice((1, 16, 512))] = bytes(
                len(data[at : at + chance.choice((1, 16, 512))])
            )
        else:
            data[at:at] = bytes([chance.randrange(256)])
        yield file.name, bytes(data)


def test_damage_is_found_set_aside_and_never_answered_from(sound: Path, tmp_path: Path) -> None:
    found = harmless = 0
    for number, (name, data) in enumerate(damages(sound)):
        folder = tmp_path / str(number)
        shutil.copytree(sound, folder)
        (folder / name).write_bytes(data)
        try:
            index = FaissIndex.open(folder, DIMENSIONS, SETTINGS)
        except DamagedError as error:
            found += 1
            assert error.hint
            assert (folder / "damaged-manifest.json").exists()
            index = FaissIndex.open(folder, DIMENSIONS, SETTINGS)
            assert len(index) == 0
            assert index.generation is None
        except FormatError:
            assert name == "manifest.json"
            found += 1
        else:
            harmless += 1
            assert name == "manifest.json" or data == (sound / name).read_bytes()
            holds_exactly(index, 3)
        shutil.rmtree(folder)
    print(f"{DAMAGES} damages (seed {SEED}): {found} found, {harmless} without meaning")
    assert found + harmless == DAMAGES
    assert found >= 0.85 * DAMAGES


def test_what_was_set_aside_is_kept_and_a_new_index_grows_beside_it(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    shutil.copytree(sound, folder)
    (folder / "3.rest").write_bytes(b"")
    with pytest.raises(DamagedError, match=r"3\.rest has the wrong size"):
        FaissIndex.open(folder, DIMENSIONS, SETTINGS)
    index = FaissIndex.open(folder, DIMENSIONS, SETTINGS)
    add_generation(index)
    again = FaissIndex.open(folder, DIMENSIONS, SETTINGS)
    assert again.generation is not None
    assert again.generation.number == 4
    holds_exactly(again, 1)
    aside = sorted(path.name for path in folder.iterdir() if path.name.startswith("damaged-"))
    assert aside == ["damaged-3.graph", "damaged-3.ids", "damaged-3.rest", "damaged-manifest.json"]


@pytest.mark.parametrize("name", ["3.graph", "3.ids", "3.rest"])
def test_a_missing_file_is_damage(sound: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(sound, tmp_path / "vectors")
    (tmp_path / "vectors" / name).unlink()
    with pytest.raises(DamagedError, match=f"{name} is missing"):
        FaissIndex.open(tmp_path / "vectors", DIMENSIONS, SETTINGS)


def test_files_of_two_generations_do_not_mix(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, tmp_path / "old")
    shutil.copytree(sound, tmp_path / "new")
    add_generation(FaissIndex.open(tmp_path / "new", DIMENSIONS, SETTINGS))
    for name in ("graph", "ids", "rest"):
        shutil.copytree(tmp_path / "new", tmp_path / name)
        shutil.copy(tmp_path / "old" / f"3.{name}", tmp_path / name / f"4.{name}")
        with pytest.raises(DamagedError):
            FaissIndex.open(tmp_path / name, DIMENSIONS, SETTINGS)


def test_a_reader_reports_damage_and_moves_nothing(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    shutil.copytree(sound, folder)
    (folder / "3.ids").write_bytes(b"short")
    with pytest.raises(DamagedError):
        FaissIndex.open(folder, DIMENSIONS, SETTINGS, writable=False)
    assert sorted(path.name for path in folder.iterdir()) == ["3.graph", "3.ids", "3.rest", "manifest.json"]


def test_check_finds_damage_done_after_opening(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    shutil.copytree(sound, folder)
    index = FaissIndex.open(folder, DIMENSIONS, SETTINGS)
    data = bytearray((folder / "3.ids").read_bytes())
    data[5] ^= 1
    (folder / "3.ids").write_bytes(data)
    (folder / "3.rest").rename(folder / "elsewhere")
    assert index.check() == [
        f"{folder / '3.rest'} is missing.",
        f"{folder / '3.ids'} does not match its checksum.",
    ]


# --- crashes

CHILD = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_faults import DIMENSIONS, SETTINGS, add_generation
from localsearch.vectors import FaissIndex
from localsearch.vectors.graph import _faiss

steps = 0

def stepping(call, stop_at):
    def step():
        global steps
        steps += 1
        if steps == stop_at:
            os._exit(9)
    def stepped(*args, **kwargs):
        step()
        result = call(*args, **kwargs)
        step()
        return result
    return stepped

def publish(folder, stop_at=0):
    index = FaissIndex.open(folder, DIMENSIONS, SETTINGS)
    print("ready", flush=True)
    for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink")) if stop_at else ():
        setattr(owner, name, stepping(getattr(owner, name), stop_at))
    while True:
        add_generation(index)
        print(index.generation.number, flush=True)
        if stop_at:
            print("steps", steps, flush=True)
            os._exit(0)

folder, *stops = sys.argv[2:]
if not stops:
    publish(Path(folder))
_faiss()
for stop_at in stops:
    if os.fork() == 0:
        publish(Path(folder) / stop_at, int(stop_at))
    print("ended", os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


def child(folder: Path, *stops: int) -> subprocess.Popen[str]:
    """A process that publishes generations into a folder until it is killed.

    With `stops`: for each of them one that publishes into the folder of that name in there, and ends at that step.
    """
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(folder), *map(str, stops)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


def opens_to_one_of(folder: Path, numbers: tuple[int, ...]) -> int:
    index = FaissIndex.open(folder, DIMENSIONS, SETTINGS)
    assert index.generation is not None
    number = index.generation.number
    assert number in numbers
    holds_exactly(index, number)
    names = {path.name for path in folder.iterdir()}
    assert names == {f"{number}.graph", f"{number}.ids", f"{number}.rest", "manifest.json"}
    return number


def test_a_crash_at_any_step_of_publishing_leaves_one_generation_whole(sound: Path, tmp_path: Path) -> None:
    """The process ends before and after each fsync, renaming and deletion."""
    never = 10**6
    steps = int(crashed(sound, tmp_path, [never])[-2].removeprefix("steps "))
    assert steps >= 20
    said = crashed(sound, tmp_path, range(1, steps + 1))
    assert [line for line in said if line.startswith("ended")] == ["ended 9"] * steps
    opened = [opens_to_one_of(tmp_path / str(step), (3, 4)) for step in range(1, steps + 1)]
    assert opened == sorted(opened)
    assert set(opened) == {3, 4}
    print(f"{steps} crashes: {opened.count(3)} before publishing, {opened.count(4)} after")


def crashed(sound: Path, folder: Path, stops: Iterable[int]) -> list[str]:
    """What was said while, in a copy for each stop, a process published and ended at that step."""
    for step in stops:
        shutil.copytree(sound, folder / str(step))
    said, _ = child(folder, *stops).communicate(timeout=600)
    return said.splitlines()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_kill_at_a_random_moment_leaves_one_generation_whole(sound: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(sound, tmp_path / "vectors")
    chance = random.Random(SEED)
    reached = 3
    for _ in range(5):
        process = child(folder)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        last = reached
        for _ in range(chance.randrange(3)):
            last = int(process.stdout.readline())
        time.sleep(chance.random() * 0.15)
        process.kill()
        printed = [int(line) for line in process.communicate()[0].split()]
        last = max([last, *printed])
        reached = opens_to_one_of(folder, (last, last + 1))
    print(f"5 kills (seed {SEED}): generation {reached}")
    assert reached > 3


def test_a_reader_opens_while_another_process_publishes(sound: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(sound, tmp_path / "vectors")
    process = child(folder)
    seen: list[int] = []
    try:
        while not seen or seen[-1] < 8:
            assert process.poll() is None
            reader = FaissIndex.open(folder, DIMENSIONS, SETTINGS, writable=False)
            assert reader.generation is not None
            assert len(reader) == reader.generation.number * STEP
            seen.append(reader.generation.number)
    finally:
        process.kill()
        process.communicate()
    assert seen == sorted(seen)
    print(f"{len(seen)} times opened")


# --- disks


@pytest.mark.parametrize("after", [0, 1, 5_000, 20_000])
def test_a_disk_that_fills_up_while_writing_costs_nothing(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    folder = shutil.copytree(sound, tmp_path / "vectors")
    index = FaissIndex.open(folder, DIMENSIONS, SETTINGS)
    write = HashingFile.write

    def full(self: HashingFile, data: bytes) -> int:
        if self.size + len(data) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(HashingFile, "write", full)
        with pytest.raises(DiskFullError, match="is full"):
            add_generation(index)
    left = sorted(path.name for path in folder.iterdir() if not path.name.startswith("4."))
    assert left == ["3.graph", "3.ids", "3.rest", "manifest.json"]
    assert index.ids().tolist() == ids_of(4).tolist()
    index.publish(index.merge())
    holds_exactly(index, 4)


@pytest.mark.parametrize("number", range(1, 9))
def test_an_error_of_the_disk_is_never_taken_for_success(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Each fsync fails in turn: two for every file and two for the manifest."""
    folder = shutil.copytree(sound, tmp_path / "vectors")
    index = FaissIndex.open(folder, DIMENSIONS, SETTINGS)
    calls = 0

    def failing(_: int) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(StorageError, match="Input/output error"):
            add_generation(index)
    assert calls == number
    assert index.ids().tolist() == ids_of(4).tolist()
    reopened = FaissIndex.open(folder, DIMENSIONS, SETTINGS)
    assert reopened.generation is not None
    assert reopened.generation.number == (4 if number == 8 else 3)
    holds_exactly(reopened, reopened.generation.number)
