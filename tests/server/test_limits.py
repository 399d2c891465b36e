"""How much one client may ask, and that a slow or greedy one does not stand in the way of others."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import PLAIN, Served, error_of, notes

from localsearch.server.database import ServiceDatabase
from localsearch.server.keys import Keys
from localsearch.server.limits import Allowance, RequestQueue, TokenBuckets
from localsearch.server.problems import HttpError
from localsearch.server.request_limits import depth
from localsearch.settings import LimitSettings

LIMITS = LimitSettings()


class Clock:
    """A clock that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


# -- token buckets


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    buckets = TokenBuckets(clock)
    allowance = Allowance(rate=2.0, burst=3)
    left = [dict(buckets.take("a", allowance))[b"ratelimit-remaining"] for _ in range(3)]
    assert left == [b"2", b"1", b"0"]
    with pytest.raises(HttpError) as caught:
        buckets.take("a", allowance)
    headers = dict(caught.value.headers)
    assert (caught.value.status, headers[b"retry-after"], headers[b"ratelimit-limit"]) == (429, b"1", b"3")
    assert headers[b"ratelimit-reset"] == b"2"
    clock.now += 0.5
    buckets.take("a", allowance)
    with pytest.raises(HttpError):
        buckets.take("a", allowance)
    clock.now += 1000
    assert dict(buckets.take("a", allowance))[b"ratelimit-remaining"] == b"2"


def test_clients_have_buckets_of_their_own_and_rate_0_is_no_limit() -> None:
    buckets = TokenBuckets(Clock())
    buckets.take("a", Allowance(1.0, 1))
    buckets.take("b", Allowance(1.0, 1))
    with pytest.raises(HttpError):
        buckets.take("a", Allowance(1.0, 1))
    assert [buckets.take("c", Allowance(0.0, 1)) for _ in range(100)] == [[]] * 100


def test_a_flood_of_clients_is_remembered_in_bounded_room() -> None:
    buckets = TokenBuckets(Clock(), most=50)
    for number in range(1000):
        buckets.take(str(number), Allowance(1.0, 1))
    assert len(buckets) == 50
    with pytest.raises(HttpError):
        buckets.take("999", Allowance(1.0, 1))


@given(st.lists(st.floats(0, 5), max_size=200), st.floats(0.1, 50), st.integers(1, 20))
def test_no_pattern_of_asking_gets_more_than_burst_and_rate(
    pauses: list[float], rate: float, burst: int
) -> None:
    clock = Clock()
    buckets, granted = TokenBuckets(clock), 0
    for pause in pauses:
        clock.now += pause
        try:
            buckets.take("a", Allowance(rate, burst))
            granted += 1
        except HttpError:
            pass
    assert granted <= burst + rate * sum(pauses) + 1e-6


# -- the queue


def test_the_queue_lets_so_many_in_and_the_rest_wait_for_so_long() -> None:
    async def scene() -> tuple[int, int, float]:
        queue, most, refused = RequestQueue(2, 0.2), 0, 0
        release = asyncio.Event()

        async def visit() -> None:
            nonlocal most, refused
            try:
                async with queue.enter():
                    most = max(most, queue.running)
                    await release.wait()
            except HttpError as error:
                assert (error.status, error.code) == (503, "overloaded")
                assert dict(error.headers)[b"retry-after"] == b"1"
                refused += 1

        began = time.monotonic()
        visits = [asyncio.create_task(visit()) for _ in range(5)]
        await asyncio.sleep(0.4)
        waited = time.monotonic() - began
        release.set()
        await asyncio.gather(*visits)
        async with queue.enter():
            assert (queue.running, queue.waiting) == (1, 0)
        return most, refused, waited

    most, refused, waited = asyncio.run(scene())
    assert (most, refused) == (2, 3)
    assert waited >= 0.4


def test_those_who_wait_get_in_when_a_place_is_free_and_the_line_is_bounded() -> None:
    async def scene() -> list[str]:
        queue, said = RequestQueue(1, 5.0, capacity=2), []

        async def visit(name: str) -> None:
            try:
                async with queue.enter():
                    said.append(name)
                    await asyncio.sleep(0.01)
            except HttpError:
                said.append(f"{name} refused")

        await asyncio.gather(*(visit(name) for name in "abcd"))
        return said

    assert asyncio.run(scene()) == ["a", "d refused", "b", "c"]


