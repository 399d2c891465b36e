"""Re-ranking by a cross-encoder: a small one with random weights, checked against BERT in plain numpy."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from golden.tiny_bert import Tiny, logit, make, tokenizer
from serving import serving

from localsearch.cli import main
from localsearch.engine import Engine
from localsearch.models import ModelStore
from localsearch.models.reranker import CrossEncoder
from localsearch.search import SearchQuery
from localsearch.search.context import QueryContext
from localsearch.search.cross_encoder import CrossEncoderReranker
from localsearch.search.reranker import LateInteractionReranker
from localsearch.settings import ModelSettings, Settings, load
from localsearch.types import Answer, Record

TEXTS = {
    "mat": "the red cat sat on the mat",
    "river": "a quick dog ran on and on",
    "stone": "the slow red dog sat under a stone",
    "tree": "the dog and the cat ran under the tree",
    "blue": "it was a blue dog",
    "run": "then the red dog ran and ran",
}
QUERY = "the red dog ran"
LATE = "late interaction (all-MiniLM-L6-v2)"
JUDGE = "cross-encoder (judge)"
MISSING = "the model judge is not in the model folder"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small classifier, as transformers would save it."""
    folder = tmp_path_factory.mktemp("small") / "judge"
    make(folder, Tiny(labels=1))
    return folder


@pytest.fixture
def settings(tmp_path: Path, model_folder: Path) -> Settings:
    """A model folder of its own with the default encoder, and `judge` set as re-ranker but not installed."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "all-MiniLM-L6-v2").symlink_to(model_folder / "all-MiniLM-L6-v2")
    chosen = ModelSettings(reranker="judge", precision="fp32")
    return replace(load(tmp_path / "home", environ={}), models=models, model=chosen)


@pytest.fixture
def installed(settings: Settings, small: Path) -> Settings:
    assert ModelStore(settings).import_folder(small).kind == "reranker"
    return settings


def filled(settings: Settings) -> Engine:
    engine = Engine.open(settings=settings)
    engine.add([Record(text, id=name, title=name) for name, text in TEXTS.items()])
    engine.embed_pending()
    return engine


@pytest.fixture
def engine(installed: Settings) -> Iterator[Engine]:
    with filled(installed) as opened:
        yield opened


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The documents in the order of the classifier's logits, computed apart from the product."""
    shape = Tiny(labels=1)
    weights = make(tmp_path_factory.mktemp("expected") / "judge", shape)
    cut = tokenizer()
    cut.no_truncation()
    cut.no_padding()
    pairs = {name: cut.encode(QUERY, f"{name}\n{text}") for name, text in TEXTS.items()}
    logits = {name: logit(weights, shape, pair.ids, pair.type_ids) for name, pair in pairs.items()}
    assert np.diff(sorted(logits.values())).min() > 1e-3, "no two so near that rounding decides"
    return sorted(logits, key=lambda name: -logits[name])


def names(answer: Answer) -> list[str]:
    return [hit.id for hit in answer]


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "lexical"])
def test_the_cross_encoder_orders_title_and_text(engine: Engine, expected: list[str], mode: str) -> None:
    answer = engine.search(QUERY, rerank=True, mode=mode, limit=10, explain=True)  # type: ignore[arg-type]
    assert names(answer) == expected
    assert answer.explanation is not None
    assert answer.explanation["reranker"] == JUDGE
    assert answer.notes == ()
    scores = [hit.score for hit in answer]
    assert scores == sorted(scores, reverse=True)
    plain = engine.search(QUERY, mode=mode, limit=10, explain=True)  # type: ignore[arg-type]
    assert names(plain) != expected
    assert plain.explanation is not None
    assert "reranker" not in plain.explanation
    assert sorted(hit.score for hit in plain) == pytest.approx(sorted(scores), abs=1e-5)


def test_without_the_setting_it_is_late_interaction(installed: Settings, expected: list[str]) -> None:
    with filled(replace(installed, model=ModelSettings(precision="fp32"))) as engine:
        answer = engine.search(QUERY, rerank=True, limit=10, explain=True)
        assert answer.explanation is not None
        assert answer.explanation["reranker"] == LATE
        assert answer.notes == ()
        assert names(answer) != expected


def test_pages_follow_each_other_and_read_each_pair_once(engine: Engine, expected: list[str]) -> None:
    first = engine.search(QUERY, rerank=True, limit=2)
    reranker = engine.searcher.ranker.reranker
    assert isinstance(reranker, CrossEncoderReranker)
    read = reranker.model.get().cost.texts
    assert read == len(TEXTS)
    assert names(first) + names(engine.search(QUERY, rerank=True, limit=4, offset=2)) == expected
    assert reranker.model.get().cost.texts == read


def test_a_changed_document_is_read_again(engine: Engine, expected: list[str]) -> None:
    engine.search(QUERY, rerank=True)
    engine.add([Record(TEXTS[expected[0]], id=expected[-1], title=expected[0])])
    engine.embed_pending()
    assert set(names(engine.search(QUERY, rerank=True, limit=2))) == {expected[0], expected[-1]}


