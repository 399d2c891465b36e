"""What the children do until a fault strikes. Each tells what it begins and what was confirmed, line by line.

A line is written with one system call to a file opened for appending, so it is there however the child ends.
"""

from __future__ import annotations

import gc
import os
import random
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import world

from localsearch import Engine
from localsearch.errors import LocalSearchError
from localsearch.indexing import indexer
from localsearch.types import Progress, Record
from localsearch.upkeep.backup import restore

Tell = Callable[[str, Any], None]
STEPS = 10


def adding(home: Path, seed: int, tell: Tell) -> None:
    """Store new documents and new texts for old ones."""
    chosen = random.Random(seed)
    with world.open_engine(home) as engine:
        for step in range(STEPS):
            sent = [Record(f"Seed {seed} step {step}. {r.text}", r.id) for r in _some(chosen, step)]
            values = {str(record.id): record.text for record in sent}
            tell("begin", {"put": values})
            engine.add(sent)
            tell("done", {"put": values})


def deleting(home: Path, seed: int, tell: Tell) -> None:
    """Delete documents one after the other."""
    with world.open_engine(home) as engine:
        for number in world.shuffled(seed, 80)[:STEPS]:
            tell("begin", {"delete": [f"d{number}"]})
            engine.delete(f"d{number}")
            tell("done", {"delete": [f"d{number}"]})


def merging(home: Path, seed: int, tell: Tell) -> None:
    """Add, delete and embed so that generation follows generation."""
    chosen = random.Random(seed)
    with world.open_engine(home, settings=world.settings_at(home, merge_at=8)) as engine:
        for step in range(STEPS // 2):
            sent = [Record(f"Seed {seed} merge {step}. {r.text}", r.id) for r in _some(chosen, step, 9)]
            values = {str(record.id): record.text for record in sent}
            tell("begin", {"put": values})
            engine.add(sent)
            tell("done", {"put": values})
            engine.embed_pending()
            generation = engine.derived.semantic.vectors.generation  # type: ignore[union-attr]
            tell("note", {"generation": generation.number if generation else 0})


def indexing_files(home: Path, seed: int, tell: Tell) -> None:
    """Bring the index to the state of a folder, in small batches, then again after it changed."""
    indexer._BATCH_FILES = 5
    folder = Path((home.parent / "files.path").read_text("utf-8"))

    def report(step: Progress) -> None:
        if step.stage == "read":
            tell("batch", step.done)

    with world.open_engine(home) as engine:
        tell("begin", {})
        engine.index(folder, embed=False, report=report)
        tell("done", {"indexed": True})


def migrating(home: Path, seed: int, tell: Tell) -> None:
    """Open an index of an earlier format and write to it."""
    adding(home, seed, tell)


def activating(home: Path, seed: int, tell: Tell) -> None:
    """Switch between two versions."""
    with world.open_engine(home) as engine:
        for step in range(STEPS):
            salt = "ab"[(step + 1) % 2]
            name = next(v.name for v in engine.embeddings.versions() if v.precision == salt)
            tell("begin", {"active": salt})
            if step % 3 == 2:
                engine.versions.rollback()
            else:
                engine.versions.activate(name)
            tell("done", {"active": salt})


def restoring(home: Path, seed: int, tell: Tell) -> None:
    """Bring a backup back and make the derived indexes again."""
    restore(home.parent / "copy.lsb", home)
    tell("done", {"restored": True})
    with world.open_engine(home) as engine:
        engine.rebuild()
        tell("done", {"opened": True})


def purging(home: Path, seed: int, tell: Tell) -> None:
    """Delete documents to the last byte."""
    with world.open_engine(home) as engine:
        for number in world.shuffled(seed, 80)[:2]:
            tell("begin", {"delete": [f"d{number}"]})
            engine.purge([f"d{number}"])
            tell("done", {"delete": [f"d{number}"]})


def backing_up(home: Path, seed: int, tell: Tell) -> None:
    """Write one backup."""
    with world.open_engine(home, read_only=True) as engine:
        engine.backup(home.parent / f"backup-{seed}.lsb")
        tell("done", {"backup": seed})


def failing_writes(home: Path, seed: int, tell: Tell) -> None:
    """Add until an error, tell it, and try twice more."""
    try:
        with world.open_engine(home) as engine:
            refused = 0
            for step in range(STEPS):
                record = Record(f"Seed {seed} step {step}. {world.passages()[step]}", f"e{step}")
                tell("begin", {"put": {record.id: record.text}})
                try:
                    engine.add([record])
                except LocalSearchError as error:
                    tell("error", _told(error))
                    refused += 1
                    if refused == 3:
                        return
                    continue
                tell("done", {"put": {record.id: record.text}})
    except LocalSearchError as error:
        tell("refused", _told(error))


def examining(home: Path, seed: int, tell: Tell) -> None:
    """Open a home folder to read, then to write, check it, repair it; tell what it answers each time."""
    try:
        with world.open_engine(home, read_only=True) as engine:
            tell("read", _answers(engine))
    except LocalSearchError as error:
        tell("read refused", _told(error))
    try:
        with world.open_engine(home) as engine:
            tell("problems", [problem.message for problem in engine.check().problems])
            tell("wrote", _answers(engine))
            tell("contents", _contents(engine))
            left = engine.check(repair_=True)
            tell("left", [problem.message for problem in left.problems])
            engine.embed_pending()
            tell("mended", _answers(engine))
    except LocalSearchError as error:
        tell("refused", _told(error))


def _contents(engine: Engine) -> dict[str, str]:
    """What is stored; a damaged id may equal another's, which is for the check to notice."""
    try:
        return world.contents(engine)
    except AssertionError as error:
        return {"": str(error)}


def dying(home: Path, seed: int, tell: Tell) -> None:
    """Write, and end as by SIGKILL, so that the log of the database stays."""
    adding_open = world.open_engine(home)
    for step in range(6):
        adding_open.add(_some(random.Random(seed + step), step))
    adding_open.embed_pending()
    os.kill(os.getpid(), signal.SIGKILL)


def starving(home: Path, seed: int, tell: Tell) -> None:
    """Write with only a few descriptors left, one more each time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    for spare in range(seed):
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + spare, hard))
        failing_writes(home, spare, tell)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        gc.collect()


def hungry(home: Path, seed: int, tell: Tell) -> None:
    """Write with only some more megabytes of address space."""
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (seed << 20), resource.RLIM_INFINITY))
    try:
        adding(home, seed, tell)
    except (MemoryError, LocalSearchError) as error:
        tell("refused", str(error))


def _told(error: LocalSearchError) -> dict[str, str]:
    return {"code": error.code, "message": error.message, "hint": error.hint}


def _answers(engine: world.Engine) -> list[list[Any]]:
    """As JSON holds them."""
    return [[query, mode, hits] for (query, mode), hits in world.answers(engine).items()]


def _some(chosen: random.Random, step: int, count: int = 4) -> list[Record]:
    """Old and new documents."""
    old = [world.records(1, chosen.randrange(80))[0] for _ in range(count // 2)]
    new = world.records(count - count // 2, 100 + step * count)
    return list({record.id: record for record in [*old, *new]}.values())


ACTORS = {
    actor.__name__: actor
    for actor in (
        adding,
        deleting,
        merging,
        indexing_files,
        migrating,
        activating,
        restoring,
        purging,
        backing_up,
        failing_writes,
        examining,
        starving,
        dying,
        hungry,
    )
}
