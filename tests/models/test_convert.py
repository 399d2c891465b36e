"""Safetensors → ONNX: every shape against BERT in plain numpy."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from golden.tiny_bert import Array, Tiny, add_dense, embedding, hidden, logit, make, tokenizer

from localsearch.errors import ModelFormatError
from localsearch.models import ModelStore
from localsearch.models.graph import quantize
from localsearch.models.weights import Weights
from localsearch.settings import Settings

TEXTS = [
    "the cat sat on the mat",
    "",
    "dog",
    "a quick red dog ran under the slow blue tree and then it sat on a stone in the river",
    "unknown words are spelt letter by letter",
    "a [PAD] in the text",
]
SHAPES = {
    "mean, normalised": Tiny(),
    "cls, 3 layers, 4 heads, not normalised": Tiny(
        layers=3, heads=4, width=64, inner=96, pooling="cls", normalize=False
    ),
    "max, 1 layer, one head, relu": Tiny(
        layers=1, heads=1, width=24, inner=48, pooling="max", activation="relu"
    ),
    "tanh gelu": Tiny(activation="gelu_new"),
    "weights under bert.": Tiny(prefix="bert."),
    "half precision": Tiny(kind="F16"),
    "bfloat16": Tiny(kind="BF16"),
    "roberta: positions after the padding, one segment": Tiny(family="roberta"),
    "xlm-roberta": Tiny(family="xlm-roberta", heads=4, pooling="cls"),
}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(Settings(home=tmp_path, models=tmp_path / "models"))


def cut_ids(text: str, limit: int) -> list[int]:
    """Token ids as the model sees them: cut from the end, the last special token kept."""
    whole = tokenizer()
    whole.no_padding()
    whole.no_truncation()
    ids = whole.encode(text).ids
    return ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]


@pytest.mark.parametrize("tiny", SHAPES.values(), ids=SHAPES.keys())
def test_fp32_is_bert(tiny: Tiny, store: ModelStore, tmp_path: Path) -> None:
    weights = make(tmp_path / "tiny", tiny)
    store.import_folder(tmp_path / "tiny")
    found = store.encoder("tiny", "fp32").encode_documents(TEXTS)
    expected = np.stack([embedding(weights, tiny, cut_ids(text, 40)) for text in TEXTS])
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("tiny", SHAPES.values(), ids=SHAPES.keys())
def test_int8_is_close_to_bert(tiny: Tiny, store: ModelStore, tmp_path: Path) -> None:
    weights = make(tmp_path / "tiny", tiny)
    store.import_folder(tmp_path / "tiny")
    found = store.encoder("tiny", "int8").encode_documents(TEXTS)
    expected = np.stack([embedding(weights, tiny, cut_ids(text, 40)) for text in TEXTS])
    cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > 0.995


def test_token_vectors_are_the_hidden_states_without_special_tokens(
    store: ModelStore, tmp_path: Path
) -> None:
    tiny = Tiny()
    weights = make(tmp_path / "tiny", tiny)
    store.import_folder(tmp_path / "tiny")
    found = store.encoder("tiny", "fp32").token_vectors(TEXTS)
    for text, rows in zip(TEXTS, found):
        assert len(rows) == len(cut_ids(text, 40)) - 2
        states = hidden(weights, tiny, cut_ids(text, 40))[1:-1]
        np.testing.assert_allclose(rows, states / np.linalg.norm(states, axis=1, keepdims=True), atol=2e-5)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 2e-5), ("int8", 0.05)])
def test_cross_encoder_scores_pairs(
    store: ModelStore, tmp_path: Path, precision: str, tolerance: float
) -> None:
    tiny = Tiny(labels=1, prefix="bert.", layers=3)
    weights = make(tmp_path / "judge", tiny)
    assert store.import_folder(tmp_path / "judge").kind == "reranker"
    judge = store.reranker("judge", precision)
    found = judge.score("the red dog", TEXTS)
    whole = tokenizer()
    whole.no_padding()
    whole.no_truncation()
    pairs = [whole.encode("the red dog", text) for text in TEXTS]
    expected = [logit(weights, tiny, pair.ids, pair.type_ids) for pair in pairs]
    assert found.shape == (len(TEXTS),)
    np.testing.assert_allclose(found, expected, atol=tolerance)
    assert judge.score("the red dog", []).shape == (0,)


def test_cross_encoder_cuts_the_passage_of_a_long_pair(store: ModelStore, tmp_path: Path) -> None:
    tiny = Tiny(labels=1)
    weights = make(tmp_path / "judge", tiny)
    store.import_folder(tmp_path / "judge")
    [score] = store.reranker("judge", "fp32").score("the red dog", ["cat " * 100])
    cat, dog = (
        tokenizer().token_to_id("cat"),
        [tokenizer().token_to_id(word) for word in ("the", "red", "dog")],
    )
    ids = [2, *dog, 3, *[cat] * (48 - 6), 3]
    assert score == pytest.approx(logit(weights, tiny, ids, [0] * 5 + [1] * 43), abs=2e-5)


@pytest.mark.parametrize(
    ("activation", "function"),
    [("torch.nn.modules.linear.Identity", lambda x: x), ("torch.nn.modules.activation.Tanh", np.tanh)],
)
@pytest.mark.parametrize("cut", [0, 24])
def test_dense_modules_widen_and_a_cut_keeps_the_leading_dimensions(
    store: ModelStore, tmp_path: Path, activation: str, function: Callable[[Array], Array], cut: int
) -> None:
    tiny = Tiny(normalize=True)
    weights = make(tmp_path / "wide", tiny)
    layers = add_dense(tmp_path / "wide", (64, 48), activation)
    (tmp_path / "wide" / "config_sentence_transformers.json").write_text(
        json.dumps({"truncate_dim": cut or None})
    )
    card = store.import_folder(tmp_path / "wide")
    assert (card.dimensions, card.dense, card.cut) == (cut or 48, ("2_Dense", "3_Dense"), cut)
    pooled = np.stack(
        [embedding(weights, dataclasses.replace(tiny, normalize=False), cut_ids(text, 40)) for text in TEXTS]
    )
    for weight, bias in layers:
        pooled = function(pooled @ weight.T + bias)
    pooled = pooled[:, : cut or None]
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    np.testing.assert_allclose(store.encoder("wide", "fp32").encode_documents(TEXTS), expected, atol=2e-5)
    assert (store.encoder("wide", "int8").encode_documents(TEXTS) * expected).sum(1).min() > 0.99
    assert store.verify("wide").dimensions == (cut or 48)


def test_dense_weights_and_the_cut_are_part_of_the_fingerprint(store: ModelStore, tmp_path: Path) -> None:
    found = set()
    for name, settings in (("whole", "{}"), ("cut", '{"truncate_dim": 8}')):
        make(tmp_path / name, Tiny())
        (tmp_path / name / "config_sentence_transformers.json").write_text(settings)
        store.import_folder(tmp_path / name)
        found.add(store.encoder(name).fingerprint.split(":")[2])
    make(tmp_path / "dense", Tiny())
    add_dense(tmp_path / "dense", (32,), "torch.nn.modules.linear.Identity", bias=False)
    store.import_folder(tmp_path / "dense")
    assert len(found | {store.encoder("dense").fingerprint.split(":")[2]}) == 3


def test_a_dense_module_elsewhere_or_of_an_odd_activation_is_refused(
    store: ModelStore, tmp_path: Path
) -> None:
    make(tmp_path / "odd", Tiny())
    add_dense(tmp_path / "odd", (32,), "torch.nn.modules.activation.Hardswish")
    with pytest.raises(ModelFormatError, match="activation of 2_Dense is Hardswish"):
        store.import_folder(tmp_path / "odd")
    path = tmp_path / "odd" / "modules.json"
    path.write_text(path.read_text().replace("2_Dense", "../2_Dense"))
    with pytest.raises(ModelFormatError, match=r"lies at '\.\./2_Dense'"):
        store.import_folder(tmp_path / "odd")


def test_import_reads_prompts_pooling_and_length(store: ModelStore, tmp_path: Path) -> None:
    make(tmp_path / "asks", Tiny(pooling="cls", normalize=False, prompts={"query": "q: ", "document": "d: "}))
    card = store.import_folder(tmp_path / "asks", "other-name")
    assert (card.name, card.kind, card.dimensions, card.max_tokens) == ("other-name", "encoder", 32, 40)
    assert (card.pooling, card.normalize, card.query_prefix, card.document_prefix) == (
        "cls",
        False,
        "q: ",
        "d: ",
    )


def test_prompts_are_put_before_queries_and_documents(store: ModelStore, tmp_path: Path) -> None:
    make(tmp_path / "plain", Tiny())
    make(tmp_path / "asks", Tiny(prompts={"query": "red ", "passage": "blue "}))
    for name in ("plain", "asks"):
        store.import_folder(tmp_path / name)
    plain, asks = store.encoder("plain", "fp32"), store.encoder("asks", "fp32")
    np.testing.assert_array_equal(asks.encode_query("cat"), plain.encode_query("red cat"))
    np.testing.assert_array_equal(asks.encode_documents(["cat"])[0], plain.encode_query("blue cat"))
    assert plain.fingerprint.split(":")[2] != asks.fingerprint.split(":")[2]


def test_newer_folders_name_pooling_differently(store: ModelStore, tmp_path: Path) -> None:
    make(tmp_path / "new", Tiny(pooling="cls"))
    pooling = {"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": True}
    (tmp_path / "new" / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    modules = json.loads((tmp_path / "new" / "modules.json").read_text())
    modules[1]["type"] = "sentence_transformers.sentence_transformer.modules.pooling.Pooling"
    (tmp_path / "new" / "modules.json").write_text(json.dumps(modules))
    assert store.import_folder(tmp_path / "new").pooling == "mean"


def test_plain_transformers_folder_is_pooled_by_the_mean(store: ModelStore, tmp_path: Path) -> None:
    make(tmp_path / "plain", Tiny())
    (tmp_path / "plain" / "modules.json").unlink()
    card = store.import_folder(tmp_path / "plain")
    assert (card.pooling, card.normalize) == ("mean", False)


def test_fp32_graph_uses_the_weights_in_place(store: ModelStore, tmp_path: Path) -> None:
    make(tmp_path / "tiny", Tiny(layers=4, width=64, inner=256))
    store.import_folder(tmp_path / "tiny")
    folder = tmp_path / "models" / "tiny"
    assert (folder / "fp32.onnx").stat().st_size < (folder / "model.safetensors").stat().st_size / 4


def test_quantized_weights_are_within_half_a_step() -> None:
    weight = np.random.default_rng(1).normal(size=(40, 7)).astype(np.float32)
    for reduce_range, top in ((False, 127), (True, 63)):
        values, scales = quantize(weight, reduce_range)
        assert values.dtype == np.int8
        assert np.abs(values).max(axis=0).tolist() == [top] * 7
        assert (np.abs(values * scales - weight) <= scales / 2 + 1e-7).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "distilbert"}, "distilbert"),
        ({"position_embedding_type": "relative_key"}, "relative"),
        ({"hidden_act": "silu"}, "silu"),
    ],
)
def test_other_architectures_name_the_extra(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], words: str
) -> None:
    monkeypatch.setattr("localsearch.models.export.available", lambda: False)
    make(tmp_path / "odd", Tiny())
    path = tmp_path / "odd" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelFormatError, match=words) as caught:
        store.import_folder(tmp_path / "odd")
    assert "localsearch[export]" in caught.value.hint
    assert not store.installed("odd")
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "config.json is missing"),
        ("model.safetensors", "model.safetensors is missing"),
        ("tokenizer.json", "tokenizer.json is missing"),
    ],
)
def test_folder_that_is_no_model(store: ModelStore, tmp_path: Path, missing: str, message: str) -> None:
    make(tmp_path / "half", Tiny())
    (tmp_path / "half" / missing).unlink()
    with pytest.raises(ModelFormatError, match=message):
        store.import_folder(tmp_path / "half")


def test_pickled_weights_are_refused_with_the_reason(store: ModelStore, tmp_path: Path) -> None:
    make(tmp_path / "old", Tiny())
    (tmp_path / "old" / "model.safetensors").rename(tmp_path / "old" / "pytorch_model.bin")
    with pytest.raises(ModelFormatError, match="can run code when read"):
        store.import_folder(tmp_path / "old")


def test_nothing_there(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="is not a folder"):
        store.import_folder(tmp_path / "nowhere")


def test_unknown_modules_and_poolings_are_refused(store: ModelStore, tmp_path: Path) -> None:
    make(tmp_path / "dense", Tiny())
    path = tmp_path / "dense" / "modules.json"
    modules = json.loads(path.read_text())
    path.write_text(
        json.dumps([*modules, {"idx": 3, "path": "3_Dense", "type": "sentence_transformers.models.Dense"}])
    )
    with pytest.raises(ModelFormatError, match="Transformer, Pooling, Normalize, Dense; .* in this order"):
        store.import_folder(tmp_path / "dense")
    path.write_text(json.dumps(modules))
    (tmp_path / "dense" / "1_Pooling" / "config.json").write_text('{"pooling_mode": ["cls", "mean"]}')
    with pytest.raises(ModelFormatError, match="cls and mean"):
        store.import_folder(tmp_path / "dense")


def test_classifier_of_several_labels_is_no_reranker(store: ModelStore, tmp_path: Path) -> None:
    make(tmp_path / "moods", Tiny(labels=3))
    with pytest.raises(ModelFormatError, match="3 labels"):
        store.import_folder(tmp_path / "moods")


def test_damaged_safetensors(store: ModelStore, tmp_path: Path) -> None:
    make(tmp_path / "cut", Tiny())
    path = tmp_path / "cut" / "model.safetensors"
    whole = path.read_bytes()
    for content, why in (
        (whole[:-100], "shorter than its header says"),
        (b"<html>not found</html>", "no safetensors header"),
        (b"", "no safetensors header"),
        (whole[:8] + b"x" + whole[9:], "header does not parse"),
    ):
        path.write_bytes(content)
        with pytest.raises(ModelFormatError, match=why):
            store.import_folder(tmp_path / "cut")


def test_weights_of_integers_are_refused(tmp_path: Path) -> None:
    from golden.tiny_bert import write_safetensors

    write_safetensors(tmp_path / "x.safetensors", {"a": np.zeros(3, np.int8)}, "I8")
    with pytest.raises(ModelFormatError, match="stored as I8"):
        Weights.open(tmp_path / "x.safetensors").array("a")
    with pytest.raises(ModelFormatError, match="no weights named b"):
        Weights.open(tmp_path / "x.safetensors").array("b")


def test_shapes_differ() -> None:
    """The shapes above differ in depth, heads, width, pooling and normalisation."""
    for name in ("layers", "heads", "width", "pooling", "normalize", "activation", "family"):
        assert len({getattr(tiny, name) for tiny in SHAPES.values()}) > 1, name
    assert dataclasses.is_dataclass(Tiny)
