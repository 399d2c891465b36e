"""A server whose vectors are in Milvus: what it tells of them, over HTTP and on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from serving import Served, serving

from localsearch.engine import Engine
from localsearch.settings import Settings, VectorSettings, load
from localsearch.types import Record
from localsearch.vectors import MilvusIndex

TEXTS = {
    "bees": "A hive of honey bees winters on twenty kilograms of honey.",
    "stars": "The telescope shows the rings of Saturn on a clear night.",
    "bread": "Feed the sourdough starter with flour and water every morning.",
}


def settings_of(home: Path, models: Path, uri: str) -> Settings:
    vectors = replace(VectorSettings(), backend="milvus", milvus_uri=uri)
    return replace(load(home, environ={}), models=models, vectors=vectors)


@pytest.fixture
def served(milvus_uri: str, model_folder: Path, tmp_path: Path) -> Iterator[Served]:
    settings = settings_of(tmp_path / "home", model_folder, milvus_uri)
    with Engine.open(settings=settings) as engine:
        engine.add([Record(text, id=name) for name, text in TEXTS.items()])
        engine.embed_pending()
        with serving(engine, settings) as server:
            yield server
        assert engine.derived.semantic is not None
        index = engine.derived.semantic.vectors
        assert isinstance(index, MilvusIndex)
        index.server.drop(str(index.generation))


def test_ready_and_stats_tell_how_the_engine_stands(served: Served) -> None:
    answer = served.search("planets and moons", mode="semantic")
    assert answer["results"][0]["id"] == "stars"
    for path in ("/ready", "/stats"):
        vectors = served.client.get(path).json()["vectors"]
        assert (vectors["backend"], vectors["count"], vectors["rows"]) == ("milvus", 3, 3)
        assert (vectors["behind"], vectors["reachable"], vectors["problem"]) == (0, True, "")
        assert vectors["guard"]["whole"] >= 1
        assert vectors["guard"]["refused"] == 0


def test_metrics_tell_how_the_engine_stands(served: Served) -> None:
    served.search("planets and moons", mode="semantic")
    text = served.client.get("/metrics").text
    assert "localsearch_engine_up 1.0" in text
    assert "localsearch_engine_rows 3.0" in text
    assert "localsearch_engine_expected_rows 3.0" in text
    assert "localsearch_engine_lag_changes 0.0" in text
    assert 'localsearch_engine_searches_total{outcome="refused"} 0.0' in text


def test_without_its_engine_the_server_is_ready_and_says_so(model_folder: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "home", model_folder, "http://127.0.0.1:9")
    with Engine.open(settings=settings) as engine:
        engine.add([Record(text, id=name) for name, text in TEXTS.items()])
        engine.embed_pending()
        with serving(engine, settings) as server:
            answer = server.search("honey")
            assert [hit["id"] for hit in answer["results"]] == ["bees"]
            assert any(note.startswith("Words only: ") for note in answer["notes"])
            refused = server.client.post("/search", json={"query": "honey", "mode": "semantic"})
            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "vectors_unavailable"
            ready = server.client.get("/ready")
            assert ready.status_code == 200
            assert ready.json()["vectors"]["behind"] == 3
            assert "localsearch_engine_up 0.0" in server.client.get("/metrics").text


def test_the_command_line_tells_how_the_engine_stands(
    milvus_uri: str, model_folder: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "settings.toml").write_text(
        f'[vectors]\nbackend = "milvus"\nmilvus_uri = "{milvus_uri}"\n', "utf-8"
    )
    notes = tmp_path / "notes"
    notes.mkdir()
    for name, text in TEXTS.items():
        (notes / f"{name}.txt").write_text(text, "utf-8")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "localsearch", "--home", str(home), *words]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={"LOCALSEARCH_MODELS": str(model_folder), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        )

    assert run("index", str(notes)).returncode == 0
    assert "3 vectors, 0 changes to come" in run("status").stdout
    state = json.loads(run("--json", "status").stdout)
    assert state["vectors"]["rows"] == 3
    found = json.loads(run("--json", "search", "planets and moons", "--mode", "semantic").stdout)
    assert found["results"][0]["path"].endswith("stars.txt")
    with Engine.open(settings=load(home, environ={})) as engine:
        assert engine.derived.semantic is not None
        index = engine.derived.semantic.vectors
        assert isinstance(index, MilvusIndex)
        index.server.drop(str(index.generation))
