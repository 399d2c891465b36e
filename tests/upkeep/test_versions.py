"""Versions of embeddings: built beside, compared, switched, rolled back, collected; never mixed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from localsearch.engine import Engine
from localsearch.errors import ConflictError, NotFoundError
from localsearch.settings import ModelSettings, load
from localsearch.types import Record

NOTES = [
    Record("Feed the sourdough starter with flour and water every morning.", id="bread"),
    Record("Check the pressure of the front tyre before a long bicycle ride.", id="tyres"),
    Record("The income tax declaration is due at the end of July.", id="tax"),
    Record("A hive of honey bees winters on twenty kilograms of honey.", id="bees"),
]


@pytest.fixture
def engine(tmp_path: Path, model_folder: Path) -> Iterator[Engine]:
    settings = load(tmp_path / "home", environ={})
    settings = replace(settings, models=model_folder, model=ModelSettings(precision="int8"))
    with Engine.open(settings=settings) as opened:
        opened.add(NOTES)
        opened.embed_pending()
        yield opened


def build_fp32(engine: Engine) -> str:
    return engine.versions.build(engine.models.encoder(precision="fp32")).name


def test_a_version_is_built_beside_and_switched_in_one_step(engine: Engine) -> None:
    name = build_fp32(engine)
    assert [state.state for state in engine.versions.states()] == ["active", "ready"]
    assert engine.search("wheels", mode="semantic").version == "1-all-MiniLM-L6-v2-int8"
    engine.versions.activate(name)
    answer = engine.search("wheels", mode="semantic")
    assert answer.version == "2-all-MiniLM-L6-v2-fp32"
    assert answer.results[0].id == "tyres"
    assert engine.versions.rollback().name == "1-all-MiniLM-L6-v2-int8"
    assert engine.search("wheels", mode="semantic").version == "1-all-MiniLM-L6-v2-int8"


def test_the_switch_survives_a_restart(engine: Engine) -> None:
    engine.versions.activate(build_fp32(engine))
    engine.close()
    with Engine.open(settings=engine.settings) as again:
        answer = again.search("honey", mode="semantic")
        assert (answer.version, answer.results[0].id) == ("2-all-MiniLM-L6-v2-fp32", "bees")


def test_an_incomplete_version_is_not_activated(engine: Engine) -> None:
    version = engine.versions.build(engine.models.encoder(precision="fp32"), cancelled=lambda: True)
    assert version.state == "building"
    with pytest.raises(ConflictError, match="4 chunks lack"):
        engine.versions.activate(version.id)
    assert engine.versions.build(engine.models.encoder(precision="fp32")).state == "ready"


def test_documents_added_meanwhile_are_in_both(engine: Engine) -> None:
    name = build_fp32(engine)
    engine.add([Record("The telescope shows the rings of Saturn.", id="stars")])
    engine.embed_pending()
    engine.versions.activate(name)
    assert engine.status().embedded_chunks == 4, "the new one is found by words until its vector follows"
    engine.embed_pending()
    assert engine.search("planets at night", mode="semantic").results[0].id == "stars"


def test_switching_under_load_fails_no_search_and_mixes_nothing(engine: Engine) -> None:
    name = build_fp32(engine)
    seen: set[str | None] = set()
    errors: list[Exception] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                answer = engine.search("wheels", mode="semantic", cache=False)
                seen.add(answer.version)
                assert answer.results[0].id == "tyres"
            except Exception as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        engine.versions.activate(name)
        engine.versions.rollback()
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert seen <= {"1-all-MiniLM-L6-v2-int8", "2-all-MiniLM-L6-v2-fp32"}


def test_comparing_tells_agreement_and_quality(engine: Engine) -> None:
    build_fp32(engine)
    engine.feedback("pumping up wheels", "tyres", relevant=True)
    outcome = engine.compare_versions("1", "2")
    assert outcome.known_items == 4
    assert outcome.judged == 1
    assert outcome.overlap_at_10 == 1.0
    assert outcome.a.judged_ndcg == outcome.b.judged_ndcg == 1.0
    assert outcome.a.known_item_mrr is not None
    assert outcome.a.known_item_mrr > 0.9


def test_collecting_frees_what_is_not_in_use(engine: Engine) -> None:
    engine.versions.activate(build_fp32(engine))
    engine.versions.gc()
    assert [state.name for state in engine.versions.states()] == ["2-all-MiniLM-L6-v2-fp32"]
    assert engine.db.one("SELECT count(*) FROM vectors") == 4
    with pytest.raises(ConflictError):
        engine.versions.rollback()


def test_an_unknown_version_names_the_known_ones(engine: Engine) -> None:
    with pytest.raises(NotFoundError) as caught:
        engine.versions.activate("9")
    assert "1-all-MiniLM-L6-v2-int8" in caught.value.hint


def test_a_model_that_is_another_one_is_told_and_words_go_on(engine: Engine, tmp_path: Path) -> None:
    engine.db.close()
    engine.close()
    settings = replace(engine.settings, models=tmp_path / "empty")
    with Engine.open(settings=settings) as bare:
        answer = bare.search("honey")
        assert [hit.id for hit in answer] == ["bees"]
        assert any("models pull" in note for note in answer.notes)
