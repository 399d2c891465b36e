"""Small BERT models made on the spot, and BERT itself in plain numpy, written apart from the graph it checks.

Devlin et al. 2019, https://arxiv.org/abs/1810.04805; layer normalisation after each residual, erf GELU.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

Array = NDArray[np.float32]
WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "sat",
    "ran",
    "on",
    "under",
    "mat",
    "tree",
    "and",
    "then",
    "it",
    "was",
    "red",
]
WORDS += ["blue", "quick", "slow", "river", "stone"]
PIECES = [*"abcdefghijklmnopqrstuvwxyz", *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]
VOCABULARY = list(dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *PIECES]))


@dataclass(frozen=True)
class Tiny:
    """The shape of a model to make."""

    layers: int = 2
    heads: int = 2
    width: int = 32
    inner: int = 64
    positions: int = 48
    activation: str = "gelu"
    family: str = "bert"
    pooling: str = "mean"
    normalize: bool = True
    prefix: str = ""
    kind: str = "F32"
    labels: int = 0
    prompts: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0

    @property
    def segments(self) -> int:
        return 2 if self.family == "bert" else 1


def make(folder: Path, tiny: Tiny) -> dict[str, Array]:
    """Write a sentence-transformers folder; return its weights by role, as the file holds them."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = _weights(tiny)
    stored = {_stored_name(role, tiny): _cast(value, tiny.kind) for role, value in weights.items()}
    write_safetensors(folder / "model.safetensors", stored, tiny.kind)
    _write(folder / "config.json", _config(tiny))
    tokenizer().save(str(folder / "tokenizer.json"))
    if not tiny.labels:
        _write_modules(folder, tiny)
    return {role: _widen(_cast(value, tiny.kind), tiny.kind) for role, value in weights.items()}


def write_safetensors(path: Path, arrays: Mapping[str, NDArray[Any]], kind: str = "F32") -> None:
    """The format: header length, JSON header padded to 8 bytes, arrays."""
    header, offset = {}, 0
    for name, value in arrays.items():
        header[name] = {
            "dtype": kind,
            "shape": list(value.shape),
            "data_offsets": [offset, offset + value.nbytes],
        }
        offset += value.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(
        struct.pack("<Q", len(text)) + text + b"".join(value.tobytes() for value in arrays.values())
    )


def tokenizer() -> Tokenizer:
    """A lower-casing WordPiece tokenizer with BERT's special tokens."""
    ids = {piece: index for index, piece in enumerate(VOCABULARY)}
    made = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    made.enable_truncation(8)  # as many published files have it; the encoder must not heed it
    made.enable_padding(length=16)
    return made


def hidden(
    weights: Mapping[str, Array],
    tiny: Tiny,
    ids: list[int],
    segments: list[int] | None = None,
    rounded: bool = False,
) -> Array:
    """Token vectors of one text, shape (tokens, width); `rounded` multiplies in 8 bits as localsearch/kernels does."""
    places = _places(ids, tiny)
    state = weights["embeddings.word_embeddings.weight"][ids]
    state = state + weights["embeddings.position_embeddings.weight"][places]
    state = state + weights["embeddings.token_type_embeddings.weight"][segments or [0] * len(ids)]
    state = _norm(state, weights, "embeddings")
    for layer in range(tiny.layers):
        stem = f"encoder.layer.{layer}"
        mixed = _attention(state, weights, f"{stem}.attention.self", tiny.heads, rounded)
        mixed = _linear(mixed, weights, f"{stem}.attention.output.dense", rounded)
        state = _norm(state + mixed, weights, f"{stem}.attention.output")
        inner = _activate(_linear(state, weights, f"{stem}.intermediate.dense", rounded), tiny.activation)
        out = _linear(inner, weights, f"{stem}.output.dense", rounded)
        state = _norm(state + out, weights, f"{stem}.output")
    return state.astype(np.float32)


