"""Dense modules of a sentence-transformers folder: a linear layer, with an activation, over the pooled vector.

For `models` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from localsearch.models.bert import unusable
from localsearch.models.cards import CONFIG, WEIGHTS
from localsearch.models.carried import read_table
from localsearch.models.weights import Weights, is_sane

_ACTIVATIONS = {"Identity": "", "Tanh": "Tanh", "ReLU": "Relu", "GELU": "Gelu", "Sigmoid": "Sigmoid"}


@dataclass(frozen=True, slots=True)
class Dense:
    """weight (out, in), bias (out,), and the ONNX operator that follows, '' for none."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    activation: str


def read_dense(folders: Sequence[Path], width: int) -> list[Dense]:
    """Read the modules that follow vectors of `width`, each as wide as the one before gives.

    ModelFormatError for an activation that is not known, sizes that do not fit, or weights that are no numbers.
    """
    found: list[Dense] = []
    for folder in folders:
        found.append(_read(folder, len(found[-1].bias) if found else width))
    return found


def _read(folder: Path, width: int) -> Dense:
    config = read_table(folder / CONFIG)
    activation = str(config.get("activation_function", "Tanh")).rpartition(".")[2]
    if activation not in _ACTIVATIONS:
        raise unusable(f"the activation of {folder.name} is {activation[:100]}")
    weights = Weights.open(folder / WEIGHTS)
    weight = weights.array("linear.weight")
    bias = weights.array("linear.bias") if "linear.bias" in weights else np.zeros(len(weight), np.float32)
    if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1] or not bias.size:
        raise unusable(
            f"{folder.name} has weights of shape {weight.shape} and {bias.shape} for vectors of {width}"
        )
    if not (is_sane(weight) and is_sane(bias)):
        raise unusable(f"{folder.name} holds what is no weight")
    return Dense(weight, bias, _ACTIVATIONS[activation])
