"""Which model would serve an index: by the languages of its texts, what is here, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from golden.tiny_bert import Tiny, make

from localsearch.engine import Engine
from localsearch.errors import ModelFormatError, OfflineError
from localsearch.models import Card, ModelSource, ModelStore, Pin
from localsearch.models.cards import all_cards
from localsearch.settings import ModelSettings, Settings
from localsearch.types import Record
from localsearch.upkeep.recommend import better_card, better_model, covered, language_shares

GERMAN = [
    "Der Antrag auf Erneuerung der Lizenz muss bis zum Ende des Monats bei der Behörde eingehen.",
    "Die Bäume werden im Winter geschnitten, damit sie im Frühling wieder kräftig austreiben können.",
    "Wenn der Teig nicht aufgeht, war die Hefe zu alt oder das Wasser war zu heiß für sie.",
    "Wer den ersten Übersetzer für eine Programmiersprache geschrieben hat, ist nicht ganz unumstritten.",
]
ENGLISH = ["The request for renewal of the licence must reach the office by the end of the month."]
HUB = (ModelSource("hub", repo="owner/x"),)
WHEEL = (ModelSource("wheel", package="x", version="1", bytes=9),)


def card(name: str, languages: str, sources: tuple[ModelSource, ...] = HUB, layers: int = 6) -> Card:
    return Card(name, languages=tuple(languages.split()), dimensions=32, layers=layers, sources=sources)


def chosen(shares: dict[str, float], cards: list[Card], here: str = "", offline: bool = False) -> str | None:
    found = better_card(cards[0], cards, shares, lambda name: name in here.split(), offline=offline)
    return found and found.name


def test_shares_are_of_what_was_recognised() -> None:
    assert language_shares({"de": 60, "fr": 38, "": 500, "la": 2}) == {"de": 0.6, "fr": 0.38}
    assert language_shares({"": 3}) == {}


def test_a_model_in_use_that_knows_the_texts_stays() -> None:
    cards = [card("used", "en de"), card("other", "en de fr")]
    assert chosen({"de": 0.95, "fr": 0.05}, cards) is None
    assert chosen({}, cards) is None
    assert chosen({"de": 0.5, "fr": 0.5}, cards) == "other"


def test_what_knows_most_then_what_is_here_then_the_package_then_the_least_work() -> None:
    used = card("used", "en")
    german = {"de": 1.0}
    both = [used, card("hub", "de"), card("package", "de", WHEEL, layers=12)]
    assert chosen(german, both) == "package"
    assert chosen(german, both, here="hub") == "hub"
    assert chosen(german, both, offline=True) is None
    assert chosen(german, both, here="hub", offline=True) == "hub"
    assert chosen(german, [used, card("deep", "de", layers=12), card("flat", "de", layers=3)]) == "flat"
    assert chosen({"de": 0.5, "ru": 0.5}, [used, card("one", "de", WHEEL), card("two", "de ru")]) == "two"
    assert chosen(german, [used, card("french", "fr")]) is None


def test_the_cards_that_come_along_serve_german_and_leave_english_alone() -> None:
    cards = {card.name: card for card in all_cards()}
    default = cards["all-MiniLM-L6-v2"]
    for languages in ({"de": 1.0}, {"zh": 0.6, "ru": 0.4}):
        found = better_card(
            default, cards.values(), languages, lambda name: name == default.name, offline=False
        )
        assert found is cards["multilingual-e5-small-q4"]
        assert covered(found, languages) == 1
    assert better_card(default, cards.values(), {"en": 1.0}, lambda name: True, offline=False) is None


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two models of random weights are installed; `english` is in use."""
    make(tmp_path / "english", Tiny())
    make(tmp_path / "many", Tiny(layers=4, seed=1))
    settings = Settings(
        home=tmp_path / "home", models=tmp_path / "models", offline=True, model=ModelSettings(name="english")
    )
    for name, languages in (("english", "en"), ("many", "en de")):
        known = Card(name, languages=tuple(languages.split()), max_tokens=40, layers=2, files={})
        ModelStore(settings, [known]).import_folder(tmp_path / name)
    return settings


def test_a_german_index_is_told_what_a_better_model_costs(settings: Settings) -> None:
    with Engine.open(settings=settings) as engine:
        engine.add([Record(text, id=str(n)) for n, text in enumerate(GERMAN)])
        engine.embed_pending()
        found = engine.recommend_model()
        assert found.languages == {"de": 1.0}
        assert (found.chunks, found.current.name, found.current.covers) == (4, "english", 0.0)
        assert found.better is not None
        assert (found.better.name, found.better.covers, found.better.installed) == ("many", 1.0, True)
        assert found.better.vectors == 4 * 32 * 3
        assert found.better.disk == sum(path.stat().st_size for path in (settings.models / "many").iterdir())
        assert found.better.measured
        assert found.better.seconds
        assert found.command == "localsearch versions build --model many"
        assert "0% of the texts, many of 100%" in found.why
        engine.versions.build(engine.models.encoder("many"))
        engine.versions.activate(2)
        assert engine.recommend_model().better is None


