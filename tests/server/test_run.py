"""The server as a process: what it says, how it ends, what it writes down, that it watches."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from serving import PLAIN, notes

from localsearch.engine import Engine
from localsearch.errors import UnavailableError, UsageError
from localsearch.platform.ownership import owner_of
from localsearch.server import serve
from localsearch.server.database import ServiceDatabase
from localsearch.server.keys import Keys
from localsearch.server.listener import listen
from localsearch.server.logs import HumanLines, JsonLines, request_id
from localsearch.settings import ServerSettings, Settings

SERVER = """
import sys
from dataclasses import replace
from pathlib import Path
from localsearch.engine import Engine
from localsearch.server import serve
from localsearch.settings import load
home, *paths = sys.argv[1:]
settings = load(home, offline=True)
settings = replace(settings, server=replace(settings.server, port=0))
with Engine.open(settings=settings) as engine:
    serve(engine, settings, paths=[Path(path) for path in paths], watch=True, say=lambda text: print(text, flush=True))
print("closed", flush=True)
"""


@dataclass(slots=True)
class Process:
    """A server process: its address and what it has written so far."""

    popen: subprocess.Popen[str]
    url: str
    lines: list[str] = field(default_factory=list)

    def ask(self, query: str) -> list[str]:
        """Ids of what is found."""
        answer = httpx.post(
            f"{self.url}/search", json={"query": query, "limit": 50}, timeout=30, verify=PLAIN
        )
        return [hit["id"] for hit in answer.json()["results"]]

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.popen.send_signal(how)
        return self.popen.wait(60)


@contextmanager
def process(home: Path, *paths: Path, settings: str = "") -> Iterator[Process]:
    home.mkdir(parents=True, exist_ok=True)
    (home / "settings.toml").write_text(f'models = "{home}/none"\n{settings}')
    command = [sys.executable, "-c", SERVER, str(home), *map(str, paths)]
    popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert popen.stdout
    assert popen.stderr
    first = popen.stdout.readline()
    found = re.fullmatch(r"serving on (http://127\.0\.0\.1:\d+)\n", first)
    assert found, (first, popen.stderr.read() if popen.poll() is not None else "")
    second = popen.stdout.readline()
    assert re.fullmatch(rf"with a key .*: {found[1]}/\?token=ls_\S+\n", second), second
    one = Process(popen, found[1])
    reader = threading.Thread(target=lambda: one.lines.extend(popen.stderr or ()))
    reader.start()
    try:
        yield one
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait(30)
        reader.join(10)


def eventually(what: str, seconds: float = 40.0, **told: object) -> Iterator[None]:
    """Repeat the body until the loop is left; fail after a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield
        time.sleep(0.1)
    raise AssertionError(f"never: {what} {told}")


def test_it_says_where_indexes_its_paths_and_follows_changes(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.txt").write_text("A numbat eats termites.\n")
    with process(tmp_path / "home", root) as server:
        assert owner_of(tmp_path / "home").url == server.url  # type: ignore[union-attr]
        for _ in eventually("the path is indexed"):
            if server.ask("numbat") == [str(root / "a.txt")]:
                break
        (root / "b.txt").write_text("A second numbat.\n")
        for _ in eventually("the new file is found"):
            if len(server.ask("numbat")) == 2:
                break
        (root / "a.txt").unlink()
        for _ in eventually("the deleted file is forgotten"):
            if server.ask("numbat") == [str(root / "b.txt")]:
                break
        other = tmp_path / "other"
        other.mkdir()
        httpx.post(f"{server.url}/index", json={"paths": [str(other)]}, timeout=30, verify=PLAIN)
        for _ in eventually("the new root is watched"):
            if any("watching 2 folders" in line for line in server.lines):
                break
        (other / "c.txt").write_text("A third numbat.\n")
        for _ in eventually("a file in the new root is found"):
            if len(server.ask("numbat")) == 2:
                break
        assert server.end() == 0
    assert owner_of(tmp_path / "home") is None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_what_was_accepted(tmp_path: Path, how: signal.Signals) -> None:
    with process(tmp_path / "home") as server, httpx.Client(base_url=server.url, verify=PLAIN) as idle:
        idle.get("/health")
        documents = [{"id": f"{n}", "text": f"Text {n}. " + "word " * 300} for n in range(90)]
        with accepted(server.url, "/documents", json.dumps({"documents": documents}).encode()) as connection:
            code = server.end(how)
            said = b"".join(iter(lambda: connection.recv(65536), b""))
        assert code == 0
        assert server.popen.stdout
        assert server.popen.stdout.read() == "closed\n"
    assert said.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in said
    with Engine.open(settings=Settings(home=tmp_path / "home", models=tmp_path)) as engine:
        assert engine.status().documents == 90


@contextmanager
def accepted(url: str, path: str, body: bytes) -> Iterator[socket.socket]:
    """A connection whose request the server has begun to read: it said `100 Continue` and was sent the body."""
    host, port = url.removeprefix("http://").split(":")
    head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((host, int(port)), 60) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        yield connection


def test_answers_are_sent_at_once(tmp_path: Path) -> None:
    """With Nagle's algorithm on, the second write of an answer waits for the client's delayed acknowledgement."""
    with notes(tmp_path / "home") as served:
        served.client.get("/health")
        (accepted,) = [one.transport for one in served.connections()]
        connection = accepted.get_extra_info("socket")
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UnavailableError, match=f"Cannot listen on 127.0.0.1:{port}") as caught:
            listen("127.0.0.1", port)
    assert caught.value.hint == "Choose another with --port."
    with pytest.raises(UsageError, match="is no address"):
        listen("no-such-name.invalid", 80)


