"""benchmarks: passages, systems behind one protocol, checks, reports, and the figures that the README shows."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
import xml.etree.ElementTree as xml
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import (
    alternate,
    check,
    datasets,
    gemm,
    machine,
    passages,
    ranking,
    report,
    runs,
    tables,
    vectors,
)
from benchmarks.context import QUICK, Context, percentiles, ratio
from benchmarks.peers import environments
from benchmarks.peers.client import Peer, PeerError, running
from localsearch import Engine
from localsearch.errors import LocalSearchError
from localsearch.evaluation.beir import Dataset
from localsearch.evaluation.metrics import ndcg
from localsearch.models.encoder import OnnxEncoder
from localsearch.ranking.constants import DEFAULT_PARAMETERS
from localsearch.settings import load

RESULTS = machine.ROOT / "benchmarks" / "results"
TEXTS = [
    ("bread", "Knead the dough and let it rise in a warm place before it goes into the oven."),
    ("tides", "Tides follow the moon: twice a day the water of the sea rises and falls."),
    ("bees", "Honey bees dance to tell the others where flowers with nectar are."),
]


def test_ranking_by_steps_is_what_the_engine_does(tmp_path: Path, model_folder: Path) -> None:
    """The figures of the table come from gathered candidates; the engine's own answers give the same."""
    for name, texts in {"seven": TEXTS, "other": TEXTS[::-1]}.items():
        folder = tmp_path / name
        (folder / "qrels").mkdir(parents=True)
        rows = [{"_id": id_, "text": text, "title": ""} for id_, text in texts]
        (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        asked = [{"_id": "q1", "text": "why the sea rises"}, {"_id": "q2", "text": "warm oven: flowers"}]
        (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
        judged = "query-id\tcorpus-id\tscore\nq1\ttides\t1\nq2\tbees\t2\nq2\tbread\t1\n"
        (folder / "qrels" / "test.tsv").write_text(judged)
    context = Context(tmp_path / "cache", tmp_path, model_folder, QUICK)
    reuse = tmp_path / "homes"
    measured = {name: ranking.measure(context, reuse, name, str) for name in ("seven", "other", "absent")}
    assert measured["absent"] is None
    assert measured["seven"] is not None
    gathered, row = measured["seven"]
    settings = replace(load(reuse / "seven", environ={}), models=model_folder)
    dataset = Dataset.load(tmp_path / "seven")
    with Engine.open(settings=settings) as engine:
        for stage in ranking.STAGES:
            engine.searcher.ranker.settings = stage.settings
            engine.searcher.ranker.parameters = stage.parameters
            found = [
                ndcg(
                    [hit.id for hit in engine.search(text, plain=True, **stage.options)],
                    dataset.judgements[query],
                )  # type: ignore[arg-type]
                for query, text in dataset.queries.items()
            ]
            assert row["ndcg"][stage.name] == pytest.approx(np.mean(found)), stage.name
    assert len(row["ms"]["+ rerank"]) == len(row["cold_ms"]) == 2
    others = {"other": gathered, "seven": measured["other"][0]}  # type: ignore[index]
    chosen = ranking.left_out(list(others.values())[::-1], str)
    for name, grid in ranking.GRID.items():
        for collection, rest in others.items():
            one = chosen["constants"][name]["collections"][collection]
            scores = [
                ranking.quality(
                    rest,
                    ranking.adaptive(replace(DEFAULT_PARAMETERS, **{name: value}), name == "rerank_weight"),
                )
                for value in grid
            ]
            assert scores[grid.index(one["chosen"])] == max(scores), (name, collection)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "passages.jsonl"
    rows = [{"id": id_, "text": text, "source": "test"} for id_, text in TEXTS]
    found.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return found


# --- passages


def test_a_page_becomes_its_words_without_navigation_and_scripts() -> None:
    page = b"""<html><head><title>T</title><style>p{}</style></head><body><nav>Home | Next</nav>
    <h1>Rising <em>dough</em></h1><p>Warm<b>th</b> helps.<!-- not this --></p><script>var x;</script>
    <ul><li>flour</li><li>water</li></ul>tail</body></html>"""
    lines = [line.strip() for line in passages.page_text(page, ".html").splitlines() if line.strip()]
    assert lines == ["Rising dough", "Warmth helps.", "flour", "water", "tail"]


def test_a_page_nested_deeper_than_python_recurses_is_read() -> None:
    page = b"<body>" + b"<div>" * 1500 + b"deep" + b"</div>" * 1500 + b"</body>"
    assert "deep" in passages.page_text(page, ".html")


def test_wrapped_lines_of_plain_text_are_joined_and_paragraphs_kept_apart() -> None:
    assert passages.page_text(b"one\ntwo\n\nthree", ".txt") == "one two\n\nthree"


def test_passages_are_whole_sentences_of_about_120_words() -> None:
    sentences = [f"Sentence number {n} tells how a loaf of bread is baked at home." for n in range(60)]
    found = list(passages.split(" ".join(sentences)))
    assert [len(text.split()) for text in found] == [130] * 6
    assert " ".join(found) == " ".join(sentences)


def test_short_pages_and_tables_of_symbols_give_no_passage() -> None:
    assert list(passages.split("Too short to be a passage.")) == []
    assert list(passages.split("0x1f = 3; // " * 60)) == []


def test_queries_come_from_the_passage_they_are_made_of() -> None:
    passage = passages.Passage("p", TEXTS[0][1] + " It is golden brown after forty minutes.", "s")
    queries = passages.Queries.of([passage])
    assert set(queries.keywords[0][0].split()) <= set(re.findall(r"[a-z]+", passage.text.lower()))
    assert len(queries.keywords[0][0].split()) == 3
    assert queries.sentences[0] == ("Knead the dough and let it rise in a warm", "p")


def test_the_list_of_packages_is_without_repeats() -> None:
    names = passages.package_names()
    assert len(names) == len(set(names)) > 30


# --- systems behind one protocol


@pytest.fixture
def fts5(tmp_path: Path) -> Peer:
    return environments.find(tmp_path)["fts5"]


def test_an_adapter_builds_opens_and_searches(file: Path, fts5: Peer, tmp_path: Path) -> None:
    with running(fts5, tmp_path / "log") as process:
        built = process.build(file=str(file), count=3, home=str(tmp_path / "home"))
        process.open(home=str(tmp_path / "home"))
        answer = process.search(queries=["rising dough", "moon", "dances"], mode="lexical")
        assert [ids[0] for ids in answer["ids"]] == ["bread", "tides", "bees"]
        assert process.search(queries=["the"], mode="lexical", keep=1)["ids"] == [["bread"]]
        assert built["disk"] > 0 < process.memory()["rss"]
        assert len(answer["ms"]) == 3


def test_what_goes_wrong_in_an_adapter_is_told_and_it_goes_on(fts5: Peer, tmp_path: Path) -> None:
    with running(fts5, tmp_path / "log") as process:
        with pytest.raises(PeerError, match=r"fts5 open: .*unable to open database file"):
            process.search(queries=[process.open(home=str(tmp_path / "none"))], mode="lexical")
        assert process.hello()["cannot"]["semantic"] == "ranks by words only"


def test_ours_answers_by_the_same_protocol(file: Path, tmp_path: Path) -> None:
    with running(environments.ours(), tmp_path / "log") as process:
        home = str(tmp_path / "home")
        assert process.words(file=str(file), count=3, home=home)["disk"] > 0
        process.open(home=home)
        answer = process.search(queries=["rising dough", "honey bees"], mode="lexical")
        assert [ids[0] for ids in answer["ids"]] == ["bread", "bees"]
        assert process.search(queries=["the"], mode="lexical", keep=1)["ids"][0] in (["bread"], [])
        assert "snippets" in process.stages(queries=["dough"], mode="lexical")[0]


def test_vectors_that_were_handed_in_are_searched(
    file: Path, model_folder: Path, encoder: OnnxEncoder, tmp_path: Path
) -> None:
    given = tmp_path / "vectors.npy"
    np.save(given, encoder.encode_documents([text for _, text in TEXTS]).astype(np.float16))
    with running(environments.ours(), tmp_path / "log") as process:
        process.load(model=str(model_folder))
        built = process.build(file=str(file), count=3, home=str(tmp_path / "home"), vectors=str(given))
        assert (built["chunks"], built["embedded"]) == (3, 3)
        process.open(home=str(tmp_path / "home"))
        answer = process.search(queries=["ebb and flow of the ocean"], mode="semantic")
        assert answer["ids"][0][0] == "tides"


def test_systems_are_asked_by_turns(file: Path, fts5: Peer, tmp_path: Path) -> None:
    with running(fts5, tmp_path / "a") as one, running(fts5, tmp_path / "b") as two:
        for number, process in enumerate((one, two)):
            process.build(file=str(file), count=3, home=str(tmp_path / f"home{number}"))
            process.open(home=str(tmp_path / f"home{number}"))
        found = alternate.search({"one": one, "two": two}, ["dough", "the"] * 11, "lexical", limit=3)
    assert found["one"]["n"] == found["two"]["n"] == 22
    assert found["one"]["full"] == 0.5  # "the" is in all three, "dough" in one
    assert found["two"]["p50"] > 0


def test_peers_that_are_not_installed_are_named_with_what_installs_them(tmp_path: Path) -> None:
    missing = environments.missing(tmp_path)
    assert missing["txtai"] == "python -m benchmarks --prepare"
    assert "fts5" not in missing


def test_the_peers_model_is_our_model(model_folder: Path, tmp_path: Path) -> None:
    folder = environments.model_folder(model_folder, tmp_path)
    ours = (model_folder / "all-MiniLM-L6-v2" / "model.safetensors").read_bytes()
    assert (
        hashlib.sha256((folder / "model.safetensors").read_bytes()).digest() == hashlib.sha256(ours).digest()
    )
    assert json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"] == 256
    assert json.loads((folder / "1_Pooling" / "config.json").read_text())["pooling_mode_mean_tokens"] is True


# --- vectors kept between runs


def test_vectors_are_made_once(file: Path, model_folder: Path, encoder: OnnxEncoder, tmp_path: Path) -> None:
    context = Context(tmp_path, tmp_path, model_folder, QUICK)
    made = np.load(vectors.ensure(context, 3))
    assert np.allclose(made, encoder.encode_documents([text for _, text in TEXTS]), atol=2e-3)
    piece = vectors.folder_of(context, encoder) / "passages-000000.npy"
    np.save(piece, np.zeros((3, 384), np.float16))
    (vectors.folder_of(context, encoder) / "first-3.npy").unlink()
    assert not np.load(vectors.ensure(context, 3)).any()


def test_multiply_adds_of_the_default_model() -> None:
    """Six layers of 4 * 384 * 384 and 2 * 384 * 1536, and attention over 256 tokens."""
    assert gemm.per_token(6, 384, 1536, 0) == 10_616_832
    assert gemm.per_token(6, 384, 1536, 256) == 10_616_832 + 6 * 2 * 256 * 384


# --- collections that are online


@pytest.fixture
def online(tmp_path: Path) -> Iterator[str]:
    """A server on loopback with one archive; its address."""
    folder = tmp_path / "online"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny.zip", "w") as archive:
        archive.writestr("tiny/corpus.jsonl", '{"_id": "1", "text": "bread"}\n')
        archive.writestr("tiny/queries.jsonl", '{"_id": "q", "text": "bread"}\n')
        archive.writestr("tiny/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq\t1\t1\n")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/tiny.zip"
    server.shutdown()


@pytest.mark.parametrize("intact", [True, False])
def test_a_collection_is_downloaded_and_its_hash_checked(
    online: str, intact: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    md5 = hashlib.md5((tmp_path / "online" / "tiny.zip").read_bytes()).hexdigest()
    listed = tmp_path / "datasets.toml"
    listed.write_text(f'[tiny]\nurl = "{online}"\nmd5 = "{md5 if intact else "0" * 32}"\n')
    monkeypatch.setattr(datasets, "SOURCES", listed)
    context = Context(tmp_path / "cache", tmp_path, tmp_path, QUICK)
    if intact:
        datasets.download(context, "tiny")
        found = datasets.find(context, "tiny")
        assert found is not None
        assert found.documents == 1
    else:
        with pytest.raises(LocalSearchError, match="is not the one that is expected"):
            datasets.download(context, "tiny")
        assert datasets.find(context, "tiny") is None


def test_the_collections_that_are_online_are_named_with_a_hash() -> None:
    assert all(re.fullmatch(r"[0-9a-f]{32}", source.md5) for source in datasets.sources().values())


# --- checks


def expectation(**values: Any) -> check.Expectation:
    return check.Expectation("x", "suite.x", **values)


@pytest.mark.parametrize(
    ("bounds", "measured", "met", "failed"),
    [
        ({"at_least": 3.0, "tolerance": 0.1}, 3.1, True, False),
        ({"at_least": 3.0, "tolerance": 0.1}, 2.8, False, False),
        ({"at_least": 3.0, "tolerance": 0.1}, 2.6, False, True),
        ({"at_most": 2.0, "tolerance": 0.1}, 2.1, False, False),
        ({"at_most": 2.0, "tolerance": 0.1}, 2.3, False, True),
        ({"at_most": 2.0, "goal": True}, 9.0, False, False),
        ({"at_most": 2.0}, None, False, False),
    ],
)
def test_only_ratios_beyond_their_tolerance_fail(
    bounds: dict[str, Any], measured: float | None, met: bool, failed: bool
) -> None:
    finding = check.Finding(expectation(**bounds), measured)
    assert (finding.met, finding.failed) == (met, failed)


def test_paths_reach_names_with_dots_and_spaces() -> None:
    figures = {"latency": {"filtered": {"0.1%": {"full": 1}}, "on": True}}
    assert check.value_at(figures, 'latency.filtered."0.1%".full') == 1.0
    assert check.value_at(figures, "latency.on") is None
    assert check.value_at(figures, "latency.none.p50") is None


def test_every_expectation_has_one_bound_and_a_suite() -> None:
    for wanted in check.expectations():
        assert (wanted.at_least is None) != (wanted.at_most is None), wanted.name
        assert wanted.path.split(".")[0] in runs.SUITES, wanted.name
        assert 0 <= wanted.tolerance <= 0.2, wanted.name


def test_small_figures() -> None:
    assert percentiles([1.0, 2.0, 3.0]) == {"p50": 2.0, "p95": 2.9, "p99": 2.98, "mean": 2.0, "n": 3}
    assert percentiles([]) == {}
    assert (ratio(2.0, 7.0), ratio(None, 1.0)) == (3.5, None)


# --- runs and reports


def test_a_result_is_named_by_commit_and_machine_and_says_what_was_measured(tmp_path: Path) -> None:
    context = Context(tmp_path, tmp_path, tmp_path, QUICK, quick=True)
    results = runs.collect(context)
    file = runs.write(results, tmp_path / "out")
    assert file.name == f"{machine.commit().rstrip('+')}-{machine.name()}-quick.json"
    assert json.loads(file.read_text())["machine"]["cores"] >= 1
    assert results["suites"] == {}


def committed(full: bool) -> Path:
    """The committed result; a quick one stands in where no full one is asked for."""
    quick = [file for file in RESULTS.glob("*.json") if file.stem.endswith("-quick")]
    found = [file for file in RESULTS.glob("*.json") if file not in quick] or ([] if full else quick)
    assert len(found) < 2, f"more than one result is committed: {found}"
    return found[0] if found else pytest.skip("no result is committed yet")


@pytest.fixture
def measured() -> dict[str, Any]:
    """The committed result, as its file has it."""
    return dict(json.loads(committed(full=False).read_text("utf-8")))


def test_the_committed_result_has_every_suite_and_passes_its_checks() -> None:
    measured = json.loads(committed(full=True).read_text("utf-8"))
    assert set(measured["suites"]) == set(runs.SUITES)
    failed = [finding.expectation.name for finding in check.check(measured) if finding.failed]
    assert failed == []


def test_reports_are_made_of_the_committed_result(measured: dict[str, Any]) -> None:
    file = committed(full=False)
    assert file.with_suffix(".md").read_text("utf-8") == report.as_markdown(measured)
    page = report.as_html(measured)
    assert page.count("<svg") >= 6
    assert not re.search(r"""(?:src|href)=["']https?:""", page)


def test_every_table_is_rectangular(measured: dict[str, Any]) -> None:
    made = tables.all_tables(measured)
    assert len(made) >= 12
    for table in made:
        assert {len(row) for row in table.rows} == {len(table.rows[0])}, table.title
        assert len(table.rows) > 1, table.title


def test_pictures_are_well_formed(measured: dict[str, Any]) -> None:
    page = report.as_html(measured)
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        xml.fromstring(svg)


@pytest.mark.parametrize("name", ["README.md", "docs/PERFORMANCE.md"])
def test_documents_show_what_was_measured(name: str, measured: dict[str, Any], tmp_path: Path) -> None:
    """Claims are data: the tables between the markers are those of the committed result, to the digit."""
    written = (machine.ROOT / name).read_text("utf-8")
    copy = tmp_path / "copy.md"
    copy.write_text(written, "utf-8")
    report.into_document(measured, copy)
    assert copy.read_text("utf-8") == written, (
        f"run: python -m benchmarks --documents --report {committed(False)}"
    )


def test_markers_are_filled_and_unknown_ones_left_alone(tmp_path: Path) -> None:
    context = Context(tmp_path, tmp_path, tmp_path, replace(QUICK, corpus=(10,)), quick=True)
    results = runs.collect(context)
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- benchmarks:machine -->\nold\n<!-- /benchmarks -->\nb\n"
                      "<!-- benchmarks:nothing -->\nkept\n<!-- /benchmarks -->\n")  # fmt: skip
    assert report.into_document(results, readme) == ["machine"]
    text = readme.read_text()
    assert "old" not in text
    assert f"Commit {results['commit']}" in text
    assert "<!-- benchmarks:nothing -->\nkept\n<!-- /benchmarks -->" in text
