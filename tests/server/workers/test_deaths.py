"""Processes of a server that die, are told to stop, or cannot start: who is answered, and what is kept."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from serving import PLAIN

from localsearch.engine import Engine
from localsearch.server.shared.link import Reported, Request, Told, packed
from localsearch.server.shared.reports import Report
from localsearch.settings import Settings

from .crews import Crew, crew, until

pytestmark = pytest.mark.slow
CLIENTS = 8


@dataclass(slots=True)
class Load:
    """What clients met: broken connections, each at once tried again, and the statuses of answers."""

    broken: int = 0
    by_client: list[int] = field(default_factory=lambda: [0] * CLIENTS)
    wrong: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return sum(self.by_client)

    def wait_for_all(self) -> None:
        """Until each client has had an answer to what it asked after this was called.

        A client whose connection broke has then connected again: the first answer it counts may be an earlier one.
        """
        before = list(self.by_client)
        until(
            "all clients are answered",
            lambda: all(now >= then + 2 for now, then in zip(self.by_client, before)),
        )


@contextmanager
def load(crew: Crew, query: str, expected: set[str]) -> Iterator[Load]:
    """Clients with kept-alive connections that search until the block ends; a broken one connects and asks again."""
    seen, stop, lock = Load(), threading.Event(), threading.Lock()

    def ask(client: httpx.Client, n: int) -> None:
        answer = client.post("/search", json={"query": query, "mode": "lexical", "cache": False})
        ids = {hit["id"] for hit in answer.json()["results"]} if answer.status_code == 200 else set()
        with lock:
            seen.by_client[n] += 1
            if ids != expected:
                seen.wrong.append(f"{answer.status_code} {answer.text[:200]}")

    def run(n: int) -> None:
        with ExitStack() as open_:
            client = open_.enter_context(httpx.Client(base_url=crew.url, timeout=60, verify=PLAIN))
            while not stop.is_set():
                try:
                    ask(client, n)
                except httpx.TransportError:
                    with lock:
                        seen.broken += 1
                    client = open_.enter_context(httpx.Client(base_url=crew.url, timeout=60, verify=PLAIN))
                    try:
                        ask(client, n)
                    except httpx.TransportError as error:  # the second try has to be answered
                        seen.wrong.append(f"again: {error!r} after {seen.answered}")

    threads = [threading.Thread(target=run, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()


def test_a_reading_process_that_dies_under_load_is_replaced(tmp_path: Path) -> None:
    with crew(tmp_path / "home", 3) as server:
        server.add("tapir", "A tapir swims.")
        with load(server, "tapir", {"tapir"}) as seen:
            until("there is load", lambda: seen.answered > 50)
            for _ in range(2):
                former = server.pids()
                victim = min(server.readers())
                os.kill(victim, signal.SIGKILL)
                until(
                    "another takes its place",
                    lambda victim=victim: victim not in server.pids() and len(server.pids()) == 3,
                )
                assert len(server.pids() & former) == 2
                seen.wait_for_all()  # who was broken too: the next death is another one
            until("all answer", lambda: len(server.everybody()) == 3)
        assert seen.wrong == []
        assert seen.broken <= 2 * CLIENTS
        server.add("okapi", "An okapi hides.")
        for _ in range(12):
            assert server.search("okapi", mode="lexical")["total"] == 1
        assert server.end() == 0
        assert "ended with -9; the next one starts" in server.log.read_text()


def test_when_the_writing_process_dies_jobs_go_on_and_reading_too(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for n in range(3000):
        (folder / f"{n}.txt").write_text(f"File {n} about binturong and word{n}.\n" * 20)
    with crew(tmp_path / "home", 2) as server:
        server.add("tapir", "A tapir swims.")
        with load(server, "tapir", {"tapir"}) as seen:
            job = server.request("POST", "/index", json={"paths": [str(folder)]}).json()["job"]["id"]
            until("the job runs", lambda: server.search("binturong", mode="lexical")["total"] > 0)
            former = server.primary()
            assert server.request("GET", f"/jobs/{job}").json()["state"] == "running"
            os.kill(former, signal.SIGKILL)
            # A request that waits for the process that writes is answered by the next one.
            assert server.request("GET", f"/jobs/{job}").status_code == 200
            until("another writes", lambda: server.primary() not in (0, former))
            server.add("written", "Written right after.")
            assert server.search("written", mode="lexical")["total"] == 1
            until(
                "the job is done",
                lambda: server.request("GET", f"/jobs/{job}").json()["state"] == "done",
                seconds=240,
            )
        assert seen.wrong == []
        assert seen.broken <= CLIENTS
        assert server.request("GET", f"/jobs/{job}").json()["tries"] == 2
        for _ in range(6):
            assert server.search("binturong", mode="lexical")["total"] == 3000
        assert server.end() == 0


def accepted(server: Crew, path: str, body: bytes) -> socket.socket:
    """A connection whose request a process has begun to read: it said `100 Continue`."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    connection = socket.create_connection(("127.0.0.1", server.port), 60)
    connection.sendall(head.encode())
    assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    return connection


