"""Build the ONNX graph of a BERT-family model with the `onnx` helper alone.

EmbedLayerNormalization, then per layer: one product for query, key and value, MultiHeadAttention, a product,
SkipLayerNormalization, a product, the activation with its bias, a product, SkipLayerNormalization; then pooling and
normalisation, or the classifier. Batches hold texts of equal token length, so the graph has neither padding nor mask.

The word table stays where it is: the graph refers to its bytes inside model.safetensors (ONNX external data).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from localsearch.models.bert import ACTIVATIONS, BertWeights, Shape, unsupported

Precision = Literal["fp32", "int8"]
Array = NDArray[Any]
OPSET, IR_VERSION = 17, 8
_DOMAIN = "com.microsoft"


@dataclass
class GraphBuilder:
    """Nodes and initialisers in the making; names are unique because callers give a stem."""

    precision: Precision
    reduce_range: bool = False
    nodes: list[Any] = field(default_factory=list)
    initializers: list[Any] = field(default_factory=list)

    def constant(self, name: str, value: Array) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, name=output, **attributes))
        return output

    def product(self, stem: str, source: str, weight: Array, bias: Array | None = None) -> str:
        """`source` times weight (in, out), plus bias (out,) when given; in 8 bits when the precision says so."""
        if self.precision == "int8":
            return self._quantized(stem, source, weight, bias)
        out = self.node("MatMul", [source, self.constant(f"{stem}.w", weight)], f"{stem}.product")
        if bias is None:
            return out
        return self.node("Add", [out, self.constant(f"{stem}.b", bias)], f"{stem}.sum")

    def _quantized(self, stem: str, source: str, weight: Array, bias: Array | None) -> str:
        values, scales = quantize(weight, self.reduce_range)
        inputs = [source, self.constant(f"{stem}.w8", values), self.constant(f"{stem}.scale", scales)]
        zero = self.constant(f"{stem}.zero", np.zeros(len(scales), np.int8))
        inputs += [zero] if bias is None else [zero, self.constant(f"{stem}.b", bias)]
        return self.node("DynamicQuantizeMatMul", inputs, f"{stem}.product", _DOMAIN)

    def external(self, name: str, bert: BertWeights, role: str) -> str:
        """A table used in place from the safetensors file; other float types are widened and stored here."""
        tensor = bert.weights.tensor(bert.name(role))
        if tensor.kind != "F32":
            return self.constant(name, bert.array(role))
        proto = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=tensor.shape)
        proto.data_location = TensorProto.EXTERNAL
        place = {"location": bert.weights.path.name, "offset": tensor.offset, "length": tensor.length}
        for key, value in place.items():
            proto.external_data.add(key=key, value=str(value))
        self.initializers.append(proto)
        return name


def quantize(weight: Array, reduce_range: bool = False) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric 8-bit weights and one scale per output column; 7 bits with `reduce_range`.

    >>> quantize(np.array([[1.0, -4.0], [0.5, 2.0]], np.float32))[0].tolist()
    [[127, -127], [64, 64]]
    """
    top = 63 if reduce_range else 127
    scales = np.maximum(np.abs(weight).max(axis=0), 1e-12).astype(np.float32) / np.float32(top)
    return np.clip(np.rint(weight / scales), -top, top).astype(np.int8), scales


def encoder_graph(
    bert: BertWeights, pooling: str, normalize: bool, precision: Precision, reduce_range: bool
) -> onnx.ModelProto:
    """ids (batch, length) int32 → `embedding` (batch, width) and `tokens` (batch, length, width)."""
    build = GraphBuilder(precision, reduce_range)
    hidden = _encoder(build, bert, segments=False)
    pooled = _pool(build, hidden, pooling)
    _rename(build, _unit(build, pooled) if normalize else pooled, "embedding")
    build.node("Identity", [hidden], "tokens")
    outputs = {"embedding": ["batch", bert.shape.width], "tokens": ["batch", "length", bert.shape.width]}
    return _model(build, ["ids"], outputs)


def classifier_graph(bert: BertWeights, precision: Precision, reduce_range: bool) -> onnx.ModelProto:
    """ids and segments (batch, length) int32 → `logits` (batch, labels)."""
    build = GraphBuilder(precision, reduce_range)
    hidden = _encoder(build, bert, segments=True)
    first = _pool(build, hidden, "cls")
    logits = _head(build, bert, first)
    _rename(build, logits, "logits")
    return _model(build, ["ids", "segments"], {"logits": ["batch", bert.shape.labels]})


def _encoder(build: GraphBuilder, bert: BertWeights, segments: bool) -> str:
    hidden = _embed(build, bert, segments)
    for index in range(bert.shape.layers):
        hidden = _layer(build, bert, index, hidden)
    return hidden


def _embed(build: GraphBuilder, bert: BertWeights, segments: bool) -> str:
    table, positions = bert.segments(), bert.positions()
    words = build.external("words", bert, "embeddings.word_embeddings.weight")
    norm = [
        build.constant(f"embed.{part}", bert.array(f"embeddings.LayerNorm.{part}"))
        for part in ("weight", "bias")
    ]
    if segments:
        inputs = ["ids", "segments", words, build.constant("positions", positions)]
        inputs += [build.constant("kinds", table)]
    else:  # every token is of segment 0: its row is added to the positions once, here
        inputs = ["ids", "", words, build.constant("positions", positions + table[0]), ""]
    build.nodes.append(
        helper.make_node(
            "EmbedLayerNormalization",
            inputs + norm,
            ["embed", "embed.mask"],
            domain=_DOMAIN,
            name="embed",
            epsilon=bert.shape.epsilon,
        )
    )
    return "embed"