def test_set_but_not_installed(settings: Settings, small: Path, expected: list[str]) -> None:
    with filled(settings) as engine:
        answer = engine.search(QUERY, rerank=True, limit=10, explain=True)
        assert answer.explanation is not None
        assert answer.explanation["reranker"] == LATE
        [note] = answer.notes
        assert note.startswith(f"Re-ranked by {LATE}: {MISSING}")
        assert note.endswith("Run: localsearch models pull judge")
        assert engine.search(QUERY).notes == (), "who did not ask for it is not told"
        [note] = engine.search(QUERY, rerank=True, mode="lexical").notes
        assert note.startswith(f"Not re-ranked: {MISSING}")
        again = engine.search(QUERY, rerank=True, limit=10, explain=True)
        assert engine.search(QUERY, rerank=True, limit=10, explain=True).cached
        assert again.notes == answer.notes

        ModelStore(settings).import_folder(small)
        reranker = engine.searcher.ranker.reranker
        assert isinstance(reranker, CrossEncoderReranker)
        reranker.model.try_again()  # or half a minute later
        found = engine.search(QUERY, rerank=True, limit=10, explain=True)
        assert (found.cached, names(found), found.notes) == (False, expected, ())


def test_a_model_of_the_other_kind_or_no_name_at_all_is_said(installed: Settings) -> None:
    filled(installed).close()
    for name, message in {
        "all-MiniLM-L6-v2": "is an embedding model, not a re-ranking model",
        "cross-encoder/judge": "cannot be a model's name",
    }.items():
        chosen = replace(installed, model=ModelSettings(reranker=name, precision="fp32"))
        with Engine.open(settings=chosen, read_only=True) as engine:
            [note] = engine.search(QUERY, rerank=True).notes
            assert note.startswith(f"Re-ranked by {LATE}: ")
            assert message in note


class Hasty(QueryContext):
    """A query whose budget is used up after three looks at the clock: at the start, for the size of the batches, and
    before the first batch."""

    __slots__ = ("looks",)

    def left_s(self) -> float | None:
        self.looks = getattr(self, "looks", 4) - 1
        return 100.0 if self.looks > 0 else 0.0


def test_when_time_runs_out_the_best_were_read(engine: Engine) -> None:
    reranker = engine.searcher.ranker.reranker
    assert isinstance(reranker, CrossEncoderReranker)
    reranker.model.get()
    ids = np.array([4, 2, 1, 3, 5, 6])
    context = Hasty(SearchQuery(QUERY, rerank=True, budget_ms=50))
    reranking = reranker.over(context, QUERY, None, ids)
    assert reranking is not None
    found = reranking.score(np.arange(6))
    assert np.isnan(found).tolist() == [False] * 4 + [True] * 2
    assert context.notes == ["No time for re-ranking 2 of the best chunks within 50 ms."]
    again = reranker.over(QueryContext(SearchQuery(QUERY)), QUERY, None, ids)
    assert again is not None
    np.testing.assert_array_equal(again.score(np.arange(6))[:4], found[:4])


def test_without_time_nothing_is_read_or_claimed(engine: Engine) -> None:
    answer = engine.search(QUERY, rerank=True, mode="lexical", explain=True, budget_ms=1e-6)
    assert answer.explanation is not None
    assert answer.explanation["reranker"] is None
    assert "No time for re-ranking" in " ".join(answer.notes)


class Late(QueryContext):
    """A query whose budget is used up after one look at the clock."""

    __slots__ = ("looks",)

    def left_s(self) -> float | None:
        self.looks = getattr(self, "looks", 2) - 1
        return 100.0 if self.looks > 0 else 0.0


def test_a_model_that_takes_too_long_to_load_is_ready_for_a_later_query(engine: Engine) -> None:
    go_on = threading.Event()

    def slow() -> CrossEncoder:
        assert go_on.wait(60)
        return engine.models.reranker()

    reranker = CrossEncoderReranker("judge", slow, engine.corpus, LateInteractionReranker(engine.corpus))
    with closing(reranker):
        context = Late(SearchQuery(QUERY, rerank=True, budget_ms=50))
        assert reranker.over(context, QUERY, None, np.array([1])) is None
        assert context.notes == ["No time to load judge within 50 ms."]
        go_on.set()
        found = reranker.over(QueryContext(SearchQuery(QUERY)), QUERY, None, np.array([1]))
        assert found is not None
        assert np.isfinite(found.score(np.arange(1))).all()


def test_over_http(installed: Settings, expected: list[str]) -> None:
    with filled(installed) as engine, serving(engine, installed) as served:
        for cached in (False, True):
            answer = served.search(QUERY, rerank=True, limit=10, explain=True)
            assert [hit["id"] for hit in answer["results"]] == expected
            assert (answer["explanation"]["reranker"], answer["cached"]) == (JUDGE, cached)


def test_on_the_command_line(
    settings: Settings,
    small: Path,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LOCALSEARCH_MODELS", str(settings.models))
    monkeypatch.setenv("LOCALSEARCH_HOME", str(settings.home))
    filled(settings).close()
    (settings.home / "settings.toml").write_text('[model]\nreranker = "judge"\nprecision = "fp32"\n')

    def said(*words: str) -> tuple[str, str]:
        main(list(words))
        captured = capsys.readouterr()
        return captured.out, captured.err

    out, err = said("search", *QUERY.split(), "--rerank", "--explain")
    assert f"scored again by {LATE}" in out
    assert "Run: localsearch models pull judge" in err
    assert "judge is not in" in said("doctor")[0]
    said("models", "import", str(small))
    out, err = said("search", *QUERY.split(), "--rerank", "--explain")
    assert f"scored again by {JUDGE}" in out
    assert "judge" not in err
    answer = json.loads(said("search", *QUERY.split(), "--rerank", "--json", "-n", "10")[0])
    assert [hit["id"] for hit in answer["results"]] == expected
    assert "judge, fp32, every file as installed" in said("doctor")[0]
    [listed] = [line for line in said("models", "list")[0].splitlines() if line.startswith("judge")]
    assert "reranker" in listed.split()
