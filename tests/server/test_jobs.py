"""Background work: told step by step, stopped on request, bounded, and not lost when the process dies."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from serving import PLAIN, Served, error_of, notes, serving, settings_at

from localsearch.engine import Engine
from localsearch.errors import CancelledError, ConflictError, NotFoundError, UnavailableError
from localsearch.server.database import ServiceDatabase
from localsearch.server.jobs import KEPT, MOST_TRIES, JobHandler, Jobs
from localsearch.server.problems import HttpError
from localsearch.settings import LimitSettings
from localsearch.types import Cancelled, Progress, Report


@pytest.fixture
def db(tmp_path: Path) -> Iterator[ServiceDatabase]:
    one = ServiceDatabase(tmp_path)
    yield one
    one.close()


def until(jobs: Jobs, id: int, *states: str) -> str:
    """Wait for one of these states."""
    for _ in range(600):
        if jobs.get(id).state in states:
            return jobs.get(id).state
        time.sleep(0.02)
    raise AssertionError(f"job {id} is still {jobs.get(id).state}")


def counting(steps: int, gate: threading.Event | None = None) -> JobHandler:
    """Work in steps that can be stopped between them."""

    def work(payload: Any, report: Report, cancelled: Cancelled) -> Mapping[str, Any]:
        for step in range(steps):
            report(Progress("count", step + 1, steps, "steps", str(payload)))
            if gate:
                gate.wait(0.05)
            if cancelled():
                return {"cancelled": True, "steps": step + 1}
        return {"cancelled": False, "steps": steps}

    return work


def test_jobs_are_done_in_order_and_their_results_kept(db: ServiceDatabase) -> None:
    done: list[str] = []

    def note(payload: Any, report: Report, cancelled: Cancelled) -> Mapping[str, Any]:
        done.append(payload["name"])
        report(Progress("note", 1, 1, "names", payload["name"]))
        return {"name": payload["name"]}

    jobs = Jobs(db, {"index": note}, 10)
    ids = [jobs.submit("index", {"name": name}).id for name in ("a", "b", "c")]
    assert [jobs.get(id).state for id in ids] == ["queued"] * 3
    jobs.start()
    until(jobs, ids[-1], "done")
    jobs.stop()
    assert done == ["a", "b", "c"]
    last = jobs.get(ids[-1])
    assert (last.result, last.error, last.tries) == ({"name": "c"}, None, 1)
    assert (last.progress.stage, last.progress.done, last.progress.detail) == ("note", 1, "c")
    assert last.created <= (last.started or 0) <= (last.finished or 0)
    assert [job.id for job in jobs.list()] == ids[::-1]
    assert [job.id for job in jobs.list("done", 2)] == ids[:0:-1]
    assert jobs.counts() == {"done": 3}
    assert db.query("SELECT payload FROM jobs WHERE payload IS NOT NULL") == []


def test_a_failure_says_why_and_the_next_job_goes_on(db: ServiceDatabase) -> None:
    def fail(payload: Any, report: Report, cancelled: Cancelled) -> Mapping[str, Any]:
        if payload == "known":
            raise UnavailableError("The disk is asleep.", hint="Wake it.")
        if payload == "unknown":
            raise ZeroDivisionError
        return {}

    jobs = Jobs(db, {"index": fail}, 10)
    ids = [jobs.submit("index", kind).id for kind in ("known", "unknown", "fine")]
    jobs.start()
    until(jobs, ids[-1], "done")
    jobs.stop()
    assert jobs.get(ids[0]).error == {
        "code": "unavailable",
        "message": "The disk is asleep.",
        "hint": "Wake it.",
    }
    assert (jobs.get(ids[1]).state, (jobs.get(ids[1]).error or {})["code"]) == ("failed", "internal")


def test_a_full_queue_takes_no_more(db: ServiceDatabase) -> None:
    jobs = Jobs(db, {"index": counting(1)}, 3)
    for number in range(3):
        jobs.submit("index", number)
    with pytest.raises(HttpError) as caught:
        jobs.submit("index", 4)
    assert (caught.value.status, caught.value.code) == (503, "queue_full")
    assert dict(caught.value.headers)[b"retry-after"] == b"10"
    assert len(jobs.list()) == 3


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_at_its_next_step(db: ServiceDatabase) -> None:
    jobs = Jobs(db, {"index": counting(1000, threading.Event())}, 10)
    running, waiting = jobs.submit("index", "r"), jobs.submit("index", "w")
    jobs.start()
    until(jobs, running.id, "running")
    assert jobs.cancel(waiting.id).state == "cancelled"
    jobs.cancel(running.id)
    assert until(jobs, running.id, "cancelled") == "cancelled"
    assert 1 <= (jobs.get(running.id).result or {})["steps"] < 1000
    with pytest.raises(ConflictError, match="is cancelled already"):
        jobs.cancel(running.id)
    with pytest.raises(NotFoundError):
        jobs.cancel(99)
    jobs.stop()


def test_work_that_ends_by_raising_cancelled_is_cancelled(db: ServiceDatabase) -> None:
    def work(payload: Any, report: Report, cancelled: Cancelled) -> Mapping[str, Any]:
        while not cancelled():
            time.sleep(0.01)
        raise CancelledError("Stopped.")

    jobs = Jobs(db, {"index": work}, 10)
    job = jobs.submit("index", 1)
    jobs.start()
    until(jobs, job.id, "running")
    jobs.cancel(job.id)
    assert until(jobs, job.id, "cancelled", "failed") == "cancelled"
    jobs.stop()


def test_a_stop_postpones_what_is_under_way(db: ServiceDatabase) -> None:
    jobs = Jobs(db, {"index": counting(1000, threading.Event())}, 10)
    job = jobs.submit("index", "first")
    jobs.start()
    until(jobs, job.id, "running")
    jobs.stop()
    assert (jobs.get(job.id).state, jobs.get(job.id).tries) == ("queued", 0)
    again = Jobs(db, {"index": counting(2)}, 10)
    again.start()
    until(again, job.id, "done")
    again.stop()
    assert again.get(job.id).result == {"cancelled": False, "steps": 2}


DIES = """
import os, sys
from pathlib import Path
from localsearch.server.database import ServiceDatabase
from localsearch.server.jobs import Jobs
def work(payload, report, cancelled):
    os._exit(9)
