"""Real deletion, wherever a document came from and whoever was asked: no byte of it stays in the home folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import notes, serving

from localsearch import quantize
from localsearch.cli import main
from localsearch.engine import Engine
from localsearch.errors import NotFoundError
from localsearch.models.encoder import OnnxEncoder
from localsearch.server.database import ServiceDatabase
from localsearch.settings import Settings, VectorSettings
from localsearch.types import Progress, Record
from localsearch.upkeep.purge import is_due

SECRET = "zanzibarium"


def files_with(home: Path, needle: bytes) -> list[Path]:
    return [file for file in home.rglob("*") if file.is_file() and needle in file.read_bytes()]


def finished(client: Any, job: int) -> dict[str, Any]:
    for _ in range(600):
        answer: dict[str, Any] = client.get(f"/jobs/{job}").json()
        if answer["finished"]:
            return answer
        time.sleep(0.05)
    raise AssertionError("the job did not end")


def test_a_document_that_came_in_a_large_request(tmp_path: Path) -> None:
    """It was a job's payload, its id a job's result, its words a query that was asked."""
    home = tmp_path / "home"
    with notes(home) as served:
        sent = [{"id": f"n{n}", "text": f"Note {n} is about harbours."} for n in range(120)]
        sent.append(
            {"id": "secret-id", "title": f"On {SECRET}", "text": f"The {SECRET} lies under the quay."}
        )
        job = served.client.post("/documents", json={"documents": sent}).json()["job"]["id"]
        assert finished(served.client, job)["state"] == "done"
        assert served.search(SECRET)["results"][0]["id"] == "secret-id"
        assert files_with(home, b"secret-id"), "its id is there before"
        gone = served.client.delete("/documents/secret-id", params={"purge": "true"})
        assert gone.status_code == 200
        assert files_with(home, SECRET.encode()) == []
        assert files_with(home, b"secret-id") == []
        assert served.search("quay")["results"] == []
        assert served.search("harbours")["total"] == 120
    assert files_with(home, SECRET.encode()) == []
    assert files_with(home, b"secret-id") == []


def test_a_query_asked_while_it_is_purged(tmp_path: Path) -> None:
    """Housekeeping writes the log of queries every second, in another thread, and closing writes what is left."""
    settings = Settings(home=tmp_path / "home", models=tmp_path / "none", offline=True)
    with Engine.open(settings=settings) as engine:
        engine.add([Record(f"The {SECRET} lies under the quay.", "secret-id"), Record("A kiln.", "kiln")])

        def ask(progress: Progress) -> None:
            if progress.done == progress.total:
                return
            engine.query_log.record({"query": SECRET})
            engine.query_log.flush()
            engine.query_log.record({"query": f"{SECRET} again"})

        engine.purge(["secret-id"], report=ask)
        engine.query_log.record({"query": "kiln"})
    assert files_with(settings.home, SECRET.encode()) == []
    assert files_with(settings.home, b"kiln"), "the log goes on"


def test_jobs_of_an_earlier_server_are_forgotten_too(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", models=tmp_path / "none", offline=True)
    with Engine.open(settings=settings) as engine:
        engine.add([Record(f"The {SECRET} lies under the quay.", "secret-id"), Record("A kiln.", "kiln")])
        service = ServiceDatabase(settings.home)
        service.write(
            "INSERT INTO jobs (kind, size, state, created, finished, result) VALUES (?, 1, 'done', 1, 2, ?)",
            ("documents", '{"ids": ["secret-id"]}'),
        )
        service.close()
        engine.purge(["secret-id"])
    assert files_with(settings.home, b"secret-id") == []


def test_vectors_of_every_version(tmp_path: Path, model_folder: Path, encoder: OnnxEncoder) -> None:
    """A version that is ready or retired has a graph of its own on the disk."""
    settings = Settings(tmp_path / "home", model_folder, offline=True, vectors=VectorSettings(merge_at=5))
    with Engine.open(settings=settings) as engine:
        engine.add([Record(f"Note {n} is about topic {n}.", f"n{n}") for n in range(10)])
        engine.add([Record(f"The {SECRET} lies under the quay.", "secret-id")])
        engine.embed_pending()
        other = "fp32" if encoder.precision == "int8" else "int8"
        version = engine.versions.build(engine.models.encoder(precision=other))
        graphs = {graph.parent.name for graph in settings.home.rglob("*.graph")}
        assert graphs == {"1", str(version.id)}
        purged = _vectors(engine)
        engine.purge(["secret-id"])
        assert len(purged) == 2
        for vector in purged:
            assert files_with(settings.home, vector) == []
        assert {graph.parent.name for graph in settings.home.rglob("*.graph")} == {"1"}
        engine.versions.activate(version.id)
        assert len(engine.search("topic", mode="semantic", limit=20).results) == 10
        assert engine.check().ok


def _vectors(engine: Engine) -> list[bytes]:
    row = engine.corpus.find("default", "secret-id")
    assert row is not None
    ids = np.array([chunk for chunk, _ in engine.corpus.chunk_ids([row.id])])
    found = [engine.embeddings.vectors_of(version.id, ids)[1] for version in engine.embeddings.versions()]
    return [quantize.to_bytes(vector)[0] for vector in found]


def test_one_collection_only(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", models=tmp_path / "none", offline=True)
    with Engine.open(settings=settings) as engine:
        engine.add([Record("In the first.", "same")], collection="one")
        engine.add([Record("In the second.", "same")], collection="two")
        engine.delete("same", collection="one", purge=True)
        assert engine.get("same", collection="two")["text"] == "In the second."
        with pytest.raises(NotFoundError):
            engine.get("same", collection="one")


def test_a_vector_that_is_computed_while_its_document_is_purged_is_not_kept(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", models=tmp_path / "none", offline=True)
    with Engine.open(settings=settings) as engine:
        version = engine.embeddings.begin("m", "fp32", "f", 4)
        engine.add([Record("Gone soon.", "gone"), Record("Stays.", "stays")])
        pending = {chunk.chunk_id: chunk.hash for chunk in engine.embeddings.pending(version.id, 10)}
        engine.purge(["gone"])
        vectors = {digest: np.array([1, 0, 0, 0], np.float32) for digest in pending.values()}
        engine.derived.add_vectors(version.id, vectors, pending)
        assert engine.db.one("SELECT count(*) FROM vectors") == 1


def test_the_command_line_sends_its_work_to_the_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.txt").write_text("The tide comes in at noon.", "utf-8")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with notes(tmp_path / "home") as served:
        command = ["--home", str(tmp_path / "home"), "--offline"]
        assert served.engine.ownership is not None
        assert main([*command, "index", str(folder)]) == 3, "its holder does not serve yet"
        served.engine.ownership.announce(served.url)
        capsys.readouterr()
        assert main([*command, "index", str(folder)]) == 0
        told = capsys.readouterr().err
        assert f"The server at {served.url} holds the index" in told
        assert "new 1, changed 0, unchanged 0, removed 0, skipped 0, failed 0" in told
        assert "6 documents" in told
        assert main([*command, "--json", "index", str(folder)]) == 0
        assert '"unchanged": 1' in capsys.readouterr().out
        assert main([*command, "index", str(tmp_path / "nowhere")]) == 1
        assert "There is no" in capsys.readouterr().err
        assert main([*command, "feedback", "--query", "tides", "--id", "tide", "--relevant"]) == 0
        assert served.engine.judgements.grades() == {"tides": {"tide": 1}}
        assert main([*command, "purge", "kiln"]) == 0
        assert main([*command, "purge", "kiln"]) == 1
        assert served.engine.status().documents == 5


def test_a_purge_that_was_cut_short_is_finished_at_the_next_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path / "home", models=tmp_path / "none", offline=True)
    with Engine.open(settings=settings) as engine:
        engine.add([Record(f"The {SECRET} lies under the quay.", "secret-id"), Record("A kiln.", "kiln")])
        with monkeypatch.context() as patch:
            patch.setattr("localsearch.derived.Derived.rebuild_lexical", _stop)
            with pytest.raises(KeyboardInterrupt):
                engine.purge(["secret-id"])
        with pytest.raises(NotFoundError):
            engine.get("secret-id")
        assert is_due(engine.db)
    with Engine.open(settings=settings) as engine:
        assert files_with(settings.home, SECRET.encode()) == []
        assert not is_due(engine.db)
        assert engine.check().ok
    with Engine.open(settings=settings) as engine, serving(engine, settings) as served:
        assert served.search(SECRET)["results"] == []


def _stop(*_: object) -> None:
    raise KeyboardInterrupt
