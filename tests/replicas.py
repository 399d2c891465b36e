"""Indexes, shipping folders and readers for tests of replication."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from localsearch.engine import Engine
from localsearch.replication.intake import Present
from localsearch.replication.replica import Replica
from localsearch.replication.ship import Shipped, ship
from localsearch.replication.sources import FolderSource
from localsearch.settings import Settings
from localsearch.types import Record


def settings_at(home: Path) -> Settings:
    return Settings(home=home, models=home.parent / "no-models", offline=True)


def open_index(home: Path) -> Engine:
    return Engine.open(settings=settings_at(home))


def add(engine: Engine, first: int, count: int) -> None:
    """Documents n… with a word of their own each, and one that all have."""
    engine.add(
        [Record(f"kiln glaze {n} word{n} " + "ash " * (n % 7), f"n{n}") for n in range(first, first + count)]
    )


def shipped(engine: Engine, target: Path, *, verify: bool = False) -> Shipped:
    return ship(engine.settings, engine.db, target, verify=verify)


def take(home: Path, source: Path) -> tuple[Present, int]:
    """Have a reader's folder take what is published; the bytes that were fetched for it."""
    replica = Replica(home)
    replica.make()
    present, found = replica.current(), FolderSource(source)
    manifest = found.manifest(None)
    if not replica.wants(manifest, present) and present:
        return present, 0
    intake = replica.intake(found)
    taken = replica.take(manifest, intake, present)
    replica.publish(taken)
    return taken, intake.fetched


def hits(engine: Engine, query: str = "kiln glaze") -> list[tuple[str, float]]:
    return [(hit.id, hit.score) for hit in engine.search(query, limit=50)]


def hits_of(present: Present, query: str = "kiln glaze") -> list[tuple[str, float]]:
    """What a snapshot answers."""
    with Engine(replace(settings_at(present.folder), home=present.folder), read_only=True) as engine:
        return hits(engine, query)
