"""Searching through the whole engine: modes, filters, pages, odd queries, caches, scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread, get_ident

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from localsearch.engine import Engine
from localsearch.errors import FilterError, LocalSearchError, QueryError
from localsearch.search import count
from localsearch.search.executor import SearchExecutor
from localsearch.settings import SearchSettings, load
from localsearch.types import Record

TOPICS = {
    "bread": "Feed the sourdough starter with flour and water every morning.",
    "tyres": "Check the pressure of the front tyre before a long bicycle ride.",
    "tax": "The income tax declaration is due at the end of July.",
    "bees": "A hive of honey bees winters on twenty kilograms of honey.",
    "stars": "The telescope shows the rings of Saturn on a clear night.",
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Iterator[Engine]:
    home = tmp_path_factory.mktemp("home")
    with Engine.open(settings=replace(load(home, environ={}), models=model_folder)) as opened:
        opened.add(
            [
                Record(text, id=name, title=name.capitalize(), metadata={"kind": "topic", "rank": number})
                for number, (name, text) in enumerate(TOPICS.items())
            ]
        )
        opened.add(
            [
                Record(
                    f"Filler about harbour number {n}.", id=f"filler-{n}", metadata={"kind": "filler", "n": n}
                )
                for n in range(300)
            ]
        )
        opened.embed_pending()
        yield opened


def ids(engine: Engine, query: str, **options: object) -> list[str]:
    return [hit.id for hit in engine.search(query, **options)]  # type: ignore[arg-type]


def test_each_mode_finds_what_it_should(engine: Engine) -> None:
    assert ids(engine, "honey bees", mode="lexical") == ["bees"]
    assert ids(engine, "planets seen at night", mode="semantic")[0] == "stars"
    assert ids(engine, "how do I file my taxes")[0] == "tax"


def test_the_shape_of_an_answer(engine: Engine) -> None:
    answer = engine.search("sourdough starter", limit=2, explain=True, cache=False)
    hit = answer.results[0]
    assert (answer.query, answer.mode, answer.cached) == ("sourdough starter", "hybrid", False)
    assert answer.version == "1-all-MiniLM-L6-v2-" + engine.embeddings.versions()[0].precision
    assert hit.id == "bread"
    assert hit.title == "Bread"
    assert hit.text == TOPICS["bread"]
    assert hit.metadata["kind"] == "topic"
    assert [hit.snippet[a:b].lower() for a, b in hit.highlights] == ["sourdough", "starter"]
    assert hit.location["start"] == 0
    assert hit.scores is not None
    assert hit.scores["lexical"] > 0
    assert hit.scores["semantic"] == pytest.approx(0.6, abs=0.25)
    assert set(answer.stages) >= {"parse", "lexical", "encode", "semantic", "fuse", "snippets"}
    assert answer.took_ms > 0


def test_the_cosine_in_an_answer_is_the_cosine(engine: Engine) -> None:
    encoder = engine.models.encoder()
    query = encoder.encode_query("rings of a planet")
    passage = encoder.encode_documents(["Stars\n" + TOPICS["stars"]])[0]
    hit = engine.search("rings of a planet", mode="semantic", limit=1, explain=True).results[0]
    assert hit.scores is not None
    assert hit.scores["semantic"] == pytest.approx(float(query @ passage), abs=2e-2)


def test_pages_continue_each_other(engine: Engine) -> None:
    whole = ids(engine, "harbour", limit=250)
    assert len(set(whole)) == 250
    pages = [ids(engine, "harbour", limit=25, offset=offset) for offset in range(0, 250, 25)]
    assert [one for page in pages for one in page] == whole


@pytest.mark.parametrize("mode", ["lexical", "semantic", "hybrid"])
def test_a_filter_is_exact(engine: Engine, mode: str) -> None:
    found = ids(engine, "harbour number", mode=mode, filters={"n": {"$gte": 290}}, limit=50)
    assert sorted(found) == sorted(f"filler-{n}" for n in range(290, 300))
    found = ids(engine, "harbour kind:topic", mode="semantic", limit=50)
    assert sorted(found) == sorted(TOPICS)


def test_phrases_and_exclusions_hold_for_both_legs(engine: Engine) -> None:
    assert ids(engine, '"front tyre" bicycle', limit=50) == ["tyres"]
    assert "bees" not in ids(engine, "honey -hive", limit=50)
    assert ids(engine, '"tyre front"', limit=50) == []


def test_a_filter_alone_lists_what_matches_the_newest_first(engine: Engine) -> None:
    assert sorted(ids(engine, "kind:topic", limit=50)) == sorted(TOPICS)


@pytest.mark.parametrize("query", ["", "   ", "\n\t"])
def test_an_empty_query_says_so(engine: Engine, query: str) -> None:
    with pytest.raises(QueryError, match="empty"):
        engine.search(query)


@pytest.mark.parametrize(
    "query", ["the of and", "?!...", "a" * 100_000, "word " * 20_000, "\x00\x01", "😀", "🏳️‍🌈 汉字"]
)
def test_odd_queries_are_answered(engine: Engine, query: str) -> None:
    assert engine.search(query).took_ms > 0


def test_a_filter_without_meaning_says_so(engine: Engine) -> None:
    with pytest.raises(FilterError) as caught:
        engine.search("x", filters={"$nonsense": 1})
    assert caught.value.hint


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60))
def test_no_query_crashes(engine: Engine, query: str) -> None:
    try:
        engine.search(query)
    except LocalSearchError as error:
        assert error.exit_code == 2


def test_a_cached_answer_is_the_same_and_a_write_makes_it_unreachable(engine: Engine) -> None:
    first = engine.search("saturn rings", limit=3)
    second = engine.search("saturn  rings", limit=3)
    assert second.cached
    same = {"took_ms": 0, "cached": False, "query": ""}
    assert replace(second, **same) == replace(first, **same)  # type: ignore[arg-type]
    engine.add([Record("Saturn has rings of ice.", id="ice")])
    third = engine.search("saturn rings", limit=3)
    assert not third.cached
    assert "ice" in [hit.id for hit in third]
    engine.delete("ice")
    assert "ice" not in ids(engine, "saturn rings")


def test_a_tiny_budget_still_answers_and_says_what_it_left_out(engine: Engine) -> None:
    answer = engine.search("a question never asked before about honey", budget_ms=0.01)
    assert [hit.id for hit in answer][:1] == ["bees"]
    assert "semantic" not in answer.stages
    assert any("time" in note for note in answer.notes)


def test_the_selectable_fusions_agree_on_an_easy_query(engine: Engine) -> None:
    best = {}
    for fusion in ("adaptive", "convex", "rrf", "dbsf"):
        engine.searcher.ranker.settings = SearchSettings(fusion=fusion)  # type: ignore[arg-type]
        best[fusion] = ids(engine, "honey bees", cache=False)[0]
    engine.searcher.ranker.settings = SearchSettings()
    assert set(best.values()) == {"bees"}


def test_both_lexical_engines_rank_alike(engine: Engine, model_folder: Path, tmp_path: Path) -> None:
    settings_ = replace(
        load(tmp_path, environ={}), models=model_folder, search=SearchSettings(lexical_engine="rank-bm25")
    )
    with Engine.open(settings=settings_) as other:
        other.add([Record(text, id=name, title=name.capitalize()) for name, text in TOPICS.items()])
        assert ids(other, "honey of bees", mode="lexical") == ["bees"]
    with Engine.open(settings=settings_, read_only=True) as reader:
        assert ids(reader, "bicycle tyre", mode="lexical") == ["tyres"]


def test_without_a_model_words_still_answer_and_meaning_says_how_to_get_it(tmp_path: Path) -> None:
    bare = replace(load(tmp_path / "home", environ={}), models=tmp_path / "no models", offline=True)
    with Engine.open(settings=bare) as engine:
        engine.add([Record(text, id=name) for name, text in TOPICS.items()])
        answer = engine.search("honey")
        assert [hit.id for hit in answer] == ["bees"]
        assert any("Words only" in note for note in answer.notes)
        assert engine.status().semantic_coverage == 0.0


def test_vectors_in_an_answer_do_not_depend_on_a_restart(engine: Engine) -> None:
    before = engine.search("due at the end", explain=True, cache=False)
    with Engine.open(settings=engine.settings, read_only=True) as reader:
        after = reader.search("due at the end", explain=True)
    assert [hit.id for hit in after] == [hit.id for hit in before]
    np.testing.assert_allclose([hit.score for hit in after], [hit.score for hit in before], atol=1e-4)


def test_totals_are_true_and_facets_count_what_matches(engine: Engine) -> None:
    answer = engine.search("harbour", mode="lexical", limit=5, facets=True)
    assert (answer.total, len(answer.results), answer.total_is_estimate) == (300, 5, False)
    assert answer.facets is not None
    assert answer.facets["type"] == {"text": 300}
    assert engine.search("kind:topic", limit=2).total == len(TOPICS)
    assert engine.search("harbour", mode="lexical", filters={"n": {"$lt": 7}}, limit=2).total == 7
    assert engine.search("honey bees", mode="lexical").total == 1


@pytest.mark.parametrize("paragraphs", [1, 8], ids=["short documents", "long documents"])
def test_a_total_of_very_many_is_an_estimate_near_the_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paragraphs: int
) -> None:
    """By chance where documents are one passage; in longer ones words keep together, and a sketch counts."""
    monkeypatch.setattr(count, "COUNTED", 20)
    random = np.random.default_rng(5)
    holds = random.random((600, 2)) < (0.4, 0.3)
    filler = "The quick brown foxes of the forest were running along the river for a long while. " * 8

    def text(row: NDArray[np.bool_]) -> str:
        words = " ".join(word for word, held in zip(("heron", "otter"), row) if held)
        return "\n\n".join(f"{words} {filler}" for _ in range(paragraphs))

    home = load(tmp_path / "home", environ={})
    with Engine.open(settings=replace(home, models=tmp_path / "none", offline=True)) as opened:
        opened.add([Record(text(row), id=str(number)) for number, row in enumerate(holds)])
        answer = opened.search("heron otter", mode="lexical")
        assert opened.status().chunks >= paragraphs * 400
    assert answer.total_is_estimate
    assert answer.total == pytest.approx(int(holds.any(axis=1).sum()), rel=0.1)


def test_a_folder_counts_what_its_filter_finds(tmp_path: Path, model_folder: Path) -> None:
    notes = tmp_path / "notes"
    for name in ("a.md", "garden/b.md", "garden/beds/c.md", "garden/beds/d.md", "kitchen/e.md"):
        (notes / name).parent.mkdir(parents=True, exist_ok=True)
        (notes / name).write_text(f"A harbour note, number {name}.")
    (notes / "kitchen/copy of c.md").write_text((notes / "garden/beds/c.md").read_text())
    with Engine.open(settings=replace(load(tmp_path / "home", environ={}), models=model_folder)) as engine:
        engine.index(notes, embed=False)
        answer = engine.search("harbour", facets=True)
        assert answer.facets is not None
        assert answer.facets["folder"] == {
            str(notes): 5,
            str(notes / "garden"): 3,
            str(notes / "garden/beds"): 2,
            str(notes / "kitchen"): 2,
        }
        for folder, number in answer.facets["folder"].items():
            assert engine.search(f'harbour path:"{folder}/"').total == number
        (notes / "a.md").unlink()
        engine.index(notes, embed=False)
        below = engine.search("harbour", facets=True).facets
        assert below is not None
        assert str(notes) not in below["folder"], "it only leads to others"


def test_products_stay_on_one_thread_while_a_search_runs_and_the_callers_threads_come_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ThreadpoolController().select(prefix="libscipy_openblas").lib_controllers
    if not found or found[0].get_num_threads() < 2:
        pytest.skip("numpy multiplies on one thread here, or with another library")
    numpy, before, meet = found[0], found[0].get_num_threads(), Barrier(2)
    seen: list[int] = []

    def look(_: object) -> None:
        meet.wait(30)  # both searches are under way
        seen.append(numpy.get_num_threads())
        meet.wait(30)

    monkeypatch.setattr(engine.embedder, "want", look)
    for _ in range(2):
        seen.clear()
        searches = [
            Thread(target=engine.search, args=[word], kwargs={"cache": False}) for word in ("honey", "tax")
        ]
        for thread in searches:
            thread.start()
        for thread in searches:
            thread.join(60)
        assert seen == [1, 1]
        assert numpy.get_num_threads() == before


def test_an_answer_by_words_alone_ends_when_the_model_arrives(tmp_path: Path, model_folder: Path) -> None:
    there = replace(load(tmp_path / "home", environ={}), models=model_folder)
    with Engine.open(settings=there) as made:
        made.add([Record(text, id=name) for name, text in TOPICS.items()])
        made.embed_pending()
    now = 1000.0
    with Engine.open(settings=replace(there, models=tmp_path / "models")) as opened:
        assert opened.derived.semantic is not None
        model = opened.derived.semantic.model
        model._clock = lambda: now
        for _ in range(3):
            without = opened.search("planets seen at night")
            assert without.notes[0].startswith("Words only")
        assert without.cached, (
            "while it is known that the model is missing, its absence need not be found again"
        )
        (tmp_path / "models").symlink_to(model_folder)
        assert opened.search("planets seen at night").cached
        now += 30.0
        by_meaning = opened.search("planets seen at night")
        assert (by_meaning.cached, by_meaning.results[0].id, by_meaning.notes) == (False, "stars", ())
        assert opened.search("planets seen at night").cached


def test_without_caches_the_query_is_encoded_anew(engine: Engine) -> None:
    engine.search("a question asked before", cache=True)
    before = replace(engine.query_vectors.stats(), age_s=0)
    engine.search("a question asked before", cache=False)
    engine.search("a question never kept", cache=False)
    assert replace(engine.query_vectors.stats(), age_s=0) == before


def test_what_a_filter_matched_is_remembered_until_something_is_written(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine.open(settings=replace(load(tmp_path, environ={}), models=model_folder)) as engine:
        engine.add([Record("A red apple.", id="a", metadata={"colour": "red"})])
        selected = []
        select = engine.corpus.select

        def counted(clause: str, params: list[object]) -> object:
            selected.append(clause)
            return select(clause, params)

        monkeypatch.setattr(engine.corpus, "select", counted)

        def red(query: str) -> set[str]:
            return set(ids(engine, query, mode="lexical", filters={"colour": "red"}, cache=False))

        assert red("apple") == red("red") == {"a"}
        assert len(selected) == 1
        engine.add([Record("Another apple.", id="b", metadata={"colour": "red"})])
        assert red("apple") == {"a", "b"}
        engine.delete("a")
        assert red("apple") == {"b"}
        assert len(selected) == 3


def test_work_goes_to_another_thread_only_while_a_core_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localsearch.search.executor.cores", lambda: 2)
    executor, here = SearchExecutor(), get_ident()
    try:
        with executor.search():
            assert executor.start(get_ident).result() != here
            with executor.search():
                assert executor.start(get_ident).result() == here
                failed = executor.start(int, "no number")
                with pytest.raises(ValueError, match="no number"):
                    failed.result()
            assert executor.start(get_ident).result() != here
    finally:
        executor.close()
