"""What several processes share: counts, buckets, reports, and the turn to take a connection."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from localsearch.caches import CacheStats, QueryLog
from localsearch.platform.counts import Count, WriterCounts
from localsearch.server.limits import Allowance, TokenBuckets
from localsearch.server.problems import HttpError
from localsearch.server.shared import accepting
from localsearch.server.shared.accepting import Acceptor
from localsearch.server.shared.board import Board
from localsearch.server.shared.buckets import SETS, WAYS, SharedBuckets
from localsearch.server.shared.reports import OtherCaches, Report

SECRET = b"s" * 32


def elsewhere(code: str, *words: str) -> str:
    """What another process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_a_count_of_one_process() -> None:
    count = Count()
    assert count.value == 0
    count.add()
    count.add(2**40)
    assert count.value == 2**40 + 1


def test_clearing_is_seen_before_the_count_that_announces_it() -> None:
    counts = WriterCounts()
    counts.clear()
    assert (counts.clears.value, counts.commits.value) == (1, 1)


def test_other_processes_read_what_one_writes(tmp_path: Path) -> None:
    board = Board(tmp_path / "board", 3)
    board.enter(2)
    board.hold(2, 7)
    board.counts.commits.add(5)
    board.counts.clear()
    code = """
import sys
from pathlib import Path
from localsearch.server.shared.board import Board
board = Board(Path(sys.argv[1]), 3)
print(board.counts.commits.value, board.counts.clears.value, *board.pids(), board.has_most(2))
board.enter(1)
board.hold(1, 6)
"""
    assert elsewhere(code, str(board_file := tmp_path / "board")) == f"6 1 {os.getpid()} False"
    assert board.has_most(2)
    board.leave(1)
    assert not board.has_most(2)
    assert board_file.stat().st_mode & 0o777 == 0o600


def test_buckets_of_one_process_and_shared_ones_count_alike(tmp_path: Path) -> None:
    now = [1000.0]
    alone = TokenBuckets(lambda: now[0])
    shared = SharedBuckets(tmp_path / "buckets", SECRET, lambda: now[0])
    allowance = Allowance(2.0, 5)

    def taken(buckets: TokenBuckets, client: str) -> object:
        try:
            return buckets.take(client, allowance)
        except HttpError as error:
            return error.status, error.headers

    for step in range(60):
        client = f"client{step % 3}"
        assert taken(alone, client) == taken(shared, client), step
        now[0] += (step * 7 % 5) / 20
    assert len(alone) == len(shared) == 3
    shared.close()


def test_no_token_is_given_twice_by_processes_at_once(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from localsearch.server.limits import Allowance
from localsearch.server.problems import HttpError
from localsearch.server.shared.buckets import SharedBuckets
buckets = SharedBuckets(Path(sys.argv[1]), b"s" * 32)
given = 0
for _ in range(3000):
    try:
        buckets.take("one", Allowance(1e-9, 4000))
        given += 1
    except HttpError:
        pass
print(given)
"""
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "b")], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    given = [int(one.communicate(timeout=120)[0]) for one in started]
    assert sum(given) == 4000  # more than one of them could get


def test_a_process_that_dies_with_a_set_locked_locks_nobody_out(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from localsearch.server.limits import Allowance
from localsearch.server.shared.buckets import SharedBuckets
buckets = SharedBuckets(Path(sys.argv[1]), b"s" * 32)
with buckets._bucket("one", Allowance(1.0, 5)):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    file = tmp_path / "buckets"
    assert subprocess.run([sys.executable, "-c", code, str(file)], timeout=60, check=False).returncode == -9
    buckets = SharedBuckets(file, SECRET)
    assert (b"ratelimit-remaining", b"4") in buckets.take("one", Allowance(1.0, 5))
    buckets.close()


def test_a_flood_of_clients_forgets_others_and_not_the_one_that_asks(tmp_path: Path) -> None:
    now = [0.0]
    buckets = SharedBuckets(tmp_path / "buckets", SECRET, lambda: now[0])
    allowance = Allowance(1e-9, 3)
    for n in range(3):
        assert (b"ratelimit-remaining", b"%d" % (2 - n)) in buckets.take("steady", allowance)
    for n in range(2 * SETS * WAYS):
        now[0] += 0.001
        buckets.take(f"flood{n}", allowance)
        if n % 500 == 0:
            with pytest.raises(HttpError):
                buckets.take("steady", allowance)
    assert len(buckets) <= SETS * WAYS
    buckets.close()


def stats(hits: int, entries: int) -> CacheStats:
    return CacheStats(hits, 2 * hits, 0, entries, 10 * entries, 1.0)


def test_caches_of_all_are_added_and_what_a_dead_process_counted_stays() -> None:
    others = OtherCaches()
    own = {"answers": stats(1, 1)}
    assert others.beside(own) == own
    others.told(Report(place=1, pid=100, clears=0, caches={"answers": stats(10, 5)}))
    others.told(Report(place=1, pid=100, clears=0, caches={"answers": stats(12, 6)}))
    others.told(Report(place=2, pid=101, clears=0, caches={"answers": stats(100, 7)}))
    assert others.beside(own)["answers"] == CacheStats(113, 226, 0, 14, 140, 1.0)
    others.told(Report(place=1, pid=102, clears=0, caches={"answers": stats(1, 1)}))
    assert others.beside(own)["answers"] == CacheStats(114, 228, 0, 9, 90, 1.0)


def test_what_one_log_took_another_adds_unless_it_was_cleared_meanwhile(tmp_path: Path) -> None:
    reading, writing = QueryLog(None), QueryLog(tmp_path)
    reading.record({"query": "kiln"})
    reading.record({"query": "bees"})
    taken = reading.take()
    assert (len(taken), reading.take()) == (2, {})
    writing.record({"query": "bees"})
    writing.add(taken, lambda: False)
    assert writing.frequent(5) == [{"query": "bees"}]
    writing.add(taken, lambda: True)
    assert writing.frequent(5) == [{"query": "bees"}, {"query": "kiln"}]
    writing.close()


async def takers(full_alone: bool, connections: int) -> list[str]:
    """Who took each of so many connections: `full` has most, `free`, where it is there, has not."""
    took: list[str] = []

    class Named(asyncio.Protocol):
        def __init__(self, name: str) -> None:
            took.append(name)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptors = [Acceptor(listener.dup(), lambda: Named("full"), lambda: True)]
        if not full_alone:
            acceptors.append(Acceptor(listener.dup(), lambda: Named("free"), lambda: False))
        writers = []
        for _ in range(connections):
            writers.append((await asyncio.open_connection(*listener.getsockname()))[1])
            while len(took) < len(writers):
                await asyncio.sleep(0.001)
        for one in acceptors:
            one.close()
        for writer in writers:
            writer.close()
    return took


def test_a_process_with_more_connections_leaves_a_new_one_to_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert asyncio.run(takers(True, 5)) == ["full"] * 5
    monkeypatch.setattr(accepting, "YIELD_S", 600.0)
    assert asyncio.run(takers(False, 20)) == ["free"] * 20
