"""What is particular to an engine: its rows are counted, it is fed from a log, it may be away, wrong or half there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from backends.world import (
    DIMENSIONS,
    World,
    backend_settings,
    clustered,
    copied,
    document,
    open_index,
    parts,
    queries,
    recall,
)

from localsearch.errors import ConflictError, ReadOnlyError, VectorsUnavailableError
from localsearch.filters import OWN_DATE, SPEAKING
from localsearch.store import VersionFeed, stop_feeding
from localsearch.types import Feed, FeedBatch
from localsearch.vectors import MilvusIndex, MilvusServer
from localsearch.vectors.feeder import BATCH
from localsearch.vectors.guard import PAUSES_S, CountGuard

# -- the guard, by itself


def feed(expected: int, revision: int = 1, *, sending: bool = False) -> Feed:
    return Feed(1, "alias", "collection", 0, True, 0, expected, sending, revision)


def guarded(counts: list[int], feeds: list[Feed | None]) -> CountGuard:
    """A guard that sees these counts and feeds in turn; the last of each stays."""

    def take(values: list[object]) -> Callable[[], object]:
        return lambda: values.pop(0) if len(values) > 1 else values[0]

    return CountGuard(take(list(feeds)), take(list(counts)))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "world" not in request.fixturenames:
        clock = SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic)
        monkeypatch.setattr("localsearch.vectors.guard.time", clock)


def test_an_answer_between_two_full_counts_is_whole() -> None:
    guard = guarded([10], [feed(10)])
    assert guard.whole(lambda: "answer") == "answer"
    assert (guard.counts.whole, guard.counts.retried, guard.counts.refused) == (1, 0, 0)


@pytest.mark.parametrize(
    "counts", [[9, 10, 10], [10, 9, 10, 10], [11, 10, 10], [10, 11, 10, 10], [3, 4, 5, 10, 10]]
)
def test_an_answer_beside_another_count_is_asked_again(counts: list[int]) -> None:
    """Before or after, too few or too many: rows that came back could hide others that are missing."""
    answers = iter(range(100))
    guard = guarded(counts, [feed(10)])
    guard.whole(lambda: next(answers))
    assert (guard.counts.whole, guard.counts.retried, guard.counts.refused) == (0, 1, 0)


def test_an_answer_from_a_part_is_never_given() -> None:
    guard, asked = guarded([9], [feed(10)]), []
    with pytest.raises(VectorsUnavailableError, match="9 rows of 10"):
        guard.whole(lambda: asked.append(1))
    assert asked == []
    assert guard.counts.refused == 1


def test_an_answer_while_a_batch_was_sent_is_asked_again() -> None:
    during = guarded([10], [feed(10), feed(10, 2), feed(10, 2), feed(10, 2)])
    assert during.whole(lambda: "answer") == "answer"
    assert during.counts.retried == 1
    sending = guarded([10], [feed(10, sending=True)])
    with pytest.raises(VectorsUnavailableError, match="are being sent"):
        sending.whole(lambda: "answer")
    assert sending.counts.refused == 1


def test_before_anything_is_fed_nothing_is_asked() -> None:
    with pytest.raises(VectorsUnavailableError, match="No vectors"):
        guarded([0], [None]).whole(lambda: "answer")


def test_the_guard_gives_up_within_a_second() -> None:
    assert 0.5 <= sum(PAUSES_S) <= 1.0


# -- the guard, on rows that are really missing


def test_rows_that_are_missing_refuse_the_answer_and_are_put_back(world: World) -> None:
    index, feeder, _, feed_ = parts(world)
    nothing = FeedBatch(
        np.empty(0, np.int64), np.empty((0, DIMENSIONS), np.float32), (), np.array([5, 6, 7]), 0, True, 0, 0
    )
    feeder.server.apply(feed_.collection, nothing)
    assert feeder.server.count(feed_.collection, settled=True) == 297
    with pytest.raises(VectorsUnavailableError, match="297 rows of 300"):
        index.search(queries(1)[0], 10)
    assert index.state.guard.refused == 1
    assert index.look().rows == 297
    assert index.check() == ["Milvus counts 297 rows; 300 were confirmed."]
    assert feeder.reconcile() == 3
    assert recall(index.search(queries(1)[0], 50), world.truth(queries(1)[0], 50)) == 1.0
    assert index.check() == []


def test_an_id_that_comes_back_is_not_given_and_is_reconciled(world: World) -> None:
    """An upsert that arrives after the deletion, as a replay brings it, revives the row in the engine."""
    index, feeder, log, feed_ = parts(world)
    chunks = world.chunks(world.corpus.document_ids()[:3])
    late = log.again(feed_, chunks)
    with world.db.write():
        world.corpus.remove(world.corpus.document_ids()[:3])
    world.sync()
    feeder.server.apply(feed_.collection, late)
    assert feeder.server.count(feed_.collection, settled=True) == 300
    found = index._found(queries(1)[0], 400, None, None, log.vectors_of)
    assert not np.isin(chunks, found.ids).any()
    with pytest.raises(VectorsUnavailableError, match="300 rows of 294"):
        index.search(queries(1)[0], 10)
    assert feeder.reconcile() == 6
    assert index.ids().tolist() == world.embeddings.embedded_ids(world.version).tolist()
    assert len(index.search(queries(1)[0], 400)) == 294


def test_catching_up_reconciles_what_the_count_tells(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    index, feeder, _, feed_ = parts(world)
    monkeypatch.setattr("localsearch.vectors.feeder._SHOWN_S", 0.5)
    nothing = FeedBatch(
        np.empty(0, np.int64), np.empty((0, DIMENSIONS), np.float32), (), np.array([9]), 0, True, 0, 0
    )
    feeder.server.apply(feed_.collection, nothing)
    feeder.server.count(feed_.collection, settled=True)
    assert index.catch_up() == 0
    assert len(index.search(queries(1)[0], 400)) == 300


# -- the feed


def test_a_feed_that_is_cut_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localsearch.vectors.feeder.BATCH", 16)
    world.put([document(n) for n in range(4_000, 4_050)], seed=9)
    left = world.index.catch_up(cancelled=chain([False, False], repeat(True)).__next__)
    assert left > 0
    assert 300 < len(world.index) < 400
    assert world.index.catch_up() == 0
    assert len(world.index) == 400
    assert world.index.ids().tolist() == world.embeddings.embedded_ids(world.version).tolist()


@pytest.mark.parametrize("when", ["before sending", "after sending", "before confirming"])
def test_a_feeder_that_dies_leaves_nothing_lost_and_nothing_twice(
    world: World, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, feeder, _, _ = parts(world)
    world.put([document(n) for n in range(4_000, 4_020)], seed=9)
    with world.db.write():
        world.corpus.remove(world.corpus.document_ids()[:7])

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if when == "before sending":
            patched.setattr(feeder.server, "apply", dies)
        elif when == "after sending":
            patched.setattr(feeder.server, "count", dies)
        else:
            patched.setattr(feeder.log, "confirmed", dies)
        with pytest.raises(KeyboardInterrupt):
            index.catch_up()
    with pytest.raises(VectorsUnavailableError, match="are being sent"):
        index.search(queries(1)[0], 10)
    again = world.reopened()
    assert again.index.catch_up() == 0
    assert len(again.index) == 300 + 40 - 14
    assert again.index.ids().tolist() == again.embeddings.embedded_ids(again.version).tolist()
    assert recall(again.index.search(queries(1)[0], 30), again.truth(queries(1)[0], 30)) == 1.0
    again.close()


def test_replays_from_any_earlier_place_change_nothing(world: World) -> None:
    """The log is read again from places before, twice and out of order: what is sent is what the database has now."""
    _, feeder, log, _ = parts(world)
    batches, random = [], np.random.default_rng(11)
    for round_ in range(5):
        world.put([document(int(n)) for n in random.integers(0, 300, 10)], seed=60 + round_)
        feed_ = log.now()
        assert feed_ is not None
        batches.append(feed_)
        world.sync()
    for start in (4, 0, 2, 0, 3, 1, 4):
        now = log.now()
        assert now is not None
        changed = np.arange(1, 500)
        again = log.again(replace(now, position=batches[start].position), changed)
        feeder.server.apply(now.collection, again)
    now = log.now()
    assert now is not None
    assert feeder.server.count(now.collection, settled=True) == now.expected
    assert world.index.ids().tolist() == world.embeddings.embedded_ids(world.version).tolist()
    assert recall(world.index.search(queries(1)[0], 50), world.truth(queries(1)[0], 50)) == 1.0


def test_one_feeder_at_a_time(world: World) -> None:
    """A second feeder takes the feed over; the first may not confirm any more, and says so."""
    index, _, log, _ = parts(world)
    second = MilvusIndex(MilvusServer(world.settings), log, world.alias, DIMENSIONS)
    second.catch_up()
    world.put([document(n) for n in range(4_000, 4_005)], seed=9)
    with pytest.raises(ConflictError, match="Another process feeds"):
        index.catch_up()
    assert second.catch_up() == 0
    assert len(second) == 310
    second.server.close()


def test_two_threads_that_feed_take_turns(world: World) -> None:
    world.put([document(n) for n in range(4_000, 4_040)], seed=9)
    left: list[int] = []
    threads = [threading.Thread(target=lambda: left.append(world.index.catch_up())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert left == [0, 0, 0]
    assert len(world.index) == 380
    assert world.index.ids().tolist() == world.embeddings.embedded_ids(world.version).tolist()


def test_batches_are_bounded(world: World) -> None:
    _, _, log, feed_ = parts(world)
    world.put([document(n) for n in range(4_000, 4_100)], seed=9)
    batch = log.batch(feed_, 30)
    assert batch is not None
    assert len(batch.ids) <= 30
    assert batch.position < world.db.one("SELECT max(seq) FROM vector_changes")
    assert BATCH <= 2_000
    assert log.behind(feed_) >= 200


def test_the_log_is_kept_while_there_is_a_feed_alone(world: World) -> None:
    assert world.db.one("SELECT count(*) FROM vector_changes") == 0
    world.put([document(4_000)], seed=9)
    assert world.db.one("SELECT count(*) FROM vector_changes") > 0
    world.index.catch_up()
    assert world.db.one("SELECT count(*) FROM vector_changes") == 0
    stop_feeding(world.db)
    world.put([document(4_001)], seed=9)
    assert world.db.one("SELECT count(*) FROM vector_changes") == 0
    assert world.db.one("SELECT count(*) FROM feeds") == 0
    assert world.db.one("SELECT count(*) FROM fed") == 0


def test_a_version_that_is_retired_does_not_keep_the_log(world: World) -> None:
    """Its feed ends with the first change that it would have to follow; going back to it begins anew."""
    second = world.embeddings.begin("other", "fp32", "other", DIMENSIONS)
    rows = world.db.query("SELECT id, hash FROM chunks ORDER BY id")
    vectors = clustered(len(rows), seed=55)
    world.embeddings.put(second.id, {row[1]: v for row, v in zip(rows, vectors)}, [row[0] for row in rows])
    world.embeddings.activate(second.id)
    alias = world.alias.rpartition("_v")[0] + f"_v{second.id}"
    index = open_index(world.home, world.embeddings, second.id, world.settings, alias)
    index.catch_up()
    with world.db.write():
        world.corpus.remove(world.corpus.document_ids()[:3])
    index.catch_up()
    assert world.db.one("SELECT count(*) FROM feeds") == 1
    assert world.db.one("SELECT count(*) FROM vector_changes") == 0
    world.embeddings.activate(world.version)
    assert world.index.catch_up() == 0
    assert len(world.index) == 294
    assert world.index.ids().tolist() == world.embeddings.embedded_ids(world.version).tolist()


def test_a_transaction_that_fails_logs_nothing(world: World) -> None:
    with pytest.raises(RuntimeError), world.db.write():
        world.corpus.put("default", document(4_000))
        raise RuntimeError("the disk is full, say")
    assert world.db.one("SELECT count(*) FROM vector_changes") == 0


# -- collections and aliases


def test_a_switch_of_the_alias_fails_no_search(world: World) -> None:
    """Searches go on while a second collection is built, and while the alias changes to it."""
    stop, failures, answers = threading.Event(), [], []

    def search() -> None:
        query, truth = queries(1)[0], world.truth(queries(1)[0], 10).ids.tolist()
        while not stop.is_set():
            try:
                answers.append(world.index.search(query, 10).ids.tolist() == truth)
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=search)
    thread.start()
    for _ in range(2):
        world.rebuild()
    stop.set()
    thread.join()
    assert failures == []
    assert len(answers) > 5
    assert all(answers)


def test_a_switch_that_is_cut_is_mended(world: World) -> None:
    """The alias names the new collection, and the database the former: the next feeding brings them together."""
    index, feeder, _, feed_ = parts(world)
    built = feeder.build()
    feeder.server.point(world.alias, built.name)
    assert index.check() == [f"The alias {world.alias} names {built.name} instead of {feed_.collection}."]
    again = world.reopened()
    again.index.catch_up()
    assert again.index.check() == []
    again.rebuild()
    names = [n for n in feeder.server.collections() if n.startswith(world.alias)]
    assert len(names) == 1
    assert recall(again.index.search(queries(1)[0], 30), again.truth(queries(1)[0], 30)) == 1.0
    again.close()


def test_collections_of_versions_that_are_gone_are_dropped(world: World) -> None:
    _, feeder, _, _ = parts(world)
    stray = world.alias.rpartition("_v")[0] + "_v99_abcdef01"
    feeder.server.create(stray, 8)
    assert stray in feeder.server.collections()
    world.rebuild()
    assert stray not in feeder.server.collections()


def test_another_index_is_left_alone(world: World, small_folder: Path, tmp_path: Path) -> None:
    """A restored copy has an identity of its own: it begins a collection, and does not write to the other's."""
    other = copied(small_folder, tmp_path / "other", world.settings)
    with other.db.write():
        other.corpus.remove(other.corpus.document_ids()[:10])
    other.sync()
    other.rebuild()
    assert len(other.index) == 280
    assert len(world.index.search(queries(1)[0], 400)) == 300
    other.close()
    other.drop()


