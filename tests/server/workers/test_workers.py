"""Several processes as one server: what was written is found by any of them, and limits, keys and counts are one."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving import PLAIN

from localsearch.server.database import ServiceDatabase
from localsearch.server.keys import Keys

from .crews import Crew, crew, until

pytestmark = pytest.mark.slow
WORKERS = 3


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    home = tmp_path_factory.mktemp("three") / "home"
    with crew(home, WORKERS, settings="[server.limits]\nrate = 0.001\n") as one:
        yield one


def test_what_was_written_is_found_by_whichever_process_answers(three: Crew) -> None:
    answered: Counter[str] = Counter()
    for n in range(200):
        three.add(f"count-{n}", f"The quokka of number{n} smiles.")
        answer = three.request("GET", f"/search?q=number{n}&mode=lexical")
        assert [hit["id"] for hit in answer.json()["results"]] == [f"count-{n}"], n
        answered[answer.headers["x-request-id"].partition("-")[0]] += 1
    assert len(answered) == WORKERS, answered


def test_every_answer_carries_a_state_that_holds_what_was_written_before(three: Crew) -> None:
    def number(answer: httpx.Response) -> int:
        return int(answer.headers["x-localsearch-state"].rpartition(".")[2])

    last = 0
    for n in range(30):
        body = {"documents": [{"id": f"state-{n}", "text": f"A numbat of state{n}."}]}
        written = three.request("POST", "/documents", json=body)
        state = {"x-localsearch-state": written.headers["x-localsearch-state"]}
        answer = three.request("GET", f"/search?q=state{n}&mode=lexical", headers=state)
        assert [hit["id"] for hit in answer.json()["results"]] == [f"state-{n}"], n
        assert last < number(written) <= number(answer)
        last = number(written)


def test_a_cached_answer_is_not_given_after_a_write(three: Crew) -> None:
    for n in range(40):
        three.add(f"dassie-{n}", f"A dassie basks, time {n}.")
        for _ in range(3):
            assert three.search("dassie", mode="lexical", limit=100)["total"] == n + 1
    three.request("DELETE", "/documents/dassie-7")
    for _ in range(12):
        found = {hit["id"] for hit in three.search("dassie", mode="lexical", limit=100)["results"]}
        assert found == {f"dassie-{n}" for n in range(40)} - {"dassie-7"}


def test_a_document_in_place_of_another_is_all_that_is_read(three: Crew) -> None:
    for n in range(30):
        three.add("changing", f"Version vers{n}x of it.")
        assert three.request("GET", "/documents/changing").json()["text"] == f"Version vers{n}x of it."
        assert three.search(f"vers{n}x", mode="lexical")["total"] == 1
        if n:
            assert three.search(f"vers{n - 1}x", mode="lexical")["total"] == 0


def test_while_one_writes_others_read_one_state(three: Crew) -> None:
    """Two documents are always replaced in one request: no answer has one of the new and one of the old, or a hit
    without its text, but for one that says so."""
    stop, wrong, right = threading.Event(), [], []

    def ask() -> None:
        with httpx.Client(base_url=three.url, timeout=60, verify=PLAIN) as client:
            while not stop.is_set():
                answer = client.post("/search", json={"query": "wombats", "mode": "lexical", "cache": False})
                found = answer.json()
                pair = [hit["text"] for hit in found["results"] if hit["id"] in ("pair-a", "pair-b")]
                rounds = {word for text in pair for word in re.findall(r"round\d+", text) or [""]}
                if "Documents changed while this was answered." not in found["notes"]:
                    (wrong if len(rounds) > 1 or "" in rounds else right).append(rounds)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for n in range(30):
        documents = [{"id": f"pair-{x}", "text": f"Two wombats of round{n}, {x}."} for x in "ab"]
        assert three.request("POST", "/documents", json={"documents": documents}).status_code == 200
    stop.set()
    for asker in askers:
        asker.join(60)
    assert wrong == []
    assert len({word for rounds in right for word in rounds}) > 5, (
        "hardly an answer was seen while they changed"
    )


def test_a_key_has_one_bucket_and_is_known_and_revoked_everywhere(three: Crew) -> None:
    """The bucket holds 100 and fills by one in 1,000 seconds: 100 are answered, whoever asks where and when."""
    db = ServiceDatabase(three.home)
    key, text = Keys(db).create("program")
    headers = {"Authorization": f"Bearer {text}"}
    # Each process reads new keys at a moment of its own: who knows the later one knows both.
    later = {"Authorization": f"Bearer {Keys(db).create('later')[1]}"}

    def known_by_all() -> bool:
        answers = [three.request("GET", "/health", headers=later) for _ in range(20)]
        known = {answer.headers["x-request-id"].partition("-")[0] for answer in answers}
        return len(known) == WORKERS and 401 not in {answer.status_code for answer in answers}

    until("the new keys are known by all", known_by_all)
    got: Counter[int] = Counter()
    who: set[str] = set()
    lock = threading.Lock()

    def ask() -> None:
        refused = 0
        while refused < 40:
            answer = three.request("GET", "/health", headers=headers)
            with lock:
                got[answer.status_code] += 1
                if answer.status_code == 200:
                    who.add(answer.headers["x-request-id"].partition("-")[0])
            refused = refused + 1 if answer.status_code == 429 else 0

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(120)
    assert got[200] == 100
    assert set(got) == {200, 429}
    assert len(who) == WORKERS
    Keys(db).revoke(key.id)
    db.close()

    def refused_by_all() -> bool:
        answers = [three.request("GET", "/health", headers=headers) for _ in range(20)]
        return {answer.status_code for answer in answers} == {401}

    until("the revoked key is refused by all", refused_by_all)


def counted(crew: Crew, name: str) -> float:
    text = crew.request("GET", "/metrics").text
    return sum(float(value) for value in re.findall(rf"^{re.escape(name)} ([0-9.e+]+)$", text, re.MULTILINE))


def test_metrics_add_up_over_all_processes(three: Crew) -> None:
    name = 'localsearch_http_requests_total{method="GET",route="/versions",status="200"}'
    before = counted(three, name)
    answered = {
        three.request("GET", "/versions").headers["x-request-id"].partition("-")[0] for _ in range(60)
    }
    assert len(answered) == WORKERS
    assert counted(three, name) == before + 60
    assert counted(three, 'localsearch_http_request_seconds_count{route="/versions"}') == before + 60
    text = three.request("GET", "/metrics").text
    assert "# HELP localsearch_http_requests_total Answers by route, method and status." in text
    rss = float(re.findall(r"^process_resident_memory_bytes (\S+)$", text, re.MULTILINE)[0])
    assert rss > 100e6  # three processes
    assert text.count("# TYPE process_cpu_seconds_total counter") == 1


def test_stats_and_charts_count_the_searches_of_all(three: Crew) -> None:
    before = three.request("GET", "/stats").json()
    for n in range(60):
        three.search(f"nothing{n}")

    def told() -> bool:
        now = three.request("GET", "/stats").json()
        misses = now["caches"]["answers"]["misses"] - before["caches"]["answers"]["misses"]
        return now["latency"]["searches"] - before["latency"]["searches"] >= 60 and misses >= 60

    until("all searches are told", told)


def test_clearing_the_caches_clears_those_of_all(three: Crew) -> None:
    three.add("pika", "A pika gathers hay.")
    for _ in range(20):
        three.search("pika hay", mode="lexical")
    assert any(three.search("pika hay", mode="lexical")["cached"] for _ in range(12))
    cleared = three.request("POST", "/cache/clear")
    assert (cleared.status_code, set(cleared.json()["cleared"])) == (200, {"answers", "query_vectors"})
    seen: Counter[str] = Counter()
    for _ in range(2_000):  # which process takes a connection is the system's
        answer = three.request("POST", "/search", json={"query": "pika hay", "mode": "lexical"})
        who = answer.headers["x-request-id"].partition("-")[0]
        assert answer.json()["cached"] == (seen[who] > 0), (who, seen)
        seen[who] += 1
        if len(seen) == WORKERS and min(seen.values()) > 1:
            break
    assert len(seen) == WORKERS


def test_jobs_are_one_queue_and_can_be_followed_through_any_process(three: Crew, tmp_path: Path) -> None:
    for n in range(9):
        (tmp_path / f"{n}.txt").write_text(f"A numbat of folder{n}.")
        started = three.request("POST", "/index", json={"paths": [str(tmp_path / f"{n}.txt")]})
        assert started.status_code == 202
        job = started.json()["job"]["id"]
        events = three.request("GET", f"/jobs/{job}/events").text
        assert events.rstrip().rpartition("event: ")[2].startswith("end")
        assert three.request("GET", f"/jobs/{job}").json()["state"] == "done"
        assert three.search(f"folder{n}", mode="lexical")["total"] == 1
    assert three.request("GET", "/jobs/999999").status_code == 404


def test_a_judgement_and_a_wrong_request_through_any_process(three: Crew) -> None:
    three.add("judged", "A document to be judged.")
    for _ in range(2 * WORKERS):
        body = {"query": "judged", "id": "judged", "relevant": True}
        assert three.request("POST", "/feedback", json=body).status_code == 200
        assert three.request("POST", "/feedback", json={"query": 3}).status_code == 400
        missing = three.request("POST", "/feedback", json=body | {"id": "no-such"})
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
        assert three.request("POST", "/documents", content=b"{}").status_code == 415
        assert three.request("PUT", "/documents").status_code == 405
        assert three.request("HEAD", "/stats").content == b""

    def told() -> bool:
        return bool(three.request("GET", "/stats").json()["quality"] == 1.0)

    until("the judgements of all are told", told)


def test_pages_of_other_sites_and_other_names_are_refused_by_all(three: Crew) -> None:
    for _ in range(2 * WORKERS):
        evil = three.request("POST", "/documents", json={}, headers={"Origin": "http://evil.example"})
        assert (evil.status_code, evil.json()["error"]["code"]) == (403, "bad_origin")
        other = three.request("GET", "/stats", headers={"Host": "evil.example"})
        assert other.json()["error"]["code"] == "bad_host"


def test_what_is_purged_is_forgotten_by_all(three: Crew) -> None:
    three.add("secretive", "The axolotlsecret is here.")
    for _ in range(20):
        assert three.search("axolotlsecret", mode="lexical")["total"] == 1
    assert three.request("DELETE", "/documents/secretive?purge=true").status_code == 200
    for _ in range(12):
        assert three.search("smiles", mode="lexical", limit=1)["total"] > 0
        assert three.request("GET", "/documents/secretive").status_code == 404
    for file in three.home.rglob("*"):
        if file.is_file():
            assert b"axolotlsecret" not in file.read_bytes(), file
