"""Folders of every earlier format open and keep their content; a newer format is refused with words."""

from __future__ import annotations

import sqlite3
import tarfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import world

from localsearch.errors import FormatError
from localsearch.server.database import ServiceDatabase
from localsearch.store.schema import MIGRATIONS
from localsearch.types import Record

FORMATS = Path(__file__).parent / "formats"
STORED = sorted(file.name.removesuffix(".tar.xz") for file in FORMATS.glob("*.tar.xz"))


def unpacked(name: str, folder: Path) -> Path:
    with tarfile.open(FORMATS / f"{name}.tar.xz") as tar:
        tar.extractall(folder, filter="data")
    return folder / "home"


def wrongly_hashed(name: str) -> int:
    """Passages of files without a title, two tables and at first a text: hashed without the name until 0006."""
    return 18 if name < "0005" else 13 if name < "0006" else 0


def test_there_is_one_of_the_present_format() -> None:
    """A release that changes the format stores a folder of it: 37 documents of data/sample, embedded by hashing."""
    assert MIGRATIONS[-1][0] in STORED
    assert all((FORMATS / f"{name}.tar.xz").stat().st_size < 200_000 for name in STORED)


@pytest.mark.parametrize("name", STORED)
def test_an_earlier_format_opens(name: str, tmp_path: Path) -> None:
    home = unpacked(name, tmp_path)
    with world.open_engine(home) as engine:
        assert engine.check().ok, engine.check().problems
        held = world.contents(engine)
        assert len(held) == 37
        texts = {record.id: record.text for record in world.records(20)}
        assert {key: held[key] for key in texts} == texts
        status = engine.status()
        assert (status.documents, status.files["indexed"]) == (37, 17)
        assert status.chunks - status.embedded_chunks == wrongly_hashed(name)
        assert engine.embed_pending() == wrongly_hashed(name)
        assert engine.status().semantic_coverage == 1.0
        assert engine.check().ok
        assert engine.judgements.grades() == {"sourdough starter": {"d0": 1}}
        before = world.answers(engine)
        engine.add([Record("A new one about quinces.", "new")])
        engine.embed_pending()
        assert [hit.id for hit in engine.search("quinces", mode="lexical")] == ["new"]
        assert engine.check().ok
        engine.delete("new")
    with world.open_engine(tmp_path / "fresh") as fresh:
        fresh.add([Record(held[key], key) for key in sorted(texts)])
        fresh.index(world.SAMPLE / "kitchen", embed=False)
        fresh.index(world.SAMPLE / "garden", embed=False)
        for (query, mode), hits in world.answers(fresh).items():
            if mode == "lexical":
                assert len(hits) == len(before[query, mode])


@pytest.mark.parametrize("name", [name for name in STORED if name < "0005"])
def test_half_floats_and_two_bytes_stay_until_they_are_made_anew(name: str, tmp_path: Path) -> None:
    """Vectors as releases before 0005 kept them: read as they are, beside new ones; the next merge makes int12."""
    home = unpacked(name, tmp_path)
    assert _sizes(home) == {2 * world.DIMENSIONS: 89}
    old = set(_stored_halves(home))
    settings = world.settings_at(home)
    settings = replace(settings, vectors=replace(settings.vectors, tombstone_share=0.3))
    with world.open_engine(home, settings=settings) as engine:
        semantic = engine.derived.semantic
        assert semantic is not None
        assert semantic.vectors.generation is not None
        kept = 89 - wrongly_hashed(name)
        assert (semantic.vectors.generation.storage, len(semantic.vectors)) == ("int16", kept)
        ids, vectors = engine.embeddings.vectors_of(1, semantic.vectors.ids())
        assert {vector.astype("<f2").tobytes() for vector in vectors} == {*_stored_halves(home)} <= old
        np.testing.assert_allclose(semantic.vectors.vectors_of(ids), vectors, atol=2e-5)
        engine.embed_pending()
        assert engine.check().ok
        before = world.answers(engine)
        assert semantic.vectors.generation.storage == "int16"
        engine.add(world.records(40, start=30))
        engine.embed_pending()
        assert semantic.vectors.generation.storage == "int12"
        for number in range(30, 70):
            engine.delete(f"d{number}")
        assert engine.check().ok
        world.same_answers(world.answers(engine), before)
    assert {2 * world.DIMENSIONS, 4 + world.DIMENSIONS * 3 // 2} == _sizes(home).keys()


@pytest.mark.parametrize("name", [name for name in STORED if name < "0006"])
def test_a_vector_under_a_wrong_hash_leaves_no_byte(name: str, tmp_path: Path) -> None:
    """It was made with the name of the file that came first, and a purge of that file once left it there."""
    home = unpacked(name, tmp_path)
    with closing(sqlite3.connect(home / "index.db")) as connection:
        ((key, blob),) = connection.execute(
            "SELECT d.key, v.vector FROM documents AS d JOIN chunks AS c ON c.document_id = d.id"
            " JOIN vectors AS v ON v.hash = c.hash WHERE d.title = 'substitutions.csv' ORDER BY c.id LIMIT 1"
        )
    with world.open_engine(home) as engine:
        assert engine.db.one("SELECT count(*) FROM vectors WHERE vector = ?", (blob,)) == 0
        engine.purge([key])
        assert [file for file in home.rglob("*") if file.is_file() and blob in file.read_bytes()] == []
        assert engine.check().ok


def _sizes(home: Path) -> dict[int, int]:
    with closing(sqlite3.connect(home / "index.db")) as connection:
        return dict(connection.execute("SELECT length(vector), count(*) FROM vectors GROUP BY 1").fetchall())


def _stored_halves(home: Path) -> list[bytes]:
    with closing(sqlite3.connect(home / "index.db")) as connection:
        return [blob for (blob,) in connection.execute("SELECT vector FROM vectors")]


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    home = unpacked(STORED[-1], tmp_path)
    connection = sqlite3.connect(home / "index.db")
    connection.execute("INSERT INTO migrations VALUES ('9999_from_the_future', 0)")
    connection.commit()
    connection.close()
    for read_only in (False, True):
        with pytest.raises(FormatError, match="newer release") as caught:
            world.open_engine(home, read_only=read_only)
        assert "Upgrade" in caught.value.hint


def test_a_newer_vector_index_is_refused(tmp_path: Path) -> None:
    home = unpacked(STORED[-1], tmp_path)
    manifest = home / "vectors" / "1" / "manifest.json"
    values = msgspec.json.decode(manifest.read_bytes())
    manifest.write_bytes(msgspec.json.encode({**values, "format": 1_000}))
    with pytest.raises(FormatError, match="newer release"):
        world.open_engine(home)


def test_a_newer_service_database_is_refused(tmp_path: Path) -> None:
    ServiceDatabase(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "service.db")
    connection.execute("PRAGMA user_version = 1000")
    connection.close()
    with pytest.raises(FormatError, match="newer release"):
        ServiceDatabase(tmp_path)
