"""A folder with model.safetensors, config.json and tokenizer.json → the same with fp32.onnx and int8.onnx."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from localsearch.models.bert import BertWeights, read_config, read_shape
from localsearch.models.cards import WEIGHTS, Card
from localsearch.models.graph import Precision, classifier_graph, encoder_graph
from localsearch.models.processor import safe_int8
from localsearch.models.weights import Weights

PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")


def convert(card: Card, folder: Path) -> tuple[Card, bool]:
    """Write both graphs; return the card with its sizes made exact, and whether 8-bit weights use 7 bits.

    Raises ModelFormatError when the model is not of the BERT family.
    """
    shape = read_shape(read_config(folder))
    bert = BertWeights(Weights.open(folder / WEIGHTS), shape)
    reduce_range = not safe_int8()
    for precision in PRECISIONS:
        if card.kind == "reranker":
            model = classifier_graph(bert, precision, reduce_range)
        else:
            model = encoder_graph(bert, card.pooling, card.normalize, precision, reduce_range)
        (folder / f"{precision}.onnx").write_bytes(model.SerializeToString())
    longest = min(card.max_tokens, shape.max_tokens)
    return replace(card, dimensions=shape.width, max_tokens=longest), reduce_range