def test_a_folder_with_the_feed_of_another_index_begins_anew(world: World) -> None:
    world.close()
    copy = World.open(world.home, world.settings)
    assert copy.alias != world.alias
    copy.index.catch_up()
    assert len(copy.index) == 300
    assert copy.index.check() == []
    assert copy.index.log.now().alias == copy.alias  # type: ignore[attr-defined]
    copy.close()
    copy.drop()


# -- away


def test_an_engine_that_is_away_is_told_at_once(small_folder: Path, tmp_path: Path) -> None:
    """Words are searched meanwhile: each question is told within the time of a refused connection."""
    world = copied_without(small_folder, tmp_path)
    index = world.index
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(VectorsUnavailableError):
            index.search(queries(1)[0], 10)
    with pytest.raises(VectorsUnavailableError, match="cannot be asked"):
        index.catch_up()
    assert time.monotonic() - began < 15
    state = index.look()
    assert state.count == 0
    assert state.behind == 300
    assert (state.reachable, "cannot be asked" in state.problem) == (False, True)
    world.close()


def copied_without(folder: Path, tmp_path: Path) -> World:
    shutil.copytree(folder, tmp_path / "home")
    return World.open(tmp_path / "home", backend_settings("milvus", "http://127.0.0.1:9"))


def test_what_few_documents_hold_is_found_without_the_engine(small_folder: Path, tmp_path: Path) -> None:
    world = copied_without(small_folder, tmp_path)
    selection = world.selected("size:<20")
    query = queries(1)[0]
    among = world.catalog.chunks_of(selection.documents_selected)
    assert world.index.search(query, 10, selection).ids.tolist() == world.truth(query, 10, among).ids.tolist()
    assert not np.isnan(world.index.score(query, among)).any()
    world.close()


