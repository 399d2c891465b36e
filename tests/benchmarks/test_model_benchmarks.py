"""What the benchmarks of models hand to sentence-transformers, and how they time and ask."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from golden.packed import PIECES, write_packed
from golden.tiny_bert import Tiny, _weights, make

from benchmarks import shapes, story
from benchmarks.peers import model
from localsearch.evaluation.beir import Dataset
from localsearch.models import Card, ModelStore, Pin
from localsearch.models.weights import Weights
from localsearch.settings import Settings

WORDS = "embeddings.word_embeddings.weight"


def test_a_packed_word_table_is_handed_over_as_the_floats_that_it_means(tmp_path: Path) -> None:
    tiny = Tiny(layers=1, width=64)
    weights = _weights(tiny)
    weights[WORDS] = np.random.default_rng(5).normal(size=(len(PIECES), tiny.width)).astype(np.float32)
    (tmp_path / "packed").mkdir()
    kept = write_packed(tmp_path / "packed" / "small.bin", tiny, weights)
    card = Card("packed", dimensions=64, max_tokens=48, query_prefix="q: ", files={"small.bin": Pin()})
    ModelStore(Settings(home=tmp_path, models=tmp_path / "models"), [card]).import_folder(tmp_path / "packed")
    model.write(tmp_path / "models" / "packed", tmp_path / "theirs", tokens=20)
    written = Weights.open(tmp_path / "theirs" / "model.safetensors")
    np.testing.assert_array_equal(written.array(WORDS), kept[WORDS])
    assert set(written.tensors) >= {name for name in kept if name.startswith("encoder.")}
    settings = json.loads((tmp_path / "theirs" / "config_sentence_transformers.json").read_text())
    assert settings["prompts"] == {"query": "q: ", "document": ""}
    assert json.loads((tmp_path / "theirs" / "sentence_bert_config.json").read_text())["max_seq_length"] == 20


def test_both_sides_take_the_same_texts_by_turns_and_ours_is_cut_where_theirs_is(tmp_path: Path) -> None:
    make(tmp_path / "tiny", Tiny())
    store = ModelStore(Settings(home=tmp_path, models=tmp_path / "models"), [])
    store.import_folder(tmp_path / "tiny")
    texts = ["the cat sat on the mat", "a quick red dog " * 20]
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"id": text, "text": text}) + "\n" for text in texts))
    given = shapes.Texts(str(file), texts, ["cat", "dog", "tree", "river"] * 4)
    folder = str(tmp_path / "models" / "tiny")
    with shapes._peer("with_encoder", tmp_path) as one, shapes._peer("with_encoder", tmp_path) as two:
        for process in (one, two):
            loaded = process.load(folder=folder, precision="fp32", tokens=12, threads=1)
            assert loaded["graph"] == "fp32.onnx"
        found = shapes._by_turns({"one": one, "two": two}, given, rounds=2)
        vectors = shapes._vectors(one, given, tmp_path / "one.npy")
    assert {name: len(rounds) for name, rounds in found.items()} == {"one": 2, "two": 2}
    assert all(taken.seconds > 0 and taken.query_ms > 0 for rounds in found.values() for taken in rounds)
    whole = store.encoder("tiny", "fp32").encode_documents(texts)
    np.testing.assert_allclose(vectors[0], whole[0], atol=1e-6)
    assert float(vectors[1] @ whole[1]) < 0.9999  # cut at 12 tokens, not at the model's 40


def test_likeness_is_the_worst_cosine_and_of_scores_their_correlation() -> None:
    encoder, judge = shapes.SHAPES[0], next(shape for shape in shapes.SHAPES if shape.kind == "reranker")
    ours, theirs = np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([[2.0, 0.0], [0.0, 3.0]])
    assert shapes._alike(ours, theirs, encoder) == 0.8
    assert shapes._alike(np.array([[1.0], [2.0], [3.0]]), np.array([[5.0], [7.0], [9.0]]), judge) == 1.0


def test_shapes_differ_by_name_and_cover_what_is_asked() -> None:
    assert len({shape.key for shape in shapes.SHAPES}) == len({shape.title for shape in shapes.SHAPES})
    assert {shape.family for shape in shapes.SHAPES} == {"bert", "xlm-roberta", "mpnet", "modernbert"}
    assert {asdict(shape)["dense"] for shape in shapes.SHAPES} == {0, 768}


def test_paragraphs_of_an_article_share_a_file(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    rows = [
        ("a1", "Aachen\n\nEine Stadt."),
        ("a2", "Aachen\n\nIhr Dom."),
        ("b", "Bäume: und Wälder\n\nGrün."),
    ]
    lines = [json.dumps({"_id": id_, "title": "", "text": text}, ensure_ascii=False) for id_, text in rows]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "Dom"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\ta2\t1\n")
    folder = tmp_path / "texte"
    folder.mkdir()
    files = story.write_articles(Dataset.load(tmp_path), folder)
    assert {id_: Path(path).name for id_, path in files.items()} == {
        "a1": "Aachen.txt",
        "a2": "Aachen.txt",
        "b": "Bäume-und-Wälder.txt",
    }
    assert (folder / "Aachen.txt").read_text("utf-8") == "Aachen\n\nEine Stadt.\n\nAachen\n\nIhr Dom.\n"
