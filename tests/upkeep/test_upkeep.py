"""Backup, restore, check, repair, export, import, and deletion to the last byte."""

from __future__ import annotations

import random
import shutil
import sqlite3
import tarfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from localsearch import quantize
from localsearch.engine import Engine
from localsearch.errors import ConflictError, DamagedError, LocalSearchError, NotFoundError, UsageError
from localsearch.server.database import ServiceDatabase
from localsearch.server.jobs import Jobs
from localsearch.server.keys import KeyRing, Keys
from localsearch.settings import Settings, VectorSettings, load
from localsearch.store.digests import renew_digest
from localsearch.types import Record, Scope
from localsearch.upkeep.backup import restore
from localsearch.upkeep.doctor import examine
from localsearch.upkeep.exchange import Imported


@pytest.fixture
def settings(tmp_path: Path, model_folder: Path) -> Settings:
    vectors = VectorSettings(merge_at=20)
    return replace(load(tmp_path / "home", environ={}), models=model_folder, vectors=vectors)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    with Engine.open(settings=settings) as opened:
        opened.add([Record(f"Note {n} is about topic{n} and harbours.", id=f"n{n}") for n in range(40)])
        opened.embed_pending()
        yield opened


def answers(engine: Engine) -> list[list[str]]:
    return [
        [hit.id for hit in engine.search(query, limit=10)] for query in ("topic7", "harbours", "ships at sea")
    ]


def test_a_sound_index_has_no_problems(engine: Engine) -> None:
    report = engine.check()
    assert report.problems == ()
    assert report.ok


def test_what_a_restore_left_that_was_killed_at_its_end_goes_when_the_index_is_opened(
    settings: Settings,
) -> None:
    Engine.open(settings=settings).close()
    remains = settings.home / ".localsearch-restore-killed"
    remains.mkdir()
    (remains / "service.db").write_bytes(b"keys")
    with Engine.open(settings=settings) as engine:
        assert not remains.exists()
        assert engine.check().ok


def test_a_backup_of_a_live_index_restores_to_the_same_answers(engine: Engine, tmp_path: Path) -> None:
    before = answers(engine)
    outcome = engine.backup(tmp_path / "copy.lsb")
    assert outcome.documents == 40
    home = tmp_path / "again"
    restore(tmp_path / "copy.lsb", home)
    with Engine.open(settings=replace(engine.settings, home=home)) as restored:
        assert answers(restored) == before
        assert restored.embed_pending() == 0
        assert restored.check().ok


def test_keys_and_jobs_come_back_with_the_index(engine: Engine, tmp_path: Path) -> None:
    assert not engine.backup(tmp_path / "without.lsb").service
    served = ServiceDatabase(engine.settings.home)
    key, secret = Keys(served).create("phone", "write")
    limits = Scope(collections=("notes",), paths=("/a", "/b c"))
    limited, _ = Keys(served).create("editor", within=limits)
    jobs = Jobs(served, {"index": lambda *_: {}}, 10)
    jobs.submit("index", {"paths": ["/notes"]})
    assert engine.backup(tmp_path / "copy.lsb").service
    served.close()
    home = tmp_path / "again"
    assert restore(tmp_path / "copy.lsb", home, trust=True).service
    assert (home / "service.db").stat().st_mode & 0o777 == 0o600
    back = ServiceDatabase(home)
    assert [known.id for known in Keys(back).list()] == [key.id, limited.id]
    assert Keys(back).list()[1].within == limits
    assert KeyRing(back).find(secret.encode()) == key
    assert Jobs(back, {}, 10).counts() == {"queued": 1}
    back.close()


def test_keys_revoked_since_a_backup_stay_revoked_where_they_are(engine: Engine, tmp_path: Path) -> None:
    home = engine.settings.home
    served = ServiceDatabase(home)
    key, secret = Keys(served).create("phone")
    engine.backup(tmp_path / "copy.lsb")
    Keys(served).revoke(key.id)
    served.close()
    engine.close()
    (home / "index.db").unlink()
    assert not restore(tmp_path / "copy.lsb", home).service
    back = ServiceDatabase(home)
    assert KeyRing(back).find(secret.encode()) is None
    back.close()


def test_restoring_over_an_index_is_refused(engine: Engine, tmp_path: Path) -> None:
    engine.backup(tmp_path / "copy.lsb")
    with pytest.raises(ConflictError):
        restore(tmp_path / "copy.lsb", engine.settings.home)
    with pytest.raises(UsageError, match="exists"):
        engine.backup(tmp_path / "copy.lsb")


