"""Servers of several processes for tests: the real command, on the loopback interface."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from serving import PLAIN

from localsearch.platform.ownership import owner_of

SPAWNED = b"spawn_main"


@dataclass(slots=True)
class Crew:
    """A server that runs, by its supervisor."""

    popen: subprocess.Popen[str]
    url: str
    home: Path
    log: Path
    temporary: Path
    """Where it puts what its processes share."""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def pids(self) -> set[int]:
        """The processes that answer, the one that writes too."""
        found = set()
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                words = status.read_text().rpartition(")")[2].split()
                spawned = SPAWNED in (status.parent / "cmdline").read_bytes()
            except OSError:
                continue
            if int(words[1]) == self.popen.pid and words[0] != "Z" and spawned:
                found.add(int(status.parent.name))
        return found

    def primary(self) -> int:
        """The process that writes."""
        owner = owner_of(self.home)
        assert owner
        return owner.pid

    def readers(self) -> set[int]:
        return self.pids() - {self.primary()}

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request over a connection of its own, which any process may take."""
        with httpx.Client(base_url=self.url, timeout=60.0, verify=PLAIN) as client:
            return client.request(method, path, **more)

    def search(self, query: str, **more: Any) -> dict[str, Any]:
        answer = self.request("POST", "/search", json={"query": query, **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def add(self, id: str, text: str) -> None:
        answer = self.request("POST", "/documents", json={"documents": [{"id": id, "text": text}]})
        assert answer.status_code == 200, answer.text

    def everybody(self, path: str = "/health") -> set[str]:
        """The processes that answered forty requests, by how their request ids begin."""
        answers = [self.request("GET", path) for _ in range(40)]
        return {answer.headers["x-request-id"].partition("-")[0] for answer in answers}

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.popen.send_signal(how)
        return self.popen.wait(60)


def until(what: str, holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something that takes a while on a busy machine; fail when it never comes."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.1)


@contextmanager
def crew(home: Path, workers: int, *words: str, settings: str = "", port: int = 0) -> Iterator[Crew]:
    """Serve with so many processes until the block ends; all of them answer when it begins."""
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "settings.toml").exists():
        (home / "settings.toml").write_text(f'models = "{home}/none"\noffline = true\n{settings}')
    log = home.parent / f"{home.name}.log"
    command = [sys.executable, "-m", "localsearch", "--home", str(home), "serve"]
    command += ["--port", str(port), "--workers", str(workers), *words]
    temporary = Path(tempfile.mkdtemp(dir="/tmp"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("LOCALSEARCH_")}
    env["TMPDIR"] = str(temporary)
    with open(log, "a") as file:
        before = file.tell()
        popen = subprocess.Popen(command, stdout=file, stderr=file, text=True, env=env)

    def said() -> re.Match[str] | None:
        return re.search(r"serving on (http://127\.0\.0\.1:\d+)\n", log.read_text()[before:])

    try:
        until(f"it serves: {log.read_text()[before:]}", lambda: bool(said()) or popen.poll() is not None)
        found = said()
        assert found, log.read_text()
        one = Crew(popen, found[1], home, log, temporary)
        until("all processes are there", lambda: len(one.pids()) == workers)
        until("all processes answer", lambda: len(one.everybody()) == workers)
        yield one
    finally:
        if popen.poll() is None:
            popen.terminate()
            try:
                popen.wait(60)
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait(10)
        shutil.rmtree(temporary, ignore_errors=True)