def test_a_reader_feeds_nothing(world: World) -> None:
    reader = MilvusIndex(
        MilvusServer(world.settings),
        VersionFeed(world.embeddings, world.version, OWN_DATE, SPEAKING),
        None,
        DIMENSIONS,
        writable=False,
    )
    assert recall(reader.search(queries(1)[0], 30), world.truth(queries(1)[0], 30)) == 1.0
    with pytest.raises(ReadOnlyError):
        reader.catch_up()
    reader.server.close()


def test_without_pymilvus_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    server = MilvusServer(backend_settings("milvus", "http://127.0.0.1:9"))
    with pytest.raises(VectorsUnavailableError) as told:
        server.collections()
    assert "localsearch[milvus]" in told.value.hint


FORKS = """
import os, socket, subprocess, sys, threading, time
from backends.world import backend_settings
from localsearch.errors import VectorsUnavailableError
from localsearch.vectors.milvus_server import MilvusServer

def ask():
    while True:
        try:
            server.collections()
        except VectorsUnavailableError:
            pass

silent = socket.create_server(("127.0.0.1", 0))
server = MilvusServer(backend_settings("milvus", f"http://127.0.0.1:{silent.getsockname()[1]}"))
threading.Thread(target=ask, daemon=True).start()
silent.accept()
for _ in range(20):
    subprocess.run([sys.executable, "-S", "-c", ""], preexec_fn=lambda: time.sleep(0.02), check=True)
os._exit(0)
"""


