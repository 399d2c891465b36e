"""What `doctor --airgap` says of a rehearsal; tests/bundle/test_room.py watches a whole one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from localsearch.platform.network import Traffic, without_network
from localsearch.settings import AlertSettings, ServerSettings, Settings
from localsearch.upkeep import airgap
from localsearch.upkeep.airgap import Rehearsal, examine
from localsearch.upkeep.doctor import Finding


def test_a_look_up_is_written_down_where_only_python_is_watched(tmp_path: Path) -> None:
    room = without_network()
    if not room:
        pytest.skip("needs unshare (util-linux) and leave to make namespaces")
    code = f"from localsearch.upkeep.rehearsal import watched; watched({str(tmp_path / 'asked')!r})"
    words = ["--home", str(tmp_path / "home"), "serve", "--host", "nowhere.invalid"]
    environment = {"LOCALSEARCH_MODELS": str(tmp_path / "none"), "LOCALSEARCH_OFFLINE": "1"}
    done = subprocess.run(
        [*room, sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    assert done.returncode == 2, done.stderr
    assert "getaddrinfo nowhere.invalid" in airgap._traffic(tmp_path).lookups


def findings(monkeypatch: pytest.MonkeyPatch, settings: Settings, rehearsal: Rehearsal) -> list[Finding]:
    monkeypatch.setattr(airgap, "rehearse", lambda settings: rehearsal)
    return examine(settings)


def test_what_could_not_be_checked_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done = Rehearsal(("index (text)",), (), Traffic(3), empty=False, traced=False)
    settings = Settings(
        home=tmp_path,
        models=tmp_path,
        offline=True,
        server=ServerSettings(host="0.0.0.0"),
        alerts=AlertSettings(command=("/bin/mail",)),
    )
    found = findings(monkeypatch, settings, done)
    assert [one.level for one in found] == ["good", "note", "note", "good", "good", "note", "note"]
    assert "alerts are handed to mail" in found[1].message
    assert "on 0.0.0.0" in found[2].message
    assert found[3].message == (
        "offline, on this machine's network, Python's own calls watched:"
        " 3 connections within this machine, 0 beyond it, 0 look-ups of names"
    )
    assert found[5].message.startswith("not tried: an empty network namespace")
    assert found[6].message.startswith("not seen: what libraries ask")
    assert found[6].remedy == "Install strace."


def test_an_attempt_and_a_step_that_failed_are_bad(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    traffic = Traffic(
        0, tuple(f"connect 192.0.2.{n} port 443" for n in range(7)), ("getaddrinfo hub.invalid",)
    )
    done = Rehearsal((), ("serve: the server did not start",), traffic, empty=True, traced=True)
    found = findings(monkeypatch, Settings(home=tmp_path, models=tmp_path, offline=True), done)
    assert [one.level for one in found] == ["good", "bad", "bad", "bad"]
    assert found[1].message.endswith("7 beyond it, 1 look-ups of names")
    assert found[2].message == "failed: serve: the server did not start"
    assert found[3].message.endswith("connect 192.0.2.4 port 443 and 3 more")


def test_what_python_asked_for(tmp_path: Path) -> None:
    events = [
        ["socket.sendmsg", None],
        ["socket.sendto", [0, 0]],
        ["socket.connect", "/run/some.socket"],
        ["socket.connect", ["127.0.0.1", 80]],
        ["socket.connect", ["::1", 80, 0, 0]],
        ["socket.connect", ["192.0.2.1", 443]],
        ["socket.connect", ["localhost", 80]],
        ["socket.getaddrinfo", "127.0.0.1"],
        ["socket.getaddrinfo", None],
        ["socket.getaddrinfo", "hub.invalid"],
        ["socket.getnameinfo", ["192.0.2.1", 0]],
    ]
    (tmp_path / "asked").write_text("".join(json.dumps(event) + "\n" for event in events))
    found = airgap._traffic(tmp_path)
    assert found == Traffic(
        2, ("connect 192.0.2.1 port 443", "connect localhost port 80"), ("getaddrinfo hub.invalid",)
    )
    assert replace(found, local=0) != Traffic()
