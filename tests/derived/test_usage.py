"""What embedding has cost: counted wherever it happens, over restarts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from localsearch.derived.usage import hosted
from localsearch.engine import Engine
from localsearch.models.encoder import OnnxEncoder
from localsearch.settings import CostSettings, Settings, load
from localsearch.types import Progress, Record

TEXTS = [f"The lighthouse number {n} shows its light to ships at sea." for n in range(40)]


def settings(tmp_path: Path, model_folder: Path) -> Settings:
    return replace(load(tmp_path / "home", environ={}), models=model_folder)


def tokens_of(encoder: OnnxEncoder, texts: list[str]) -> int:
    """As the model reads them: word pieces and the two special ones of each text."""
    return sum(encoder.count_tokens(texts)) + 2 * len(texts)


def test_passages_and_queries_count_and_stay_counted(
    tmp_path: Path, model_folder: Path, encoder: OnnxEncoder
) -> None:
    with Engine.open(settings=settings(tmp_path, model_folder)) as engine:
        assert engine.status().cost.tokens == 0
        engine.add([Record(text, id=str(n)) for n, text in enumerate(TEXTS)])
        engine.embed_pending()
        embedded = engine.status().cost
        assert embedded.tokens == tokens_of(encoder, TEXTS)
        assert embedded.cpu_s > 0
    with Engine.open(settings=settings(tmp_path, model_folder)) as engine:
        assert engine.status().cost == embedded
        engine.search("ships at sea")
        searched = engine.status().cost
        assert searched.tokens == embedded.tokens + tokens_of(encoder, ["ships at sea"])
    with Engine.open(settings=settings(tmp_path, model_folder), read_only=True) as engine:
        assert engine.status().cost == searched
        assert engine.status().cost.hosted == hosted(searched.tokens, engine.settings.cost)


def test_what_was_embedded_before_a_crash_stays_counted(
    tmp_path: Path, model_folder: Path, encoder: OnnxEncoder
) -> None:
    with Engine.open(settings=settings(tmp_path, model_folder)) as engine:
        engine.add([Record(text, id=str(n)) for n, text in enumerate(TEXTS)])
        kept: list[tuple[int, float]] = []

        def report(step: Progress) -> None:
            if step.stage == "embed":
                kept.append(engine.embeddings.spent())

        engine.embed_pending(report)
        assert kept[0][0] == tokens_of(encoder, TEXTS)


def test_another_version_counts_too(tmp_path: Path, model_folder: Path) -> None:
    with Engine.open(settings=settings(tmp_path, model_folder)) as engine:
        engine.add([Record(text, id=str(n)) for n, text in enumerate(TEXTS)])
        engine.embed_pending()
        once = engine.status().cost.tokens
        active = engine.embeddings.active()
        assert active is not None
        engine.versions.build(
            engine.models.encoder(precision="fp32" if active.precision == "int8" else "int8")
        )
        assert engine.status().cost.tokens == 2 * once


def test_prices() -> None:
    assert hosted(2_000_000, CostSettings()) == {"hosted small": 0.04, "hosted large": 0.26}
    assert hosted(0, CostSettings({"x": 9.0})) == {"x": 0.0}