def test_a_process_that_asks_milvus_may_fork() -> None:
    """gRPC's own handlers made one child of five abort before it became another program."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[1:3]))}
    environment.pop("GRPC_ENABLE_FORK_SUPPORT", None)
    done = subprocess.run(
        [sys.executable, "-c", FORKS], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "fork" not in done.stderr


@pytest.mark.parametrize("uri", ["./milvus.db", "file.db", "127.0.0.1:19530", ""])
def test_what_is_no_address_of_a_server_is_refused(uri: str) -> None:
    """A path would start the client's embedded engine, which misses rows under tight filters."""
    with pytest.raises(VectorsUnavailableError, match="no address of a server"):
        MilvusServer(backend_settings("milvus", uri)).collections()


@pytest.mark.parametrize("host", ["192.0.2.1", "milvus.example.com"])
def test_offline_forbids_an_engine_elsewhere(host: str) -> None:
    server = MilvusServer(backend_settings("milvus", f"http://{host}:19530"), offline=True)
    with pytest.raises(VectorsUnavailableError, match="beyond this machine"):
        server.collections()


def test_offline_allows_an_engine_here(milvus_uri: str) -> None:
    server = MilvusServer(backend_settings("milvus", milvus_uri), offline=True)
    assert isinstance(server.collections(), list)
    server.close()
