"""Learning what cosines mean in a corpus, and what answers say with it: relevance, and when nothing is about a query."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from serving import SAMPLE, Served

from localsearch.derived.calibrate import calibrate_if_due
from localsearch.engine import Engine
from localsearch.errors import QueryError
from localsearch.ranking.relevance import calibrate
from localsearch.settings import load
from localsearch.types import Record

FOREIGN = (
    "neutrino oscillation in supernova cores",
    "enzyme kinetics of lactate dehydrogenase in rats",
    "winner of the 1998 football world cup final",
    "symphonies composed by Gustav Mahler",
    "Kaiser Wilhelm und der Erste Weltkrieg",
)
PLACES = (
    "harbour",
    "orchard",
    "library",
    "quarry",
    "station",
    "bakery",
    "mill",
    "garden",
    "bridge",
    "museum",
)
DEEDS = ("opens at nine", "needs a new roof", "was painted blue", "smells of rain")


def records(count: int) -> list[Record]:
    pairs = [(place, deed) for deed in DEEDS for place in PLACES]
    return [Record(f"The {place} {deed}.", id=f"{place} {deed}") for place, deed in pairs[:count]]


@pytest.fixture
def engine(tmp_path: Path, model_folder: Path) -> Iterator[Engine]:
    with Engine.open(settings=replace(load(tmp_path / "home", environ={}), models=model_folder)) as opened:
        yield opened


def calibration(engine: Engine) -> object:
    assert engine.derived.semantic is not None
    return engine.derived.semantic.calibration


def test_it_is_learnt_from_pairs_and_neighbours_of_different_documents(engine: Engine) -> None:
    engine.add(records(40))
    engine.embed_pending()
    found = engine.derived.semantic
    assert found is not None
    assert found.calibration is not None
    ids = found.vectors.ids()
    vectors, owners = found.vectors.vectors_of(ids), engine.derived.catalog.documents_of(ids)
    cosines = vectors @ vectors.T
    apart = owners[:, None] != owners[None, :]
    nearest = np.where(apart, cosines, -1).max(axis=1)
    expected = calibrate(cosines[np.triu(apart)], nearest)
    assert expected is not None
    assert found.calibration.floor == pytest.approx(expected.floor, abs=1e-3)
    assert found.calibration.ceiling == pytest.approx(expected.ceiling, abs=1e-3)
    assert (found.calibration.vectors, found.calibration.seq) == (40, engine.corpus.seq)


def test_a_document_is_no_neighbour_of_itself(engine: Engine) -> None:
    """One long document, whose passages are near each other, says nothing about others."""
    engine.add([Record("\n\n".join(f"{record.text} " * 60 for record in records(40)), id="one")])
    engine.embed_pending()
    assert engine.status().chunks >= 30
    assert calibration(engine) is None


def test_it_is_kept_and_learnt_again_when_the_corpus_has_doubled(engine: Engine) -> None:
    engine.add(records(30))
    engine.embed_pending()
    first = calibration(engine)
    assert first is not None
    assert not calibrate_if_due(engine.derived)
    engine.add([Record("A note about nothing much.", id="one more")])
    engine.embed_pending()
    assert calibration(engine) == first
    engine.add([Record(f"Number {n} of many.", id=f"n{n}") for n in range(40)])
    engine.embed_pending()
    assert calibration(engine) != first
    last = calibration(engine)
    engine.close()
    with Engine.open(settings=engine.settings, read_only=True) as reader:
        assert calibration(reader) == last
        assert reader.search("harbour").results[0].relevance is not None


def test_each_version_has_its_own_and_takes_it_along(engine: Engine) -> None:
    engine.add(records(40))
    engine.embed_pending()
    first = calibration(engine)
    other = "fp32" if engine.embeddings.versions()[0].precision == "int8" else "int8"
    version = engine.versions.build(engine.models.encoder(precision=other))
    assert calibration(engine) == first
    engine.versions.activate(version.id)
    second = calibration(engine)
    assert second is not None
    assert second != first
    engine.versions.rollback()
    assert calibration(engine) == first
    engine.versions.activate(version.id)
    engine.versions.gc()
    names = [name for (name,) in engine.db.query("SELECT name FROM settings WHERE name LIKE 'calibration-%'")]
    assert names == [f"calibration-{version.id}"]


def test_without_one_nothing_is_claimed(engine: Engine) -> None:
    engine.add(records(10))
    engine.embed_pending()
    answer = engine.search("supernova", min_relevance=0.9)
    assert len(answer) == 5
    assert {hit.relevance for hit in answer} == {None}
    assert not answer.nothing_relevant
    assert any("min_relevance was not applied" in note for note in answer.notes)


def test_an_answer_from_before_the_calibration_is_not_given_after_it(engine: Engine) -> None:
    engine.add(records(40))
    engine.ensure_version()
    engine.embedder.run()
    assert engine.search("harbour").results[0].relevance is None
    assert engine.search("harbour").cached
    calibrate_if_due(engine.derived)
    assert engine.search("harbour").results[0].relevance is not None


def test_while_much_is_not_embedded_nothing_is_called_foreign(engine: Engine) -> None:
    engine.add(records(40))
    engine.embed_pending()
    assert engine.search("supernova neutrinos", cache=False).nothing_relevant
    engine.add([Record(f"Number {n} of many.", id=f"n{n}") for n in range(10)])
    answer = engine.search("supernova neutrinos", cache=False)
    assert answer.semantic_coverage == pytest.approx(0.8)
    assert not answer.nothing_relevant


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_relevance_beyond_its_range_is_refused(engine: Engine, value: float) -> None:
    with pytest.raises(QueryError, match="min_relevance"):
        engine.search("harbour", min_relevance=value)


# -- over the sample corpus


@pytest.mark.parametrize("mode", ["hybrid", "semantic"])
def test_foreign_questions_are_told_from_those_of_the_corpus(sample: Served, mode: str) -> None:
    lines = (SAMPLE / ".judged" / "queries.jsonl").read_text("utf-8").splitlines()
    own = [json.loads(line)["text"] for line in lines]
    flagged = [text for text in own if sample.search(text, mode=mode)["nothing_relevant"]]
    assert len(flagged) <= 0.05 * len(own), flagged
    for text in FOREIGN:
        answer = sample.search(text, mode=mode)
        assert answer["nothing_relevant"], text
        assert "Nothing here seems to be about this." in answer["notes"]
        assert len(answer["results"]) == 5


def test_a_language_that_the_model_does_not_know_is_judged_by_its_words(sample: Served) -> None:
    assert not sample.search("绿茶应该用多少度的水冲泡")["nothing_relevant"]
    assert sample.search("核反应堆")["nothing_relevant"]


def test_words_alone_claim_nothing(sample: Served) -> None:
    answer = sample.search(FOREIGN[0], mode="lexical")
    assert not answer["nothing_relevant"]
    assert {hit["relevance"] for hit in answer["results"]} <= {None}


def test_relevance_does_not_depend_on_how_a_hit_was_found(sample: Served) -> None:
    found = [
        {hit["id"]: hit["relevance"] for hit in sample.search("season a cast iron pan", mode=mode)["results"]}
        for mode in ("hybrid", "semantic")
    ]
    best = next(iter(found[0]))
    assert found[0][best] == pytest.approx(found[1][best], abs=0.01)
    assert found[0][best] > 0.8


@pytest.mark.parametrize("mode", ["hybrid", "semantic"])
def test_what_is_below_the_relevance_asked_for_is_neither_shown_nor_counted(
    sample: Served, mode: str
) -> None:
    question = "how do I season a cast iron pan"
    every = sample.search(question, limit=50, mode=mode)["results"]
    kept = [hit["id"] for hit in every if hit["relevance"] >= 0.4]
    assert 0 < len(kept) < len(every)
    answer = sample.search(question, limit=50, mode=mode, facets=True, min_relevance=0.4)
    assert [hit["id"] for hit in answer["results"]] == kept
    assert answer["total"] == sum(answer["facets"]["type"].values()) == len(kept)
    assert not answer["total_is_estimate"]
    page = sample.search(question, limit=1, offset=len(kept), mode=mode, min_relevance=0.4)
    assert (page["results"], page["total"]) == ([], len(kept))


def test_the_parameter_is_the_same_in_a_query_string(sample: Served) -> None:
    parameters = {"q": "how do I season a cast iron pan", "min_relevance": 0.9}
    found = sample.client.get("/search", params=parameters).json()
    assert found["results"] == sample.search(parameters["q"], min_relevance=0.9)["results"]
    assert sample.client.get("/search", params={**parameters, "min_relevance": 2}).status_code == 400


def test_explain_tells_how_near_the_best_are(sample: Served) -> None:
    best = sample.search("season a cast iron pan", explain=True)["explanation"]["best"]
    assert best["match"] == pytest.approx(1.0)
    assert best["nearness"] > 1.0
