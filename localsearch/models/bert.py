"""Read the shape of a BERT-family model from its config.json, and name its weights. For `models` only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from localsearch.errors import ModelFormatError
from localsearch.models.cards import CONFIG
from localsearch.models.carried import read_json
from localsearch.models.weights import Weights

WORDS = "embeddings.word_embeddings.weight"
PACKED, SCALES = ".packed", ".scales"
"""What follows that name where the table is in blocks, see models/words.py."""
# Families whose graph is BERT's. RoBERTa's positions start after the padding index; nothing else differs.
FAMILIES = {"bert": 0, "roberta": 1, "xlm-roberta": 1, "camembert": 1}
ACTIVATIONS = ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu")


@dataclass(frozen=True, slots=True)
class Shape:
    """The parameters of a graph: sizes, activation, and the first position. None: config.json does not tell."""

    family: str
    layers: int
    heads: int
    width: int
    inner: int
    epsilon: float
    activation: str
    first_position: int
    positions: int
    labels: int
    vocabulary: int | None = None
    segments: int | None = None

    @property
    def max_tokens(self) -> int:
        """The longest input the position table allows, special tokens included."""
        return self.positions - self.first_position


_Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]


class Config(msgspec.Struct):
    """What a config.json tells of a graph."""

    hidden_size: _Size
    num_hidden_layers: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    num_attention_heads: _Size
    intermediate_size: _Size
    max_position_embeddings: _Size
    vocab_size: Annotated[int, msgspec.Meta(ge=1, le=1 << 31)] | None = None
    type_vocab_size: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] | None = None
    layer_norm_eps: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1e-12
    pad_token_id: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)] | None = None
    num_labels: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 2
    id2label: dict[str, Any] | None = None


def read_shape(config: Mapping[str, Any]) -> Shape:
    """The shape in a parsed config.json; ModelFormatError names what is unsupported or cannot be."""
    family = str(config.get("model_type", "unknown"))[:100]
    if family not in FAMILIES:
        raise unsupported(f"its architecture is {family}, not of the BERT family")
    activation = str(config.get("hidden_act", "gelu"))[:100]
    if activation not in ACTIVATIONS:
        raise unsupported(f"its activation is {activation}")
    if (config.get("position_embedding_type") or "absolute") != "absolute":
        raise unsupported("its positions are relative")
    try:
        given = msgspec.convert(config, Config)
    except msgspec.ValidationError as error:
        raise unusable(f"config.json: {error}") from error
    if given.hidden_size % given.num_attention_heads:
        raise unusable(
            f"config.json: {given.num_attention_heads} heads do not divide a width of {given.hidden_size}"
        )
    padding = 1 if given.pad_token_id is None else given.pad_token_id
    shape = Shape(
        family=family,
        layers=given.num_hidden_layers,
        heads=given.num_attention_heads,
        width=given.hidden_size,
        inner=given.intermediate_size,
        epsilon=given.layer_norm_eps,
        activation=activation,
        first_position=(padding + 1) * FAMILIES[family],
        positions=given.max_position_embeddings,
        labels=_labels(config, given),
        vocabulary=given.vocab_size,
        segments=given.type_vocab_size,
    )
    if shape.max_tokens < 1:
        raise unusable(f"config.json: its padding leaves none of {shape.positions} positions")
    return shape


def read_config(folder: Path) -> dict[str, Any]:
    """Parse config.json of a model folder; ModelFormatError when there is none or it does not parse."""
    path = folder / CONFIG
    try:
        return read_json(path, dict[str, Any])
    except FileNotFoundError as error:
        raise ModelFormatError(
            f"{folder} holds no model: config.json is missing",
            hint="Give the folder that has config.json, tokenizer.json and model.safetensors.",
        ) from error


def classifies(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a sequence classifier."""
    kinds = config.get("architectures")
    return isinstance(kinds, list) and any("SequenceClassification" in str(kind) for kind in kinds)


def unsupported(why: str) -> ModelFormatError:
    """The error for a model that only sentence-transformers itself can export; data carries `exportable`."""
    return ModelFormatError(
        f"this model cannot be converted without torch: {why}",
        hint='Install the extra once, pip install "localsearch[export]", and import the folder again.',
        exportable=True,
    )


def unusable(why: str) -> ModelFormatError:
    """The error for a model whose files are wrong or do not belong together."""
    return ModelFormatError(
        f"this model cannot be used: {why}", hint="Copy it again, or choose another; models list names some."
    )


class BertWeights:
    """The weights of a BERT-family model by role, whatever prefix its file uses."""

    def __init__(self, weights: Weights, shape: Shape) -> None:
        self.weights = weights
        self.shape = shape
        self.prefix = _prefix(weights)

    def name(self, role: str) -> str:
        return self.prefix + role

    def array(self, role: str) -> NDArray[np.float32]:
        return self.weights.array(self.name(role))

    def layer_name(self, index: int, role: str) -> str:
        return self.name(f"encoder.layer.{index}.{role}")

    def layer(self, index: int, role: str) -> NDArray[np.float32]:
        return self.weights.array(self.layer_name(index, role))

    def dense(self, index: int, role: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A linear layer as weight (in, out) and bias (out,)."""
        return np.ascontiguousarray(self.layer(index, f"{role}.weight").T), self.layer(index, f"{role}.bias")

    @property
    def vocabulary(self) -> int:
        """Rows of the word table."""
        return self._rows("word", "" if self.name(WORDS) in self.weights else PACKED)

    @property
    def kinds(self) -> int:
        """Rows of the segment table."""
        return self._rows("token_type")

    def _rows(self, table: str, form: str = "") -> int:
        shape = self.weights.tensor(self.name(f"embeddings.{table}_embeddings.weight") + form).shape
        return shape[0] if shape else 0

    def positions(self) -> NDArray[np.float32]:
        """The whole position table."""
        return self.array("embeddings.position_embeddings.weight")

    def segments(self) -> NDArray[np.float32]:
        """Segment (token type) table, at least one row."""
        return self.array("embeddings.token_type_embeddings.weight")

    def head(self) -> tuple[str, str]:
        """Names of the pooling and the classifying layer of a sequence classifier."""
        if self.name("pooler.dense.weight") in self.weights and "classifier.weight" in self.weights:
            return self.name("pooler.dense"), "classifier"
        if "classifier.dense.weight" in self.weights:
            return "classifier.dense", "classifier.out_proj"
        raise unsupported("it has no classifier over a pooled first token")


def _prefix(weights: Weights) -> str:
    for name in weights.tensors:
        for known in (WORDS, WORDS + PACKED):
            if name.endswith(known):
                return name.removesuffix(known)
    raise unsupported("its weights are not named as BERT's are")


def _labels(config: Mapping[str, Any], given: Config) -> int:
    return (len(given.id2label or ()) or given.num_labels) if classifies(config) else 0
