"""An engine of vectors and its feeder, killed at random moments of upserts, deletions and switches of the alias.

`make faults` runs it. Nothing acknowledged is lost, nothing is there twice, and no answer from a part of the vectors is
given as whole: each one that the guard lets through is held against comparing with every confirmed vector.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from backends.world import DIMENSIONS, World, backend_settings, clustered, document, queries, recall, write

from localsearch.errors import VectorsUnavailableError
from localsearch.filters import OWN_DATE, SPEAKING
from localsearch.store import Database, Embeddings, VersionFeed
from localsearch.types import Ranking
from localsearch.vectors import MilvusIndex, MilvusServer

pytest.importorskip("pymilvus", reason="Milvus is not installed: pip install 'localsearch[milvus]'")
pytest.importorskip("milvus", reason="the server is not installed: pip install milvus==2.3.5")

from backends.milvus_process import MilvusProcess

WRITER_KILLS, SERVER_KILLS, REPLAYS = 80, 25, 40
SEED = int(os.environ.get("LOCALSEARCH_SEED") or random.randrange(1 << 30))
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusProcess]:
    process = MilvusProcess(tmp_path_factory.mktemp("milvus"), exact_when_new=True)
    process.start()
    yield process
    process.kill()


class Writer:
    """`vector_writer.py` as a process."""

    def __init__(self, home: Path, uri: str, alias: str, seed: int) -> None:
        path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
        self.process = subprocess.Popen(
            [sys.executable, str(TESTS / "faults" / "vector_writer.py"), str(home), uri, alias, str(seed)],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def run_for(self, seconds: float) -> None:
        """Let it work this long, from when it has opened the folder."""
        until = time.monotonic() + 60
        while not self.lines and time.monotonic() < until:
            assert self.process.poll() is None
            time.sleep(0.01)
        time.sleep(seconds)

    def kill(self) -> int:
        """kill -9; returns the steps that it had done."""
        assert self.process.poll() is None, "".join(self.lines[-30:])
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        return sum(line == "step\n" for line in self.lines)


class Searcher:
    """Searches all the while, as a reader of the same folder, and holds what it is given against every vector."""

    def __init__(self, home: Path, uri: str) -> None:
        self.db = Database.open(home, read_only=True)
        self.embeddings = Embeddings(self.db)
        self.log = VersionFeed(self.embeddings, 1, OWN_DATE, SPEAKING)
        self.index = MilvusIndex(
            MilvusServer(backend_settings("milvus", uri)), self.log, None, DIMENSIONS, writable=False
        )
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        asked = clustered(64, seed=7)
        number = 0
        while not self._stop.is_set():
            number += 1
            query = asked[number % len(asked)]
            before = self.log.now()
            try:
                found = self.index.search(query, 10)
            except VectorsUnavailableError as error:
                self.outcomes[error.message.split(":")[0][:40]] += 1
                time.sleep(0.05)
                continue
            self._hold(query, found, before)

    def _hold(self, query: np.ndarray, found: Ranking, before: object) -> None:
        """What was confirmed at one revision, and is still in the database, is what the answer is of."""
        with self.db.snapshot():
            feed = self.log.now()
            if feed is None or feed != before:
                self.outcomes["whole, not compared: a batch came"] += 1
                return
            ids, vectors = self.embeddings.vectors_of(1, self.log.fed_between(feed, 0, 1 << 62))
        scores = vectors @ query
        order = np.lexsort((ids, -scores))[:10]
        share = recall(found, Ranking(ids[order], scores[order]))
        self.outcomes["whole, compared"] += 1
        if share < 0.9 or len(found) < min(10, len(ids)):
            self.wrong.append(f"{found.ids.tolist()} for {ids[order].tolist()} at revision {feed.revision}")

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.db.close()
        self.index.server.close()


def held_against_the_database(home: Path, uri: str, alias: str) -> int:
    """Feed what is left, then hold every id and some answers against the database; returns the rows."""
    world = World.open(home, backend_settings("milvus", uri), alias)
    try:
        until = time.monotonic() + 120
        while True:
            try:
                left, held = world.index.catch_up(), world.index.ids().tolist()
                break
            except VectorsUnavailableError:
                assert time.monotonic() < until
                time.sleep(0.5)
        assert left == 0
        wanted = world.embeddings.embedded_ids(world.version)
        assert held == wanted.tolist()
        assert len(world.index) == len(wanted)
        assert world.index.check() == []
        for query in queries(5):
            assert recall(world.index.search(query, 20), world.truth(query, 20)) >= 0.95
        return len(wanted)
    finally:
        world.close()


def test_kills_of_the_feeder_and_of_the_engine(server: MilvusProcess, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    print(f"\nLOCALSEARCH_SEED={SEED}")
    home, alias = tmp_path / "home", "localsearch_fa01_v1"
    write(home, 200)
    searcher = Searcher(home, server.uri)
    steps = 0
    kills = ["writer"] * WRITER_KILLS + ["server"] * SERVER_KILLS
    chance.shuffle(kills)
    try:
        for number, victim in enumerate(kills):
            writer = Writer(home, server.uri, alias, chance.randrange(1 << 30))
            writer.run_for(chance.random() * 3)
            if victim == "server":
                server.kill()
                writer.run_for(chance.random())
                server.start()
                writer.run_for(chance.random() * 2)
            steps += writer.kill()
            rows = held_against_the_database(home, server.uri, alias)
            assert searcher.wrong == []
            if number % 10 == 0:
                print(f"{number} kills, {steps} steps, {rows} rows, {dict(searcher.outcomes)}", flush=True)
    finally:
        guard = searcher.index.state.guard
        searcher.close()
        print(
            f"kills: {WRITER_KILLS} of the feeder, {SERVER_KILLS} of the engine; {steps} steps;"
            f" guard {guard}; searches {dict(searcher.outcomes)}; seed {SEED}"
        )
    assert searcher.wrong == []
    assert searcher.outcomes["whole, compared"] > 100


def test_replays_in_any_order(server: MilvusProcess, tmp_path: Path) -> None:
    """Batches as they were are sent again, late and out of order, as a stalled process would: it is mended."""
    chance = random.Random(SEED)
    home, alias = tmp_path / "home", "localsearch_fa02_v1"
    write(home, 150)
    world = World.open(home, backend_settings("milvus", server.uri), alias)
    world.index.catch_up()
    index = world.index
    assert isinstance(index, MilvusIndex)
    assert index.feeder is not None
    old, revived = [], 0
    for _ in range(REPLAYS):
        feed = index.log.now()
        assert feed is not None
        world.put([document(chance.randrange(150)) for _ in range(5)], chance.randrange(1 << 30))
        with world.db.write():
            world.corpus.remove(chance.sample(world.corpus.document_ids(), 3))
        batch = index.log.batch(feed, 1_000)
        assert batch is not None
        old.append(batch)
        world.sync()
        for again in chance.sample(old, min(len(old), 2)) * 2:
            index.server.apply(feed.collection, again)
        index.server.count(feed.collection, settled=True)
        found = index._found(queries(1)[0], 50, None, None, index.log.vectors_of)
        wanted = world.embeddings.embedded_ids(world.version)
        assert np.isin(found.ids, wanted).all()
        revived += index.feeder.reconcile()
        assert index.ids().tolist() == wanted.tolist()
        assert recall(index.search(queries(1)[0], 20), world.truth(queries(1)[0], 20)) >= 0.95
    print(f"\n{REPLAYS} rounds of replays: {revived} rows reconciled; seed {SEED}")
    assert revived > 0
    world.close()
    world.drop()