def test_a_backup_with_any_byte_missing_or_changed_is_refused(engine: Engine, tmp_path: Path) -> None:
    engine.backup(tmp_path / "copy.lsb")
    whole = (tmp_path / "copy.lsb").read_bytes()
    chosen = random.Random(3)
    with tarfile.open(tmp_path / "copy.lsb") as tar:
        body = tar.getmember("index.db")
    for number in range(25):
        broken = bytearray(whole)
        if number % 2:
            broken[body.offset_data + chosen.randrange(body.size)] ^= 1 << chosen.randrange(8)
        else:
            del broken[chosen.randrange(body.offset_data + body.size) :]
        (tmp_path / "broken.lsb").write_bytes(broken)
        with pytest.raises(LocalSearchError):
            restore(tmp_path / "broken.lsb", tmp_path / f"never{number}")
        assert not (tmp_path / f"never{number}" / "index.db").exists()


def test_an_export_is_whole_and_comes_back(engine: Engine, tmp_path: Path) -> None:
    engine.add(
        [Record("Über Häfen.", id="de", title="Häfen", metadata={"rank": 3, "tags": ["x"], "author": "Anon"})]
    )
    assert engine.export(tmp_path / "out.jsonl") == 41
    with Engine.open(settings=replace(engine.settings, home=tmp_path / "other")) as other:
        assert other.import_file(tmp_path / "out.jsonl") == Imported(41)
        original, copy = engine.get("de"), other.get("de")
        for name in ("text", "title", "metadata", "tags", "author", "size", "type"):
            assert copy[name] == original[name], name
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    (tmp_path / "cut.jsonl").write_text("\n".join(lines[:10]) + "\n")
    with Engine.open(settings=replace(engine.settings, home=tmp_path / "third")) as third:
        with pytest.raises(DamagedError, match="ends early"):
            third.import_file(tmp_path / "cut.jsonl")
        assert third.status().documents == 9


def test_repair_rebuilds_what_is_derived_and_nothing_else(engine: Engine) -> None:
    before = answers(engine)
    semantic = engine.derived.semantic
    assert semantic is not None
    engine.derived.lexical.remove([1, 2, 3])
    engine.derived.lexical.commit(engine.corpus.seq)
    semantic.vectors.remove(semantic.vectors.ids()[:5])
    with engine.db.write() as connection:
        connection.execute("UPDATE vectors SET vector = zeroblob(length(vector)) WHERE id IN (7, 8)")
    found = engine.check()
    assert {problem.part for problem in found.problems} == {"words", "vectors", "stored vectors"}
    report = engine.check(repair_=True)
    assert len(report.repaired) == 3
    engine.embed_pending()
    assert engine.check().ok
    assert answers(engine) == before


def test_a_passage_under_the_hash_of_another_text_is_noticed_and_mended(engine: Engine) -> None:
    """As an error of a release would leave it, with digests that fit."""
    row = engine.corpus.find("default", "n7")
    other = engine.corpus.find("default", "n8")
    assert row is not None
    assert other is not None
    before = engine.embeddings.vectors_of(1, [chunk for chunk, _ in engine.corpus.chunk_ids([row.id])])[1]
    with engine.db.write() as connection:
        connection.execute(
            "UPDATE chunks SET hash = (SELECT hash FROM chunks WHERE document_id = ?) WHERE document_id = ?",
            (other.id, row.id),
        )
        renew_digest(connection, row.id)
    engine.embeddings.drop_unused()
    assert engine.check(quick=True).ok
    (problem,) = engine.check().problems
    assert (problem.part, problem.mendable) == ("hashes", True)
    assert "1 documents have chunks under the hash of another text" in problem.message
    report = engine.check(repair_=True)
    assert report.ok, report.problems
    assert report.repaired[0].startswith("the chunks of 1 documents were hashed anew")
    assert engine.embed_pending() == 1
    after = engine.embeddings.vectors_of(1, [chunk for chunk, _ in engine.corpus.chunk_ids([row.id])])[1]
    np.testing.assert_allclose(after, before, atol=2e-3)
    assert engine.check().ok


