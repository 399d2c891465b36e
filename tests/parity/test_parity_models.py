"""Our encoder and re-ranker against sentence-transformers itself."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden.texts import EDGES, PASSAGES, QUERIES, TEXTS
from golden.tiny_bert import VOCABULARY, Tiny, add_dense, make, tokenizer

from localsearch.engine import Engine
from localsearch.models import ModelStore
from localsearch.settings import ModelSettings, Settings
from localsearch.types import Record

pytestmark = pytest.mark.parity
GOLDEN = Path(__file__).parents[1] / "golden" / "all-MiniLM-L6-v2.npy"
MODULES = ("Transformer", "Pooling", "Normalize")
SHAPES = {
    "mean, normalised": Tiny(),
    "cls, deeper, wider, not normalised": Tiny(layers=4, heads=4, width=64, pooling="cls", normalize=False),
    "max, one head, tanh gelu": Tiny(layers=1, heads=1, pooling="max", activation="gelu_new"),
    "half precision": Tiny(kind="F16"),
    "roberta": Tiny(family="roberta"),
    "xlm-roberta": Tiny(family="xlm-roberta", heads=4, pooling="cls"),
    "prompts": Tiny(prompts={"query": "red ", "document": "blue "}),
}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(Settings(home=tmp_path, models=tmp_path / "models"))


def sentence_transformer(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


def as_published(installed: Path, target: Path) -> Path:
    """The default model's folder as its authors publish it, from the files that we install."""
    target.mkdir()
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        shutil.copy(installed / name, target)
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (kind, path) in enumerate(zip(MODULES, ("", "1_Pooling", "2_Normalize")))
    ]
    (target / "1_Pooling").mkdir()
    pooling = {
        "word_embedding_dimension": 384,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_cls_token": False,
    }
    for path, value in (
        ("modules.json", modules),
        ("sentence_bert_config.json", {"max_seq_length": 256, "do_lower_case": False}),
        ("1_Pooling/config.json", pooling),
    ):
        (target / path).write_text(json.dumps(value))
    return target


def test_golden_vectors_are_what_sentence_transformers_computes(model_folder: Path, tmp_path: Path) -> None:
    reference = sentence_transformer(as_published(model_folder / "all-MiniLM-L6-v2", tmp_path / "published"))
    computed = reference.encode(TEXTS, batch_size=1)
    assert cosines(computed, np.load(GOLDEN)).min() > 0.99999


def test_default_model_agrees_on_every_text(model_folder: Path, tmp_path: Path) -> None:
    """All at once this time, padded to one length, as people call it."""
    reference = sentence_transformer(as_published(model_folder / "all-MiniLM-L6-v2", tmp_path / "published"))
    computed = reference.encode(TEXTS)
    store = ModelStore(Settings(home=model_folder, models=model_folder))
    for precision, worst, mean in (("fp32", 0.9999, 0.9999), ("int8", 0.985, 0.993)):
        found = cosines(store.encoder(precision=precision).encode_documents(TEXTS), computed)
        assert found.min() >= worst, (precision, TEXTS[int(found.argmin())][:60])
        assert found.mean() >= mean, precision


@pytest.mark.parametrize("resaved", [False, True], ids=["as published", "as saved by the installed release"])
@pytest.mark.parametrize("tiny", SHAPES.values(), ids=SHAPES.keys())
def test_bert_shapes(tiny: Tiny, resaved: bool, store: ModelStore, tmp_path: Path) -> None:
    make(tmp_path / "tiny", tiny)
    reference = sentence_transformer(tmp_path / "tiny")
    if resaved:
        reference.save(str(tmp_path / "again" / "tiny"))
        # It adds RoBERTa's own special tokens, for which a table of this small vocabulary has no rows.
        shutil.copy(tmp_path / "tiny" / "tokenizer.json", tmp_path / "again" / "tiny" / "tokenizer.json")
    card = store.import_folder(tmp_path / "again" / "tiny" if resaved else tmp_path / "tiny")
    assert card.max_tokens == 40
    texts = [*EDGES.values(), *PASSAGES[:3]]
    for precision, atol in (("fp32", 3e-5), ("int8", 0.2)):
        encoder = store.encoder("tiny", precision)
        documents = reference.encode_document(texts, batch_size=1)
        found = encoder.encode_documents(texts)
        scale = np.linalg.norm(documents, axis=1, keepdims=True)
        np.testing.assert_allclose(found / scale, documents / scale, atol=atol)
        queries = reference.encode_query(QUERIES, batch_size=1)
        assert cosines(np.stack([encoder.encode_query(text) for text in QUERIES]), queries).min() > 0.99


