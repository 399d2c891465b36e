"""Readers by copies as processes: killed while they ship and while they take, on full disks, promoted.

Whatever happens, a reader answers from one whole state, as the primary's snapshot of it does.
"""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import world
from replicas import hits_of, take
from serving import PLAIN

from localsearch.platform.ownership import owner_of
from localsearch.replication.identity import State
from localsearch.replication.replica import Replica
from localsearch.replication.ship import read_published

DOCUMENTS, BATCH = (5_000, 50) if world.ALL else (600, 50)
KILLS = 40 if world.ALL else 6
QUESTIONS = ("kiln glaze", "ash", "reduction firing")
STATE = "X-Localsearch-State"
Hits = list[tuple[str, float]]


@dataclass(slots=True)
class Process:
    """`localsearch serve` that runs: the command's words, its address once it answers, what it wrote."""

    words: list[str]
    home: Path
    env: dict[str, str] = field(default_factory=dict)
    popen: subprocess.Popen[bytes] | None = None
    url: str = ""

    def start(self, limit: int | None = None) -> None:
        log = self.home.parent / f"{self.home.name}.log"
        command = [sys.executable, "-m", "localsearch", "--home", str(self.home), "serve", *self.words]
        env = {name: value for name, value in os.environ.items() if not name.startswith("LOCALSEARCH_")}
        with log.open("ab") as file:
            before = file.tell()
            self.popen = subprocess.Popen(
                command, stdout=file, stderr=file, env={**env, **self.env}, preexec_fn=_limited(limit)
            )
        self.url = until(
            lambda: _address(log.read_bytes()[before:].decode("utf-8", "replace"), self.popen), log.read_text
        )

    def kill(self) -> None:
        assert self.popen
        self.popen.kill()
        self.popen.wait(30)

    def end(self) -> None:
        if self.popen and self.popen.poll() is None:
            self.popen.terminate()
            self.popen.wait(60)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=headers, timeout=60, verify=PLAIN)

    def ready(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/ready").json()
        return found


def _limited(limit: int | None) -> Callable[[], None]:
    def apply() -> None:
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return apply


def _address(text: str, popen: subprocess.Popen[bytes] | None) -> str:
    assert popen
    assert popen.poll() is None, text
    found = re.search(r"serving on (http://127\.0\.0\.1:\d+)\n", text)
    return found[1] if found else ""


def until(value: Callable[[], Any], why: Callable[[], object] = lambda: "", seconds: float = 90.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := value()):
        assert time.monotonic() < end, f"never: {why()}"
        time.sleep(0.05)
    return found


@contextmanager
def process(home: Path, *words: str, **env: str) -> Iterator[Process]:
    home.mkdir(exist_ok=True)
    (home / "settings.toml").write_text(
        f'models = "{home}/none"\noffline = true\n[server]\nfollow_s = 0.2\nstate_wait_s = 20.0\n'
    )
    one = Process([*words, "--port", "0"], home, env)
    try:
        yield one
    finally:
        one.end()


def ship_command(home: Path, target: Path) -> list[str]:
    return [sys.executable, "-m", "localsearch", "--home", str(home), "ship", str(target)]


def write(primary: Process, first: int, count: int) -> State:
    """Store documents through the primary; the state that holds them."""
    documents = [
        {"id": f"n{n}", "text": f"kiln glaze {n} word{n} " + "ash " * (n % 7) + "reduction " * (n % 3)}
        for n in range(first, first + count)
    ]
    answer = httpx.post(f"{primary.url}/documents", json={"documents": documents}, timeout=60, verify=PLAIN)
    assert answer.status_code == 200, answer.text
    state = State.parse(answer.headers[STATE])
    assert state
    return state


def found(answer: httpx.Response) -> Hits:
    assert answer.status_code == 200, answer.text
    return [(hit["id"], hit["score"]) for hit in answer.json()["results"]]


@dataclass(frozen=True, slots=True)
class Told:
    """An answer with the state that it names."""

    state: State
    query: str
    total: int
    hits: Hits


class Asking:
    """A client of one reader, which may be killed under it: keeps each answer with the state that it names."""

    def __init__(self, reader: Process) -> None:
        self.answers: list[Told] = []
        self.wrong: list[str] = []
        self._reader, self._stop = reader, threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        number = 0
        while not self._stop.wait(0.01):
            number += 1
            query = QUESTIONS[number % len(QUESTIONS)]
            try:
                answer = httpx.get(
                    f"{self._reader.url}/search", params={"q": query, "limit": 50}, timeout=30, verify=PLAIN
                )
            except httpx.TransportError:
                continue  # it was killed
            state = State.parse(answer.headers.get(STATE, ""))
            if answer.status_code != 200 or state is None:
                self.wrong.append(answer.text)
            else:
                self.answers.append(Told(state, query, answer.json()["total"], found(answer)))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.slow
def test_killed_at_random_every_answer_is_of_a_whole_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A primary, a reader of a folder and one over HTTP; `ship` and both readers are killed while documents come in."""
    seed = random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    target, kills = tmp_path / "to", {"ship": 0, "reader": 0}
    right = Right(tmp_path / "beside")
    with ExitStack() as stack:
        primary = stack.enter_context(process(tmp_path / "home", "--workers", "1"))
        primary.start()
        right.documents[write(primary, 0, BATCH).n] = BATCH
        subprocess.run(ship_command(primary.home, target), check=True, capture_output=True)
        right.remember(target)
        token = until(lambda: _token(primary.home))
        readers = [
            stack.enter_context(process(tmp_path / "one", "--follow", str(target))),
            stack.enter_context(
                process(tmp_path / "two", "--follow", primary.url, LOCALSEARCH_FOLLOW_KEY=token)
            ),
        ]
        # Over HTTP it follows what connects to this machine alone.
        (tmp_path / "two" / "settings.toml").write_text(
            (tmp_path / "two" / "settings.toml").read_text().replace("offline = true\n", "")
        )
        for reader in readers:
            reader.start()
        asking = [Asking(reader) for reader in readers]
        try:
            written, killed = BATCH, 0
            rounds = (DOCUMENTS - BATCH) // BATCH
            each = max(1, round(KILLS / rounds * 2) / 2)
            for number in range(rounds):
                state = write(primary, written, BATCH)
                written += BATCH
                right.documents[state.n] = written
                shipping = subprocess.Popen(
                    ship_command(primary.home, target), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                if killed < KILLS and number % max(1, int(1 / min(each, 1))) == 0:
                    killed += 1
                    if rng.random() < 0.5:
                        time.sleep(rng.uniform(0.3, 1.6))
                        kills["ship"] += shipping.poll() is None
                        shipping.kill()
                    else:
                        reader = rng.choice(readers)
                        time.sleep(rng.uniform(0.0, 1.0))
                        reader.kill()
                        kills["reader"] += 1
                        reader.start()
                shipping.wait(60)
                right.remember(target)
            last = subprocess.run(ship_command(primary.home, target), capture_output=True, text=True)
            assert last.returncode == 0, last.stderr
            right.remember(target)
            for reader in readers:
                answer = reader.get(f"/search?q=word{written - 1}", **{STATE: str(state)})
                assert [id for id, _ in found(answer)] == [f"n{written - 1}"]
        finally:
            for one in asking:
                one.stop()
    compared = right.compare(asking)
    with capsys.disabled():
        print(
            f"\nseed {seed}: {kills['ship']} kills of ship, {kills['reader']} of readers, {written:,} documents,"
            f" {sum(len(one.answers) for one in asking):,} answers, {compared:,} of them of {len(right.states)} shipped states"
        )
    assert compared > 0


class Right:
    """What answers may be: by documents of each state, and as each snapshot in the folder answers, opened by itself."""

    def __init__(self, beside: Path) -> None:
        self.documents: dict[int, int] = {}
        self.states: set[int] = set()
        self._hits: dict[tuple[int, str], list[Hits]] = {}
        self._beside = beside

    def remember(self, target: Path) -> None:
        """Of one state there may be several snapshots: merging changes the last digits of scores."""
        before = Replica(self._beside).current()
        present, _ = take(self._beside, target)
        if before is None or present.folder != before.folder:
            n = present.manifest.n
            self.states.add(n)
            for query in QUESTIONS:
                self._hits.setdefault((n, query), []).append(hits_of(present, query))

    def compare(self, asking: list[Asking]) -> int:
        """Hold every answer against its state; no reader goes back. How many were equal to a snapshot's.

        The reader over HTTP takes states of its own between those of the folder: all documents of them are found.
        """
        compared = 0
        for number, one in enumerate(asking):
            assert one.wrong == []
            orders = [answer.state.order for answer in one.answers]
            assert orders == sorted(orders)
            for answer in one.answers:
                n = max(n for n in self.documents if n <= answer.state.n)
                if answer.query == "kiln glaze":
                    assert answer.total == self.documents[n], answer.state
                if number == 0:
                    assert answer.hits in self._hits[answer.state.n, answer.query], answer.state
                    compared += 1
        return compared


def _token(home: Path) -> str:
    owner = owner_of(home)
    return (owner and owner.token) or ""


@pytest.mark.parametrize("who", ["ship", "reader"])
def test_a_full_disk_leaves_what_is_whole(who: str, tmp_path: Path) -> None:
    """Files may grow to a size below that of the snapshot: as on a full disk, writing fails in the middle."""
    target = tmp_path / "to"
    with ExitStack() as stack:
        primary = stack.enter_context(process(tmp_path / "home", "--workers", "1"))
        primary.start()
        write(primary, 0, 20)
        subprocess.run(ship_command(primary.home, target), check=True, capture_output=True)
        reader = stack.enter_context(process(tmp_path / "one", "--follow", str(target)))
        reader.start(1_000_000 if who == "reader" else None)
        right = found(reader.get("/search?q=kiln+glaze&limit=50"))
        before = read_published(target)
        words = " ".join(world.passages())
        body = {"documents": [{"id": f"big{n}", "text": f"{n} " + words[n : n + 90_000]} for n in range(30)]}
        httpx.post(f"{primary.url}/documents", json=body, timeout=60).raise_for_status()
        limit = _limited(300_000) if who == "ship" else None
        done = subprocess.run(
            ship_command(primary.home, target), capture_output=True, text=True, preexec_fn=limit
        )
        if who == "ship":
            assert done.returncode == 1, done.stderr
            assert "error:" in done.stderr
            assert read_published(target) == before
            assert subprocess.run(ship_command(primary.home, target), capture_output=True).returncode == 0
        else:
            assert done.returncode == 0, done.stderr
            until(lambda: reader.ready()["replica"]["error"])
            assert found(reader.get("/search?q=kiln+glaze&limit=50")) == right
            reader.end()
            reader.start()
        until(lambda: reader.ready()["documents"] == 50)
        present, _ = take(tmp_path / "beside", target)
        assert found(reader.get("/search?q=kiln+glaze&limit=50")) == hits_of(present)


def test_the_former_primary_is_stopped_from_shipping(tmp_path: Path) -> None:
    target = tmp_path / "to"
    with process(tmp_path / "home", "--workers", "1") as primary:
        primary.start()
        write(primary, 0, 20)
        subprocess.run(ship_command(primary.home, target), check=True, capture_output=True)
        with process(tmp_path / "one", "--follow", str(target)) as reader:
            reader.start()
            command = [sys.executable, "-m", "localsearch", "--home", str(reader.home), "promote"]
            held = subprocess.run(command, capture_output=True, text=True)
            assert held.returncode == 3, "while it follows, it is not promoted"
        promoted = subprocess.run(command, capture_output=True, text=True)
        assert promoted.returncode == 0, promoted.stderr
        with (
            process(tmp_path / "one", "--workers", "1") as newer,
            process(tmp_path / "two", "--follow", str(target)) as second,
        ):
            second.start()
            newer.start()
            state = write(newer, 100, 5)
            assert state.epoch == 2
            subprocess.run(ship_command(newer.home, target), check=True, capture_output=True)
            assert found(second.get("/search?q=word104", **{STATE: str(state)}))[0][0] == "n104"
            write(primary, 200, 5)
            late = subprocess.run(ship_command(primary.home, target), capture_output=True, text=True)
            assert late.returncode == 1
            assert "another primary since epoch 2" in late.stderr
            assert primary.get("/search?q=kiln", **{STATE: str(state)}).status_code == 409
            assert found(second.get("/search?q=word204")) == []
