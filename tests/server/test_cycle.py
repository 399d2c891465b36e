"""Answers that are written at once, the one timer of a connection, and what is asked only when it matters."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from localsearch.platform.peers import SocketOwners
from localsearch.server.connections import Connections, Doing
from localsearch.server.cycle import Deadline, _head
from localsearch.server.operations import Call
from localsearch.server.routes.search import question
from localsearch.server.schemas.search import SearchParameters, SearchRequest
from localsearch.settings import LimitSettings
from localsearch.types import Record, Scope
from tests.serving import Served, notes


def said(served: Served, *requests: bytes, until_closed: bool = False) -> bytes:
    """Everything that comes on one connection for these requests, sent together."""
    host = b"Host: 127.0.0.1:%d\r\n" % served.port
    with served.socket() as connection:
        connection.sendall(b"".join(request.replace(b"HOST", host) for request in requests))
        if not until_closed:
            connection.shutdown(socket.SHUT_WR)
        got = b""
        while more := connection.recv(65536):
            got += more
    return got


GET = b"GET %s HTTP/1.1\r\nHOST\r\n"


def test_answers_to_requests_sent_together_come_whole_and_in_order(served: Served) -> None:
    got = said(
        served,
        GET % b"/search?q=kiln",
        GET % b"/nothing",
        b"GET /health HTTP/1.1\r\nHOSTConnection: close\r\n\r\n",
        until_closed=True,
    )
    statuses, bodies = [], []
    while got:
        head, _, got = got.partition(b"\r\n\r\n")
        length = int(next(line for line in head.split(b"\r\n") if line.startswith(b"content-length"))[16:])
        statuses.append(head[9:12])
        bodies.append(json.loads(got[:length]))
        got = got[length:]
    assert statuses == [b"200", b"404", b"200"]
    assert [set(body) & {"results", "error", "status"} for body in bodies] == [
        {"results"},
        {"error"},
        {"status"},
    ]


def test_head_has_the_length_and_no_body(served: Served) -> None:
    got = said(served, b"HEAD /health HTTP/1.1\r\nHOSTConnection: close\r\n\r\n", until_closed=True)
    whole = served.client.get("/health").content
    head, _, body = got.partition(b"\r\n\r\n")
    assert body == b""
    assert b"\r\ncontent-length: %d" % len(whole) in head
    assert head.count(b"connection: close") == 1


def test_an_answer_of_a_megabyte_comes_whole(tmp_path: Path) -> None:
    text = "kiln " * 220_000
    with notes(tmp_path / "home") as served:
        served.engine.add([Record(text, "long", "Long")])
        assert text.strip() in served.client.get("/documents/long").text


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\rb", b"a\0b", b"\n"])
def test_no_header_becomes_two(value: bytes) -> None:
    assert _head(200, [(b"a", b"b"), (b"c", b"d")], True) == b"HTTP/1.1 200 OK\r\na: b\r\nc: d\r\n\r\n"
    with pytest.raises(ValueError, match="line break"):
        _head(200, [(b"x", value), (b"c", b"d")], True)


@pytest.mark.parametrize("zeros", [0, 30, 5000])
def test_a_length_may_have_any_number_of_zeros_in_front(served: Served, zeros: int) -> None:
    body = b'{"query": "kiln", "mode": "lexical"}'
    head = b"POST /search HTTP/1.1\r\nHOSTConnection: close\r\nContent-Type: application/json\r\n"
    length = b"Content-Length: " + b"0" * zeros + b"%d\r\n\r\n" % len(body)
    assert said(served, head + length + body, until_closed=True).startswith(b"HTTP/1.1 200 ")


# -- one timer


@dataclass(eq=False)
class Timer:
    """What a loop gives for a call to come."""

    timers: list[Timer]
    when: float
    act: Callable[[], None]

    def cancel(self) -> None:
        if self in self.timers:
            self.timers.remove(self)


@dataclass
class Loop:
    """A loop whose clock the test moves."""

    now: float = 100.0
    timers: list[Timer] = field(default_factory=list)
    made: int = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, act: Callable[[], None]) -> Timer:
        self.made += 1
        self.timers.append(Timer(self.timers, when, act))
        return self.timers[-1]

    def run(self, seconds: float) -> None:
        """Let this time pass."""
        end = self.now + seconds
        while due := [one for one in self.timers if one.when <= end]:
            first = min(due, key=lambda one: one.when)
            self.timers.remove(first)
            self.now = first.when
            first.act()
        self.now = end


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def acted() -> list[float]:
    return []


@pytest.fixture
def deadline(loop: Loop, acted: list[float]) -> Deadline:
    return Deadline(loop, 10.0, lambda: acted.append(loop.now))  # type: ignore[arg-type]


def test_it_acts_at_its_moment_and_once(loop: Loop, deadline: Deadline, acted: list[float]) -> None:
    deadline.set(60.0)
    loop.run(200.0)
    assert acted == [160.0]
    deadline.set(3.0)
    loop.run(200.0)
    assert acted == [160.0, 303.0]
    assert not loop.timers


def test_a_thousand_requests_make_no_timer(loop: Loop, deadline: Deadline, acted: list[float]) -> None:
    for _ in range(1000):
        deadline.set(10.0)
        loop.run(0.001)
        deadline.clear()
        deadline.set(60.0)
        loop.run(0.001)
    assert loop.made == 1
    loop.run(59.0)
    assert not acted
    loop.run(1.0)
    assert len(acted) == 1


def test_an_earlier_moment_holds_and_a_cleared_one_does_not(
    loop: Loop, deadline: Deadline, acted: list[float]
) -> None:
    deadline.set(60.0)
    deadline.set(2.0)
    loop.run(2.0)
    assert acted == [102.0]
    deadline.set(5.0)
    deadline.clear()
    loop.run(100.0)
    assert acted == [102.0]
    deadline.set(5.0)
    deadline.end()
    assert not loop.timers
    loop.run(100.0)
    assert acted == [102.0]


# -- asked when it matters


class Asked:
    """A connection that counts how often it is asked whose it is."""

    since = 0.0

    def __init__(self) -> None:
        self.times = 0

    @property
    def owner(self) -> str:
        self.times += 1
        return "one"

    def doing(self) -> Doing:
        return Doing.RESTING

    def displace(self) -> None:
        pass


def test_whose_a_connection_is_is_asked_when_places_are_scarce() -> None:
    places = Connections(8, lambda: 100.0)
    held = [Asked() for _ in range(8)]
    assert all(map(places.admit, held))
    places.remove(held[0])
    assert places.admit(Asked())
    assert not any(one.times for one in held)
    assert places.admit(Asked())
    assert all(one.times for one in held[1:])
    assert not held[0].times
    assert len(places) == 8


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Connections whose user was asked of the system."""
    asked: list[object] = []
    uid = SocketOwners.uid

    def noting(self: SocketOwners, *ends: tuple[str, int]) -> int | None:
        asked.append(ends)
        return uid(self, *ends)

    monkeypatch.setattr(SocketOwners, "uid", noting)
    return asked


