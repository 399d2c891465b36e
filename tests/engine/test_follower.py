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
from localsearch.settings import Settings, VectorSettings, load


@pytest.fixture
def settings(tmp_path: Path, model_folder: Path) -> Settings:
    vectors = VectorSettings(merge_at=40)
    return replace(load(tmp_path / "home", environ={}), models=model_folder, offline=True, vectors=vectors)


@pytest.fixture
def pair(settings: Settings) -> Iterator[tuple[Engine, Engine]]:
    """A writer and a reader of one index, both open from here on."""
    with Engine.open(settings=settings) as writer:
        writer.add([Record("The very first wordzero.", "zero")])
        with Engine.open(settings=settings, read_only=True) as reader:
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