@pytest.mark.parametrize("activation", ["linear.Identity", "activation.Tanh"])
@pytest.mark.parametrize("cut", [None, 24])
def test_dense_modules_and_fewer_dimensions(
    activation: str, cut: int | None, store: ModelStore, tmp_path: Path
) -> None:
    """As MiniLM's body with a layer from 384 to 768 has it; cut, then of length one."""
    make(tmp_path / "wide", Tiny())
    add_dense(tmp_path / "wide", (64,), f"torch.nn.modules.{activation}")
    (tmp_path / "wide" / "config_sentence_transformers.json").write_text(json.dumps({"truncate_dim": cut}))
    reference = sentence_transformer(tmp_path / "wide")
    store.import_folder(tmp_path / "wide")
    texts = [*EDGES.values(), *PASSAGES[:3]]
    expected = reference.encode(texts, batch_size=1)
    assert expected.shape[1] == (cut or 64)
    for precision, worst in (("fp32", 0.9999), ("int8", 0.99)):
        found = store.encoder("wide", precision).encode_documents(texts)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        assert cosines(found, expected).min() > worst


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_cross_encoder(kind: str, store: ModelStore, tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder
    from torch import manual_seed
    from torch.nn import Identity

    manual_seed(3)
    folder = classifier(kind, tmp_path / "judge")
    reference = CrossEncoder(str(folder), device="cpu", max_length=48, local_files_only=True)
    assert store.import_folder(folder).kind == "reranker"
    judge = store.reranker("judge", "fp32")
    for query in ("the red dog", "a" * 30, PASSAGES[0]):
        expected = reference.predict(
            [(query, text) for text in TEXTS], activation_fn=Identity(), batch_size=1
        )
        np.testing.assert_allclose(judge.score(query, TEXTS), expected, atol=1e-4)
    spread = float(np.ptp(expected))
    assert spread > 0.01
    quantized = store.reranker("judge", "int8").score(PASSAGES[0], TEXTS)
    np.testing.assert_allclose(quantized, expected, atol=0.25 * max(spread, 1))  # weights of 7 bits


def test_rerank_orders_as_the_cross_encoder_ranks(store: ModelStore, tmp_path: Path) -> None:
    """The whole way through a search, by words alone: every passage holds the query's word."""
    from sentence_transformers import CrossEncoder
    from torch import manual_seed

    manual_seed(5)
    folder = classifier("bert", tmp_path / "judge")
    store.import_folder(folder)
    texts = [f"stone {text[:60].strip()}" for text in PASSAGES[:12]]
    reference = CrossEncoder(str(folder), device="cpu", max_length=48, local_files_only=True)
    ranked = reference.rank("stone", texts, batch_size=1)
    chosen = ModelSettings(reranker="judge", precision="fp32")
    settings = Settings(home=tmp_path / "home", models=store.folder, offline=True, model=chosen)
    with Engine.open(settings=settings) as engine:
        engine.add([Record(text, id=str(n)) for n, text in enumerate(texts)])
        answer = engine.search("stone", mode="lexical", rerank=True, limit=20)
    assert len(answer) == len(texts)
    assert [int(hit.id) for hit in answer] == [found["corpus_id"] for found in ranked]


def classifier(kind: str, folder: Path) -> Path:
    """A sequence classifier of one label with random weights, as transformers saves it."""
    import transformers

    shape = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 48
        if kind == "bert"
        else 49,  # RoBERTa counts from the padding's id plus one
        "pad_token_id": 0,
        "type_vocab_size": 2 if kind == "bert" else 1,
        "num_labels": 1,
        "initializer_range": 0.4,
    }
    name = {"bert": "Bert", "roberta": "Roberta"}[kind]
    config = getattr(transformers, f"{name}Config")(**shape)
    getattr(transformers, f"{name}ForSequenceClassification")(config).eval().save_pretrained(folder)
    names = {
        name: f"[{name[:-6].upper()}]"
        for name in ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    }
    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if kind == "bert" else [])]
    plain = tokenizer()
    plain.no_truncation()
    plain.no_padding()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, model_max_length=48, model_input_names=inputs, **names
    )
    fast.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["distilbert", "mpnet"])
@pytest.mark.skipif(not find_spec("optimum"), reason="optimum is not installed (the extra [export])")
@pytest.mark.filterwarnings("ignore")
def test_other_architectures_through_their_own_export(kind: str, store: ModelStore, tmp_path: Path) -> None:
    reference = other_architecture(kind, tmp_path / "odd")
    card = store.import_folder(tmp_path / "odd")
    assert (card.dimensions, card.pooling, card.normalize) == (32, "cls", True)
    texts = [*QUERIES, *PASSAGES, ""]
    expected = reference.encode(texts, batch_size=1)
    for precision, worst in (("fp32", 0.9999), ("int8", 0.98)):
        assert cosines(store.encoder("odd", precision).encode_documents(texts), expected).min() > worst
    assert store.verify("odd").name == "odd"
    rows = store.encoder("odd", "fp32").token_vectors(["the cat"])[0]
    assert rows.shape == (2, 32)


def other_architecture(kind: str, folder: Path) -> Any:
    import transformers
    from sentence_transformers import SentenceTransformer, models
    from torch import manual_seed

    manual_seed(4)
    shape = {"vocab_size": len(VOCABULARY), "max_position_embeddings": 64, "initializer_range": 0.3}
    if kind == "distilbert":
        config = transformers.DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=64, **shape)
        model = transformers.DistilBertModel(config)
    else:
        config = transformers.MPNetConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, **shape
        )
        model = transformers.MPNetModel(config)
    inner = folder.with_name("transformers")
    model.eval().save_pretrained(inner)
    names = {
        name: f"[{name[:-6].upper()}]"
        for name in ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    }
    plain = tokenizer()
    plain.no_truncation()
    plain.no_padding()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, model_input_names=["input_ids", "attention_mask"], **names
    )
    fast.save_pretrained(inner)
    parts = [models.Transformer(str(inner), max_seq_length=48), models.Pooling(32, "cls"), models.Normalize()]
    made = SentenceTransformer(modules=parts, device="cpu")
    made.save(str(folder))
    return made
