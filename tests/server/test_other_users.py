"""Other users of the machine: a second account asks the server, which must let nothing be read, written or told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from serving import Served, error_of, notes

from localsearch.cli.remote import Remote
from localsearch.errors import LockedError
from localsearch.server.local_users import LocalUsers, Peer
from localsearch.server.problems import OPENAI_ROUTES
from localsearch.settings import ServerSettings

STRANGER = 65533
ASK = """
import json, sys, urllib.error, urllib.request
for method, url, body, headers in json.load(sys.stdin):
    request = urllib.request.Request(url, body.encode() if body else None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            print(json.dumps([answer.status, answer.read().decode("utf-8", "replace")]))
    except urllib.error.HTTPError as error:
        print(json.dumps([error.code, error.read().decode()]))
"""
JSON = {"Content-Type": "application/json"}


def as_stranger(command: list[str], sent: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program as another user."""
    return subprocess.run(
        command,
        input=sent,
        capture_output=True,
        text=True,
        cwd="/",
        user=STRANGER,
        group=STRANGER,
        extra_groups=[],
        env={"PATH": "/usr/bin:/bin"},
        timeout=60,
        check=False,
    )


@cache
def python() -> str:
    """A Python that another user can run, which one in somebody's home is not."""
    if os.geteuid() != 0:
        pytest.skip("asking as a second user needs root")
    for program in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        with suppress(OSError):
            if as_stranger([program, "-Ic", "pass"]).returncode == 0:
                return program
    pytest.skip("no Python that another user can run")


@dataclass(frozen=True, slots=True)
class Stranger:
    """A process of another user."""

    url: str

    def ask(self, *requests: tuple[str, str, object], **headers: str) -> list[tuple[int, str]]:
        """Status and body of each answer."""
        sent = [
            (method, self.url + path, json.dumps(body) if body else None, {**JSON, **headers})
            for method, path, body in requests
        ]
        done = as_stranger([python(), "-Ic", ASK], json.dumps(sent))
        assert done.returncode == 0, done.stderr
        return [(status, text) for status, text in map(json.loads, done.stdout.splitlines())]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    if not LocalUsers(ServerSettings()).known:
        pytest.skip("this system does not tell whose a connection is")
    with notes(tmp_path / "home") as served:
        yield served


@pytest.fixture
def stranger(own: Served) -> Stranger:
    return Stranger(own.url)


def test_another_user_reads_writes_and_learns_nothing(
    own: Served, stranger: Stranger, tmp_path: Path
) -> None:
    private = tmp_path / "private.txt"
    private.write_text("MARKER")
    private.chmod(0o600)
    described = own.client.get("/openapi.json").json()["paths"]
    asked = [
        (
            method.upper(),
            path.replace("{id}", "1"),
            {"paths": [str(private)]} if method == "post" else None,
        )
        for path, methods in described.items()
        for method in methods
        if path not in ("/health",)
    ]
    asked += [("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}), ("GET", "/mcp", None)]
    asked += [("GET", "/search?q=kiln", None), ("GET", "/search?q=nothing-like-it", None)]
    asked += [("POST", "/index", {"paths": [str(private)]}), ("POST", "/index", {"paths": ["/nowhere/nope"]})]
    before = own.client.get("/stats").json()["documents"], own.client.get("/jobs").json()
    answers = stranger.ask(*asked)
    assert len(answers) == len(asked) > 20
    assert {status for status, _ in answers} == {401}
    told_as = {(path.startswith(OPENAI_ROUTES), text) for (_, path, _), (_, text) in zip(asked, answers)}
    assert len(told_as) == 2, "the same words, whatever is there; those of OpenAI's routes in their form"
    told = json.loads(answers[0][1])["error"]
    assert told["code"] == "key_required"
    assert "?token=" in told["hint"]
    assert "localsearch keys create" in told["hint"]
    assert "trust_local_users" in told["hint"]
    assert (own.client.get("/stats").json()["documents"], own.client.get("/jobs").json()) == before


def test_another_user_with_the_key_of_the_address_may_ask(own: Served, stranger: Stranger) -> None:
    token = own.service.keyring.token
    asked = ("GET", "/search?q=kiln", None)
    [(status, text)] = stranger.ask(asked, Authorization=f"Bearer {token}")
    assert (status, json.loads(text)["total"]) == (200, 2)
    [(status, _)] = stranger.ask(("GET", f"/search?q=kiln&token={token}", None))
    assert status == 200
    for wrong in (token[:-1], token + "a", "ls__", ""):
        assert stranger.ask(("GET", f"/search?q=kiln&token={wrong}", None))[0][0] == 401


def test_every_user_may_ask_where_the_settings_say_so(tmp_path: Path) -> None:
    with notes(tmp_path / "home", trust_local_users=True) as served:
        assert Stranger(served.url).ask(("GET", "/search?q=kiln", None))[0][0] == 200


def test_the_servers_own_user_asks_as_ever(own: Served) -> None:
    assert own.client.get("/search?q=kiln").status_code == 200
    assert own.service.local_users.asked


def test_who_cannot_be_told_is_asked_for_a_key_and_the_command_line_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Peer, "uid", None)
    with notes(tmp_path / "home") as served:
        refused = served.client.get("/search?q=kiln")
        assert (refused.status_code, error_of(refused)["code"]) == (401, "key_required")
        served.engine.ownership.announce(served.url, served.service.keyring.token)
        with pytest.raises(LockedError) as caught:
            type(served.engine.ownership)(tmp_path / "home")
        Remote(caught.value).feedback("kiln", "kiln", True, "default")
        assert served.engine.judgements.grades()
        assert (tmp_path / "home" / "owner.lock").stat().st_mode & 0o777 == 0o600


def test_the_key_of_the_address_is_not_logged(own: Served, caplog: pytest.LogCaptureFixture) -> None:
    token = own.service.keyring.token
    with caplog.at_level("DEBUG", "localsearch"):
        assert own.client.get(f"/search?q=kiln&token={token}").status_code == 200
        assert own.client.get(f"/?token={token}").status_code == 200
    written = " ".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "q=kiln" in written
    assert token not in written
