"""A folder with model.safetensors, config.json and tokenizer.json → the same with fp32.onnx and int8.onnx.

int8.fused.onnx is written beside them where our own operator knows the layers; see localsearch/kernels.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from localsearch.errors import ModelFormatError
from localsearch.models.agree import check_answers, check_tokenizer, check_weights
from localsearch.models.bert import BertWeights, read_config, read_shape
from localsearch.models.calibrate import smoothing
from localsearch.models.cards import TOKENIZER, WEIGHTS, Card
from localsearch.models.carried import below
from localsearch.models.dense import read_dense
from localsearch.models.network import classifier_graph, encoder_graph, fusable, output_width
from localsearch.models.packed import packed_file, unpack
from localsearch.models.runner import Session
from localsearch.models.tokens import Tokenizer
from localsearch.models.weights import Weights
from localsearch.models.words import blocked_words


def convert(card: Card, folder: Path) -> Card:
    """Write the graphs; return the card with its sizes made exact.

    int8.onnx has weights of 7 bits, so that no processor saturates; int8.fused.onnx, whose sums are exact, uses all 8.

    Raises ModelFormatError when the model is not of the BERT family, or its files do not belong together.
    """
    packed = packed_file(folder)
    if packed:
        unpack(packed)
    shape = read_shape(read_config(folder))
    bert = BertWeights(Weights.open(folder / WEIGHTS), shape)
    if card.kind == "reranker" and shape.labels != 1:
        raise ModelFormatError(
            f"{card.name}: it gives {shape.labels} labels; a re-ranker gives one",
            hint="Choose one trained to score a query with a chunk.",
        )
    check_weights(bert)
    dense = read_dense([below(folder, name) for name in card.dense], shape.width)
    width = output_width(shape.width, dense, card.cut)
    card = replace(card, dimensions=width, max_tokens=min(card.max_tokens, shape.max_tokens))
    tokenizer = Tokenizer.load(folder / TOKENIZER, card.max_tokens, card.lowercase)
    check_tokenizer(bert, card, tokenizer)
    graph = partial(encoder_graph, bert, card.pooling, card.normalize, dense=dense, cut=card.cut)
    if card.kind == "reranker":
        graph = partial(classifier_graph, bert)
    fp32 = folder / "fp32.onnx"
    fp32.write_bytes(graph("fp32").SerializeToString())
    check_answers(bert, card, tokenizer, Session(fp32))
    factors = smoothing(bert, fp32, tokenizer)
    graph = partial(graph, words=blocked_words(bert, folder))
    int8 = graph("int8", smoothing=factors, reduce_range=True)
    (folder / "int8.onnx").write_bytes(int8.SerializeToString())
    check_answers(bert, card, tokenizer, Session(folder / "int8.onnx"))
    if fusable(shape):
        (folder / "int8.fused.onnx").write_bytes(graph("int8", fused=True).SerializeToString())
    return card
