"""evaluate: metrics against trec_eval itself, loading with every way a folder can be broken, the report's shape."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from localsearch.errors import NotFoundError, UsageError
from localsearch.evaluation import run as evaluate
from localsearch.evaluation.beir import Dataset
from localsearch.evaluation.metrics import Percentiles, mrr, ndcg, recall

DOCUMENTS = [f"d{number}" for number in range(40)]


def trec(run: list[str], grades: dict[str, int], measure: str) -> float:
    """trec_eval's value for one query; scores fall with rank so that it sees the same order."""
    scores = {name: float(len(run) - rank) for rank, name in enumerate(run)}
    result = pytrec_eval.RelevanceEvaluator({"q": grades}, {measure}).evaluate({"q": scores})
    return float(result["q"][measure.replace(".", "_")])


judged = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(-1, 4), min_size=1).filter(
    lambda grades: any(grade > 0 for grade in grades.values())
)
ranked = st.lists(st.sampled_from(DOCUMENTS), unique=True, min_size=1)


@given(run=ranked, grades=judged)
def test_metrics_agree_with_trec_eval(run: list[str], grades: dict[str, int]) -> None:
    assert ndcg(run, grades, 10) == pytest.approx(trec(run, grades, "ndcg_cut.10"), abs=1e-9)
    assert recall(run, grades, 5) == pytest.approx(trec(run, grades, "recall.5"), abs=1e-9)
    assert mrr(run, grades, 10) == pytest.approx(trec(run[:10], grades, "recip_rank"), abs=1e-9)


def test_metrics_agree_with_trec_eval_on_long_runs() -> None:
    chance = random.Random(7)
    names = [f"d{number}" for number in range(500)]
    for _ in range(50):
        run = chance.sample(names, 200)
        grades = {name: chance.choice([0, 0, 1, 2]) for name in chance.sample(names, 120)}
        assert ndcg(run, grades) == pytest.approx(trec(run, grades, "ndcg_cut.10"), abs=1e-9)
        assert recall(run, grades) == pytest.approx(trec(run, grades, "recall.100"), abs=1e-9)


def test_ndcg_of_a_worked_example() -> None:
    """The example of https://en.wikipedia.org/wiki/Discounted_cumulative_gain: DCG6 6.861, IDCG6 8.740."""
    grades = {"D1": 3, "D2": 2, "D3": 3, "D4": 0, "D5": 1, "D6": 2, "D7": 3, "D8": 2}
    assert ndcg(["D1", "D2", "D3", "D4", "D5", "D6"], grades, 6) == pytest.approx(0.785, abs=5e-4)


def test_metrics_without_anything_relevant_are_zero() -> None:
    assert (ndcg(["a"], {"a": 0}), recall(["a"], {}), mrr(["a"], {"b": 1})) == (0.0, 0.0, 0.0)


def test_percentiles_are_numpy_s() -> None:
    sample = [float(value) for value in range(101)]
    assert Percentiles.of(sample) == Percentiles(50.0, 95.0, 99.0)
    assert Percentiles.of([1.0, 2.0]).p95 == pytest.approx(float(np.percentile([1.0, 2.0], 95)))
    assert Percentiles.of([]) == Percentiles(0.0, 0.0, 0.0)


# --- loading


def lines(file: Path, *rows: object) -> None:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines(
        tmp_path / "corpus.jsonl",
        {"_id": "1", "title": "Bread", "text": "Knead the dough and let it rise."},
        {"_id": "2", "title": "Only a title", "text": "", "metadata": {"year": 1999}},
        {"_id": "3", "text": "Grüße aus München"},
        {"_id": "4", "title": "", "text": ""},
    )
    lines(
        tmp_path / "queries.jsonl",
        {"_id": "a", "text": "how is bread made"},
        {"_id": "b", "text": "greetings"},
        {"_id": "c", "text": "nothing answers this"},
    )
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\na\t1\t2\nb\t3\t1\nb\tgone\t1\nc\t1\t0\nunknown\t1\t1\n"
    )
    return tmp_path


