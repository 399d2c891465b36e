"""Readers: what they answer and refuse, how they exchange what answers, and that nobody sees time run backwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from replicas import add, hits_of, shipped, take
from serving import PLAIN, Served, error_of, serving, settings_at

from localsearch.engine import Engine
from localsearch.replication.identity import State
from localsearch.replication.manifest import MANIFEST, decode, encode
from localsearch.replication.replica import promote
from localsearch.replication.sources import source_of
from localsearch.server.following import Follower
from localsearch.server.keys import Keys
from localsearch.types import Record

STATE = "X-Localsearch-State"


@contextmanager
def reader(home: Path, source: str | Path, key: str = "", **server: Any) -> Iterator[Served]:
    """A server that follows, looking ten times a second."""
    settings = settings_at(home, **{"follow_s": 0.1, **server})
    follower = Follower(settings, source_of(str(source), key))
    engine = follower.first(lambda _: None)
    try:
        with serving(engine, settings, follower=follower) as one:
            yield one
    finally:
        follower.close()


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Served]:
    settings = settings_at(tmp_path / "home", primary="https://index.example.org")
    with Engine.open(settings=settings) as engine:
        add(engine, 0, 30)
        with serving(engine, settings) as one:
            yield one


def until(holds: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "never"
        time.sleep(0.02)


def state_of(answer: httpx.Response) -> State:
    state = State.parse(answer.headers[STATE])
    assert state
    return state


def hits(answer: httpx.Response) -> list[tuple[str, float]]:
    assert answer.status_code == 200, answer.text
    return [(hit["id"], hit["score"]) for hit in answer.json()["results"]]


def find(served: Served, query: str, state: object = None) -> httpx.Response:
    headers = {STATE: str(state)} if state else {}
    return served.client.get("/search", params={"q": query, "limit": 50}, headers=headers)


def ready(served: Served) -> dict[str, Any]:
    answer = served.client.get("/ready")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_a_reader_answers_and_refuses_every_write(primary: Served, tmp_path: Path) -> None:
    shipped(primary.engine, tmp_path / "to")
    with reader(tmp_path / "reader", tmp_path / "to") as one:
        assert hits(find(one, "kiln glaze")) == hits(find(primary, "kiln glaze"))
        assert state_of(find(one, "ash")) == state_of(find(primary, "ash"))
        for path in (
            "/documents/n3",
            "/suggest?q=kil",
            "/stats",
            "/versions",
            "/jobs",
            "/ledger",
            "/metrics",
        ):
            assert one.client.get(path).status_code == 200, path
        assert one.client.post("/read", json={"names": ["n3"]}).status_code == 200
        for method, path, body in (
            ("POST", "/documents", {"documents": [{"id": "x", "text": "y"}]}),
            ("DELETE", "/documents/n3", None),
            ("POST", "/index", {"paths": [str(tmp_path)]}),
            ("DELETE", "/jobs/1", None),
            ("POST", "/feedback", {"query": "kiln", "id": "n3", "relevant": True}),
            ("POST", "/versions/1/activate", None),
            ("POST", "/versions/rollback", None),
            ("POST", "/versions/compare", {"first": "1", "second": "1"}),
            ("POST", "/versions/gc", None),
        ):
            answer = one.client.request(method, path, json=body)
            assert answer.status_code == 409, path
            assert error_of(answer)["code"] == "read_only"
            assert "https://index.example.org" in error_of(answer)["hint"]
            assert answer.headers["x-localsearch-primary"] == "https://index.example.org"
        assert one.client.get("/snapshot").status_code == 409
        assert one.client.get("/originals/n3").status_code == 404
    assert not (tmp_path / "reader" / "index.db").exists()


def test_read_only_takes_no_lock_and_sees_what_the_writer_commits(primary: Served, tmp_path: Path) -> None:
    settings = settings_at(tmp_path / "home")
    with Engine.open(settings=settings, read_only=True) as engine, serving(engine, settings) as one:
        assert ready(one)["read_only"] is True
        written = primary.client.post("/documents", json={"documents": [{"id": "new", "text": "zebra"}]})
        assert [id for id, _ in hits(find(one, "zebra", state_of(written)))] == ["new"]
        assert state_of(find(one, "zebra")) == state_of(written)
        refused = one.client.delete("/documents/new")
        assert (refused.status_code, error_of(refused)["code"]) == (409, "read_only")


def test_what_was_written_is_read_by_whoever_carries_the_state(primary: Served, tmp_path: Path) -> None:
    shipped(primary.engine, tmp_path / "to")
    with reader(tmp_path / "reader", tmp_path / "to", state_wait_s=20.0) as one:
        for number in range(5):
            text = f"written{number} here"
            written = primary.client.post(
                "/documents", json={"documents": [{"id": f"w{number}", "text": text}]}
            )
            later = threading.Timer(0.3, shipped, (primary.engine, tmp_path / "to"))
            later.start()
            answer = find(one, f"written{number}", state_of(written))
            later.join()
            assert [id for id, _ in hits(answer)] == [f"w{number}"]
            assert state_of(answer).order >= state_of(written).order


def test_a_state_that_does_not_come_is_told(primary: Served, tmp_path: Path) -> None:
    shipped(primary.engine, tmp_path / "to")
    with reader(tmp_path / "reader", tmp_path / "to", state_wait_s=0.2) as one:
        have = state_of(find(one, "kiln"))
        late = find(one, "kiln", State(have.id, have.epoch, have.n + 1))
        assert (late.status_code, error_of(late)["code"]) == (503, "state_not_reached")
        assert int(late.headers["Retry-After"]) >= 1
        assert find(one, "kiln", State(have.id, have.epoch + 1, 0)).status_code == 503
        assert find(one, "kiln", have).status_code == 200
        other = find(one, "kiln", State("0" * 16, 1, 1))
        assert (other.status_code, error_of(other)["code"]) == (409, "other_index")
        assert find(one, "kiln", "yesterday").status_code == 400


def test_requests_under_way_end_on_the_index_they_began_with(primary: Served, tmp_path: Path) -> None:
    shipped(primary.engine, tmp_path / "to")
    with reader(tmp_path / "reader", tmp_path / "to") as one:
        service = one.service
        first = service.engine
        folder = first.settings.home
        with service.engines.lease():
            add(primary.engine, 30, 5)
            shipped(primary.engine, tmp_path / "to")
            until(lambda: service.engines.newest.engine is not first)
            assert service.engine is first
            time.sleep(0.5)
            assert folder.exists()
            assert len(first.search("kiln", limit=50).results) == 30
            assert len(hits(find(one, "kiln"))) == 35
        until(lambda: not folder.exists())
        with pytest.raises(Exception, match="closed"):
            first.search("kiln")
        assert service.engine.settings.home.exists()


def test_answers_are_of_one_state_while_it_is_exchanged(primary: Served, tmp_path: Path) -> None:
    """Each answer is what the primary gave in the state that it names; the last is the newest."""
    right = {}

    def ship() -> None:
        """Merging may change the least bit of a score on disk, which the primary sees with its next commit."""
        shipped(primary.engine, tmp_path / "to")
        present, _ = take(tmp_path / "beside", tmp_path / "to")
        right[present.manifest.n] = hits_of(present)
        ids = {id for id, _ in hits(find(primary, "kiln glaze"))}
        assert {id for id, _ in right[primary.engine.db.number]} == ids

    ship()
    told: list[list[tuple[int, list[tuple[str, float]]]]] = [[] for _ in range(3)]
    stop = threading.Event()

    def ask(url: str, answers: list[tuple[int, list[tuple[str, float]]]]) -> None:
        with httpx.Client(base_url=url, timeout=30, verify=PLAIN) as client:
            while not stop.is_set():
                answer = client.get("/search", params={"q": "kiln glaze", "limit": 50})
                answers.append((state_of(answer).n, hits(answer)))

    with reader(tmp_path / "reader", tmp_path / "to") as one:
        asking = [threading.Thread(target=ask, args=(one.url, answers)) for answers in told]
        for thread in asking:
            thread.start()
        for number in range(8):
            add(primary.engine, 30 + number, 1)
            ship()
            until(lambda: one.service.engines.newest.engine.db.number == primary.engine.db.number)
            time.sleep(0.1)
        stop.set()
        for thread in asking:
            thread.join()
    for answers in told:
        assert [n for n, _ in answers] == sorted(n for n, _ in answers)
        assert [n for n, found in answers if found != right[n]] == []
        assert len({n for n, _ in answers}) >= 5


def test_a_source_that_is_gone_or_damaged_is_told_and_the_answers_go_on(
    primary: Served, tmp_path: Path
) -> None:
    target = tmp_path / "to"
    shipped(primary.engine, target)
    with reader(tmp_path / "reader", target) as one:
        right = hits(find(one, "kiln glaze"))
        assert ready(one)["replica"]["error"] is None
        target.rename(tmp_path / "away")
        until(lambda: ready(one)["replica"]["error"])
        assert "Nothing is published" in ready(one)["replica"]["error"]
        assert hits(find(one, "kiln glaze")) == right
        lag = ready(one)["replica"]["lag_s"]
        until(lambda: ready(one)["replica"]["lag_s"] > lag)
        (tmp_path / "away").rename(target)
        until(lambda: ready(one)["replica"]["error"] is None)
        data = (target / MANIFEST).read_bytes()
        (target / MANIFEST).write_bytes(data[:100])
        until(lambda: "no whole manifest" in (ready(one)["replica"]["error"] or ""))
        assert hits(find(one, "kiln glaze")) == right
        manifest = decode(data, "here")
        (target / MANIFEST).write_bytes(encode(msgspec.structs.replace(manifest, n=manifest.n - 1)))
        until(lambda: "went back" in (ready(one)["replica"]["error"] or ""), 60)
        (target / MANIFEST).write_bytes(encode(msgspec.structs.replace(manifest, id="1" * 16)))
        until(lambda: "another index" in (ready(one)["replica"]["error"] or ""), 60)
        one.service.housekeeping.forget()
        text = one.client.get("/metrics").text
        assert "localsearch_replica_failing 1.0" in text
        assert "localsearch_replica_lag_seconds" in text
        assert hits(find(one, "kiln glaze")) == right


def test_a_reader_starts_from_what_it_has_when_its_source_is_gone(primary: Served, tmp_path: Path) -> None:
    target = tmp_path / "to"
    shipped(primary.engine, target)
    with reader(tmp_path / "reader", target) as one:
        right = hits(find(one, "kiln glaze"))
    target.rename(tmp_path / "away")
    with reader(tmp_path / "reader", target) as one:
        assert hits(find(one, "kiln glaze")) == right
        until(lambda: ready(one)["replica"]["error"])


def test_over_http_with_an_admin_key(primary: Served, tmp_path: Path) -> None:
    keys = Keys(primary.service.db)
    _, admin = keys.create("reader", "admin")
    _, lesser = keys.create("program", "write")
    primary.service.keyring.refresh()
    bearer = {"Authorization": f"Bearer {lesser}"}
    assert primary.client.get("/snapshot", headers=bearer).status_code == 403
    with reader(tmp_path / "reader", primary.url, admin) as one:
        assert hits(find(one, "kiln glaze")) == hits(find(primary, "kiln glaze"))
        written = primary.client.post("/documents", json={"documents": [{"id": "new", "text": "zebra"}]})
        until(lambda: find(one, "zebra", state_of(written)).status_code == 200)
        assert [id for id, _ in hits(find(one, "zebra"))] == ["new"]
        assert ready(one)["replica"]["primary"] == "https://index.example.org"
        # The primary's keys are the reader's.
        until(lambda: one.service.keyring.find(lesser.encode()) is not None)
        keys.revoke(lesser.split("_")[1])
        add(primary.engine, 40, 1)
        until(lambda: one.service.keyring.find(lesser.encode()) is None)
        assert one.service.keyring.find(admin.encode()) is not None


def test_parts_are_given_in_ranges(primary: Served) -> None:
    manifest = decode(primary.client.get("/snapshot").content, "here")
    part = max(manifest.parts.values(), key=lambda part: part.bytes)
    whole = primary.client.get(f"/snapshot/{part.sha256}")
    assert len(whole.content) == part.bytes
    for asked, first, last in (("bytes=10-", 10, part.bytes - 1), ("bytes=5-9", 5, 9), ("bytes=0-0", 0, 0)):
        some = primary.client.get(f"/snapshot/{part.sha256}", headers={"Range": asked})
        assert some.status_code == 206
        assert some.content == whole.content[first : last + 1]
        assert some.headers["content-range"] == f"bytes {first}-{last}/{part.bytes}"
    for asked in ("bytes=-5", "bytes=9-5", f"bytes={part.bytes}-", "lines=1-2"):
        assert primary.client.get(f"/snapshot/{part.sha256}", headers={"Range": asked}).status_code == 200
    for name in ("0" * 64, "..%2fmanifest.json", "x"):
        assert primary.client.get(f"/snapshot/{name}").status_code == 404


def test_a_key_that_is_wrong_is_told(primary: Served, tmp_path: Path) -> None:
    _, admin = Keys(primary.service.db).create("reader", "admin")
    primary.service.keyring.refresh()
    with reader(tmp_path / "reader", primary.url, admin):
        pass
    with reader(tmp_path / "reader", primary.url, "ls_00000000_wrong") as one:
        until(lambda: "LOCALSEARCH_FOLLOW_KEY" in (ready(one)["replica"]["error"] or ""))


def test_a_former_primary_is_told_and_not_followed(primary: Served, tmp_path: Path) -> None:
    with reader(tmp_path / "reader", primary.url):
        pass
    with reader(tmp_path / "second", primary.url):
        pass
    promote(tmp_path / "reader")
    settings = settings_at(tmp_path / "reader")
    with Engine.open(settings=settings) as engine, serving(engine, settings) as newer:
        engine.add([Record("after the promotion", "after")])
        seen = state_of(find(newer, "promotion"))
        refused = find(primary, "kiln", seen)
        assert (refused.status_code, error_of(refused)["code"]) == (409, "superseded")
        with reader(tmp_path / "second", newer.url) as one:
            until(lambda: state_of(find(one, "promotion")) == seen)
            assert [id for id, _ in hits(find(one, "promotion"))] == ["after"]
        primary.engine.add([Record("written in vain", "vain")])
        with reader(tmp_path / "second", primary.url) as one:
            until(
                lambda: (
                    "Another server is the primary since epoch 2" in (ready(one)["replica"]["error"] or "")
                )
            )
            assert hits(find(one, "vain")) == []
