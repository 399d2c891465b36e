"""The clients of the HTTP API, against a real server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import SAMPLE, Served, notes

from localsearch import errors
from localsearch.client import AsyncClient, Client, Job
from localsearch.types import Answer, Document, Record


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with notes(tmp_path / "home") as one:
        yield one


def test_answers_are_the_types_of_the_package(server: Served) -> None:
    with Client(server.url) as client:
        answer = client.search("kiln cool", mode="lexical", limit=2, filters={"year": {"$gte": 2020}})
        assert isinstance(answer, Answer)
        assert [hit.id for hit in answer] == ["kiln", "glaze"]
        assert (
            answer.results[0].highlights
            == server.engine.search("kiln cool", mode="lexical").results[0].highlights
        )
        assert client.get("kiln") == server.engine.read("kiln")
        part = client.get("kiln", at=0, chars=20)
        assert (part.text, part.more) == ("Let the ki", True) or part.text == server.engine.read("kiln").text[
            :20
        ]
        many = client.read_many(["k*", "nothing"], each=3)
        assert ([document.text for document in many], many.missing) == (["Let"], ("nothing",))
        assert client.suggest("prop") == ["propolis"]
        assert client.stats()["documents"] == 5


def test_writing_and_jobs(server: Served) -> None:
    with Client(server.url) as client:
        assert client.add([Record("Saffron grows in autumn.", "saffron")], collection="spice") == ["saffron"]
        assert client.search("saffron", mode="lexical", collection="spice").total == 1
        client.feedback("saffron", "saffron", True, collection="spice")
        client.delete("saffron", collection="spice")
        with pytest.raises(errors.NotFoundError):
            client.get("saffron", collection="spice")
        job = client.index([SAMPLE])
        assert isinstance(job, Job)
        for _ in range(600):
            if (job := client.job(job.id)).ended:
                break
            time.sleep(0.1)
        assert (job.state, job.error) == ("done", None)
        many = client.add([Record(f"Note {n}.", f"n{n}") for n in range(150)])
        assert isinstance(many, Job)


def test_both_clients_say_the_same(server: Served) -> None:
    async def ask() -> tuple[Answer, Document, list[int]]:
        async with AsyncClient(server.url) as client:
            at_once = await asyncio.gather(
                *(client.search(word, mode="lexical") for word in ("kiln", "bees", "zzz"))
            )
            return (
                await client.search("kiln", mode="lexical"),
                await client.get("bees"),
                [a.total for a in at_once],
            )

    answer, document, totals = asyncio.run(ask())
    with Client(server.url) as client:
        assert answer.results == client.search("kiln", mode="lexical").results
        assert document == client.get("bees")
    assert totals == [2, 1, 0]
    missing = {name for name in vars(Client) if not name.startswith("_")} ^ {
        name for name in vars(AsyncClient) if not name.startswith("_")
    }
    assert missing == set()


@pytest.mark.parametrize(
    ("ask", "kind", "code"),
    [
        (lambda c: c.search(""), errors.QueryError, "bad_query"),
        (lambda c: c.search("x", filters="size:>lots"), errors.FilterError, "bad_filter"),
        (lambda c: c.search("x", limit=0), errors.UsageError, "bad_request"),
        (lambda c: c.get("nothing"), errors.NotFoundError, "not_found"),
        (lambda c: c.get("kiln", lines="90"), errors.PartError, "bad_part"),
        (lambda c: c.job(999), errors.NotFoundError, "not_found"),
        (lambda c: c.search("x", plain=True), errors.UsageError, "bad_request"),
    ],
)
def test_errors_are_those_of_the_package(
    served: Served, ask: object, kind: type[Exception], code: str
) -> None:
    with Client(served.url) as client, pytest.raises(kind) as caught:
        ask(client)  # type: ignore[operator]
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert caught.value.hint  # type: ignore[attr-defined]


def test_keys_and_no_server(tmp_path: Path) -> None:
    with notes(tmp_path / "home", require_keys=True) as served, Client(served.url) as client:
        with pytest.raises(errors.UsageError, match="wants an API key"):
            client.search("kiln")
        from localsearch.server.keys import Keys

        _, key = Keys(served.service.db).create("program")
        served.service.keyring.refresh()
        with Client(served.url, key=key) as known:
            assert known.search("kiln", mode="lexical").total == 2
        url = served.url
    with Client(url) as gone, pytest.raises(errors.UnavailableError, match="does not answer"):
        gone.search("kiln")


def test_no_proxy_stands_before_this_machine(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Client(served.url) as client:
        assert client.search("kiln", mode="lexical").total == 2


def test_the_client_loads_no_index() -> None:
    heavy = "('faiss', 'onnxruntime', 'tantivy', 'starlette')"
    code = f"import sys, localsearch.client; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
