"""How much to shrink each channel before it is brought to 8 bits, found from the model alone.

A few channels of a BERT's normalised activations are five times as large as the others, and one scale for all of
them leaves the small ones few steps. As in SmoothQuant (https://arxiv.org/abs/2211.10438, equation 4) each channel j is
divided by max|X_j|^a / max|W_j|^(1-a), and its weights multiplied by the same. The ranges are taken from random
tokens of the model's own vocabulary: as good, measured, as ranges from real text, and it suits every language.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from localsearch.models.bert import BertWeights
from localsearch.models.cards import CALIBRATION
from localsearch.models.network import gain_of, normalised_activations
from localsearch.models.tokens import Tokenizer

_STRENGTH = 0.6
_LENGTHS = ((16, 126), (8, 6), (8, 1))
"""How many random texts of how many tokens."""
_SEED = 7


def smoothing(bert: BertWeights, graph: Path, tokenizer: Tokenizer) -> dict[str, NDArray[np.float32]]:
    """Factors for each channel of each normalised activation, given the fp32 graph on disk."""
    wanted = normalised_activations(bert)
    ranges = _ranges(graph, list(wanted), _random_texts(bert, tokenizer))
    return {name: _factors(bert, name, weights, ranges[name]) for name, weights in wanted.items()}


def _factors(
    bert: BertWeights, name: str, weights: list[str], largest: NDArray[np.float32]
) -> NDArray[np.float32]:
    rows = np.concatenate([bert.weights.array(weight) for weight in weights]) * gain_of(bert, name)
    weight = np.maximum(np.abs(rows).max(axis=0), 1e-5)
    divisor = np.maximum(largest, 1e-3) ** _STRENGTH / weight ** (1 - _STRENGTH)
    return np.asarray(np.exp(np.log(divisor).mean()) / divisor, np.float32)


def _random_texts(bert: BertWeights, tokenizer: Tokenizer) -> list[NDArray[np.int32]]:
    """Random ids between the special tokens of the tokenizer."""
    [frame] = tokenizer.ids([""])
    before, after = frame[: tokenizer.frame.before], frame[tokenizer.frame.before :]
    ordinary = np.setdiff1d(np.arange(min(tokenizer.size, bert.vocabulary)), tokenizer.special)
    random = np.random.default_rng(_SEED)
    texts = []
    for count, length in _LENGTHS:
        length = min(length, bert.shape.max_tokens - len(frame))
        texts += [[*before, *random.choice(ordinary, length), *after] for _ in range(count)]
    return [np.asarray([ids], np.int32) for ids in texts]


def _ranges(graph: Path, names: list[str], texts: list[NDArray[np.int32]]) -> dict[str, NDArray[np.float32]]:
    """The largest absolute value of each channel; inner values are made outputs in a temporary copy of the graph."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    model = onnx.load(graph, load_external_data=False)
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    copy = graph.with_name(CALIBRATION)
    copy.write_bytes(model.SerializeToString())
    try:
        session = onnxruntime.InferenceSession(str(copy), providers=["CPUExecutionProvider"])
        feeds = [_feed(session, ids) for ids in texts]
        runs = [session.run(names, feed) for feed in feeds]
    finally:
        copy.write_bytes(b"")  # removing it is left to the caller; a confined process may not
    return {
        name: np.max([np.abs(values[index]).max(axis=(0, 1)) for values in runs], axis=0)
        for index, name in enumerate(names)
    }


def _feed(session: object, ids: NDArray[np.int32]) -> dict[str, NDArray[np.int32]]:
    inputs = {item.name for item in session.get_inputs()}  # type: ignore[attr-defined]
    half = np.arange(ids.shape[1], dtype=np.int32)[None] >= ids.shape[1] // 2
    return {name: ids if name == "ids" else half.astype(np.int32) for name in inputs}
