"""What a backup brings that acts by itself: told, and held back until somebody confirms it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from localsearch.cli.main import main
from localsearch.engine import Engine
from localsearch.errors import LocalSearchError, NotFoundError
from localsearch.server.database import ServiceDatabase
from localsearch.server.job_handlers import job_handlers
from localsearch.server.jobs import Jobs
from localsearch.server.keys import Keys
from localsearch.server.operations import Call
from localsearch.server.routes.documents import original
from localsearch.server.schemas.documents import InCollection
from localsearch.server.watching import Watching
from localsearch.settings import Settings, load
from localsearch.upkeep.backup import restore


def settings(home: Path) -> Settings:
    return replace(load(home, environ={}), models=home / "none")


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """Of an index with a folder, a key, a waiting job and one that ran when the server ended."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("Bread with flour.")
    with Engine.open(settings=settings(tmp_path / "home")) as engine:
        engine.index(tmp_path / "notes", embed=False)
        served = ServiceDatabase(tmp_path / "home")
        Keys(served).create("phone\x1b[2J", "admin")
        revoked, _ = Keys(served).create("old", "read")
        Keys(served).revoke(revoked.id)
        jobs = Jobs(served, {}, 10)
        jobs.submit("index", {"paths": ["/etc"]})
        jobs.submit("documents", {"documents": [{"text": "Poison.", "id": "p"}]})
        served.write("UPDATE jobs SET state = 'running' WHERE id = 2")
        served.close()
        engine.backup(tmp_path / "copy.tar")
    return tmp_path / "copy.tar"


def run_jobs(home: Path, engine: Engine) -> dict[str, int]:
    served = ServiceDatabase(home)
    jobs = Jobs(served, job_handlers(engine), 10)
    jobs._recover()
    while served.query("SELECT 1 FROM jobs WHERE state = 'queued'"):
        jobs._do(jobs._next() or 0)
    found = jobs.counts()
    served.close()
    return found


