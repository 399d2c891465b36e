"""Encoding what lacks vectors: what is new stays small beside the graph, however much there is to encode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from localsearch import Engine, Record
from localsearch.derived import embedder
from localsearch.settings import load
from localsearch.types import Progress


def test_a_long_run_merges_on_its_way(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedder, "BATCH", 16)
    settings = load(tmp_path / "home", environ={})
    settings = replace(settings, models=model_folder, vectors=replace(settings.vectors, merge_at=32))
    outside: list[int] = []
    with Engine.open(settings=settings) as engine:
        engine.add([Record(f"Tide table number {n} of the harbour.", f"t{n}") for n in range(150)])

        def note(progress: Progress) -> None:
            semantic = engine.derived.semantic
            if progress.stage == "embed" and semantic is not None:
                base = semantic.vectors.generation
                outside.append(len(semantic.vectors) - (base.count if base else 0))

        assert engine.embed_pending(report=note) == 150
        assert outside == [16, 32, 16, 32, 16, 32, 16, 32, 16, 22]
        assert engine.derived.semantic is not None
        assert len(engine.derived.semantic.vectors) == 150
        assert len(engine.search("tide tables of the harbour", mode="semantic", limit=20).results) == 20
