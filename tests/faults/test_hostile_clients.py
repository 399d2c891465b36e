"""One honest client beside hostile ones of every kind: it is answered, and soon; the server stays small."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
import world
from harness import HERE
from serving import NOTES

SECONDS = 60.0 if world.ALL else 8.0
IDLE_S = 10.0 if world.ALL else 3.0
MOST_BYTES = 600 << 20
MOST_SLOWER = 3.0
EACH = 25
"""Searches from one look at the memory to the next."""
NO_WAIT_MS = 50.0
"""An answer that comes within this is soon, however fast an idle server is."""


def ask(url: str, seconds: float, process: psutil.Process) -> tuple[list[float], set[int], int]:
    """Milliseconds of each search, the statuses, and the most bytes that the server had in memory."""
    times, statuses, most, number = [], set(), 0, 0
    end = time.monotonic() + seconds
    with httpx.Client(base_url=url, timeout=30.0) as client:
        while time.monotonic() < end:
            number += 1
            began = time.perf_counter()
            try:
                statuses.add(client.get("/search", params={"q": f"kiln glaze {number}"}).status_code)
            except httpx.RemoteProtocolError:
                continue  # a resting connection was given away: HTTP has the client open another
            times.append((time.perf_counter() - began) * 1000)
            if number % EACH == 1:
                most = max(most, memory(process))
            time.sleep(0.02)
    return times, statuses, most


def memory(process: psutil.Process) -> int:
    """Bytes of all processes of the server; what several of them map is counted once."""
    found = 0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            found += one.memory_full_info().pss
    return found


def address(told: Path, server: subprocess.Popen[bytes]) -> str:
    """Where it says that it serves."""
    while (found := re.search(r"^serving on (\S+)$", told.read_text(), re.M)) is None:
        assert server.poll() is None, told.read_text()
        time.sleep(0.1)
    return found[1]


def p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def test_one_honest_client_beside_hostile_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "settings.toml").write_text(f'models = "{home}/none"\n[server]\nport = 0\n')
    command = [sys.executable, "-m", "localsearch", "--home", str(home), "--offline"]
    env = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    told = tmp_path / "log"
    with told.open("w") as log:
        server = subprocess.Popen([*command, "serve"], stderr=log, env=env)
    hostile = None
    try:
        url = address(told, server)
        texts = [{"id": id, "text": text} for id, text in NOTES.items()]
        httpx.post(f"{url}/documents", json={"documents": texts}, timeout=30).raise_for_status()
        process = psutil.Process(server.pid)
        ask(url, 1.0, process)
        idle, _, _ = ask(url, IDLE_S, process)
        port = url.rpartition(":")[2]
        hostile = subprocess.Popen([sys.executable, str(HERE / "hostile.py"), port, str(SECONDS)])
        times, statuses, most = ask(url, SECONDS - 0.5, process)
        hostile.wait(30)
        after, _, _ = ask(url, 2.0, process)
    finally:
        for one in (hostile, server):
            if one is not None and one.poll() is None:
                one.terminate()
                one.wait(60)
    with capsys.disabled():
        print(
            f"\n{SECONDS:g} s: {len(times)} searches, {statuses}; p99 {p99(times):.1f} ms, idle {p99(idle):.1f} ms,"
            f" afterwards {p99(after):.1f} ms; memory at most {most >> 20} MiB"
        )
    assert statuses == {200}
    assert most < MOST_BYTES
    assert len(times) > SECONDS
    if world.ALL:
        assert p99(times) <= max(MOST_SLOWER * p99(idle), NO_WAIT_MS)