def test_what_came_is_told_and_waits(
    tmp_path: Path, backup: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALSEARCH_MODELS", str(tmp_path / "none"))
    home = tmp_path / "new"
    assert main(["--home", str(home), "restore", str(backup)]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert f"folder {tmp_path}/notes" in told
    assert 'job index {"paths":["/etc"]}' in told
    assert "(admin, phone\\x1b[2J)" in told
    assert "(read, old)" not in told
    assert "localsearch trust" in told
    assert main(["--home", str(home), "status"]) == 0
    assert "came with a backup and is not read" in " ".join(capsys.readouterr().err.split())
    assert main(["--home", str(home), "watch"]) == 2
    assert "localsearch trust" in capsys.readouterr().err


def test_a_folder_is_not_read_and_no_job_runs_until_confirmed(tmp_path: Path, backup: Path) -> None:
    home = tmp_path / "new"
    came = restore(backup, home)
    assert came.held
    assert came.brought.roots == (str(tmp_path / "notes"),)
    assert len(came.brought.jobs) == 2
    (tmp_path / "notes" / "b.md").write_text("Wine and water.")
    with Engine.open(settings=settings(home)) as engine:
        notes: list[str] = []
        engine.watch(note=notes.append).close()
        assert [note for note in notes if "localsearch trust" in note]
        watching = Watching(engine)
        watching.refresh()
        watching.close()
        assert not engine.search("wine", mode="lexical").results
        assert run_jobs(home, engine) == {"held": 2}
        assert engine.search("bread", mode="lexical").results
        service = type("Service", (), {"engine": engine, "follower": None})()
        call = Call({"id": str(tmp_path / "notes" / "a.md")}, InCollection())
        with pytest.raises(NotFoundError):
            original(service, call)

        assert engine.trust().roots == (str(tmp_path / "notes"),)
        assert engine.held_roots() == ()
        assert engine.trust() == type(engine.trust())()
        os.close(original(service, call).descriptor)
        assert run_jobs(home, engine)["done"] >= 1
        assert engine.search("poison", mode="lexical").results


def test_naming_a_folder_confirms_it(tmp_path: Path, backup: Path) -> None:
    restore(backup, tmp_path / "new")
    with Engine.open(settings=settings(tmp_path / "new")) as engine:
        engine.index(tmp_path / "notes", embed=False)
        assert engine.held_roots() == ()


def test_trust_restores_all_at_once(tmp_path: Path, backup: Path) -> None:
    assert not restore(backup, tmp_path / "new", trust=True).held
    with Engine.open(settings=settings(tmp_path / "new")) as engine:
        assert engine.held_roots() == ()
        assert len(engine.ledger.trusted_roots()) == 1


def test_a_held_job_can_be_cancelled(tmp_path: Path, backup: Path) -> None:
    restore(backup, tmp_path / "new")
    served = ServiceDatabase(tmp_path / "new")
    assert Jobs(served, {}, 10).cancel(1).state == "cancelled"
    served.close()


def test_where_a_root_leads_is_not_taken_from_a_backup(tmp_path: Path, backup: Path) -> None:
    """`true` of a root is where it led when it was indexed; a made one would serve another folder's files."""
    repacked = changed(
        tmp_path, backup, "index.db", "UPDATE roots SET options = json_set(options, '$.true', '/etc')"
    )
    restore(repacked, tmp_path / "new")
    with Engine.open(settings=settings(tmp_path / "new")) as engine:
        engine.trust()
        [(_, _, how)] = engine.ledger.roots()
        assert "true" not in how


SERVICE = {
    "another kind": "UPDATE jobs SET kind = 'shell' WHERE id = 1",
    "another state": "UPDATE jobs SET state = 'ready' WHERE id = 1",
    "a waiting job without work": "UPDATE jobs SET payload = NULL WHERE id = 1",
    "progress that is none": "UPDATE jobs SET progress = '[' WHERE id = 1",
    "a result that is a list": "UPDATE jobs SET result = '[]' WHERE id = 1",
    "a date in words": "UPDATE jobs SET created = 'soon' WHERE id = 1",
    "a number beyond": "UPDATE jobs SET id = 9223372036854775807 WHERE id = 1",
    "a key of another scope": "UPDATE keys SET scope = 'root'",
    "a key with a short hash": "UPDATE keys SET hash = x'00'",
    "a key whose limits are a list": "UPDATE keys SET within = '[]'",
    "a key whose limits are no JSON": "UPDATE keys SET within = '{'",
    "a key whose limits are numbers": """UPDATE keys SET within = '{"paths":[1]}'""",
    "a key limited by one text": """UPDATE keys SET within = '{"paths":"/a"}'""",
    "a key limited by what is unknown": """UPDATE keys SET within = '{"tags":["a"]}'""",
    "a key whose name is bytes": "UPDATE keys SET name = x'00'",
    "another table": "CREATE TABLE more (x)",
    "a view": "CREATE VIEW v AS SELECT * FROM keys",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON jobs BEGIN DELETE FROM keys; END",
    "another column": "ALTER TABLE keys ADD COLUMN x",
    "a newer schema": "PRAGMA user_version = 99",
    "no schema": "PRAGMA user_version = 0",
    "a negative schema": "PRAGMA user_version = -1",
}


@pytest.mark.parametrize("statement", SERVICE.values(), ids=SERVICE.keys())
def test_keys_and_jobs_that_are_not_ours_are_refused(tmp_path: Path, backup: Path, statement: str) -> None:
    with pytest.raises(LocalSearchError):
        restore(changed(tmp_path, backup, "service.db", statement), tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def changed(folder: Path, backup: Path, name: str, statement: str) -> Path:
    """The backup after somebody wrote to one of its databases, its sums set right."""
    with tarfile.open(backup) as tar:
        parts = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    (folder / "changed.db").write_bytes(parts[name])
    with closing(sqlite3.connect(folder / "changed.db")) as connection:
        connection.execute(statement)
        connection.commit()
        connection.execute("PRAGMA journal_mode=DELETE")
    parts[name] = (folder / "changed.db").read_bytes()
    manifest = json.loads(parts.pop("manifest.json"))
    for part, data in parts.items():
        manifest["files"][part] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    with tarfile.open(folder / "changed.tar", "w") as tar:
        for part, data in {"manifest.json": json.dumps(manifest).encode(), **parts}.items():
            entry = tarfile.TarInfo(part)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return folder / "changed.tar"