def test_searches_beyond_the_cap_wait_a_little_and_are_then_told_to_come_back(tmp_path: Path) -> None:
    with notes(tmp_path / "home", replace(LIMITS, concurrent=1, wait_s=0.3)) as served:
        held = threading.Event()
        # With every worker thread busy, the one search that is let in cannot finish before `held` is set.
        for _ in range(served.service.pool._max_workers):
            served.service.pool.submit(held.wait, 20)
        with ThreadPoolExecutor(6) as pool:
            asked = [pool.submit(_ask, served.url, f"slow {number}") for number in range(6)]
            while sum(one.done() for one in asked) < 5:
                time.sleep(0.05)
            assert served.client.get("/health").status_code == 200
            held.set()
            answers = [one.result() for one in asked]
        assert sorted(answer.status_code for answer in answers) == [200] + [503] * 5
        for answer in answers:
            if answer.status_code == 503:
                assert error_of(answer)["code"] == "overloaded"
                assert answer.headers["retry-after"] == "1"
        queue = served.service.queues["search"]
        assert (queue.running, queue.waiting) == (0, 0)
        assert served.client.get("/search?q=kiln").status_code == 200


def _ask(url: str, query: str) -> httpx.Response:
    return httpx.post(f"{url}/search", json={"query": query}, timeout=30, verify=PLAIN)


# -- rates over HTTP


