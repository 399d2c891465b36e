"""Read the shape of a BERT-family model from its config.json, and name its weights. For `models` only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from localsearch.errors import ModelFormatError
from localsearch.models.weights import Weights

WORDS = "embeddings.word_embeddings.weight"
PACKED, SCALES = ".packed", ".scales"
"""What follows that name where the table is in blocks, see models/words.py."""
# Families whose graph is BERT's. RoBERTa's positions start after the padding index; nothing else differs.
FAMILIES = {"bert": 0, "roberta": 1, "xlm-roberta": 1, "camembert": 1}
ACTIVATIONS = ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu")


@dataclass(frozen=True, slots=True)
class Shape:
    """The parameters of a graph: sizes, activation, and the first position."""

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

    @property
    def max_tokens(self) -> int:
        """The longest input the position table allows, special tokens included."""
        return self.positions - self.first_position


def read_shape(config: Mapping[str, Any]) -> Shape:
    """The shape in a parsed config.json; ModelFormatError names what is unsupported."""
    family = str(config.get("model_type", "unknown"))
    if family not in FAMILIES:
        raise unsupported(f"its architecture is {family}, not of the BERT family")
    activation = str(config.get("hidden_act", "gelu"))
    if activation not in ACTIVATIONS:
        raise unsupported(f"its activation is {activation}")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise unsupported("its positions are relative")
    return Shape(
        family=family,
        layers=int(config["num_hidden_layers"]),
        heads=int(config["num_attention_heads"]),
        width=int(config["hidden_size"]),
        inner=int(config["intermediate_size"]),
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        activation=activation,
        first_position=(int(config.get("pad_token_id", 1)) + 1) * FAMILIES[family],
        positions=int(config["max_position_embeddings"]),
        labels=_labels(config),
    )


def read_config(folder: Path) -> dict[str, Any]:
    """Parse config.json of a model folder; ModelFormatError when there is none or it does not parse."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelFormatError(
            f"{folder} holds no model: config.json is missing",
            hint="Give the folder that has config.json, tokenizer.json and model.safetensors.",
        ) from error
    except (ValueError, OSError) as error:
        raise ModelFormatError(f"{path} does not parse: {error}", hint="Copy the model again.") from error
    if not isinstance(config, dict):
        raise ModelFormatError(f"{path} is not a table", hint="Copy the model again.")
    return config


def unsupported(why: str) -> ModelFormatError:
    """The error for a model that only sentence-transformers itself can export; data carries `exportable`."""
    return ModelFormatError(
        f"this model cannot be converted without torch: {why}",
        hint='Install the extra once, pip install "localsearch[export]", and import the folder again.',
        exportable=True,
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
        name = self.name(WORDS)
        return self.weights.tensor(name if name in self.weights else name + PACKED).shape[0]

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


def _labels(config: Mapping[str, Any]) -> int:
    if not any("SequenceClassification" in str(name) for name in config.get("architectures") or ()):
        return 0
    return len(config.get("id2label") or ()) or int(config.get("num_labels", 2))
