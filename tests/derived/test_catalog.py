"""The map of chunks in memory: right after any change, and small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from localsearch.engine import Engine
from localsearch.settings import load
from localsearch.types import Record


def test_it_follows_changes_and_holds_four_bytes_a_chunk(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(load(tmp_path / "home", environ={}), models=model_folder)
    with Engine.open(settings=settings) as engine:
        engine.add([Record(f"The mill {number} turns.", id=f"{number}") for number in range(1_500)])
        engine.add([Record("The mill stands still.", id="7")])
        for name in "89":
            engine.delete(name)
        catalog, db = engine.derived.catalog, engine.corpus.db
        assert catalog.ids().tolist() == db.numbers("SELECT id FROM chunks ORDER BY id").tolist()
        assert catalog.documents().tolist() == db.numbers("SELECT id FROM documents ORDER BY id").tolist()
        assert (len(catalog), catalog.document_count) == (1_498, 1_498)
        held = [value.nbytes for value in vars(catalog).values() if isinstance(value, np.ndarray)]
        assert 4 * 1_498 <= sum(held) <= 4 * (1_501 * 9 // 8 + 2_100)
        before = catalog.owner.copy()
        monkeypatch.setattr("localsearch.store.corpus._BLOCK", 7)
        assert engine.corpus.owners().tolist() == before[: int(catalog.ids()[-1]) + 1].tolist()
