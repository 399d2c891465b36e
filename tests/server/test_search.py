"""Searching and documents over HTTP: the promised shapes, caches that never lie, files that never leak."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from serving import NOTES, Served, error_of, notes, serving, settings_at

from localsearch.engine import Engine
from localsearch.server.files import open_original
from localsearch.server.jobs import ENDED
from localsearch.types import Answer, Record


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Served]:
    """A server of this test's own."""
    with notes(tmp_path / "home") as one:
        yield one


# -- the contract


def test_days_are_those_of_the_zone_that_the_client_names(fresh: Served) -> None:
    late = {"id": "late", "text": "minutes of the evening", "metadata": {"modified": "2024-03-05T23:30:00Z"}}
    assert fresh.client.post("/documents", json={"documents": [late]}).status_code in (200, 202)
    for zone, day in (
        ("UTC", "2024-03-05"),
        ("Europe/Berlin", "2024-03-06"),
        ("America/New_York", "2024-03-05"),
    ):
        asked = {"query": f"minutes modified:{day}", "mode": "lexical", "time_zone": zone}
        posted = fresh.client.post("/search", json=asked).json()["results"]
        gotten = fresh.client.get(
            "/search", params={"q": asked["query"], "mode": "lexical", "time_zone": zone}
        )
        assert [hit["id"] for hit in posted] == [hit["id"] for hit in gotten.json()["results"]] == ["late"], (
            zone
        )


def test_a_zone_that_is_none_is_told(fresh: Served) -> None:
    answer = fresh.client.post("/search", json={"query": "minutes", "time_zone": "Moon/Tranquility"})
    assert answer.status_code == 400
    assert "Moon/Tranquility" in error_of(answer)["message"]
    assert "Europe/Berlin" in error_of(answer)["hint"]


def test_a_client_of_the_tutorial_service_works_unmodified(sample: Served) -> None:
    answer = sample.client.post("/search", json={"query": "bread without yeast", "limit": 5, "filters": None})
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert len(results) == 5
    for hit in results:
        assert {"id": str, "score": float, "text": str, "metadata": dict}.items() <= {
            name: type(value) for name, value in hit.items()
        }.items()
    assert [hit["score"] for hit in results] == sorted((hit["score"] for hit in results), reverse=True)


def test_an_answer_has_everything_that_is_promised(sample: Served) -> None:
    body = sample.search("how do I season a cast iron pan", limit=3, explain=True)
    promised = {"query", "total", "took_ms", "mode", "version", "stages", "cached", "results"}
    assert promised <= set(body)
    assert body["query"] == "how do I season a cast iron pan"
    assert body["mode"] == "hybrid"
    assert body["version"] == sample.engine.status().version
    assert {"lexical", "semantic", "fuse", "snippets"} <= set(body["stages"])
    hit = body["results"][0]
    fields = {
        "id",
        "score",
        "text",
        "metadata",
        "title",
        "path",
        "snippet",
        "highlights",
        "location",
        "scores",
    }
    assert fields <= set(hit)
    assert Path(hit["path"]).is_file()
    assert set(hit["scores"]) >= {"lexical", "semantic"}
    for start, end in hit["highlights"]:
        assert 0 <= start < end <= len(hit["snippet"])
    msgspec.convert(body, Answer)


def test_get_and_post_give_the_same(sample: Served) -> None:
    posted = sample.search("type:pdf heat", limit=2, offset=1, mode="lexical", cache=False)
    got = sample.client.get(
        "/search", params={"q": "type:pdf heat", "limit": 2, "offset": 1, "mode": "lexical", "cache": "false"}
    ).json()
    for changing in ("took_ms", "stages"):
        posted.pop(changing), got.pop(changing)
    assert posted == got


@pytest.mark.parametrize("mode", ["hybrid", "lexical", "semantic"])
def test_modes(sample: Served, mode: str) -> None:
    body = sample.search("keeping bees through the winter", mode=mode, limit=3)
    assert body["mode"] == mode
    assert len(body["results"]) == 3


def test_pages_continue_each_other(sample: Served) -> None:
    whole = [hit["id"] for hit in sample.search("water", limit=12)["results"]]
    paged = [
        hit["id"] for page in range(4) for hit in sample.search("water", limit=3, offset=3 * page)["results"]
    ]
    assert len(set(whole)) == 12
    assert paged == whole


def test_filters_as_text_and_as_json_agree(sample: Served) -> None:
    text = sample.search("water", filters="type:csv", limit=50)
    json = sample.search("water", filters={"type": "csv"}, limit=50)
    assert [hit["id"] for hit in text["results"]] == [hit["id"] for hit in json["results"]]
    assert {Path(hit["path"]).suffix for hit in text["results"]} == {".csv"}
    assert text["total"] == len(text["results"])


