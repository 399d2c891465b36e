"""Dense modules of a sentence-transformers folder: a linear layer, with an activation, over the pooled vector.

For `models` only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from localsearch.errors import ModelFormatError
from localsearch.models.cards import CONFIG, WEIGHTS
from localsearch.models.weights import Weights

_ACTIVATIONS = {"Identity": "", "Tanh": "Tanh", "ReLU": "Relu", "GELU": "Gelu", "Sigmoid": "Sigmoid"}


@dataclass(frozen=True, slots=True)
class Dense:
    """weight (out, in), bias (out,), and the ONNX operator that follows, '' for none."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    activation: str


def read_dense(folder: Path) -> Dense:
    """Read a module's folder. ModelFormatError for an activation that is not known, or sizes that do not fit."""
    config = _config(folder / CONFIG)
    activation = str(config.get("activation_function", "Tanh")).rpartition(".")[2]
    if activation not in _ACTIVATIONS:
        raise ModelFormatError(
            f"this model cannot be used: the activation of {folder.name} is {activation}",
            hint="Choose another; models list names some.",
        )
    weights = Weights.open(folder / WEIGHTS)
    weight = weights.array("linear.weight")
    bias = weights.array("linear.bias") if "linear.bias" in weights else np.zeros(len(weight), np.float32)
    return Dense(weight, bias, _ACTIVATIONS[activation])


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFormatError(f"{path} does not parse: {error}", hint="Copy the model again.") from error
    return config if isinstance(config, dict) else {}