def test_a_client_that_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    with notes(tmp_path / "home", replace(LIMITS, local_rate=0.5, local_burst=4)) as served:
        answers = [served.client.get("/search?q=kiln") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
        assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["3", "2", "1", "0", "0", "0"]
        last = answers[-1]
        assert error_of(last)["code"] == "too_many_requests"
        assert 1 <= int(last.headers["retry-after"]) <= 2
        assert served.service.metrics.registry.get_sample_value("localsearch_rate_limited_total") == 2.0


def test_each_key_has_a_bucket_of_its_own(tmp_path: Path) -> None:
    home = tmp_path / "home"
    db = ServiceDatabase(home)
    texts = [Keys(db).create(name)[1] for name in ("one", "two")]
    db.close()
    with notes(home, replace(LIMITS, rate=0.01, burst=2)) as served:
        for text in texts:
            headers = {"Authorization": f"Bearer {text}"}
            codes = [served.client.get("/search?q=kiln", headers=headers).status_code for _ in range(3)]
            assert codes == [200, 200, 429]
        assert served.client.get("/search?q=kiln").status_code == 200


# -- sizes


@pytest.mark.parametrize(
    ("limits", "sent", "field"),
    [
        (replace(LIMITS, results=20), {"query": "x", "limit": 21}, "limit"),
        (replace(LIMITS, offset=30), {"query": "x", "offset": 31}, "offset"),
        (replace(LIMITS, query_chars=40), {"query": "x" * 41}, "query"),
        (
            replace(LIMITS, filter_depth=2),
            {"query": "x", "filters": {"$or": [{"a": {"$in": [1]}}]}},
            "filters",
        ),
    ],
)
def test_limits_of_single_fields(
    tmp_path: Path, limits: LimitSettings, sent: dict[str, object], field: str
) -> None:
    with notes(tmp_path / "home", limits) as served:
        answer = served.client.post("/search", json=sent)
        assert answer.status_code == 400
        assert f"`{field}` may" in error_of(answer)["message"]
        assert error_of(answer)["hint"].startswith(("Send less", "Ask for less", "Flatten"))
        allowed = {"query": "x", "limit": 20, "offset": 30}
        assert served.client.post("/search", json=allowed).status_code == 200
        described = served.client.get("/openapi.json").json()["components"]["schemas"]["SearchRequest"][
            "properties"
        ]
        assert described["limit"]["maximum"] == limits.results
        assert described["offset"]["maximum"] == limits.offset
        assert described["query"]["maxLength"] == limits.query_chars


@pytest.mark.parametrize(
    ("value", "levels"),
    [(None, 0), ("a:b", 0), ({}, 1), ({"a": 1}, 1), ({"a": {"$in": [1, 2]}}, 3), ([[[[]]]], 4)],
)
def test_how_deep_a_filter_is(value: object, levels: int) -> None:
    assert depth(value) == levels


def test_a_100_kb_query_is_answered(served: Served) -> None:
    assert served.search("kiln " * 20_000)["total"] >= 0


def test_a_body_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with notes(tmp_path / "home", replace(LIMITS, body_kb=4)) as served:
        for content in (b" " * 5000, iter([b" " * 3000, b" " * 3000])):
            answer = served.client.post(
                "/search", content=content, headers={"Content-Type": "application/json"}
            )
            assert (answer.status_code, error_of(answer)["code"]) == (413, "too_large")
        with served.socket() as connection:
            head = f"POST /search HTTP/1.1\r\nHost: localhost:{served.port}\r\nContent-Type: application/json\r\n"
            connection.sendall(head.encode() + b"Content-Length: 9999999999\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_documents_may_be_larger_than_questions(tmp_path: Path) -> None:
    with notes(tmp_path / "home", replace(LIMITS, body_kb=4, documents_mb=1)) as served:
        text = "word " * 20_000
        assert served.client.post("/documents", json={"documents": [{"text": text}]}).status_code == 200
        answer = served.client.post("/documents", json={"documents": [{"text": text * 12}]})
        assert (answer.status_code, error_of(answer)["code"]) == (413, "too_large")


# -- slow and greedy clients


QUICK = replace(LIMITS, header_s=0.5, body_s=0.5, write_s=0.5, idle_s=1, connections=300)


@pytest.fixture
def quick(tmp_path: Path) -> object:
    with notes(tmp_path / "home", QUICK) as served:
        yield served


def ended(connection: socket.socket, seconds: float = 10.0) -> bytes:
    """What the server says before it hangs up, which it must."""
    connection.settimeout(seconds)
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_200_dribbling_connections_do_not_starve_others_and_are_closed(quick: Served) -> None:
    slow = [quick.socket() for _ in range(200)]
    try:
        for number, connection in enumerate(slow):
            head = f"POST /search HTTP/1.1\r\nHost: localhost:{quick.port}\r\n"
            whole = head + "Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
            connection.sendall((head if number % 2 else whole).encode())
        for number in range(10):
            assert quick.search(f"kiln {number}")["total"] >= 0
        said = [ended(connection) for connection in slow]
    finally:
        for connection in slow:
            connection.close()
    assert {answer[:12] for answer in said[1::2]} == {b""}
    assert {answer[:12] for answer in said[0::2]} == {b"HTTP/1.1 408"}
    assert quick.search("kiln")["total"] == 2


def test_one_byte_at_a_time_does_not_keep_a_connection_open(quick: Served) -> None:
    with quick.socket() as connection:
        began = time.monotonic()
        try:
            for (
                byte
            ) in f"GET /health HTTP/1.1\r\nHost: localhost:{quick.port}\r\nX-Slow: {'x' * 1000}".encode():
                connection.sendall(bytes([byte]))
                time.sleep(0.02)
                if time.monotonic() - began > 8:
                    break
        except OSError:
            pass
        assert ended(connection) == b""
    assert time.monotonic() - began < 8


def test_a_client_that_does_not_read_is_cut_off(quick: Served) -> None:
    big = "word " * 40_000
    quick.client.post("/documents", json={"documents": [{"id": "big", "text": big * 20}]})
    deadline = time.monotonic() + 20
    while quick.client.get("/documents/big").status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", quick.port))
        request = f"GET /documents/big HTTP/1.1\r\nHost: localhost:{quick.port}\r\n\r\n"
        connection.sendall(request.encode())
        time.sleep(2.0)
        got = ended(connection)
    assert len(got) < len(big) * 20
    assert quick.search("kiln")["total"] == 2


def test_endless_headers_are_refused(quick: Served) -> None:
    with quick.socket() as connection:
        connection.sendall(f"GET /health HTTP/1.1\r\nHost: localhost:{quick.port}\r\n".encode())
        try:
            for number in range(200):
                connection.sendall(f"X-{number}: {'y' * 1000}\r\n".encode())
        except OSError:
            pass
        said = ended(connection)
    assert said == b"" or said.startswith(b"HTTP/1.1 400 ")
    assert quick.search("kiln")["total"] == 2


def test_of_more_connections_than_are_kept_the_one_that_is_silent_longest_is_told_so(tmp_path: Path) -> None:
    with notes(tmp_path / "home", replace(QUICK, connections=5, header_s=60.0)) as served:
        held = [served.socket() for _ in range(5)]
        while len(served.connections()) < 5:
            time.sleep(0.01)
        assert httpx.get(f"{served.url}/health", verify=PLAIN).status_code == 200
        said = ended(held[0])
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in said
        assert b'"code":"too_many_connections"' in said
        for connection in held:
            connection.close()


def test_an_idle_connection_is_closed(quick: Served) -> None:
    with quick.socket() as connection:
        connection.sendall(f"GET /health HTTP/1.1\r\nHost: localhost:{quick.port}\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert ended(connection) in (b"", b'{"status":"ok"}')


def test_a_client_that_leaves_in_the_middle_is_no_error(quick: Served) -> None:
    for _ in range(20):
        with quick.socket() as connection:
            head = (
                f"POST /search HTTP/1.1\r\nHost: localhost:{quick.port}\r\nContent-Type: application/json\r\n"
            )
            connection.sendall(head.encode() + b'Content-Length: 50\r\n\r\n{"query"')
    time.sleep(0.3)
    assert quick.search("kiln")["total"] == 2
    assert quick.service.metrics.window.error_rate() == 0.0