def test_an_english_or_empty_index_is_left_alone(settings: Settings) -> None:
    with Engine.open(settings=settings) as engine:
        assert engine.recommend_model().why == "english is in use; the language of the texts is not known."
        engine.add([Record(text, id=str(n)) for n, text in enumerate(ENGLISH)])
        found = engine.recommend_model()
        assert (found.better, found.command) == (None, None)
        assert found.why == "english is in use and knows the language of the texts."


@pytest.mark.parametrize(("texts", "model"), [(GERMAN, "many"), (ENGLISH, "english")])
def test_auto_takes_for_the_first_version_the_model_that_knows_the_texts(
    settings: Settings, texts: list[str], model: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "localsearch.engine")
    settings = replace(settings, model=replace(settings.model, languages="auto"))
    with Engine.open(settings=settings) as engine:
        assert engine.embed_pending() == 0
        assert engine.status().version is None  # there is nothing yet to choose by
        engine.add([Record(text, id=str(n)) for n, text in enumerate(texts)])
        assert engine.embed_pending() == len(texts)
        assert engine.embeddings.active().model == model  # type: ignore[union-attr]
        assert ("english knows the language of 0% of the texts, many of 100%." in caplog.text) == (
            model == "many"
        )
        engine.add([Record(text, id=f"more {n}") for n, text in enumerate(3 * GERMAN)])
        engine.embed_pending()
        assert [version.model for version in engine.versions.states()] == [model]  # and stays
        assert engine.first_model() == (model, "")


def test_without_auto_the_state_names_a_better_model_and_nothing_changes(settings: Settings) -> None:
    with Engine.open(settings=settings) as engine:
        assert engine.status().better_model is None
        engine.add([Record(text, id=str(n)) for n, text in enumerate(GERMAN)])
        engine.embed_pending()
        assert engine.status().better_model == "many"
        assert engine.embeddings.active().model == "english"  # type: ignore[union-attr]


def test_auto_while_offline_makes_do_with_what_is_here(settings: Settings) -> None:
    ModelStore(settings).remove("many")
    settings = replace(settings, model=replace(settings.model, languages="auto"))
    with Engine.open(settings=settings) as engine:
        engine.add([Record(GERMAN[0], id="0")])
        assert engine.embed_pending() == 1
        assert engine.embeddings.active().model == "english"  # type: ignore[union-attr]


def test_comparing_shows_own_questions_whose_first_hits_differ(settings: Settings) -> None:
    questions = ["Wann muss der Antrag da sein?", "Hefe im Teig", "Bäume im Winter", "der erste Übersetzer"]
    with Engine.open(settings=settings) as engine:
        engine.add([Record(text, id=str(n), title=f"title {n}") for n, text in enumerate(GERMAN)])
        engine.embed_pending()
        engine.versions.build(engine.models.encoder("many"))
        found = engine.compare_versions("1", "2", questions)
        firsts = []
        for number in ("1", "2"):
            engine.versions.activate(number)
            answers = [engine.search(text, mode="semantic", plain=True, cache=False) for text in questions]
            firsts.append([answer.results[0].title for answer in answers])
        expected = [(q, a, b) for q, a, b in zip(questions, *firsts) if a != b]
        assert expected  # models of random weights do not agree on all of them
        assert [(one.query, one.a, one.b) for one in found.differences] == expected
        assert engine.compare_versions("1", "1", questions).differences == ()


def test_a_model_that_cannot_be_converted_here_is_neither_recommended_nor_fetched(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = replace(settings, offline=False, hub="http://127.0.0.1:9")  # nothing answers there
    large = replace(card("large", "de en"), export=True, files={"config.json": Pin()})
    available = False
    monkeypatch.setattr("localsearch.models.export.available", lambda: available)
    with Engine.open(settings=settings) as engine:
        engine.add([Record(GERMAN[0], id="0")])
        store = ModelStore(online, [large])
        store.remove("many")
        assert better_model(engine.derived, store, "english") is None
        with pytest.raises(ModelFormatError, match="large cannot be converted without torch") as caught:
            store.pull("large")
        assert "localsearch[export]" in caught.value.hint
        available = True
        found = better_model(engine.derived, store, "english")
        assert found is not None
        assert found[0] == "large"
        with pytest.raises(OfflineError):
            store.pull("large")