def test_it_does_not_start_beyond_this_machine_without_a_key(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path / "home", models=tmp_path, server=ServerSettings(host="0.0.0.0", port=0)
    )
    said: list[str] = []
    with Engine.open(settings=settings) as engine:
        with pytest.raises(UsageError, match="anyone on the network"):
            serve(engine, settings, say=said.append)
        assert said == []
        db = ServiceDatabase(settings.home)
        key, _ = Keys(db).create("temporary")
        Keys(db).revoke(key.id)
        db.close()
        with pytest.raises(UsageError, match="anyone on the network"):
            serve(engine, settings, say=said.append)
    assert said == []


def test_the_log_has_a_line_for_each_request_and_no_question(tmp_path: Path) -> None:
    with process(tmp_path / "home", settings='[server]\nlog = "json"\n') as server:
        headers = {"X-Request-Id": "trace-1"}
        httpx.get(f"{server.url}/search?q=secret-illness", headers=headers, timeout=30, verify=PLAIN)
        httpx.post(f"{server.url}/search", json={"query": "secret-illness"}, timeout=30, verify=PLAIN)
        httpx.post(
            f"{server.url}/search",
            json={"query": "secret-illness", "filters": {"x": {"$no": 1}}},
            timeout=30,
            verify=PLAIN,
        )
        server.end()
    assert not [line for line in server.lines if "illness" in line]
    lines = [json.loads(line) for line in server.lines]
    requests = [line for line in lines if line["logger"] == "localsearch.access"]
    assert [(line["method"], line["route"], line["status"]) for line in requests] == [
        ("GET", "/search", 200),
        ("POST", "/search", 200),
        ("POST", "/search", 400),
    ]
    assert requests[0]["request_id"] == "trace-1"
    assert len({line["request_id"] for line in requests}) == 3
    assert all(
        line["ms"] > 0 and line["client"] == "127.0.0.1" and line["level"] == "info" for line in requests
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", requests[0]["time"])


def logged(formatter: logging.Formatter, message: str, **fields: object) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger = logging.Logger("localsearch.test")
    logger.addHandler(handler)
    token = request_id.set("id-7")
    logger.info(message, extra={"fields": fields})
    request_id.reset(token)
    return stream.getvalue()


def test_names_cannot_forge_lines() -> None:
    evil = "a\n12:00:00 error all is lost\x1b[2J\u2028"
    human = logged(HumanLines(), evil, path=evil)
    assert human.count("\n") == 1
    assert "\x1b" not in human
    assert "\u2028" not in human
    assert human.endswith("request_id=id-7\n")
    line = json.loads(logged(JsonLines(), evil, path=evil, where=Path("/x")))
    assert (line["message"], line["path"], line["where"], line["request_id"]) == (evil, evil, "/x", "id-7")


def test_a_failure_inside_is_a_500_that_tells_nothing_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with notes(tmp_path / "home") as served:
        served.engine.close()
        answer = served.client.post("/search", json={"query": "kiln"})
        assert answer.status_code >= 500
        assert set(answer.json()["error"]) == {"code", "message", "hint"}
        assert "Traceback" not in answer.text
        assert served.client.get("/health").status_code == 200
    assert [record for record in caplog.records if record.name == "localsearch.server" and record.exc_info]


def test_importing_the_package_loads_no_server() -> None:
    heavy = ("uvicorn", "starlette", "faiss", "onnxruntime")
    code = f"import sys, localsearch.server; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_home_of_a_server_is_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with process(home, tmp_path / "home" / "settings.toml") as server:
        server.ask("x")
        assert stat_of(home / "service.db") == 0o600
        server.end()


def stat_of(file: Path) -> int:
    return os.stat(file).st_mode & 0o777
