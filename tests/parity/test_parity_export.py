"""Models that are exported, in the shapes of the cards that need it, on random weights against sentence-transformers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from golden.texts import PASSAGES, QUERIES
from golden.tiny_bert import VOCABULARY, tokenizer

from localsearch.errors import ModelFormatError
from localsearch.models import ModelStore
from localsearch.models.cards import all_cards
from localsearch.settings import Settings

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not find_spec("optimum"), reason="optimum is not installed (the extra [export])"),
]
MODERN = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
SHAPES: dict[str, dict[str, Any]] = {
    "granite-embedding-small-english-r2": {
        "model_type": "modernbert",
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
        "max_position_embeddings": 8192,
        **MODERN,
    },
    "gte-modernbert-base": {
        "model_type": "modernbert",
        "hidden_size": 768,
        "num_hidden_layers": 22,
        "num_attention_heads": 12,
        "intermediate_size": 1152,
        "max_position_embeddings": 8192,
        **MODERN,
    },
    "mxbai-rerank-xsmall-v1": {
        "model_type": "deberta-v2",
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "intermediate_size": 1536,
        "max_position_embeddings": 512,
        "relative_attention": True,
        "position_buckets": 256,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
        "pooler_hidden_size": 384,
        "pooler_dropout": 0,
        "pooler_hidden_act": "gelu",
        "pad_token_id": 0,
    },
}
"""Layers exactly as published; the vocabulary is small."""
IN_8_BITS = {
    "granite-embedding-small-english-r2": 0.98,
    "gte-modernbert-base": 0.94,
    "mxbai-rerank-xsmall-v1": 0.75,
}
"""The least cosine to sentence-transformers' vectors, of a re-ranker the correlation of its scores: weights of 7 bits."""
LONG = " ".join(PASSAGES[:3])
"""Longer than the window of 128 tokens that most of ModernBERT's layers have."""
TEXTS = [*QUERIES, *PASSAGES[:4], LONG, "cat"]


def write(folder: Path, *, labels: int = 0, **shape: Any) -> Path:
    """A transformers folder of random weights."""
    import transformers
    from torch import manual_seed

    manual_seed(4)
    shape = {"vocab_size": len(VOCABULARY), "initializer_range": 0.08} | shape
    config = transformers.AutoConfig.for_model(**shape, **({"num_labels": labels} if labels else {}))
    kind = transformers.AutoModelForSequenceClassification if labels else transformers.AutoModel
    kind.from_config(config).eval().save_pretrained(folder)
    roles = {role: f"[{role[:-6].upper()}]" for role in ("pad_token", "unk_token", "cls_token", "sep_token")}
    plain = tokenizer()
    plain.no_truncation()
    plain.no_padding()
    inputs = ["input_ids", "attention_mask"]
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, model_max_length=512, model_input_names=inputs, **roles
    )
    fast.save_pretrained(folder)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(Settings(home=tmp_path, models=tmp_path / "models"), [])


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """A hub that serves tmp_path/hub/OWNER/NAME/resolve/main/FILE."""
    (tmp_path / "hub").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "hub"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


@pytest.mark.parametrize("name", SHAPES)
def test_a_card_that_needs_the_extra_is_pulled_and_runs(name: str, hub: str, tmp_path: Path) -> None:
    """The hub has the three files that the card names and no more."""
    card = next(card for card in all_cards() if card.name == name)
    labels = 1 if card.kind == "reranker" else 0
    place = tmp_path / "hub" / card.sources[0].repo / "resolve" / "main"
    place.parent.mkdir(parents=True)
    write(place, labels=labels, **SHAPES[name])
    store = ModelStore(Settings(home=tmp_path, models=tmp_path / "models", hub=hub))
    installed = store.pull(name)
    assert installed.dimensions == SHAPES[name]["hidden_size"] == card.dimensions
    assert SHAPES[name]["num_hidden_layers"] == card.layers
    assert SHAPES[name]["max_position_embeddings"] == card.max_tokens
    if labels:
        from sentence_transformers import CrossEncoder
        from torch.nn import Identity

        judge = CrossEncoder(str(place), device="cpu", max_length=512, local_files_only=True)
        pairs = [("the red dog", text) for text in TEXTS]
        expected = judge.predict(pairs, activation_fn=Identity(), batch_size=1)
        found = store.reranker(name, "fp32").score("the red dog", TEXTS)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert np.ptp(expected) > 0.01
        assert (
            np.corrcoef(store.reranker(name, "int8").score("the red dog", TEXTS), expected)[0, 1]
            > IN_8_BITS[name]
        )
        return
    reference = sentence_transformer(place, "cls")
    expected = reference.encode(TEXTS, batch_size=1)
    assert cosines(store.encoder(name, "fp32").encode_documents(TEXTS), expected).min() > 0.9999
    assert cosines(store.encoder(name, "int8").encode_documents(TEXTS), expected).min() > IN_8_BITS[name]


def sentence_transformer(folder: Path, pooling: str, *dense: int) -> Any:
    from sentence_transformers import SentenceTransformer, models
    from torch.nn import Tanh

    parts: list[Any] = [models.Transformer(str(folder), max_seq_length=512)]
    width = parts[0].get_word_embedding_dimension()
    parts.append(models.Pooling(width, pooling))
    for size in dense:
        parts.append(models.Dense(width, size, activation_function=Tanh()))
        width = size
    return SentenceTransformer(modules=[*parts, models.Normalize()], device="cpu")


@pytest.mark.parametrize("cut", [0, 40])
def test_dense_modules_and_a_cut_follow_an_exported_body(cut: int, store: ModelStore, tmp_path: Path) -> None:
    inner = write(
        tmp_path / "inner",
        model_type="modernbert",
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=96,
        **MODERN,
    )
    sentence_transformer(inner, "mean", 96, 80).save(str(tmp_path / "wide"))
    settings = tmp_path / "wide" / "config_sentence_transformers.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"truncate_dim": cut or None}))
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(tmp_path / "wide"), device="cpu", local_files_only=True)
    expected = reference.encode(TEXTS, batch_size=1)
    card = store.import_folder(tmp_path / "wide")
    assert card.dimensions == expected.shape[1] == (cut or 80)
    for precision, worst in (("fp32", 0.9999), ("int8", 0.98)):
        found = store.encoder("wide", precision).encode_documents(TEXTS)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        assert cosines(found, expected).min() > worst
    assert store.encoder("wide", "fp32").token_vectors(["the cat"])[0].shape == (2, 64)


def test_an_exported_classifier_of_several_labels_is_no_reranker(store: ModelStore, tmp_path: Path) -> None:
    shape = SHAPES["mxbai-rerank-xsmall-v1"] | {"num_hidden_layers": 1}
    folder = write(tmp_path / "moods", labels=3, **shape)
    with pytest.raises(ModelFormatError, match="3 labels"):
        store.import_folder(folder)
    assert not store.installed("moods")
