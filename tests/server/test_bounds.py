"""What all clients together may take: memory, places, time, disk."""

from __future__ import annotations

import asyncio
import resource
import select
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from serving import Served, notes

from localsearch.caches.log import LONGEST, QueryLog
from localsearch.caches.results import short_key
from localsearch.server.bodies import ByteBudget
from localsearch.server.connections import Connections, Doing, owner_of
from localsearch.server.problems import HttpError
from localsearch.server.protocol import MOST_UNPARSED_BYTES
from localsearch.settings import LimitSettings

QUICK = replace(LimitSettings(), header_s=1.0, body_s=1.0, write_s=1.0, idle_s=1, connections=16)


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Served]:
    with notes(tmp_path / "home", QUICK) as served:
        yield served


# -- connections


@dataclass(eq=False)
class Fake:
    """A connection that does what the test says."""

    owner: object
    does: Doing = Doing.NOTHING_YET
    since: float = 0.0
    displaced: list[object] = field(default_factory=list)

    def doing(self) -> Doing:
        return self.does

    def displace(self) -> None:
        self.displaced.append(self)


def test_of_connections_of_one_moment_the_first_goes() -> None:
    for owner in ("a", "b"):
        places = Connections(5, lambda: 100.0)
        held = [Fake("a", Doing.NOTHING_YET, 1.0) for _ in range(5)]
        assert all(map(places.admit, held))
        assert places.admit(Fake(owner, Doing.NOTHING_YET, 1.0))
        assert [len(one.displaced) for one in held] == [1, 0, 0, 0, 0]


def test_a_newcomer_gets_the_place_of_who_has_most() -> None:
    places = Connections(4, lambda: 100.0)
    hog = [Fake("hog", Doing.BEING_ANSWERED, float(n)) for n in range(3)]
    other = Fake("other")
    for one in [*hog, other]:
        assert places.admit(one)
    assert places.admit(Fake("third"))
    assert [len(one.displaced) for one in [*hog, other]] == [1, 0, 0, 0]
    assert len(places) == 4


def test_of_ones_own_the_idlest_goes_and_none_that_is_being_answered() -> None:
    places = Connections(3, lambda: 100.0)
    resting, new, busy = Fake(1, Doing.RESTING, 1.0), Fake(1, since=50.0), Fake(1, Doing.BEING_ANSWERED)
    for one in (resting, new, busy):
        places.admit(one)
    assert places.admit(Fake(1, Doing.BEING_ANSWERED))
    assert new.displaced
    assert places.admit(Fake(1, Doing.BEING_ANSWERED))
    assert resting.displaced
    assert not places.admit(Fake(1))
    assert len(places) == 3
    places.remove(busy)
    places.remove(busy)
    assert len(places) == 2


def test_a_slow_upload_goes_only_when_it_has_had_its_time() -> None:
    places = Connections(1, lambda: 100.0)
    slow = Fake(1, Doing.SENDING, 99.5)
    places.admit(slow)
    assert not places.admit(Fake(1))
    slow.since = 98.0
    assert places.admit(Fake(1))


def test_connections_leave_descriptors_for_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 400), hard))
    try:
        places = Connections(512)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    taken = [Fake(n) for n in range(300)]
    for one in taken:
        places.admit(one)
    assert len(places) == min(soft, 400) // 2


def test_whose_a_connection_is() -> None:
    assert owner_of(1000, "127.0.0.1") == 1000
    assert owner_of(None, "192.0.2.1") == "192.0.2.1" != owner_of(None, "192.0.2.2")
    assert owner_of(None, "2001:db8::1") == owner_of(None, "2001:db8::ffff") != owner_of(None, "2001:db9::1")


# -- lingering


def closed_within(connection: socket.socket, seconds: float, dribble: bytes = b"") -> bool:
    """Whether the server hangs up, while `dribble` goes on being sent."""
    connection.settimeout(0.1)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if dribble:
                connection.send(dribble)
            if not connection.recv(65536):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.mark.parametrize("dribble", [b"", b"a"])