def test_a_filter_without_meaning_is_a_400(served: Served) -> None:
    answer = served.client.post("/search", json={"query": "kiln", "filters": {"year": {"$around": 3}}})
    assert (answer.status_code, error_of(answer)["code"]) == (400, "bad_filter")


@pytest.mark.parametrize(
    "query", ["the of and", "?!…", "\u0000", "𝒳" * 50, "-", '"', "a" * 20_000, "AND OR NOT ( )"]
)
def test_odd_queries_get_an_answer(served: Served, query: str) -> None:
    assert served.search(query)["total"] >= 0


def test_suggestions_come_from_the_corpus(served: Served) -> None:
    answer = served.client.get("/suggest", params={"q": "celadon gl"})
    assert answer.json() == {"query": "celadon gl", "suggestions": served.engine.suggest("celadon gl", 8)}
    assert any("glaze" in text for text in answer.json()["suggestions"])


def test_judgements_are_kept_and_make_the_quality_score(fresh: Served) -> None:
    for id, relevant in (("kiln", True), ("glaze", True), ("bread", False)):
        sent = fresh.client.post("/feedback", json={"query": "firing", "id": id, "relevant": relevant})
        assert (sent.status_code, sent.json()) == (200, {"recorded": True})
    assert fresh.engine.judgements.grades() == {"firing": {"kiln": 1, "glaze": 1, "bread": 0}}
    missing = fresh.client.post("/feedback", json={"query": "firing", "id": "nobody", "relevant": True})
    assert (missing.status_code, error_of(missing)["code"]) == (404, "not_found")
    fresh.service.housekeeping.forget()
    assert fresh.client.get("/stats").json()["quality"] == 0.6667


# -- caches


def same_but_for_time(first: dict[str, Any], second: dict[str, Any]) -> bool:
    timeless = [{k: v for k, v in body.items() if k not in ("cached", "took_ms")} for body in (first, second)]
    return timeless[0] == timeless[1]


@pytest.mark.parametrize(
    "question",
    [
        {"query": "kiln"},
        {"query": "Grünspan – naïve “quotes” 窯"},
        {"query": "day", "limit": 1, "explain": True},
        {"query": '"cached":false,"took_ms":1, kiln'},
        {"query": "day", "filters": {"year": {"$gte": 2021, "$lt": 2024}}, "facets": True},
    ],
)
def test_a_cached_answer_is_the_answer(sample: Served, question: dict[str, Any]) -> None:
    sample.client.post("/cache/clear")
    fresh_one, stored = sample.search(**question), sample.search(**question)
    assert (fresh_one["cached"], stored["cached"]) == (False, True)
    assert same_but_for_time(fresh_one, stored)
    anew = sample.search(**question, cache=False)
    assert anew["cached"] is False
    assert [hit["id"] for hit in anew["results"]] == [hit["id"] for hit in stored["results"]]


def test_equal_questions_share_an_answer_and_unequal_ones_do_not(fresh: Served) -> None:
    fresh.search("kiln", filters={"a": 1, "b": 2})
    assert fresh.search("kiln", filters={"b": 2, "a": 1}, mode="hybrid", limit=5, offset=0)["cached"] is True
    for other in ({"limit": 4}, {"mode": "lexical"}, {"explain": True}, {"collection": "default"}):
        assert fresh.search("kiln", filters={"a": 1, "b": 2}, **other)["cached"] is False


def test_a_write_makes_old_answers_unreachable(fresh: Served) -> None:
    assert fresh.search("celadon")["total"] == 1
    assert fresh.search("celadon")["cached"] is True
    fresh.client.post("/documents", json={"documents": [{"id": "more", "text": "More celadon."}]})
    after = fresh.search("celadon")
    assert (after["cached"], after["total"]) == (False, 2)
    fresh.client.delete("/documents/more")
    assert fresh.search("celadon")["total"] == 1


def test_an_answer_by_words_alone_ends_when_the_model_arrives(tmp_path: Path, model_folder: Path) -> None:
    settings = settings_at(tmp_path / "home")
    with Engine.open(settings=replace(settings, models=model_folder)) as engine:
        engine.add([Record(text, id) for id, text in NOTES.items()])
        engine.embed_pending()
    with Engine.open(settings=settings) as engine, serving(engine, settings) as one:
        assert engine.derived.semantic is not None
        for _ in range(3):
            without = one.search("what insects collect")
        assert (without["cached"], without["notes"][0][:10]) == (True, "Words only")
        settings.models.symlink_to(model_folder)
        engine.derived.semantic.model.try_again()  # or half a minute later
        by_meaning = one.search("what insects collect")
        assert (by_meaning["cached"], by_meaning["results"][0]["id"]) == (False, "bees")


