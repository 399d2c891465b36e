"""The benchmark behind docs/decisions/relevance.md: its regression, its shares and its tables, on made-up rows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import relevance

NAMES = ("one", "two", "three")


def test_the_page_shows_the_committed_figures() -> None:
    (file,) = relevance.RESULTS.glob("*.json")
    figures = json.loads(file.read_text("utf-8"))
    page = (relevance.machine.ROOT / "docs" / "decisions" / "relevance.md").read_text("utf-8")
    for table in relevance.tables(figures):
        assert table.markdown() in page, f"copy the tables of {file.with_suffix('.md')} into the page"
    assert file.with_suffix(".md").read_text("utf-8") == relevance.markdown(figures)


def rows(near: float, share: float, count: int = 50) -> np.ndarray:
    """Queries whose best hit is about this near, a share of them flagged."""
    rng = np.random.default_rng(int(near * 100))
    flags = np.arange(count) < share * count
    return np.column_stack(
        [rng.normal(near, 0.1, count), rng.uniform(0.2, 0.6, count), np.full(count, 4.0), flags]
    )


@pytest.fixture
def raw() -> dict[str, object]:
    asked = {(a, b): rows(1.0, 0.02) if a == b else rows(0.2, 0.96) for a in NAMES for b in NAMES}
    calibration = {"floor": -0.1, "ceiling": 0.6, "vectors": 100, "seconds": 0.1}
    semantic = {(a, a): rows(1.0, 0.04) for a in NAMES} | {
        (corpus, queries): rows(0.2, 1.0) for queries, corpus in relevance.GOALS
    }
    hits = {name: [(0.1, False), (0.1, False), (0.9, True), (0.85, False)] for name in NAMES}
    return {
        "calibrations": dict.fromkeys(NAMES, calibration),
        "asked": asked,
        "semantic": semantic,
        "hits": hits,
    }


def test_the_regression_finds_the_constants_that_made_the_data() -> None:
    rng = np.random.default_rng(3)
    features = np.column_stack([rng.uniform(-0.5, 1.5, 20_000), rng.uniform(0, 1, 20_000)])
    truth = np.array([8.0, 4.0, -7.0])
    own = rng.uniform(size=20_000) < 1 / (1 + np.exp(-(features @ truth[:2] + truth[2])))
    found = relevance.fit(features, own, np.full(20_000, 1e4))
    assert found == pytest.approx(truth, rel=0.1)


def test_shares_are_per_corpus_and_the_left_out_fit_does_not_see_it(raw: dict[str, object]) -> None:
    figures = relevance.summary(raw)
    row = figures["sets"]["one"]
    assert (row["own"], row["own_by_meaning_alone"]) == (0.02, 0.04)
    assert row["foreign"] == {"two": 0.96, "three": 0.96}
    assert row["left_out"]["own"] == 0.0
    assert row["left_out"]["foreign"] == {"two": 1.0, "three": 1.0}
    assert figures["constants"] == [8.0, 4.2, -7.4]
    assert row["hits"] == [
        {"from": 0.0, "hits": 2, "said": 0.1, "judged": 0.0},
        {"from": 0.7, "hits": 2, "said": 0.875, "judged": 0.5},
    ]


def test_the_report_names_every_pair(raw: dict[str, object]) -> None:
    text = relevance.markdown(relevance.summary(raw))
    assert "| one | 2.0% | 96.0% | 96.0% |" in text
    assert "| one | -0.10 | 0.60 | 0.10 s | 2.0% | 4.0% | 0.0% | 96.0% | 100.0% |" in text
    assert "| 0.7 | 0.50 (2) | 0.50 (2) | 0.50 (2) |" in text
