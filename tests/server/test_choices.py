"""Settings over HTTP: told and changed for administrators, in force at once where that can be."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Served, error_of, notes, serving, settings_at

from localsearch.engine import Engine
from localsearch.server.keys import Keys


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Served]:
    with notes(tmp_path / "home") as served:
        yield served


def test_reading_of_scans_is_switched_off_at_once(one: Served) -> None:
    answer = one.client.post("/settings", json={"ocr": "off"}).json()
    assert (answer["settings"]["ocr"], answer["settings"]["recognises_with"]) == ("off", "")
    assert (answer["at_next_start"], answer["needs_version"]) == ([], False)
    assert one.client.get("/settings").json() == answer["settings"]
    assert one.engine.indexer.settings.extract.ocr == "off"
    file = Path(answer["settings"]["file"])
    assert tomllib.loads(file.read_text()) == {"extract": {"ocr": "off"}}


def test_memory_counts_at_the_next_start(one: Served) -> None:
    now = one.client.get("/settings").json()["memory_mb"]
    assert one.client.post("/settings", json={"memory_mb": 512}).json()["at_next_start"] == ["memory_mb"]
    assert one.client.post("/settings", json={"memory_mb": 512}).json()["at_next_start"] == []
    assert now != 512


@pytest.mark.parametrize("sent", [{"ocr": "sometimes"}, {"memory_mb": 1}, {"require_keys": False}])
def test_what_is_no_choice_is_refused(one: Served, sent: dict[str, object]) -> None:
    assert one.client.post("/settings", json=sent).status_code == 400
    assert not (one.engine.settings.home / "settings.toml").exists()


def test_a_model_that_is_not_here_is_refused(one: Served) -> None:
    answer = one.client.post("/settings", json={"model": "nowhere-to-be-found"})
    assert answer.status_code == 404
    assert "localsearch models pull nowhere-to-be-found" in error_of(answer)["hint"]


def test_only_administrators_are_told(tmp_path: Path) -> None:
    settings = settings_at(tmp_path / "home", require_keys=True)
    with Engine.open(settings=settings) as engine, serving(engine, settings) as served:
        codes = {}
        for scope in ("read", "write", "admin"):
            _, secret = Keys(served.service.db).create(scope, scope)
            served.service.keyring.refresh()
            headers = {"Authorization": f"Bearer {secret}"}
            told = served.client.get("/settings", headers=headers).status_code
            codes[scope] = (
                told,
                served.client.post("/settings", json={"ocr": "off"}, headers=headers).status_code,
            )
        assert codes == {"read": (403, 403), "write": (403, 403), "admin": (200, 200)}