def test_what_was_accepted_is_answered_at_an_end_in_order(tmp_path: Path) -> None:
    """Writes too, which those that read hand on to the one that writes; and all of it is there after the restart."""
    home = tmp_path / "home"
    # None waits for its turn, which it may for two seconds: all twelve are asked at once.
    with crew(home, 3, settings="[server.limits]\nconcurrent = 16\n") as server:
        bodies = [b'{"documents": [{"id": "last-%d", "text": "A numbat, %d."}]}' % (n, n) for n in range(12)]
        held = [accepted(server, "/documents", body) for body in bodies]
        server.popen.send_signal(signal.SIGTERM)
        until("it takes no more", lambda: refused(server.port))
        for connection, body in zip(held, bodies):
            connection.sendall(body)
        for n, connection in enumerate(held):
            with connection:
                answer = b"".join(iter(lambda connection=connection: connection.recv(65536), b""))
                assert answer.startswith(b"HTTP/1.1 200 "), answer
                assert b'"last-%d"' % n in answer
        assert server.popen.wait(60) == 0
    with crew(home, 2, port=server.port) as again:
        for _ in range(6):
            assert again.search("numbat", mode="lexical", limit=20)["total"] == 12


def refused(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(b"x")
            return connection.recv(1) == b""
    except OSError:
        return True


def test_a_signal_to_the_process_that_the_lock_names_ends_the_server(tmp_path: Path) -> None:
    with crew(tmp_path / "home", 2) as server:
        os.kill(server.primary(), signal.SIGTERM)
        assert server.popen.wait(60) == 0
        assert server.pids() == set()


def test_without_their_supervisor_all_end_in_order(tmp_path: Path) -> None:
    with crew(tmp_path / "home", 2) as server:
        server.add("kept", "Kept to the end.")
        pids = server.pids()
        server.popen.kill()
        server.popen.wait(30)
        until("all have ended", lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
        assert list(server.temporary.iterdir()) == []
    with Engine.open(settings=Settings(home=server.home, models=tmp_path / "none")) as engine:
        assert [hit.id for hit in engine.search("kept", mode="lexical")] == ["kept"]


def test_an_index_that_another_holds_is_refused_as_by_one_process(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command = [sys.executable, "-m", "localsearch", "--home", str(home), "--offline", "serve", "--port", "0"]
    with Engine.open(settings=Settings(home=home, models=tmp_path / "none")):
        said = [
            subprocess.run(
                [*command, "--workers", count], capture_output=True, text=True, timeout=120, check=False
            )
            for count in ("1", "2")
        ]
    assert [one.returncode for one in said] == [3, 3]
    assert said[0].stderr == said[1].stderr
    assert f"is held by process {os.getpid()}" in said[1].stderr


def test_what_they_share_is_this_users_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    with crew(tmp_path / "home", 2) as server:
        (folder,) = server.temporary.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "primary.sock").stat().st_mode & 0o777 == 0o600
        assert stat.S_IMODE((folder / "board").stat().st_mode) == 0o600
        assert server.end() == 0
        assert list(server.temporary.iterdir()) == []


def test_the_private_socket_answers_nobody_without_the_secret(tmp_path: Path) -> None:
    with crew(tmp_path / "home", 2) as server:
        (folder,) = server.temporary.iterdir()
        report = Reported(b"guessed", Report(place=1, pid=1, clears=0, warm=True))
        request = Request(
            secret=b"", method="GET", path="/stats", query_string=b"", headers=[], client=None, key=None,
            content_type=None, length=None, id="x", body=b"",
        )  # fmt: skip
        for sent in (
            packed(report),
            packed(request),
            packed(Told()),
            b"\xff\xff\xff\xff",
            b"GET / HTTP/1.1\r\n\r\n",
        ):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(30)
                connection.connect(str(folder / "primary.sock"))
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                assert connection.recv(100) == b""
        assert server.request("GET", "/stats").status_code == 200
