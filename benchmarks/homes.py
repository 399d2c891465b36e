"""Indexes of passages, built once per state of the code and kept for every suite that searches them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.context import Context


def ensure(context: Context, count: int) -> tuple[str, dict[str, Any]]:
    """The folder of an index over the first `count` passages, and what building it took.

    Up to `sizes.embedded` passages it has real vectors, handed in from the cache, beyond that none.
    """
    parent = _parent(context, count)
    home, figures = parent / str(count), parent / f"{count}.json"
    if not figures.exists():
        if not context.reuse:
            _forget_others(parent)
        parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        context.say(f"building an index of {count} passages")
        figures.write_text(json.dumps(_build(context, count, home), indent=2))
    return str(home.absolute()), json.loads(figures.read_text())


def _parent(context: Context, count: int) -> Path:
    """Where this code's indexes are; with `reuse`, where former code left one of this size, the last one first."""
    homes = context.cache / "homes"
    own = homes / machine.state(machine.ENGINE)
    if context.reuse and not (own / f"{count}.json").exists():
        former = sorted(homes.glob(f"*/{count}.json"), key=lambda file: file.stat().st_mtime)
        return former[-1].parent if former else own
    return own


def _build(context: Context, count: int, home: Path) -> dict[str, Any]:
    home.mkdir(parents=True)
    file = str(context.passages.absolute())
    if count > context.sizes.embedded:
        with context.ours(model=False) as ours:
            built = ours.words(file=file, count=count, home=str(home))
            return {**built, **_memory(ours), "commit": machine.commit()}
    vectors = str(context.vectors(count))
    with context.ours() as ours:
        built = ours.build(file=file, count=count, home=str(home), vectors=vectors)
        return {**built, **_memory(ours), "commit": machine.commit()}


def _memory(process: Any) -> dict[str, float]:
    usage = process.usage()
    return {"peak": usage["peak"]}


def _forget_others(keep: Path) -> None:
    """Indexes of former states of the code go: they are large, and never used again."""
    if keep.parent.exists():
        for other in keep.parent.iterdir():
            if other != keep:
                shutil.rmtree(other, ignore_errors=True)