def _layer(build: GraphBuilder, bert: BertWeights, index: int, hidden: str) -> str:
    stem = f"layer{index}"
    mixed = _attention(build, bert, index, hidden)
    weight, bias = bert.dense(index, "attention.output.dense")
    out = build.product(f"{stem}.attention.out", mixed, weight)
    hidden = _skip_norm(build, bert, index, "attention.output", out, hidden, bias)
    weight, bias = bert.dense(index, "intermediate.dense")
    inner = _activate(build, f"{stem}.inner", build.product(f"{stem}.up", hidden, weight), bias, bert.shape)
    weight, bias = bert.dense(index, "output.dense")
    return _skip_norm(
        build, bert, index, "output", build.product(f"{stem}.down", inner, weight), hidden, bias
    )


def _attention(build: GraphBuilder, bert: BertWeights, index: int, hidden: str) -> str:
    stem = f"layer{index}.attention"
    weight, bias = bert.qkv(index)
    packed = build.product(f"{stem}.qkv", hidden, weight)
    parts = [f"{stem}.{part}" for part in "qkv"]
    build.nodes.append(helper.make_node("Split", [packed], parts, name=f"{stem}.split", axis=-1))
    return build.node(
        "MultiHeadAttention",
        [*parts, build.constant(f"{stem}.bias", bias)],
        f"{stem}.mixed",
        _DOMAIN,
        num_heads=bert.shape.heads,
    )


def _skip_norm(
    build: GraphBuilder, bert: BertWeights, index: int, role: str, source: str, skip: str, bias: Array
) -> str:
    stem = f"layer{index}.{role}.norm"
    inputs = [source, skip]
    inputs += [
        build.constant(f"{stem}.{part}", bert.layer(index, f"{role}.LayerNorm.{part}"))
        for part in ("weight", "bias")
    ]
    inputs.append(build.constant(f"{stem}.dense_bias", bias))
    return build.node("SkipLayerNormalization", inputs, stem, _DOMAIN, epsilon=bert.shape.epsilon)


def _activate(build: GraphBuilder, stem: str, source: str, bias: Array, shape: Shape) -> str:
    name = build.constant(f"{stem}.bias", bias)
    kind = ACTIVATIONS[shape.activation]
    if kind == "Relu":
        return build.node("Relu", [build.node("Add", [source, name], f"{stem}.sum")], stem)
    return build.node(kind, [source, name], stem, _DOMAIN)


def _pool(build: GraphBuilder, hidden: str, pooling: str) -> str:
    if pooling == "mean":
        return build.node("ReduceMean", [hidden], "pooled", axes=[1], keepdims=0)
    if pooling == "max":
        return build.node("ReduceMax", [hidden], "pooled", axes=[1], keepdims=0)
    if pooling == "cls":
        first = build.constant("first", np.array(0, np.int64))
        return build.node("Gather", [hidden, first], "pooled", axis=1)
    raise unsupported(f"its pooling is {pooling}")


def _unit(build: GraphBuilder, pooled: str) -> str:
    norm = build.node("ReduceL2", [pooled], "norm", axes=[1], keepdims=1)
    floor = build.constant("floor", np.array(1e-12, np.float32))
    return build.node("Div", [pooled, build.node("Max", [norm, floor], "norm.safe")], "unit")


def _head(build: GraphBuilder, bert: BertWeights, first: str) -> str:
    """BERT's pooler and classifier (RoBERTa names them classifier.dense and classifier.out_proj)."""
    weights = bert.weights
    if bert.name("pooler.dense.weight") in weights and "classifier.weight" in weights:
        stems = (bert.name("pooler.dense"), "classifier")
    elif "classifier.dense.weight" in weights:
        stems = ("classifier.dense", "classifier.out_proj")
    else:
        raise unsupported("it has no classifier over a pooled first token")
    out = _linear(build, bert, "pooler", stems[0], first)
    return _linear(build, bert, "classifier", stems[1], build.node("Tanh", [out], "pooler.tanh"))


def _linear(build: GraphBuilder, bert: BertWeights, stem: str, name: str, source: str) -> str:
    weight = build.constant(f"{stem}.w", bert.weights.array(f"{name}.weight"))
    bias = build.constant(f"{stem}.b", bert.weights.array(f"{name}.bias"))
    return build.node("Gemm", [source, weight, bias], f"{stem}.sum", transB=1)


def _rename(build: GraphBuilder, source: str, name: str) -> None:
    build.node("Identity", [source], name)


def _model(build: GraphBuilder, inputs: list[str], outputs: dict[str, list[Any]]) -> onnx.ModelProto:
    graph = helper.make_graph(
        build.nodes,
        "localsearch",
        [helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", "length"]) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in outputs.items()],
        build.initializers,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="localsearch")