def _places(ids: list[int], tiny: Tiny) -> NDArray[np.int64]:
    """RoBERTa leaves padding tokens at the padding's own position and counts the others from the next."""
    if tiny.family == "bert":
        return np.arange(len(ids))
    real = np.asarray(ids) != 0
    return np.cumsum(real) * real


def embedding(weights: Mapping[str, Array], tiny: Tiny, ids: list[int]) -> Array:
    """The pooled vector of one text."""
    tokens = hidden(weights, tiny, ids)
    pooled = {"mean": tokens.mean(0), "cls": tokens[0], "max": tokens.max(0)}[tiny.pooling]
    return pooled / np.linalg.norm(pooled) if tiny.normalize else pooled


def logit(weights: Mapping[str, Array], tiny: Tiny, ids: list[int], segments: list[int]) -> float:
    """The classifier's score of one pair."""
    first = hidden(weights, tiny, ids, segments)[0]
    pooled = np.tanh(_linear(first, weights, "pooler.dense"))
    return float(_linear(pooled, weights, "classifier")[0])


def _attention(state: Array, weights: Mapping[str, Array], stem: str, heads: int, rounded: bool) -> Array:
    query, key, value = (
        np.stack(np.split(_linear(state, weights, f"{stem}.{part}", rounded), heads, axis=-1))
        for part in ("query", "key", "value")
    )
    if rounded:
        query, key = _symmetric(query), _symmetric(key)
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return np.concatenate(scores / scores.sum(-1, keepdims=True) @ value, axis=-1)


def _linear(state: Array, weights: Mapping[str, Array], stem: str, rounded: bool = False) -> Array:
    weight = weights[f"{stem}.weight"]
    if rounded:
        state, weight = _bytes(state), _symmetric(weight)
    return state @ weight.T + weights[f"{stem}.bias"]


def _symmetric(rows: Array) -> Array:
    """Each row in steps of its largest size by 127."""
    step = np.maximum(np.abs(rows).max(-1, keepdims=True) / 127, 1e-20)
    return np.rint(rows / step) * step


def _bytes(rows: Array) -> Array:
    """Each row in 255 steps from its least value, or zero, to its largest."""
    least = np.minimum(rows.min(-1, keepdims=True), 0)
    step = np.maximum((np.maximum(rows.max(-1, keepdims=True), 0) - least) / 255, 1e-20)
    zero = np.rint(-least / step)
    return (np.clip(np.rint(rows / step) + zero, 0, 255) - zero) * step


def _norm(state: Array, weights: Mapping[str, Array], stem: str) -> Array:
    centred = state - state.mean(-1, keepdims=True)
    unit = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    return unit * weights[f"{stem}.LayerNorm.weight"] + weights[f"{stem}.LayerNorm.bias"]


def _activate(values: Array, kind: str) -> Array:
    if kind == "relu":
        return np.maximum(values, 0)
    if kind == "gelu":
        from scipy.special import erf

        return values * 0.5 * (1 + erf(values / np.sqrt(2)))
    return values * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (values + 0.044715 * values**3)))


def _weights(tiny: Tiny) -> dict[str, Array]:
    random = np.random.default_rng(tiny.seed)

    def matrix(*shape: int) -> Array:
        return (random.normal(size=shape) * 0.2).astype(np.float32)

    found = {
        "embeddings.word_embeddings.weight": matrix(len(VOCABULARY), tiny.width) * 4,
        "embeddings.position_embeddings.weight": matrix(tiny.positions, tiny.width),
        "embeddings.token_type_embeddings.weight": matrix(tiny.segments, tiny.width),
    }
    linear = {}
    for layer in range(tiny.layers):
        stem = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            linear[f"{stem}.attention.self.{part}"] = (tiny.width, tiny.width)
        linear[f"{stem}.attention.output.dense"] = (tiny.width, tiny.width)
        linear[f"{stem}.intermediate.dense"] = (tiny.inner, tiny.width)
        linear[f"{stem}.output.dense"] = (tiny.width, tiny.inner)
    if tiny.labels:
        linear["pooler.dense"] = (tiny.width, tiny.width)
        linear["classifier"] = (tiny.labels, tiny.width)
    for stem, shape in linear.items():
        found |= {f"{stem}.weight": matrix(*shape), f"{stem}.bias": matrix(shape[0])}
    for stem in ["embeddings", *(f"encoder.layer.{n}.{part}" for n in range(tiny.layers) for part in _NORMS)]:
        found |= {
            f"{stem}.LayerNorm.weight": 1 + matrix(tiny.width),
            f"{stem}.LayerNorm.bias": matrix(tiny.width),
        }
    return found