@pytest.mark.parametrize(
    "head",
    [
        "GET /health HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 1000000\r\n\r\na",
        "POST /search HTTP/1.1\r\nHost: evil\r\nContent-Length: 1000000\r\n\r\na",
        "POST /search HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: text/plain\r\n"
        "Content-Length: 1000000\r\n\r\na",
        "POST /nowhere HTTP/1.1\r\nHost: localhost:{port}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n8000\r\n",
    ],
)
def test_a_body_after_the_answer_does_not_keep_a_place(quick: Served, head: str, dribble: bytes) -> None:
    with quick.socket() as connection:
        connection.sendall(head.format(port=quick.port).encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 ")
        assert closed_within(connection, 15, dribble)


def test_empty_lines_after_the_answer_do_not_either(quick: Served) -> None:
    with quick.socket() as connection:
        connection.sendall(f"GET /health HTTP/1.1\r\nHost: localhost:{quick.port}\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert closed_within(connection, 15, b"\r\n")


def test_who_holds_every_place_does_not_shut_others_out(quick: Served) -> None:
    head = f"GET /health HTTP/1.1\r\nHost: localhost:{quick.port}\r\nContent-Length: 1000000\r\n\r\n".encode()
    held = [quick.socket() for _ in range(16)]
    try:
        for connection in held:
            connection.sendall(head)
            connection.recv(65536)
        assert quick.search("kiln")["total"] == 2
    finally:
        for connection in held:
            connection.close()


def test_an_answer_that_is_taken_by_drops_is_cut_off(quick: Served) -> None:
    with quick.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(
            f"GET /openapi.json HTTP/1.1\r\nHost: localhost:{quick.port}\r\n\r\n".encode() * 200
        )
        until = time.monotonic() + 20
        while quick.connections() and time.monotonic() < until:
            connection.recv(1000)
            time.sleep(0.2)
        assert not quick.connections()


def test_an_answer_that_nobody_takes_is_not_kept_by_the_kernel_either(quick: Served) -> None:
    with quick.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(
            f"GET /openapi.json HTTP/1.1\r\nHost: localhost:{quick.port}\r\n\r\n".encode() * 200
        )
        ended = select.poll()
        ended.register(connection, select.POLLERR | select.POLLHUP)  # nothing is read: only a reset can tell
        assert ended.poll(20_000)
        assert not quick.connections()


# -- pipelined requests


def test_many_requests_at_once_are_all_answered_and_few_are_looked_at(quick: Served) -> None:
    count, request = 3_000, f"GET /health HTTP/1.1\r\nHost: localhost:{quick.port}\r\n\r\n".encode()
    most = 0
    with quick.socket() as connection:
        sender = threading.Thread(target=connection.sendall, args=(request * count,))
        sender.start()
        got = bytearray()
        while (answers := got.count(b'{"status":"ok"}')) < count:
            part = connection.recv(1 << 20)
            assert part, answers
            got += part
            for one in quick.connections():
                most = max(most, len(one.pipeline))
                assert len(one._unparsed) <= MOST_UNPARSED_BYTES
        sender.join(10)
    assert most <= 5
    assert quick.search("kiln")["total"] == 2


# -- bodies


def test_bodies_together_have_their_room_and_others_wait_their_turn() -> None:
    async def scene() -> list[str]:
        budget, said = ByteBudget(100), []

        async def send(name: str, size: int, seconds: float = 5.0) -> None:
            try:
                async with budget.room(size, seconds):
                    assert budget.held <= 100
                    said.append(name)
                    await asyncio.sleep(0.1)
            except HttpError as error:
                said.append(f"{name} {error.status}")

        await asyncio.gather(
            send("a", 60), send("b", 60), send("c", 30), send("d", 60, 0.01), send("e", 1000)
        )
        left = asyncio.create_task(send("gone", 100))
        async with budget.room(100, 1.0):
            await asyncio.sleep(0.01)
            left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        assert budget.held == 0
        return said

    assert asyncio.run(scene()) == ["a", "d 503", "b", "c", "e"]


def test_forty_unfinished_bodies_do_not_fill_the_memory(tmp_path: Path) -> None:
    limits = replace(LimitSettings(), documents_mb=8, bodies_mb=16, body_s=30.0)
    body = b'{"documents":[{"text":"' + b"a" * 7_000_000
    with notes(tmp_path / "home", limits) as served:
        head = (
            f"POST /documents HTTP/1.1\r\nHost: localhost:{served.port}\r\n"
            "Content-Type: application/json\r\nContent-Length: 8000000\r\n\r\n"
        ).encode()
        sent = head + body
        before, connections = resident(), [served.socket(1.0) for _ in range(40)]
        senders = [threading.Thread(target=_send, args=(one, sent)) for one in connections]
        for sender in senders:
            sender.start()
        until = time.monotonic() + 4
        most = 0
        while time.monotonic() < until:
            most = max(most, resident())
            assert served.service.bodies.held <= 16_000_000
            assert served.client.get("/search?q=kiln").status_code == 200
        for one in connections:
            one.close()
        for sender in senders:
            sender.join()
        assert most - before < 120 << 20


def _send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except OSError:
        pass


def resident() -> int:
    """Bytes of this process in memory, without what the senders hold in common."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


# -- what is remembered


def test_the_query_log_has_a_bound_in_bytes(tmp_path: Path) -> None:
    log = QueryLog(tmp_path, keep=20)
    for number in range(50):
        log.record({"query": f"long {number}", "filters": "z" * 100_000})
        log.record({"query": f"short {number}"})
    log.flush()
    assert len(log.frequent(100)) == 20
    assert {len(one) for one in log.frequent(100)} == {1}
    log.close()
    assert (tmp_path / "query-log.db").stat().st_size < 20 * LONGEST + 100_000


def test_a_long_question_is_not_kept_as_a_key() -> None:
    assert short_key(b"short") == b"short"
    assert len(short_key(b"x" * 1_000_000)) == 32
    assert short_key(b"x" * 1_000_000) != short_key(b"x" * 1_000_001)
