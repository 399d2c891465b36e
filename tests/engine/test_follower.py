"""A reader that stays open sees whatever another engine writes: documents, vectors, versions, merged generations."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from localsearch import Engine, Record
from localsearch.engine import follower
from localsearch.platform.counts import WriterCounts
from localsearch.search import SearchQuery
from localsearch.settings import Settings, VectorSettings, load
from localsearch.types import Answer


@pytest.fixture
def settings(tmp_path: Path, model_folder: Path) -> Settings:
    vectors = VectorSettings(merge_at=40)
    return replace(load(tmp_path / "home", environ={}), models=model_folder, offline=True, vectors=vectors)


@pytest.fixture(params=["asks the database", "reads shared counts"])
def pair(settings: Settings, request: pytest.FixtureRequest) -> Iterator[tuple[Engine, Engine]]:
    """A writer and a reader of one index, both open from here on."""
    counts = WriterCounts() if request.param == "reads shared counts" else None
    yield from opened(settings, counts)


@pytest.fixture
def counted(settings: Settings) -> Iterator[tuple[Engine, Engine]]:
    """As `pair`, with shared counts."""
    yield from opened(settings, WriterCounts())


def opened(settings: Settings, counts: WriterCounts | None) -> Iterator[tuple[Engine, Engine]]:
    with Engine.open(settings=settings, counts=counts) as writer:
        writer.add([Record("The very first wordzero.", "zero")])
        with Engine.open(settings=settings, read_only=True, counts=counts) as reader:
            yield writer, reader


def by_words(reader: Engine, query: str) -> list[str]:
    return [hit.id for hit in reader.search(query, mode="lexical")]


def test_every_change_is_seen_at_once(pair: tuple[Engine, Engine]) -> None:
    writer, reader = pair
    for n in range(20):
        writer.add([Record(f"Document {n} has wordnumber{n}.", str(n))])
        assert by_words(reader, f"wordnumber{n}") == [str(n)]
    writer.add([Record("Document 3 has another wordnewer.", "3")])
    assert (by_words(reader, "wordnewer"), by_words(reader, "wordnumber3")) == (["3"], [])
    writer.delete("4")
    assert by_words(reader, "wordnumber4") == []


def test_a_search_between_both_commits_waits_for_the_second(
    pair: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = pair
    stored, go_on = threading.Event(), threading.Event()
    catch_up = writer.derived.catch_up

    def slowly(*arguments: object) -> None:
        stored.set()
        go_on.wait(10)
        catch_up()

    monkeypatch.setattr(writer.derived, "catch_up", slowly)
    monkeypatch.setattr(follower, "WAIT_S", 60.0)
    adding = threading.Thread(target=writer.add, args=([Record("One more wordlate.", "late")],))
    adding.start()
    assert stored.wait(10)
    threading.Timer(0.2, go_on.set).start()
    assert by_words(reader, "wordlate") == ["late"]
    adding.join()


def test_a_commit_that_does_not_come_is_told_and_seen_later(
    pair: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = pair
    catch_up = writer.derived.catch_up
    monkeypatch.setattr(writer.derived, "catch_up", lambda *_: None)
    monkeypatch.setattr(follower, "WAIT_S", 0.0)
    writer.add([Record("One more wordlate.", "late")])
    answer = reader.search("wordlate", mode="lexical")
    assert (list(answer), answer.notes) == (
        [],
        ("The last 1 changes are stored and not yet found by their words.",),
    )
    catch_up()
    answer = reader.search("wordlate", mode="lexical")
    assert ([hit.id for hit in answer], answer.notes) == (["late"], ())


def test_a_kept_answer_is_given_from_memory_until_the_writer_commits(counted: tuple[Engine, Engine]) -> None:
    writer, reader = counted
    query = SearchQuery("wordzero", mode="lexical")
    reader.answer(query)
    kept = reader.cached(query, 0.0)
    assert kept is not None
    assert (kept.cached, [hit.id for hit in kept]) == (True, ["zero"])
    writer.add([Record("A second wordzero.", "one")])
    assert reader.cached(query, 0.0) is None
    assert {hit.id for hit in reader.answer(query)} == {"zero", "one"}
    assert reader.cached(query, 0.0) is not None


def test_what_the_writer_forgets_its_readers_forget_before_they_answer(
    counted: tuple[Engine, Engine],
) -> None:
    writer, reader = counted
    query = SearchQuery("wordzero", mode="lexical")
    reader.answer(query)
    reader.query_log.record(query.canonical)
    writer.forget_queries()
    assert reader.cached(query, 0.0) is None
    assert not reader.answer(query).cached
    assert reader.query_log.take() == {}
    assert reader.follower is not None
    assert reader.follower.cleared == 1


def test_a_model_stays_loaded_when_a_generation_is_published(counted: tuple[Engine, Engine]) -> None:
    writer, reader = counted
    writer.embed_pending()
    assert reader.search("first", mode="semantic").results
    assert reader.derived.semantic is not None
    model = reader.derived.semantic.model
    assert model.loaded is not None
    writer.add([Record(f"Tide table number {n} of the harbour.", f"t{n}") for n in range(60)])
    writer.embed_pending()
    assert len(reader.search("tide table", mode="semantic", limit=61)) == 61
    assert reader.derived.semantic.model is model


def test_an_answer_during_which_documents_change_is_made_again(
    counted: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = counted
    search, changes = reader.searcher.search, iter(["one", "two"])

    def slowly(query: SearchQuery) -> Answer:
        answer = search(query)
        if name := next(changes, None):
            writer.add([Record(f"Another wordzero {name}.", name)])
        return answer

    monkeypatch.setattr(reader.searcher, "search", slowly)
    answer = reader.search("wordzero", mode="lexical")
    assert {hit.id for hit in answer} == {"zero", "one", "two"}
    assert answer.notes == ()
    changes = iter("abcdef")
    answer = reader.search("wordzero", mode="lexical")
    assert answer.notes == ("Documents changed while this was answered.",)
    assert next(changes) == "d"


def test_vectors_that_come_later_are_seen(pair: tuple[Engine, Engine]) -> None:
    writer, reader = pair
    writer.add([Record("Bees make honey from the nectar of flowers.", "bees")])
    assert reader.search("insects that collect sweet food").semantic_coverage == 0.0
    writer.embed_pending()
    answer = reader.search("insects that collect sweet food", mode="semantic")
    assert (answer.results[0].id, answer.semantic_coverage) == ("bees", 1.0)


def test_a_generation_that_is_merged_meanwhile_is_taken(pair: tuple[Engine, Engine]) -> None:
    writer, reader = pair
    writer.embed_pending()
    assert reader.search("first").results
    writer.add([Record(f"Tide table number {n} of the harbour.", f"t{n}") for n in range(60)])
    writer.embed_pending()
    answer = reader.search("tide table", mode="semantic", limit=61)
    assert len(answer) == 61
    assert reader.derived.semantic is not None
    assert writer.derived.semantic is not None
    published = writer.derived.semantic.vectors.generation
    assert published is not None
    assert reader.derived.semantic.vectors.generation == published


def test_another_process_writes_and_every_search_of_many_threads_is_right(settings: Settings) -> None:
    code = (
        "import sys\nfrom localsearch import Engine, Record\n"
        "with Engine.open(sys.argv[1]) as engine:\n"
        "    for line in sys.stdin:\n"
        "        engine.add([Record(f'wordnumber{line.strip()} stands here', line.strip())])\n"
        "        print('done', flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(settings.home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdin
        assert writer.stdout

        def add(n: int) -> None:
            writer.stdin.write(f"{n}\n")  # type: ignore[union-attr]
            writer.stdin.flush()  # type: ignore[union-attr]
            assert writer.stdout.readline() == "done\n"  # type: ignore[union-attr]

        add(0)
        wrong: list[int] = []
        with Engine.open(settings=settings, read_only=True) as reader:
            for n in range(1, 12):
                add(n)
                asking = [
                    threading.Thread(
                        target=lambda n=n: by_words(reader, f"wordnumber{n}") == [str(n)] or wrong.append(n)
                    )
                    for _ in range(4)
                ]
                for thread in asking:
                    thread.start()
                for thread in asking:
                    thread.join()
        writer.stdin.close()
    assert wrong == []