def test_the_system_is_asked_once_for_a_connection_and_not_for_open_routes(
    tmp_path: Path, looked_up: list[object]
) -> None:
    with notes(tmp_path / "home") as served:
        looked_up.clear()
        assert served.client.get("/health").status_code == 200
        assert looked_up == []
        for _ in range(5):
            served.search("kiln")
        assert len(looked_up) == 1


def test_a_user_who_is_not_known_is_refused_what_an_own_user_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with notes(tmp_path / "home", LimitSettings()) as served:
        if not served.service.local_users.known:
            pytest.skip("this system does not tell whose a connection is")
        monkeypatch.setattr(SocketOwners, "uid", lambda *_: None)
        assert served.client.get("/health").status_code == 200
        assert served.client.get("/search?q=kiln").status_code == 401
        key = {"Authorization": f"Bearer {served.service.keyring.token}"}
        assert served.client.get("/search?q=kiln", headers=key).status_code == 200


# -- questions that are kept


def test_a_question_is_the_same_kept_or_not() -> None:
    sent = SearchRequest(query="  kiln   door ", limit=3, mode="lexical")
    first, again = question(Call({}, body=sent)), question(Call({}, body=sent))
    assert first is again
    assert first.query.query == "  kiln   door "
    assert (first.canonical.query, first.canonical.limit) == ("kiln door", 3)
    other = question(Call({}, query=SearchParameters(q="  kiln   door ", limit=3, mode="lexical")))
    assert other.query == first.query


def test_what_may_be_seen_is_part_of_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = SearchRequest(query="kiln")
    limited = Scope(collections=("clay",))
    monkeypatch.setattr(Call, "within", property(lambda call: call.key))
    assert question(Call({}, body=sent, key=limited)).query.within == limited  # type: ignore[arg-type]
    assert question(Call({}, body=sent)).query.within is None


@pytest.mark.parametrize(
    "sent",
    [
        SearchRequest(query="k" * 201),
        SearchRequest(query="kiln", filters={"year": 2020}),
        SearchRequest(query="kiln", like="glaze"),
    ],
)
def test_long_questions_are_not_kept(sent: SearchRequest) -> None:
    first, again = question(Call({}, body=sent)), question(Call({}, body=sent))
    assert first is not again
    assert first == again
