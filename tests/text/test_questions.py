"""Questions made from passages, and the breadth of a search that is chosen by them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from localsearch.derived import Model
from localsearch.derived.embedder import questions, rebuild
from localsearch.engine import Engine
from localsearch.errors import ModelMissingError
from localsearch.settings import load
from localsearch.text import question
from localsearch.types import Encoder, Record, never, no_report
from localsearch.vectors import tuning

PASSAGE = "In the harbour of Rotterdam, 2024, ships don't wait long for a pilot or for tide."


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Iterator[Engine]:
    home = tmp_path_factory.mktemp("home")
    with Engine.open(settings=replace(load(home, environ={}), models=model_folder)) as opened:
        names = ("harbour", "glacier", "orchestra", "volcano", "library")
        opened.add(
            [
                Record(f"The {name} number {n} was closed.", id=f"{name}-{n}")
                for name in names
                for n in range(40)
            ]
        )
        opened.embed_pending()
        yield opened


def test_they_are_words_of_the_passage_by_turns() -> None:
    assert [question(PASSAGE, number) for number in range(4)] == [
        "harbour Rotterdam",
        "harbour Rotterdam ships",
        "ships don't wait long for",
        "harbour of Rotterdam ships don't wait long for a pilot",
    ]
    assert question(PASSAGE, 5) == question(PASSAGE, 1)


def test_what_has_few_words_or_none_or_very_long_ones() -> None:
    assert [question("Tide.", number) for number in range(4)] == ["Tide"] * 4
    assert [question("12 -- 34\n%", number) for number in range(4)] == [""] * 4
    assert 0 < len(question("x" * 10_000, 0)) <= 200


def test_the_corpus_gives_vectors_to_ask(engine: Engine) -> None:
    semantic = engine.derived.semantic
    assert semantic is not None
    asked = questions(engine.derived, semantic)
    assert asked is not None
    assert asked.shape == (200, semantic.version.dimensions)
    np.testing.assert_allclose(np.linalg.norm(asked, axis=1), 1, atol=1e-3)


def test_a_generation_is_tuned_by_them(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    semantic = engine.derived.semantic
    assert semantic is not None
    seen = []
    measure = tuning.nearest

    def nearest(graph, queries, nodes):  # type: ignore[no-untyped-def]
        seen.append(queries)
        return measure(graph, queries, nodes)

    monkeypatch.setattr(tuning, "nearest", nearest)
    semantic.vectors.discard(rebuild(engine.derived, semantic, no_report, never))
    np.testing.assert_array_equal(seen[0], questions(engine.derived, semantic))


def test_without_the_model_there_are_none_and_a_build_goes_on(engine: Engine) -> None:
    def missing() -> Encoder:
        raise ModelMissingError("There is no such model.", hint="Pull it.")

    semantic = engine.derived.semantic
    assert semantic is not None
    without = replace(semantic, model=Model(missing))
    assert questions(engine.derived, without) is None
    generation = rebuild(engine.derived, without, no_report, never)
    assert generation.recall > 0.9
    semantic.vectors.discard(generation)
