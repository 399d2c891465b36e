"""Words that are taken apart while their documents are stored: the same index as without, whatever goes wrong."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from localsearch import Engine
from localsearch.errors import UsageError
from localsearch.lexical import analysis_pool
from localsearch.types import Record

RECORDS = [
    Record(
        f"Passage {n} of volume {n % 7} reads 1,{n:03} volts. " * 3, f"r{n}", f"Title {n}", {"tags": ["red"]}
    )
    for n in range(analysis_pool.MANY + 100)
]


def held(home: Path, cores: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """All that an index of the records holds, but for times."""
    monkeypatch.setattr(analysis_pool, "cores", lambda: cores)
    with Engine.open(home) as engine:
        for start in range(0, len(RECORDS), 400):
            engine.add(RECORDS[start : start + 400])
        lexical: Any = engine.derived.lexical
        searcher = lexical._searcher
        assert bool(lexical._pool._threads) == (cores > 1), "processes were started, or not"
        assert engine.check().ok
        terms = {name: searcher.terms_with_prefix(name, "") for name in ("text", "plain", "words")}
        found = [hit.id for hit in engine.search("1017", mode="lexical", limit=3)]
    database = sqlite3.connect(home / "index.db")
    rows = {
        "documents": "SELECT id, key, title, language, tags FROM documents ORDER BY id",
        "chunks": "SELECT id, document_id, start, stop, place, hash FROM chunks ORDER BY id",
        "bodies": "SELECT id, text FROM bodies ORDER BY id",
        "changes": "SELECT document_id FROM changes ORDER BY seq",
    }
    stored = {name: database.execute(sql).fetchall() for name, sql in rows.items()}
    database.close()
    return {**stored, **terms, "found": found}


def test_an_index_is_the_same_with_one_process_and_with_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, several = (held(tmp_path / str(cores), cores, monkeypatch) for cores in (1, 3))
    assert [key for _, key, *_ in several["documents"]] == [record.id for record in RECORDS]
    assert sorted(several["found"]) == ["r1017", "r17"]
    assert one == several


def test_records_that_are_refused_together_leave_nothing_behind(tmp_path: Path) -> None:
    with Engine.open(tmp_path) as engine:
        engine.add(RECORDS[:1])
        with pytest.raises(UsageError, match=f"record {len(RECORDS) - 1}: A document needs text"):
            engine.add([*RECORDS[1:], Record("")])
        assert engine.corpus.document_count() == 1
        assert [hit.id for hit in engine.search("1017", mode="lexical")] == []
        engine.add([Record("Something", "before")])
        engine.add([Record("Something else", "last")])
        pool: Any = engine.derived.lexical
        assert pool._pool._waiting == 0
        assert [hit.id for hit in engine.search("else", mode="lexical")] == ["last"]