def test_clearing_the_caches(fresh: Served) -> None:
    fresh.search("kiln")
    cleared = fresh.client.post("/cache/clear").json()["cleared"]
    assert cleared["answers"] == 1
    assert fresh.search("kiln")["cached"] is False


def test_a_budget_is_never_served_from_or_into_the_cache(fresh: Served) -> None:
    for _ in range(2):
        assert fresh.search("kiln", budget_ms=500)["cached"] is False
    assert fresh.search("kiln")["cached"] is False


def test_frequent_questions_are_warm_after_a_restart(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with notes(home) as one:
        for _ in range(3):
            one.search("neap tides")
    settings = settings_at(home)
    with Engine.open(settings=settings) as engine, serving(engine, settings) as again:
        for _ in range(100):
            if again.service.engine.answers.stats().entries:
                break
            again.service.stopping.wait(0.1)
        assert again.search("neap tides")["cached"] is True


def test_no_question_is_written_down_when_that_is_switched_off(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings = settings_at(home)
    settings = replace(settings, caches=replace(settings.caches, remember_queries=False))
    with Engine.open(settings=settings) as engine, serving(engine, settings) as one:
        one.search("an illness nobody should know of")
    assert not [file for file in home.rglob("*") if file.is_file() and b"illness" in file.read_bytes()]


# -- documents


def test_a_document_is_searchable_when_the_answer_comes_and_gone_when_deleted(fresh: Served) -> None:
    for number in range(20):
        sent = {"id": f"n/{number}", "text": f"The quokka number{number} sleeps.", "metadata": {"legs": 4}}
        stored = fresh.client.post("/documents", json={"documents": [sent]})
        assert (stored.status_code, stored.json()) == (200, {"ids": [f"n/{number}"], "collection": "default"})
        (hit,) = fresh.search(f"number{number}")["results"]
        assert (hit["id"], hit["metadata"]["legs"]) == (f"n/{number}", 4)
    assert fresh.client.delete("/documents/n/7").json() == {"id": "n/7", "deleted": True}
    assert fresh.search("number7")["results"] == []
    again = fresh.client.delete("/documents/n/7")
    assert (again.status_code, error_of(again)["code"]) == (404, "not_found")


def test_an_id_is_made_from_the_content(fresh: Served) -> None:
    ids = [
        fresh.client.post("/documents", json={"documents": [{"text": "The same words."}]}).json()["ids"]
        for _ in range(2)
    ]
    assert ids[0] == ids[1]
    assert len(ids[0][0]) > 8


def test_the_same_id_takes_the_place(fresh: Served) -> None:
    for text in ("First light.", "Second thoughts."):
        fresh.client.post("/documents", json={"documents": [{"id": "one", "text": text}]})
    document = fresh.client.get("/documents/one").json()
    assert document["text"] == "Second thoughts."
    assert fresh.search("light", mode="lexical")["total"] == 0


@pytest.mark.parametrize("id", ["a b/ü?#%", "../../etc/passwd", "line\u2028break", "日本", "a//b", " x "])
def test_any_id_can_be_read_back(fresh: Served, id: str) -> None:
    stored = fresh.client.post("/documents", json={"documents": [{"id": id, "text": "Some text."}]})
    assert stored.json()["ids"] == [id]
    document = fresh.client.get(f"/documents/{quote(id, safe='')}").json()
    assert (document["id"], document["text"]) == (id, "Some text.")


DEEP: list[Any] = []
for _ in range(60):
    DEEP = [DEEP]
WRONG: dict[str, Any] = {
    "no text": {"id": "bad"},
    "white space": {"text": " \n"},
    "an id that is a number": {"id": 5, "text": "x"},
    "an empty id": {"id": "", "text": "x"},
    "an id with a line end": {"id": "a\nb", "text": "x"},
    "a list": [1, 2],
    "null": None,
    "a field that is unknown": {"text": "x", "titel": "y"},
    "metadata that are a list": {"text": "x", "metadata": []},
    "a title of 10,000 letters": {"text": "x", "title": "x" * 10_000},
    "nested too deep": {"text": "x", "metadata": {"a": DEEP}},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_document_that_is_none_costs_itself(fresh: Served, wrong: Any) -> None:
    good = [{"id": "first", "text": "Celadon glaze."}, {"id": "last", "text": "Tenmoku glaze."}]
    answer = fresh.client.post("/documents", json={"documents": [good[0], wrong, good[1]]})
    deep = isinstance(wrong, dict) and wrong.get("metadata") == WRONG["nested too deep"]["metadata"]
    assert answer.status_code == (200 if deep else 207), answer.text  # depth is cut with a note, not refused
    if not deep:
        assert answer.json()["ids"] == ["first", "last"]
        [refused] = answer.json()["refused"]
        assert refused["at"] == 1
        assert refused["message"]
    assert {hit["id"] for hit in fresh.search("glaze", mode="lexical")["results"]} >= {"first", "last"}


def test_a_call_of_nothing_but_wrong_documents_is_refused(fresh: Served) -> None:
    answer = fresh.client.post("/documents", json={"documents": [{"id": "a"}, {"text": 5}]})
    assert answer.status_code == 400
    assert "text" in answer.json()["error"]["message"]


def test_text_that_is_no_utf8_costs_its_document(fresh: Served) -> None:
    body = b'{"documents": [{"id": "odd", "text": "a\xff"}, {"id": "even", "text": "Raku."}]}'
    answer = fresh.client.post("/documents", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["ids"]) == (207, ["even"])


def test_many_documents_are_a_job_without_what_is_refused(fresh: Served) -> None:
    many: list[Any] = [{"id": f"m{number}", "text": "Slip and glaze."} for number in range(150)]
    many[7] = {"id": "m7"}
    answer = fresh.client.post("/documents", json={"documents": many})
    assert answer.status_code == 202
    assert [one["at"] for one in answer.json()["refused"]] == [7]
    while (job := fresh.client.get(f"/jobs/{answer.json()['job']['id']}").json())["state"] not in ENDED:
        time.sleep(0.05)
    assert job["state"] == "done"
    assert (len(job["result"]["ids"]), "refused" in job["result"]) == (149, False)


def test_collections_are_apart(fresh: Served) -> None:
    fresh.client.post(
        "/documents", json={"documents": [{"id": "kiln", "text": "Other kiln."}], "collection": "b"}
    )
    assert fresh.client.get("/documents/kiln?collection=b").json()["text"] == "Other kiln."
    assert fresh.client.get("/documents/kiln").json()["text"] == NOTES["kiln"]
    assert [hit["id"] for hit in fresh.search("kiln", collection="b")["results"]] == ["kiln"]


def test_the_passage_around_an_offset(fresh: Served) -> None:
    text = "".join(f"Sentence {number:05d}. " for number in range(8000))
    fresh.client.post("/documents", json={"documents": [{"id": "long", "text": text}]})
    stored = fresh.client.get("/documents/long").json()["text"]
    for at, chars in ((0, 100), (60_000, 200), (len(stored) - 10, 500), (10**8, 50)):
        passage = fresh.client.get("/passages/long", params={"at": at, "chars": chars}).json()
        assert passage["text"] == stored[passage["start"] : passage["stop"]]
        assert passage["start"] == max(0, at - chars // 2)
        assert passage["more"] is (passage["start"] + chars < len(stored))


def test_no_such_document(served: Served) -> None:
    for path in (
        "/documents/nobody",
        "/passages/nobody",
        "/originals/nobody",
        "/documents/kiln?collection=nowhere",
    ):
        answer = served.client.get(path)
        assert (answer.status_code, error_of(answer)["code"]) == (404, "not_found")


# -- originals


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[tuple[Served, Path]]:
    """A server over a folder of files, with a secret beside it."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("top secret marmalade\n")
    (root / "page.html").write_text("<title>Page</title><script>alert(1)</script><p>Marmalade on a page.\n")
    (root / "plain.txt").write_text("Plain marmalade.\n")
    (root / "sub" / "naïve name;x.md").write_text("# Marmalade\n\nThree oranges.\n")
    settings = settings_at(tmp_path / "home")
    with Engine.open(settings=settings) as engine:
        engine.index(root, embed=False)
        with serving(engine, settings) as served:
            yield served, root


def test_an_original_is_sent_as_it_is_but_never_as_a_page(folder: tuple[Served, Path]) -> None:
    served, root = folder
    for file in sorted(root.rglob("*.*")):
        answer = served.client.get(f"/originals/{quote(str(file), safe='')}")
        assert answer.status_code == 200
        assert answer.content == file.read_bytes()
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert quote(file.name, safe="") in answer.headers["content-disposition"]


def test_what_cannot_be_shown_is_downloaded() -> None:
    from localsearch.server.files import _media

    assert _media("a.pdf", "pdf") == ("application/pdf", True)
    assert _media("a.png", "image") == ("image/png", True)
    for name in ("a.svg", "a.docx", "a.html.gz", "a", "a.swf", "a.xhtml"):
        assert _media(name, "unknown") == ("application/octet-stream", False), name


def test_a_link_put_in_the_place_of_a_file_leads_nowhere(folder: tuple[Served, Path]) -> None:
    served, root = folder
    file = root / "plain.txt"
    address = f"/originals/{quote(str(file), safe='')}"
    file.unlink()
    file.symlink_to(root.parent / "secret.txt")
    assert served.client.get(address).status_code == 404
    file.unlink()
    os.mkfifo(file)
    assert served.client.get(address).status_code == 404


def test_a_folder_put_in_the_place_of_a_folder_leads_nowhere(folder: tuple[Served, Path]) -> None:
    served, root = folder
    (hidden := root.parent / "hidden").mkdir()
    (hidden / "naïve name;x.md").write_text("hidden\n")
    (root / "sub").rename(root / "old")
    (root / "sub").symlink_to(hidden)
    address = f"/originals/{quote(str(root / 'sub' / 'naïve name;x.md'), safe='')}"
    answer = served.client.get(address)
    assert answer.status_code == 404
    assert b"hidden\n" not in answer.content


def test_nothing_outside_what_is_indexed_can_be_read(folder: tuple[Served, Path]) -> None:
    served, root = folder
    secret = root.parent / "secret.txt"
    for name in (
        str(secret),
        f"{root}/../secret.txt",
        "../secret.txt",
        "/etc/passwd",
        str(root),
        f"{root}/.",
    ):
        for route in ("originals", "documents", "passages"):
            answer = served.client.get(f"/{route}/{quote(name, safe='')}")
            assert answer.status_code == 404
            assert b"top secret" not in answer.content
    with pytest.raises(Exception, match="cannot be opened"):
        open_original(os.fsencode(secret), "text", [(os.fsencode(root), os.fsencode(root))])
    with pytest.raises(Exception, match="cannot be opened"):
        beside = os.fsencode(str(root) + "-beside")
        open_original(beside, "text", [(os.fsencode(root), os.fsencode(root))])


def test_a_document_of_a_program_has_no_file(served: Served) -> None:
    answer = served.client.get("/originals/kiln")
    assert (answer.status_code, error_of(answer)["code"]) == (404, "not_found")


def test_the_ledger_tells_of_files(folder: tuple[Served, Path]) -> None:
    served, root = folder
    ledger = served.client.get("/ledger", params={"state": "indexed"}).json()
    assert ledger["counts"] == {"indexed": 3, "skipped": 0, "failed": 0, "noted": 0}
    assert {file["path"] for file in ledger["files"]} == {str(file) for file in root.rglob("*.*")}
    (one,) = served.client.get("/ledger", params={"path": str(root / "plain.txt")}).json()["files"]
    assert (one["state"], one["stale"], one["tries"]) == ("indexed", False, one["tries"])


# -- versions


def test_versions_are_listed_and_activated_by_number_or_name(sample: Served) -> None:
    (version,) = sample.client.get("/versions").json()["versions"]
    assert (version["state"], version["dimensions"], version["pending"]) == ("active", 384, 0)
    for name in (version["id"], version["name"]):
        again = sample.client.post(f"/versions/{name}/activate")
        assert (again.status_code, again.json()["id"]) == (200, version["id"])
    missing = sample.client.post("/versions/99/activate")
    assert (missing.status_code, error_of(missing)["code"]) == (404, "not_found")


def test_a_name_that_is_not_utf8_can_be_opened(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    raw = os.fsencode(root) + b"/caf\xe9.txt"
    with open(raw, "wb") as file:
        file.write(b"Coffee and marmalade.\n")
    settings = settings_at(tmp_path / "home")
    with Engine.open(settings=settings) as engine:
        engine.index(root, embed=False)
        with serving(engine, settings) as served:
            (hit,) = served.search("marmalade")["results"]
            answer = served.client.get(f"/originals/{quote(hit['id'], safe='')}")
            assert answer.content == b"Coffee and marmalade.\n"
            assert served.client.get(f"/documents/{quote(hit['id'], safe='')}").json()["id"] == hit["id"]


def test_documents_are_found_by_a_part_of_their_name(served: Served) -> None:
    answer = served.client.get("/names", params={"q": "kil"})
    assert answer.json() == {
        "query": "kil",
        "documents": [
            {"id": "kiln", "collection": "default", "title": "Kiln", "path": None, "type": "text"},
        ],
        "folders": [],
    }
    assert served.client.get("/names", params={"q": "kil", "limit": 0}).status_code == 400
