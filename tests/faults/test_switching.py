"""Switching versions under load: no request fails, and every answer is wholly of one version."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
import world
from serving import serving

SWITCHES = 20
RATE = 50.0


def test_switching_under_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "home"
    world.make_home(home, 60, versions="ab")
    settings = world.settings_at(home)
    with world.open_engine(home) as engine, serving(engine, settings) as served:
        names = [version.name for version in engine.embeddings.versions()]
        right = {}
        for name in names:
            served.client.post(f"/versions/{name}/activate").raise_for_status()
            for query in world.QUERIES:
                right[name, query] = hits(served.search(query, mode="semantic", limit=20))
        assert right[names[0], world.QUERIES[0]] != right[names[1], world.QUERIES[0]]
        load = Load(served.url, right)
        load.start()
        for number in range(SWITCHES):
            time.sleep(0.15)
            if number % 2:
                engine.versions.rollback()
            else:
                other = next(v.name for v in engine.embeddings.versions() if v.state == "retired")
                served.client.post(f"/versions/{other}/activate").raise_for_status()
        load.stop()
    with capsys.disabled():
        print(
            f"\n{SWITCHES} switches in {load.seconds:.1f} s under {load.counts.total()} requests: {dict(load.counts)}"
        )
    assert load.errors == []
    assert load.counts.keys() == set(names)


def hits(answer: dict[str, Any]) -> list[tuple[str, float]]:
    """Ids and scores; equal scores in the order of ids."""
    found = [(hit["id"], round(hit["score"], 3)) for hit in answer["results"]]
    return sorted(found, key=lambda hit: (-hit[1], hit[0]))


class Load:
    """Fifty requests a second from five threads, each answer compared with that of the version it names."""

    def __init__(self, url: str, right: dict[tuple[str, str], list[tuple[str, float]]]) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self.seconds = 0.0
        self._url, self._right = url, right
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(5)]

    def start(self) -> None:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.seconds = time.monotonic() - self._began

    def _ask(self, number: int) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._stop.wait(5 / RATE):
                query = world.QUERIES[number % len(world.QUERIES)]
                answer = client.post("/search", json={"query": query, "mode": "semantic", "limit": 20})
                if answer.status_code != 200:
                    self.errors.append(answer.text)
                    continue
                found = answer.json()
                self.counts[found["version"]] += 1
                if hits(found) != self._right[found["version"], query]:
                    self.errors.append(f"{found['version']} answered {hits(found)[:3]}")