_NORMS = ("attention.output", "output")


def _stored_name(role: str, tiny: Tiny) -> str:
    return role if role.startswith("classifier") else tiny.prefix + role


def _cast(value: Array, kind: str) -> NDArray[Any]:
    if kind == "F16":
        return value.astype(np.float16)
    if kind == "BF16":
        return (value.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    return value


def _widen(value: NDArray[Any], kind: str) -> Array:
    if kind == "BF16":
        return (value.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return value.astype(np.float32)


def _config(tiny: Tiny) -> dict[str, Any]:
    model = {"bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta"}[tiny.family]
    return {
        "architectures": [f"{model}{'ForSequenceClassification' if tiny.labels else 'Model'}"],
        "model_type": tiny.family,
        "hidden_size": tiny.width,
        "num_hidden_layers": tiny.layers,
        "num_attention_heads": tiny.heads,
        "intermediate_size": tiny.inner,
        "hidden_act": tiny.activation,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": tiny.positions,
        "pad_token_id": 0,
        "type_vocab_size": tiny.segments,
        "vocab_size": len(VOCABULARY),
    } | ({"id2label": {str(n): f"LABEL_{n}" for n in range(tiny.labels)}} if tiny.labels else {})


def _write_modules(folder: Path, tiny: Tiny) -> None:
    kinds = ["Transformer", "Pooling", *(["Normalize"] if tiny.normalize else [])]
    paths = ["", "1_Pooling", "2_Normalize"]
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (kind, path) in enumerate(zip(kinds, paths))
    ]
    _write(folder / "modules.json", modules)
    (folder / "1_Pooling").mkdir(exist_ok=True)
    modes = {f"pooling_mode_{name}": tiny.pooling == mode for name, mode in _MODES.items()}
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": tiny.width, **modes})
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 40, "do_lower_case": False})
    _write(folder / "config_sentence_transformers.json", {"prompts": dict(tiny.prompts)})


_MODES = {"cls_token": "cls", "mean_tokens": "mean", "max_tokens": "max"}


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), "utf-8")


def add_dense(
    folder: Path, sizes: tuple[int, ...], activation: str, bias: bool = True
) -> list[tuple[Array, Array]]:
    """Put Dense modules of these output sizes between pooling and normalisation; return their weights and biases."""
    random = np.random.default_rng(9)
    modules = json.loads((folder / "modules.json").read_text("utf-8"))
    width = json.loads((folder / "config.json").read_text("utf-8"))["hidden_size"]
    found, entries = [], []
    for index, size in enumerate(sizes, 2):
        weight = (random.normal(size=(size, width)) * 0.3).astype(np.float32)
        shift = (random.normal(size=size) * bias).astype(np.float32)
        path = folder / f"{index}_Dense"
        path.mkdir()
        write_safetensors(
            path / "model.safetensors", {"linear.weight": weight} | ({"linear.bias": shift} if bias else {})
        )
        config = {"in_features": width, "out_features": size, "bias": bias, "activation_function": activation}
        _write(path / "config.json", config)
        entries.append({"path": path.name, "type": "sentence_transformers.models.Dense"})
        found.append((weight, shift))
        width = size
    ordered = [*modules[:2], *entries, *modules[2:]]
    _write(
        folder / "modules.json",
        [{**module, "idx": index, "name": str(index)} for index, module in enumerate(ordered)],
    )
    return found
