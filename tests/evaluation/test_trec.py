"""TREC run files: written, read again, and measured as trec_eval does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from localsearch.cli import main
from localsearch.errors import NotFoundError, UsageError
from localsearch.evaluation.trec import read_run, write_run

CORPUS = {
    "d1": "The kiln cools.",
    "d2": "A glaze turns green in the kiln.",
    "d3": "Bees seal the hive.",
    "d4": "Green bees.",
}
QUERIES = {"q1": "kiln", "q2": "green bees"}
QRELS = {"q1": {"d1": 2, "d2": 1}, "q2": {"d4": 1, "d2": 1}}


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    folder = tmp_path / "judged"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": i, "text": t}) + "\n" for i, t in CORPUS.items())
    )
    (folder / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": i, "text": t}) + "\n" for i, t in QUERIES.items())
    )
    rows = [f"{q}\t{d}\t{g}\n" for q, grades in QRELS.items() for d, g in grades.items()]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(rows))
    return folder


def test_a_run_measures_as_the_search_did_and_as_trec_eval_does(
    judged: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOCALSEARCH_MODELS", str(model_folder))
    run = tmp_path / "out.run"
    assert main(["--json", "eval", str(judged), "--modes", "lexical,semantic", "--run", str(run)]) == 0
    searched = json.loads(capsys.readouterr().out)["modes"]
    assert main(["--json", "eval", str(judged), "--score-run", str(run)]) == 0
    scored = json.loads(capsys.readouterr().out)["modes"]
    assert set(scored) == {"localsearch-lexical", "localsearch-semantic"}
    for mode, measures in searched.items():
        for name in ("ndcg@10", "recall@100", "mrr@10"):
            assert scored[f"localsearch-{mode}"][name] == measures[name]
        assert scored[f"localsearch-{mode}"]["latency_ms"] is None
    lines = [line.split() for line in run.read_text().splitlines() if line.endswith("localsearch-lexical")]
    theirs = pytrec_eval.RelevanceEvaluator(QRELS, {"ndcg_cut.10"}).evaluate(
        {query: {doc: float(score) for q, _, doc, _, score, _ in lines if q == query} for query in QUERIES}
    )
    mean = sum(one["ndcg_cut_10"] for one in theirs.values()) / len(QUERIES)
    assert scored["localsearch-lexical"]["ndcg@10"] == pytest.approx(mean, abs=1e-5)


def test_a_query_without_a_ranking_counts_and_is_told(
    judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "other.run"
    run.write_text("q1 Q0 d1 1 9.5 other\nq1 Q0 d2 2 9.5 other\n")
    assert read_run(run) == {"other": {"q1": ["d2", "d1"]}}
    assert main(["eval", str(judged), "--score-run", str(run)]) == 0
    shown = capsys.readouterr()
    assert "other has no ranking for 1 of the queries" in shown.err
    assert "0.4299" in shown.out


@given(st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=1, max_size=50))
def test_the_order_survives_equal_and_rising_scores(
    tmp_path_factory: pytest.TempPathFactory, scores: list[float]
) -> None:
    file = tmp_path_factory.mktemp("run") / "a.run"
    ranked = [(f"d{number}", score) for number, score in enumerate(scores)]
    write_run(file, {"t": {"q": ranked}})
    assert read_run(file) == {"t": {"q": [name for name, _ in ranked]}}


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="blanks"):
        write_run(tmp_path / "a.run", {"t": {"q": [("two words", 1.0)]}})
    with pytest.raises(NotFoundError):
        read_run(tmp_path / "none.run")
    for line in ("q Q0 d 1 0.5", "q Q0 d 1 high t", "q Q0 d 1 nan t"):
        (tmp_path / "b.run").write_text(f"q Q0 d 1 1.0 t\n{line}\n")
        with pytest.raises(UsageError, match="line 2"):
            read_run(tmp_path / "b.run")