def test_half_floats_of_an_earlier_release_stay_beside_what_is_stored_now(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    """Searched, checked, backed up and restored; a damaged one of either kind is found and computed again."""
    as_half_floats(engine, range(1, 21))
    engine.add([Record(f"Letter {n} is about stamps{n}.", id=f"l{n}") for n in range(5)])
    engine.embed_pending()
    before = answers(engine)
    ids, vectors = engine.embeddings.vectors_of(1, range(1, 46))
    assert sizes(engine) == {768: 20, 580: 25}
    assert engine.check().ok
    engine.backup(tmp_path / "kept.backup")
    engine.close()
    restore(tmp_path / "kept.backup", tmp_path / "again")
    with Engine.open(settings=replace(settings, home=tmp_path / "again")) as again:
        assert (sizes(again), answers(again)) == ({768: 20, 580: 25}, before)
        assert (again.embeddings.vectors_of(1, ids)[1] == vectors).all()
        with again.db.write() as connection:
            connection.execute("UPDATE vectors SET vector = zeroblob(length(vector)) WHERE id IN (3, 44)")
            connection.execute("UPDATE vectors SET vector = zeroblob(579), crc = NULL WHERE id = 9")
        assert [problem.message for problem in again.check().problems] == ["3 stored vectors are damaged."]
        again.check(repair_=True)
        again.embed_pending()
        assert sizes(again) == {768: 18, 580: 27}
        assert again.check().ok
        np.testing.assert_allclose(again.embeddings.vectors_of(1, ids)[1], vectors, atol=3e-4)


def as_half_floats(engine: Engine, rows: range) -> None:
    """Store these rows of `vectors` anew, as an earlier release did."""
    with engine.db.write() as connection:
        for row, blob in connection.execute("SELECT id, vector FROM vectors").fetchall():
            if row in rows:
                old = quantize.from_bytes([blob], 384)[0].astype("<f2").tobytes()
                connection.execute(
                    "UPDATE vectors SET vector = ?, crc = ? WHERE id = ?", (old, zlib.crc32(old), row)
                )


def sizes(engine: Engine) -> dict[int, int]:
    return dict(engine.db.query("SELECT length(vector), count(*) FROM vectors GROUP BY 1"))


def test_a_damaged_word_index_or_graph_is_rebuilt_at_opening(engine: Engine, settings: Settings) -> None:
    before = answers(engine)
    engine.close()
    chosen = random.Random(11)
    files = [f for part in ("lexical", "vectors") for f in (settings.home / part).rglob("*") if f.is_file()]
    for number in range(12):
        file = chosen.choice([f for f in files if f.exists() and f.stat().st_size > 0])
        data = bytearray(file.read_bytes())
        if number % 2:
            data[chosen.randrange(len(data))] ^= 0xFF
        else:
            del data[len(data) // 2 :]
        file.write_bytes(data)
        with Engine.open(settings=settings) as again:
            if not again.check().ok:
                again.check(repair_=True)
            assert answers(again) == before, file
            assert again.check().ok, file


def test_a_stray_file_is_named(engine: Engine, settings: Settings) -> None:
    (settings.home / "left-over.tmp").write_text("x")
    assert ["left-over.tmp" in problem.message for problem in engine.check().problems] == [True]


def test_purging_leaves_no_byte(engine: Engine, settings: Settings) -> None:
    secret = "zanzibarium"
    engine.add([Record(f"The {secret} is hidden under the quay.", id="secret-id", title=f"About {secret}")])
    engine.embed_pending()
    engine.search(secret)
    engine.search("what is hidden under the quay")
    engine.feedback(f"where is the {secret}", "secret-id", relevant=True)
    encoder = engine.models.encoder()
    vector = engine.embeddings.vectors_of(
        1, [engine.corpus.chunk_ids([engine.corpus.find("default", "secret-id").id])[0][0]]
    )  # type: ignore[union-attr]
    (stored,) = quantize.to_bytes(vector[1])
    assert stored in (settings.home / "index.db").read_bytes() + (settings.home / "index.db-wal").read_bytes()
    assert encoder.dimensions == 384
    assert any(secret.encode() in file.read_bytes() for file in settings.home.rglob("*") if file.is_file())
    outcome = engine.purge(["secret-id"])
    assert outcome.documents == ("secret-id",)
    _assert_nowhere(settings.home, [secret.encode(), b"secret-id", stored])
    engine.close()
    _assert_nowhere(settings.home, [secret.encode(), b"secret-id", stored])
    with Engine.open(settings=settings) as again:
        assert again.check().ok
        assert answers(again)[0][0] == "n7"


def _assert_nowhere(home: Path, needles: list[bytes]) -> None:
    time.sleep(0.1)
    for file in home.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            for needle in needles:
                assert needle not in content, (file, needle[:20])


def test_purging_nothing_says_so(engine: Engine) -> None:
    with pytest.raises(NotFoundError):
        engine.purge(["never-was"])


def test_a_damaged_database_is_reported_and_never_healed_by_deleting(
    engine: Engine, settings: Settings
) -> None:
    engine.close()
    file = settings.home / "index.db"
    data = bytearray(file.read_bytes())
    for at in range(len(data) // 3, len(data) // 3 + 20_000):
        data[at] ^= 0x5A
    file.write_bytes(data)
    size = file.stat().st_size
    try:
        with Engine.open(settings=settings) as again:
            assert not again.check().ok
    except (DamagedError, sqlite3.DatabaseError) as error:
        assert "damaged" in str(error)
    assert file.stat().st_size >= size


def test_doctor_tells_what_is_missing_and_how_to_mend_it(settings: Settings, tmp_path: Path) -> None:
    bare = replace(settings, home=tmp_path / "none", models=tmp_path / "nothing")
    findings = {finding.what: finding for finding in examine(bare)}
    assert "localsearch index" in findings["index"].remedy
    assert findings["model"].level == "bad"
    assert "models pull" in findings["model"].remedy
    good = {finding.what: finding.level for finding in examine(settings)}
    assert good["model"] == "good"


def test_the_home_folder_can_be_copied_when_closed(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    before = answers(engine)
    engine.close()
    shutil.copytree(settings.home, tmp_path / "moved")
    with Engine.open(settings=replace(settings, home=tmp_path / "moved")) as moved:
        assert answers(moved) == before
