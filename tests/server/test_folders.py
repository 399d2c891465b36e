"""Folders over HTTP: listed as far as a key sees, chosen below what is allowed, changed by an admin alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Served, error_of, notes

from localsearch.server.keys import Keys
from localsearch.types import Scope


@pytest.fixture
def garden(tmp_path: Path) -> Path:
    folder = tmp_path / "garden"
    (folder / "sheds" / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / "roses.txt").write_text("Roses want sun.")
    (folder / "sheds" / "hoe.txt").write_text("A hoe for weeds.")
    (folder / "sheds" / "draft.log").write_text("A log of weeds.")
    (folder / "torn.pdf").write_bytes(b"%PDF-1.7\nnothing more")
    return folder


def done(served: Served, answer: httpx.Response) -> dict[str, Any]:
    """The job of an answer, at its end."""
    assert answer.status_code == 202, answer.text
    for _ in range(600):
        job: dict[str, Any] = served.client.get(f"/jobs/{answer.json()['job']['id']}").json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.05)
    raise AssertionError("the job did not end")


def test_listed_left_out_and_forgotten(tmp_path: Path, garden: Path) -> None:
    with notes(tmp_path / "home") as served:
        done(served, served.client.post("/index", json={"paths": [str(garden)]}))
        body = served.client.get("/folders").json()
        assert (body["watching"], body["may_manage"]) == (False, True)
        (folder,) = body["folders"]
        assert (folder["path"], folder["documents"], folder["files"]["failed"]) == (str(garden), 3, 1)
        named = {"path": str(garden)}
        job = done(served, served.client.post("/folders/patterns", json={**named, "exclude": ["*.log"]}))
        assert (job["kind"], job["result"]["rules"]["excluded"]) == ("index", 1)
        assert served.search("weeds")["total"] == 1
        done(served, served.client.post("/index", json={"paths": [str(garden)], "retry_failed": True}))
        assert served.search("weeds")["total"] == 1
        assert served.client.get("/folders").json()["folders"][0]["exclude"] == ["*.log"]
        job = done(served, served.client.post("/folders/forget", json=named))
        assert (job["kind"], job["result"]["files"]) == ("forget", 2)
        assert served.client.get("/folders").json()["folders"] == []
        assert served.search("weeds")["total"] == 0
        assert served.client.post("/folders/forget", json=named).status_code == 404


def test_folders_to_choose_from(tmp_path: Path, garden: Path) -> None:
    (garden / "way-out").symlink_to("/etc")
    with notes(tmp_path / "home", index_roots=(str(garden),)) as served:
        top = served.client.get("/folders/choices").json()
        assert (top["path"], top["parent"], top["more"]) == (str(garden), None, 0)
        assert [one["name"] for one in top["folders"]] == ["sheds", "way-out"]
        below = served.client.get("/folders/choices", params={"path": f"{garden}/sheds"}).json()
        assert (below["parent"], [one["name"] for one in below["folders"]]) == (str(garden), ["deep"])
        for path in ("/etc", f"{garden}/way-out", f"{garden}/.."):
            answer = served.client.get("/folders/choices", params={"path": path})
            assert (answer.status_code, error_of(answer)["code"]) == (403, "outside")
        answer = served.client.get("/folders/choices", params={"path": f"{garden}/roses.txt"})
        assert answer.status_code == 404
        done(served, served.client.post("/index", json={"paths": [f"{garden}/sheds"]}))
        shown = served.client.get("/folders/choices").json()["folders"]
        assert [(one["name"], one["indexed"]) for one in shown] == [("sheds", True), ("way-out", False)]
    with notes(tmp_path / "two", index_roots=(str(garden / "sheds"), str(garden / ".hidden"))) as served:
        top = served.client.get("/folders/choices").json()
        assert (top["path"], [one["name"] for one in top["folders"]]) == (None, ["sheds", ".hidden"])


def test_watching_is_switched_and_remembered(tmp_path: Path, garden: Path) -> None:
    with notes(tmp_path / "home") as served:
        done(served, served.client.post("/index", json={"paths": [str(garden)]}))
        assert served.client.post("/watching", json={"on": True}).json() == {"on": True}
        (garden / "bulbs.txt").write_text("Tulips sleep under snow.")
        for _ in range(600):
            if served.search("tulips", cache=False)["total"]:
                break
            time.sleep(0.05)
        assert served.search("tulips")["total"] == 1
    with notes(tmp_path / "home") as served:
        assert served.client.get("/folders").json()["watching"] is True
        assert served.client.post("/watching", json={"on": False}).json() == {"on": False}
    with notes(tmp_path / "home") as served:
        assert served.client.get("/folders").json()["watching"] is False


def test_a_key_sees_and_does_no_more_than_it_may(tmp_path: Path, garden: Path) -> None:
    sheds = str(garden / "sheds")
    with notes(tmp_path / "home", require_keys=True) as served:
        keys = Keys(served.service.db)
        made = {
            "part": keys.create("part", "read", Scope((), (sheds,)))[1],
            "read": keys.create("read", "read")[1],
            "admin": keys.create("admin", "admin")[1],
        }
        served.service.keyring.refresh()
        served.engine.index(garden, embed=False)

        def ask(key: str, method: str, path: str, body: Any = None) -> httpx.Response:
            return served.client.request(
                method, path, json=body, headers={"Authorization": f"Bearer {made[key]}"}
            )

        (part,) = ask("part", "GET", "/folders").json()["folders"]
        assert (part["path"], part["documents"], part["files"]["failed"]) == (sheds, 2, 0)
        recent = ask("part", "GET", "/recent").json()["documents"]
        assert {one["path"] for one in recent} == {f"{sheds}/hoe.txt", f"{sheds}/draft.log"}
        assert ask("part", "GET", "/folders").json()["may_manage"] is False
        assert ask("read", "GET", "/folders").json()["may_manage"] is False
        assert ask("admin", "GET", "/folders").json()["may_manage"] is True
        for key in ("part", "read"):
            for method, path, body in (
                ("GET", "/folders/choices", None),
                ("POST", "/folders/forget", {"path": str(garden)}),
                ("POST", "/folders/patterns", {"path": str(garden)}),
                ("POST", "/watching", {"on": True}),
                ("POST", "/versions", {"model": "all-MiniLM-L6-v2"}),
                ("POST", "/versions/rollback", None),
                ("POST", "/versions/compare", {"first": "1", "second": "1"}),
                ("POST", "/versions/gc", None),
            ):
                assert ask(key, method, path, body).status_code == 403, (key, path)
        assert ask("part", "GET", "/ledger").status_code == 403
        assert served.client.get("/folders").status_code == 401


def test_a_version_of_a_model_that_nobody_knows_is_refused(served: Served) -> None:
    assert served.client.post("/versions", json={"model": "no-such-model"}).status_code == 404


def test_what_could_not_be_read_comes_with_its_remedy(tmp_path: Path, garden: Path) -> None:
    with notes(tmp_path / "home") as served:
        served.engine.index(garden, embed=False)
        (torn,) = served.client.get("/ledger").json()["files"]
        assert (torn["rule"], torn["remedy"]) == (
            "damaged",
            "Try to open it in its own program, and save it again.",
        )
