"""Chunks taken apart in other processes: the same as in this one, and none lost when such a process is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from localsearch.lexical import analysis_pool
from localsearch.lexical.analysis_pool import FEW, MANY, AnalysisPool
from localsearch.lexical.fields import fields
from localsearch.platform.interpreter import ONE_THREAD, environment, module_command
from localsearch.text import Analyzer
from localsearch.types import IndexedChunk

TEXTS = (
    "The KT-INS114 reads 1,234.56 volts at -18 degrees in readFile_v2.",
    "Die Krankenversicherung zahlt für Größe und Straße.",
    "東京都の天気 and a cafe\u0301 in the U.S.A. €5",
    "x" * 300,
    "",
)


def chunks(count: int) -> list[IndexedChunk]:
    return [
        IndexedChunk(
            n,
            n,
            f"title{n}",
            "",
            TEXTS[n % 5],
            f"file{n}.txt",
            ("en", "de", "ja", "", "zz")[n % 5],
            "red\nblue",
        )
        for n in range(count)
    ]


@pytest.fixture
def pool() -> Iterator[AnalysisPool]:
    made = AnalysisPool(Analyzer(), 2)
    yield made
    made.close()


def processes(pool: AnalysisPool) -> list[subprocess.Popen[bytes]]:
    held = [pool._idle.get() for _ in range(pool._count)]
    for one in held:
        pool._idle.put(one)
    return [one._process for one in held if one._process is not None]


def pids(pool: AnalysisPool) -> list[int]:
    return [process.pid for process in processes(pool)]


def alone(given: list[IndexedChunk]) -> list[tuple[str, str, set[str]]]:
    return [
        (made.text, made.plain, set(made.words.split())) for made in (fields(c, Analyzer()) for c in given)
    ]


def told(pool: AnalysisPool, given: list[IndexedChunk]) -> list[tuple[str, str, set[str]]]:
    return [(made.text, made.plain, set(made.words.split())) for made in pool.fields(given)]


def test_many_chunks_come_back_in_order_as_one_process_takes_them_apart(pool: AnalysisPool) -> None:
    given = chunks(MANY + 77)
    assert told(pool, given) == alone(given)
    assert pids(pool), "no process was started"


def test_few_chunks_start_no_process(pool: AnalysisPool) -> None:
    given = chunks(MANY - 1)
    assert told(pool, given) == alone(given)
    for _ in range(40):
        assert told(pool, given[:1]) == alone(given[:1])
    assert pids(pool) == []


def test_many_chunks_in_several_calls_start_them(pool: AnalysisPool) -> None:
    given = chunks(FEW)
    for _ in range(MANY // FEW + 1):
        assert told(pool, given) == alone(given)
    assert pids(pool)


@pytest.mark.parametrize(("language", "stemming"), [("de", True), ("en", False)])
def test_the_processes_work_by_the_same_analyser(language: str, stemming: bool) -> None:
    analyzer = Analyzer(language, stemming=stemming)
    pool = AnalysisPool(analyzer, 2)
    try:
        given = chunks(MANY)
        assert [made.text for made in pool.fields(given)] == [fields(c, analyzer).text for c in given]
        assert pids(pool)
    finally:
        pool.close()


def test_a_process_that_is_killed_loses_no_chunk_and_is_replaced(pool: AnalysisPool) -> None:
    given = chunks(MANY)
    expected = alone(given)
    list(pool.fields(given))
    before = pids(pool)
    killer = threading.Timer(0.05, lambda: [os.kill(pid, signal.SIGKILL) for pid in before])
    killer.start()
    assert told(pool, given) == expected
    killer.join()
    assert told(pool, given) == expected
    assert not set(before) & set(pids(pool))


def test_without_processes_everything_is_taken_apart_here(
    pool: AnalysisPool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(analysis_pool, "module_command", lambda *_: ["/nowhere/to/be/found"])
    given = chunks(MANY)
    assert told(pool, given) == alone(given)
    assert "taken apart in this one" in caplog.text


def test_a_process_of_another_analyser_is_not_asked(
    pool: AnalysisPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Analyzer, "options", ("de", True))
    given = chunks(MANY)
    assert told(pool, given) == alone(given)
    assert pids(pool) == []


def test_closing_ends_the_processes_and_closing_twice_is_no_error(pool: AnalysisPool) -> None:
    list(pool.fields(chunks(MANY)))
    started = pids(pool)
    pool.close()
    pool.close()
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_two_who_close_at_once_do_not_wait_for_each_other(pool: AnalysisPool) -> None:
    for _ in range(10):
        held = [pool._idle.get() for _ in range(2)]
        closing = [threading.Thread(target=pool.close, daemon=True) for _ in range(2)]
        for thread in closing:
            thread.start()
        for process in held:
            time.sleep(0.02)
            pool._idle.put(process)
        for thread in closing:
            thread.join(10)
            assert not thread.is_alive()


def test_the_processes_are_ended_when_nobody_asks(
    pool: AnalysisPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysis_pool, "_IDLE_S", 0.01)
    given = chunks(MANY)
    assert told(pool, given) == alone(given)
    assert pool._rest is None or pool._rest.join(60) is None
    assert pids(pool) == []
    assert told(pool, given) == alone(given)


def test_a_process_ends_when_the_other_side_is_gone() -> None:
    ours, theirs = socket.socketpair()
    command = module_command("localsearch.lexical.analysis_worker", str(theirs.fileno()), "en", "1")
    with subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment()) as process, theirs:
        theirs.close()
        assert ours.recv(4)
        ours.close()
        assert process.wait(60) == 0


def test_a_pool_goes_on_after_its_processes_have_died(pool: AnalysisPool) -> None:
    given = chunks(MANY)
    list(pool.fields(given))
    for process in processes(pool):
        process.terminate()
        process.wait()
    assert told(pool, given) == alone(given)
    assert pids(pool)


def test_the_environment_of_a_process_holds_nothing_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("PATH", "/usr/bin")
    assert environment("PATH")["PATH"] == "/usr/bin"
    assert "AWS_SECRET_ACCESS_KEY" not in environment("PATH")
    assert "PATH" not in environment()
    assert set(ONE_THREAD.values()) <= {"1", "2"}
    assert module_command("a.b", "c")[1:] == ["-SP", "-m", "a.b", "c"]


def different(count: int) -> list[IndexedChunk]:
    """As `chunks`, each with words of its own, and without ids, as before they are stored."""
    return [
        c._replace(chunk_id=0, document_id=0, body=f"{c.body} word{n}") for n, c in enumerate(chunks(count))
    ]


def stored(given: list[IndexedChunk]) -> list[IndexedChunk]:
    return [chunk._replace(chunk_id=n, document_id=n) for n, chunk in enumerate(given, 1)]


def test_what_was_begun_comes_in_the_order_in_which_it_is_asked_for(
    pool: AnalysisPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = different(MANY + 77)
    for start in range(0, len(given), 10):
        pool.begin(given[start : start + 10])
    assert pool._begun
    monkeypatch.setattr(analysis_pool, "fields_of", None)  # nothing is taken apart in this process
    asked = stored(given)[::-1]
    assert told(pool, asked) == alone(asked)
    assert (pool._begun, pool._gathered, pool._waiting) == ({}, [], 0)


def test_chunks_that_were_not_begun_are_taken_apart_among_those_that_were(pool: AnalysisPool) -> None:
    given = different(2 * MANY)
    pool.begin(given[::2])
    assert told(pool, stored(given)) == alone(given)


def test_a_chunk_that_changed_since_it_was_begun_is_taken_apart_as_it_is(pool: AnalysisPool) -> None:
    given = different(MANY)
    pool.begin(given)
    later = [chunk._replace(title="another") for chunk in stored(given)]
    assert told(pool, later) == alone(later)
    pool.forget()
    pool.forget()
    assert (pool._before, pool._begun, pool._gathered, pool._waiting) == ({}, {}, [], 0)


def test_what_is_begun_while_others_are_stored_lives_past_their_commit(pool: AnalysisPool) -> None:
    given = different(2 * MANY)
    pool.begin(given)
    assert told(pool, stored(given[:MANY])) == alone(given[:MANY])
    pool.forget()
    kept = dict(pool._before)
    assert len(kept) == MANY
    assert pool._waiting == sum(len(chunk.body) for chunk in given[MANY:])
    assert told(pool, stored(given[MANY:])) == alone(given[MANY:])
    assert (pool._before, pool._waiting) == ({}, 0)
    assert all(made.done() for made, _ in kept.values())


def test_few_chunks_are_not_begun(pool: AnalysisPool) -> None:
    given = different(MANY - 1)
    pool.begin(given)
    assert not pool._begun
    assert told(pool, given) == alone(given)
    assert pids(pool) == []


def test_no_more_is_begun_than_there_is_room_for(pool: AnalysisPool, monkeypatch: pytest.MonkeyPatch) -> None:
    given = different(3 * MANY)
    monkeypatch.setattr(analysis_pool, "MOST_BEGUN", sum(len(chunk.body) for chunk in given[: 2 * MANY]))
    for start in range(0, len(given), 50):
        pool.begin(given[start : start + 50])
    assert len(pool._begun) + len(pool._gathered) == 2 * MANY
    assert told(pool, stored(given)) == alone(given)


def test_a_process_that_is_killed_loses_nothing_that_was_begun(pool: AnalysisPool) -> None:
    given = different(MANY)
    list(pool.fields(chunks(MANY)))
    pool.begin(given)
    for pid in pids(pool):
        os.kill(pid, signal.SIGKILL)
    assert told(pool, stored(given)) == alone(given)