jobs = Jobs(ServiceDatabase(Path(sys.argv[1])), {"index": work}, 10)
if not jobs.list():
    jobs.submit("index", {"n": 1})
jobs.start()
jobs._thread.join(20)
"""


def test_a_job_survives_the_death_of_the_process_but_not_for_ever(tmp_path: Path) -> None:
    for death in range(1, MOST_TRIES + 1):
        assert (
            subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], timeout=60, check=False).returncode
            == 9
        )
        db = ServiceDatabase(tmp_path)
        (job,) = Jobs(db, {}, 10).list()
        assert (job.state, job.tries) == ("running", death)
        db.close()
    db = ServiceDatabase(tmp_path)
    jobs = Jobs(db, {"index": counting(1)}, 10)
    jobs.start()
    jobs.stop()
    (job,) = jobs.list()
    assert (job.state, (job.error or {})["code"]) == ("interrupted", "interrupted")
    db.close()


def test_one_death_only_costs_a_try(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], timeout=60, check=False)
    db = ServiceDatabase(tmp_path)
    jobs = Jobs(db, {"index": counting(3)}, 10)
    jobs.start()
    until(jobs, 1, "done")
    jobs.stop()
    assert (jobs.get(1).tries, jobs.get(1).result) == (2, {"cancelled": False, "steps": 3})
    db.close()


def test_old_finished_jobs_are_forgotten(db: ServiceDatabase) -> None:
    db.write(
        "INSERT INTO jobs (kind, size, state, created, finished)"
        " SELECT 'index', 0, 'done', 1, 1 FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < ?) SELECT i FROM n)",
        (KEPT + 20,),
    )
    jobs = Jobs(db, {"index": counting(1)}, 10)
    job = jobs.submit("index", 1)
    jobs.start()
    until(jobs, job.id, "done")
    jobs.stop()
    assert jobs.counts() == {"done": KEPT}


# -- over HTTP


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    for number in range(30):
        (root / f"{number}.txt").write_text(f"Note number{number} about wombats.\n")
    return root


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Served]:
    with notes(tmp_path / "home") as one:
        yield one


def finished(served: Served, id: int) -> dict[str, Any]:
    for _ in range(600):
        job: dict[str, Any] = served.client.get(f"/jobs/{id}").json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.05)
    raise AssertionError("the job did not end")


def test_indexing_a_folder_over_http(fresh: Served, folder: Path) -> None:
    started = fresh.client.post("/index", json={"paths": [str(folder)], "exclude": ["1?.txt"]})
    assert started.status_code == 202
    body = started.json()
    assert body["events"] == f"/jobs/{body['job']['id']}/events"
    assert started.headers["location"] == f"/jobs/{body['job']['id']}"
    job = finished(fresh, body["job"]["id"])
    assert (job["state"], job["kind"], job["error"]) == ("done", "index", None)
    assert (job["result"]["files"]["new"], job["result"]["documents"]) == (20, 20)
    assert fresh.search("wombats", limit=50)["total"] == 20
    assert fresh.client.get("/jobs").json()["jobs"][0]["id"] == job["id"]
    assert fresh.client.get("/stats").json()["jobs"] == {"done": 1}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("relative/notes", 400, "bad_path"),
        ("/no/such/folder", 404, "not_found"),
        ("/" + "x" * 300, 404, "not_found"),
    ],
)
def test_a_path_that_cannot_be_indexed_is_refused_at_once(
    served: Served, path: str, status: int, code: str
) -> None:
    answer = served.client.post("/index", json={"paths": [path]})
    assert (answer.status_code, error_of(answer)["code"]) == (status, code)


def test_only_allowed_folders_where_the_settings_name_some(tmp_path: Path, folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "way-out").symlink_to("/etc")
    with notes(tmp_path / "home", index_roots=(str(folder),)) as served:
        for path in ("/etc", str(folder.parent), f"{folder}/../..", f"{folder}/way-out", f"{folder}-beside"):
            answer = served.client.post("/index", json={"paths": [path]})
            assert (answer.status_code, error_of(answer)["code"]) == (403, "outside"), path
        for path in (str(folder), f"{folder}/inner"):
            assert served.client.post("/index", json={"paths": [path]}).status_code == 202


def events_of(served: Served, id: int, seconds: float = 30.0) -> list[tuple[str, dict[str, Any]]]:
    """All events of a job, until its stream ends."""
    found = []
    with httpx.stream("GET", f"{served.url}/jobs/{id}/events", timeout=seconds, verify=PLAIN) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((name, json.loads(line.removeprefix("data: "))))
    return found


def test_progress_arrives_as_events_and_the_stream_ends_with_the_job(fresh: Served, folder: Path) -> None:
    id = fresh.client.post("/index", json={"paths": [str(folder)]}).json()["job"]["id"]
    events = events_of(fresh, id)
    assert [name for name, _ in events[:-1]] == ["progress"] * (len(events) - 1)
    name, last = events[-1]
    assert (name, last["state"], last["result"]["files"]["new"]) == ("end", "done", 30)
    assert last == fresh.client.get(f"/jobs/{id}").json()
    assert events_of(fresh, id) == [("end", last)]


def test_no_events_of_a_job_that_is_not_there(served: Served) -> None:
    for path in ("/jobs/999", "/jobs/999/events", "/jobs/99999999999999999999999", "/jobs/x"):
        answer = served.client.get(path)
        assert (answer.status_code, error_of(answer)["code"]) == (404, "not_found")


def test_streams_are_bounded_and_those_who_leave_make_room(tmp_path: Path) -> None:
    with notes(tmp_path / "home", replace(LimitSettings(), event_streams=2)) as served:
        held = threading.Event()
        served.service.jobs._handlers = {"index": counting(10_000, held)}
        id = served.service.jobs.submit("index", 1).id
        with (
            httpx.stream("GET", f"{served.url}/jobs/{id}/events", verify=PLAIN) as one,
            httpx.stream("GET", f"{served.url}/jobs/{id}/events", verify=PLAIN),
        ):
            assert one.status_code == 200
            refused = served.client.get(f"/jobs/{id}/events")
            assert (refused.status_code, error_of(refused)["code"]) == (503, "too_many_streams")
            assert refused.headers["retry-after"] == "5"
        for _ in range(100):
            if served.service.streams == 0:
                break
            time.sleep(0.05)
        assert served.service.streams == 0
        served.client.delete(f"/jobs/{id}")


def test_a_job_is_cancelled_over_http(tmp_path: Path) -> None:
    with notes(tmp_path / "home") as served:
        many = [{"id": f"d{n}", "text": f"Text {n} " + "word " * 200} for n in range(3000)]
        started = served.client.post("/documents", json={"documents": many})
        assert started.status_code == 202
        id = started.json()["job"]["id"]
        answer = served.client.delete(f"/jobs/{id}")
        assert answer.status_code == 200
        job = finished(served, id)
        assert job["state"] == "cancelled"
        assert served.engine.status().documents < 3005
        again = served.client.delete(f"/jobs/{id}")
        assert (again.status_code, error_of(again)["code"]) == (409, "conflict")


def test_many_documents_become_a_job_and_few_do_not(tmp_path: Path) -> None:
    with notes(tmp_path / "home", replace(LimitSettings(), job_documents=10)) as served:
        many = [{"id": f"d{n}", "text": f"Wallaby {n}."} for n in range(25)]
        assert served.client.post("/documents", json={"documents": many[:9]}).status_code == 200
        started = served.client.post("/documents", json={"documents": many, "collection": "zoo"})
        assert started.status_code == 202
        job = finished(served, started.json()["job"]["id"])
        assert job["result"] == {"ids": [f"d{n}" for n in range(25)], "cancelled": False}
        assert served.search("wallaby", collection="zoo", limit=50)["total"] == 25


def test_a_full_queue_is_a_503_over_http(tmp_path: Path) -> None:
    with notes(tmp_path / "home", replace(LimitSettings(), queued_jobs=2)) as served:
        served.service.jobs._handlers = {"index": counting(10_000, threading.Event())}
        answers = [served.client.post("/index", json={"paths": ["/tmp"]}) for _ in range(6)]
        refused = [answer for answer in answers if answer.status_code == 503]
        assert 3 <= len(refused) <= 4
        assert (error_of(refused[0])["code"], refused[0].headers["retry-after"]) == ("queue_full", "10")


def test_a_stop_ends_streams_and_the_next_start_goes_on(tmp_path: Path) -> None:
    settings = settings_at(tmp_path / "home")
    many = [{"id": f"d{n}", "text": f"Text {n} " + "word " * 50} for n in range(1500)]
    with Engine.open(settings=settings) as engine, serving(engine, settings) as served:
        id = served.client.post("/documents", json={"documents": many}).json()["job"]["id"]
        stream = threading.Thread(target=lambda: events_of(served, id))
        stream.start()
        time.sleep(0.5)
        served.stop()
        stream.join(10)
        assert not stream.is_alive()
    with Engine.open(settings=settings) as engine, serving(engine, settings) as again:
        job = finished(again, id)
        assert (job["state"], len(job["result"]["ids"])) == ("done", 1500)
        assert engine.status().documents == 1500


def test_jobs_fit_their_description(fresh: Served, folder: Path) -> None:
    from localsearch.server.schemas.jobs import JobsAnswer

    fresh.client.post("/index", json={"paths": [str(folder)]})
    listed = msgspec.json.decode(fresh.client.get("/jobs").content, type=JobsAnswer)
    assert listed.jobs[0].kind == "index"
