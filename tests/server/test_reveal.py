"""A file is shown in its folder to the user who runs the server, and to nobody else."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from serving import error_of, notes

from localsearch.server.keys import Keys

pytestmark = pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="programs of the Linux desktop")


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that write down how they were called; there is no other desktop."""
    (tmp_path / "bin").mkdir()
    for name, code in (("gdbus", 1), ("xdg-open", 0)):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "{name}" "$@" >> {tmp_path}/calls\nexit {code}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def test_the_file_manager_is_asked_and_else_the_folder_opened(desktop: Path) -> None:
    folder = desktop / "it's; $(touch x)"
    folder.mkdir()
    (folder / "hoe.txt").write_text("A hoe for weeds.")
    with notes(desktop / "home") as served:
        served.engine.index(folder, embed=False)
        assert served.client.get("/folders").json()["may_reveal"] is True
        answer = served.client.post(f"/reveal/{quote(str(folder / 'hoe.txt'), safe='')}")
        assert answer.json() == {"shown": True}
    called = (desktop / "calls").read_text().split("\n")
    assert called[0] == "gdbus"
    assert f"['{(folder / 'hoe.txt').as_uri()}']" in called
    assert called[-3:] == ["xdg-open", str(folder), ""]
    assert not os.path.exists("x")


def test_no_desktop_is_said(desktop: Path) -> None:
    (desktop / "hoe.txt").write_text("A hoe for weeds.")
    for program in (desktop / "bin").iterdir():
        program.unlink()
    with notes(desktop / "home") as served:
        served.engine.index(desktop / "hoe.txt", embed=False)
        assert served.client.get("/folders").json()["may_reveal"] is False
        answer = served.client.post(f"/reveal/{quote(str(desktop / 'hoe.txt'), safe='')}")
        assert answer.status_code == 404
        assert error_of(answer)["message"] == "No file manager answered."


def test_a_key_even_an_administrators_shows_nothing(desktop: Path) -> None:
    (desktop / "hoe.txt").write_text("A hoe for weeds.")
    with notes(desktop / "home") as served:
        served.engine.index(desktop / "hoe.txt", embed=False)
        _, secret = Keys(served.service.db).create("far", "admin")
        served.service.keyring.refresh()
        headers = {"Authorization": f"Bearer {secret}"}
        assert served.client.get("/folders", headers=headers).json()["may_reveal"] is False
        answer = served.client.post(f"/reveal/{quote(str(desktop / 'hoe.txt'), safe='')}", headers=headers)
        assert (answer.status_code, error_of(answer)["code"]) == (403, "not_here")
        assert not (desktop / "calls").exists()
        elsewhere = {"Origin": "http://elsewhere.example"}
        assert served.client.post("/reveal/kiln", headers=elsewhere).status_code == 403


def test_a_document_without_a_file_has_no_folder(desktop: Path) -> None:
    with notes(desktop / "home") as served:
        assert served.client.post("/reveal/kiln").status_code == 404
        assert not (desktop / "calls").exists()