def test_load_reads_and_says_what_it_left_out(folder: Path) -> None:
    dataset = Dataset.load(folder)
    assert (dataset.name, dataset.split, dataset.documents) == (folder.name, "test", 4)
    assert dataset.queries == {"a": "how is bread made", "b": "greetings"}
    assert dataset.judgements == {"a": {"1": 2}, "b": {"3": 1, "gone": 1}}
    assert dataset.notes == (
        "1 judged queries are not in queries.jsonl and were left out",
        "1 queries have no relevant document and were left out",
        "1 relevant documents are not in corpus.jsonl and count as not found",
    )


def test_records_carry_title_text_and_metadata(folder: Path) -> None:
    first, second, third, _ = Dataset.load(folder).records()
    assert (first.id, first.title, first.text) == ("1", "Bread", "Knead the dough and let it rise.")
    assert (second.text, second.metadata) == ("Only a title", {"year": 1999})
    assert (third.title, third.text) == ("", "Grüße aus München")


def test_a_byte_order_mark_and_no_heading_are_read(folder: Path) -> None:
    text = (folder / "queries.jsonl").read_bytes()
    (folder / "queries.jsonl").write_bytes(b"\xef\xbb\xbf" + text)
    (folder / "qrels" / "test.tsv").write_bytes(b"\xef\xbb\xbfa\t1\t1\r\n")
    assert Dataset.load(folder).judgements == {"a": {"1": 1}}


def test_a_missing_file_is_named_with_the_splits_there_are(folder: Path) -> None:
    with pytest.raises(NotFoundError, match=r"qrels/dev\.tsv is missing") as caught:
        Dataset.load(folder, "dev")
    assert "the splits test" in caught.value.hint
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(NotFoundError, match=r"corpus\.jsonl is missing"):
        Dataset.load(folder)
    with pytest.raises(NotFoundError, match="not a folder"):
        Dataset.load(folder / "nowhere")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("corpus.jsonl", '{"_id": "1", "text": "x"}\n\n{"_id": "2", "text": 3}\n', "line 3: Expected `str`"),
        ("corpus.jsonl", '{"_id": "1", "text": "x"\n', "line 1: "),
        ("corpus.jsonl", '{"_id": "1"}\n\n{"_id": "1"}\n', "line 3: _id '1' was there before"),
        ("corpus.jsonl", "\n", "holds no document"),
        ("queries.jsonl", '{"text": "no id"}\n', "line 1: .*_id"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\na 1 1\n", "line 2: 1 columns"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\na\t1\tvery\n", "line 2: score 'very'"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nz\t1\t1\n", "finds nothing relevant"),
    ],
)
def test_broken_files_are_named_with_their_line(folder: Path, name: str, text: str, message: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        Dataset.load(folder)
    assert name in caught.value.message
    assert caught.value.hint


def test_parse_modes() -> None:
    assert evaluate.parse_modes("hybrid, lexical hybrid") == ("hybrid", "lexical")
    with pytest.raises(UsageError, match="no such mode: fuzzy"):
        evaluate.parse_modes("lexical,fuzzy")
    with pytest.raises(UsageError, match="no mode given"):
        evaluate.parse_modes(" ")


def test_a_report_has_the_documented_shape_and_a_table() -> None:
    scores = evaluate.ModeScores(0.5, 0.75, 0.25, Percentiles(1.0, 2.0, 3.0))
    report = evaluate.EvalReport("sample", "test", 4, 2, 1.234, {"lexical": scores}, ("a note",))
    assert report.to_json() == {
        "dataset": "sample",
        "split": "test",
        "documents": 4,
        "queries": 2,
        "index_s": 1.23,
        "modes": {
            "lexical": {
                "ndcg@10": 0.5,
                "recall@100": 0.75,
                "mrr@10": 0.25,
                "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0},
            }
        },
        "notes": ["a note"],
    }
    assert evaluate.table(report) == [
        ["mode", "nDCG@10", "recall@100", "MRR@10", "p50 ms", "p95 ms", "p99 ms"],
        ["lexical", "0.5000", "0.7500", "0.2500", "1.0", "2.0", "3.0"],
    ]
