"""The graph of a BERT-family model: embeddings, layers, then pooling and normalisation, or the classifier.

Texts run one at a time or in batches of equal token length, so there is neither padding nor mask.

Layer normalisation is InstanceNormalization over the tokens and a multiplication: five times as fast in ONNX Runtime
as SkipLayerNormalization or LayerNormalization, whose loops are scalar. In int8 the normalised rows are what is
multiplied: the layer norm's own weights are folded into the next weights, with the smoothing of calibrate.py.

A fused graph has one operator of our own for each layer, see localsearch/kernels/layer.c; `fusable` says for which
shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from localsearch.models.bert import WORDS, BertWeights, Shape, unsupported
from localsearch.models.dense import Dense
from localsearch.models.graph import MICROSOFT, OWN, GraphBuilder
from localsearch.models.words import BLOCK, WordTable, stored_words

Precision = Literal["fp32", "int8"]
Array = NDArray[np.float32]
Smoothing = Mapping[str, Array]
"""A factor for each channel of a normalised activation, by the name of that activation."""


@dataclass(frozen=True, slots=True)
class Normed:
    """A layer norm's output in parts: unit rows by name, their rows scaled by `gain` by name, and the shift to come."""

    unit: str
    scaled: str
    gain: Array
    shift: Array


def encoder_graph(
    bert: BertWeights,
    pooling: str,
    normalize: bool,
    precision: Precision,
    *,
    smoothing: Smoothing | None = None,
    reduce_range: bool = False,
    words: WordTable | None = None,
    fused: bool = False,
    dense: Sequence[Dense] = (),
    cut: int = 0,
) -> onnx.ModelProto:
    """ids (batch, length) int32 → `embedding` (batch, width) and `tokens` (batch, length, width).

    `embedding` is as wide as the last of `dense`, or as `cut`, where there are any.
    """
    network = (_Fused if fused else _Network)(bert, precision, smoothing or {}, reduce_range, words)
    network.tokens("tokens", first_only=False)
    pooled = network.cut(network.dense(network.pool("tokens", pooling), dense), cut)
    network.build.node("Identity", [network.unit(pooled) if normalize else pooled], "embedding")
    width = bert.shape.width
    outputs = {"embedding": ["batch", output_width(width, dense, cut)], "tokens": ["batch", "length", width]}
    return network.build.model(["ids"], outputs)


def classifier_graph(
    bert: BertWeights,
    precision: Precision,
    *,
    smoothing: Smoothing | None = None,
    reduce_range: bool = False,
    words: WordTable | None = None,
    fused: bool = False,
) -> onnx.ModelProto:
    """ids and segments (batch, length) int32 → `logits` (batch, labels)."""
    kind = _Fused if fused else _Network
    network = kind(bert, precision, smoothing or {}, reduce_range, words, segments=True)
    network.tokens("tokens", first_only=True)
    network.classify(network.pool("tokens", "cls"), "logits")
    return network.build.model(["ids", "segments"], {"logits": ["batch", bert.shape.labels]})


def output_width(width: int, dense: Sequence[Dense], cut: int) -> int:
    """Dimensions of a model's vectors."""
    whole = len(dense[-1].bias) if dense else width
    return min(cut, whole) if cut else whole


def fusable(shape: Shape) -> bool:
    """Whether layer.c knows such layers: whole registers for every head, whole panels for every product, and GELU."""
    whole = shape.width % 64 == 0 and shape.inner % 64 == 0 and shape.width % (32 * shape.heads) == 0
    return whole and shape.activation == "gelu"


def normalised_activations(bert: BertWeights) -> dict[str, list[str]]:
    """Names of the unit rows that weights multiply, each with the weights (out, in) that do, for calibration."""
    found: dict[str, list[str]] = {}
    source = "embeddings"
    for index in range(bert.shape.layers):
        attention, inner = f"layer{index}.attention.norm", f"layer{index}.output.norm"
        found[f"{source}.unit"] = [bert.layer_name(index, f"attention.self.{part}.weight") for part in _QKV]
        found[f"{attention}.unit"] = [bert.layer_name(index, "intermediate.dense.weight")]
        source = inner
    return found


def gain_of(bert: BertWeights, activation: str) -> Array:
    """The layer norm weight that belongs to a normalised activation."""
    if activation.startswith("embeddings"):
        return bert.array("embeddings.LayerNorm.weight")
    layer, role, *_ = activation.split(".")
    role = "attention.output" if role == "attention" else "output"
    return bert.layer(int(layer.removeprefix("layer")), f"{role}.LayerNorm.weight")


_QKV = ("query", "key", "value")
_REDUCTIONS = {"mean": "ReduceMean", "max": "ReduceMax"}


class _Network:
    def __init__(
        self,
        bert: BertWeights,
        precision: Precision,
        smoothing: Smoothing,
        reduce_range: bool,
        words: WordTable | None,
        segments: bool = False,
    ) -> None:
        self.bert = bert
        self.precision = precision
        self.smoothing = smoothing
        self.segments = segments
        self.table = words if precision == "int8" else stored_words(bert)
        self.build = GraphBuilder(bert.weights, reduce_range)

    def tokens(self, name: str, first_only: bool) -> None:
        """All layers; `first_only` computes only the first token of the last one, where nothing else is used."""
        state = self._embed()
        for index in range(self.bert.shape.layers):
            last = first_only and index == self.bert.shape.layers - 1
            state = self._layer(index, state, first_only=last)
        self.hidden(name, state)

    def hidden(self, name: str, state: Normed) -> str:
        """The layer norm's whole output."""
        return self.build.node("Add", [state.scaled, self.build.constant(f"{name}.shift", state.shift)], name)

    def pool(self, tokens: str, pooling: str) -> str:
        build = self.build
        if pooling == "cls":
            first = build.constant("pooled.first", np.array(0, np.int64))
            return build.node("Gather", [tokens, first], "pooled", axis=1)
        if pooling in _REDUCTIONS:
            axis = build.constant("pooled.axis", np.array([1], np.int64))
            return build.node(_REDUCTIONS[pooling], [tokens, axis], "pooled", keepdims=0)
        raise unsupported(f"its pooling is {pooling}")

    def dense(self, pooled: str, layers: Sequence[Dense]) -> str:
        """Each linear layer over the pooled vector, with its activation."""
        build = self.build
        for index, layer in enumerate(layers):
            stem = f"dense{index}"
            parts = [
                build.constant(f"{stem}.weight", layer.weight),
                build.constant(f"{stem}.bias", layer.bias),
            ]
            pooled = build.node("Gemm", [pooled, *parts], stem, transB=1)
            if layer.activation:
                pooled = build.node(layer.activation, [pooled], f"{stem}.activation")
        return pooled

    def cut(self, pooled: str, dimensions: int) -> str:
        """The leading dimensions, all for 0."""
        if not dimensions:
            return pooled
        ends = [self.build.constant(f"cut.{at}", np.array([at], np.int64)) for at in (0, dimensions, 1)]
        return self.build.node("Slice", [pooled, *ends], "cut")

    def unit(self, pooled: str) -> str:
        """Rows of length one; a zero row stays zero."""
        build = self.build
        axis = build.constant("norm.axis", np.array([1], np.int64))
        norm = build.node("ReduceL2", [pooled, axis], "norm", keepdims=1)
        floor = build.constant("norm.floor", np.array(1e-12, np.float32))
        return build.node("Div", [pooled, build.node("Max", [norm, floor], "norm.safe")], "unit")

    def classify(self, first: str, output: str) -> None:
        """BERT's pooler and classifier (RoBERTa names them classifier.dense and classifier.out_proj)."""
        dense, out = self.bert.head()
        tanh = self.build.node("Tanh", [self._gemm("pooler", dense, first)], "pooler.tanh")
        self._gemm(output, out, tanh)

    def _gemm(self, name: str, role: str, source: str) -> str:
        build, weights = self.build, self.bert.weights
        weight = build.constant(f"{name}.weight", weights.array(f"{role}.weight"))
        bias = build.constant(f"{name}.bias", weights.array(f"{role}.bias"))
        return build.node("Gemm", [source, weight, bias], name, transB=1)

    def _embed(self) -> Normed:
        build, bert = self.build, self.bert
        rows = self._words("embeddings.words")
        kinds, table = bert.segments(), bert.positions()
        if self.segments and len(kinds) > 1:
            kind = build.node("Gather", [build.constant("kinds", kinds), "segments"], "embeddings.kinds")
            rows = build.node("Add", [rows, kind], "embeddings.typed")
        else:  # every token is of the same segment: its row is added to the positions once, here
            table = table + kinds[0]
        places = self._places(build.constant("positions", table))
        total = build.node("Add", [rows, places], "embeddings.sum")
        return self._norm("embeddings", total, bert.name("embeddings.LayerNorm"))

    def _words(self, name: str) -> str:
        """The rows of the ids: of the floats, or of blocks."""
        build, table = self.build, self.table
        if table is None:
            return build.node("Gather", [build.stored(self.bert.name(WORDS)), "ids"], name)
        packed, scales = (build.stored(part, table.weights) for part in (table.packed, table.scales))
        how = {"bits": table.bits, "block_size": BLOCK, "gather_axis": 0, "quantize_axis": 1}
        return build.node("GatherBlockQuantized", [packed, "ids", scales], name, MICROSOFT, **how)

    def _places(self, table: str) -> str:
        """A row of the position table for each token: by its place, or as RoBERTa counts."""
        build, first = self.build, self.bert.shape.first_position
        length = self._length()
        if not first:
            return build.node("Slice", [table, *length], "embeddings.positions")
        # A padding token within a text has the padding's own position; the others are counted from the next one on.
        padding = build.constant("padding", np.array(first - 1, np.int32))
        one, axis = (
            build.constant("one", np.array(1, np.int32)),
            build.constant("axis", np.array(1, np.int64)),
        )
        gap = build.node("Abs", [build.node("Sub", ["ids", padding], "id.gap")], "id.far")
        real = build.node("Min", [gap, one], "id.real")
        count = build.node("Mul", [build.node("CumSum", [real, axis], "id.count"), real], "id.place")
        return build.node(
            "Gather", [table, build.node("Add", [count, padding], "places")], "embeddings.positions"
        )

    def _length(self) -> list[str]:
        """Start 0 and end `length` for Slice; on the way, a one and a zero per token for InstanceNormalization."""
        build = self.build
        shape = build.node("Shape", ["ids"], "length", start=1, end=2)
        for name, value in (("ones", 1), ("zeros", 0)):
            filler = numpy_helper.from_array(np.array([value], np.float32))
            build.node("ConstantOfShape", [shape], name, value=filler)
        return [build.constant("start", np.array([0], np.int64)), shape]

    def _layer(self, index: int, state: Normed, first_only: bool) -> Normed:
        mixed = self._attention(index, state)
        if first_only:
            mixed, state = self._first(f"layer{index}.first", mixed, state)
        stem, role = f"layer{index}.attention", "attention.output"
        out = self._sublayer(f"{stem}.dense", mixed, index, f"{role}.dense", state.shift)
        state = self._residual(f"{stem}.norm", out, state, index, role, first_only)
        stem = f"layer{index}.output"
        [up] = self._products(f"layer{index}.inner", state, [(index, "intermediate.dense")])
        inner = self._activate(f"layer{index}.gelu", up)
        out = self._sublayer(f"{stem}.dense", inner, index, "output.dense", state.shift)
        return self._residual(f"{stem}.norm", out, state, index, "output", first_only)

    def _attention(self, index: int, state: Normed) -> str:
        stem, heads = f"layer{index}.attention", self.bert.shape.heads
        parts = self._products(stem, state, [(index, f"attention.self.{part}") for part in _QKV])
        return self.build.node("Attention", parts, f"{stem}.mixed", q_num_heads=heads, kv_num_heads=heads)

    def _first(self, stem: str, mixed: str, state: Normed) -> tuple[str, Normed]:
        build = self.build
        ends = [
            build.constant(f"{stem}.{part}", np.array([at], np.int64))
            for part, at in (("start", 0), ("end", 1))
        ]
        cut = [*ends, ends[1]]  # axis 1 is also the end
        mixed = build.node("Slice", [mixed, *cut], f"{stem}.mixed")
        scaled = build.node("Slice", [state.scaled, *cut], f"{stem}.scaled")
        return mixed, Normed(state.unit, scaled, state.gain, state.shift)

    def _products(self, stem: str, state: Normed, roles: list[tuple[int, str]]) -> list[str]:
        """A layer norm's output times each of several weights."""
        if self.precision == "fp32":
            hidden = self.hidden(f"{stem}.input", state)
            return [self._product32(f"{stem}.{role}", hidden, index, role) for index, role in roles]
        build, smooth = self.build, self.smoothing.get(state.unit)
        source, gain = state.unit, state.gain
        if smooth is not None:
            source = build.node("Mul", [source, build.constant(f"{stem}.smooth", smooth)], f"{stem}.smoothed")
            gain = gain / smooth
        small = build.quantize(f"{stem}.input", source)
        found = []
        for index, role in roles:
            weight, bias = self.bert.dense(index, role)
            folded = bias + state.shift @ weight
            found.append(build.product8(f"{stem}.{role}", small, gain[:, None] * weight, folded))
        return found

    def _sublayer(self, stem: str, source: str, index: int, role: str, shift: Array) -> str:
        """A product whose bias also brings the shift that the residual still lacks."""
        if self.precision == "fp32":
            return self._product32(stem, source, index, role, shift)
        weight, bias = self.bert.dense(index, role)
        return self.build.product8(stem, self.build.quantize(f"{stem}.input", source), weight, bias + shift)

    def _product32(self, stem: str, source: str, index: int, role: str, shift: Array | float = 0.0) -> str:
        weight = self.build.stored(self.bert.layer_name(index, f"{role}.weight"))
        bias = self.bert.layer(index, f"{role}.bias") + np.asarray(shift, np.float32)
        return self.build.product(stem, source, weight, bias)

    def _residual(self, stem: str, out: str, state: Normed, index: int, role: str, single: bool) -> Normed:
        total = self.build.node("Add", [out, state.scaled], f"{stem}.sum")
        return self._norm(stem, total, self.bert.layer_name(index, f"{role}.LayerNorm"), single)

    def _norm(self, stem: str, source: str, role: str, single: bool = False) -> Normed:
        build, weights = self.build, self.bert.weights
        gain, shift = weights.array(f"{role}.weight"), weights.array(f"{role}.bias")
        scale = ["ones", "zeros"]
        if single:
            scale = [build.constant(f"{stem}.{value}", np.array([value], np.float32)) for value in (1, 0)]
        epsilon = self.bert.shape.epsilon
        unit = build.node("InstanceNormalization", [source, *scale], f"{stem}.unit", epsilon=epsilon)
        scaled = build.node("Mul", [unit, build.constant(f"{stem}.gain", gain)], f"{stem}.scaled")
        return Normed(unit, scaled, gain, shift)

    def _activate(self, name: str, source: str) -> str:
        kind = self.bert.shape.activation
        if kind == "relu":
            return self.build.node("Relu", [source], name)
        return self.build.node("Gelu", [source], name, approximate="none" if kind == "gelu" else "tanh")


class _Fused(_Network):
    """Write each layer as one operator, in 8 bits; embeddings and what follows the layers as in the plain graph."""

    def tokens(self, name: str, first_only: bool) -> None:
        hidden = self.hidden("embeddings.hidden", self._embed())
        for index in range(self.bert.shape.layers):
            last = index == self.bert.shape.layers - 1
            hidden = self._whole_layer(index, hidden, name if last else f"layer{index}.hidden")

    def _whole_layer(self, index: int, source: str, output: str) -> str:
        build, shape, stem = self.build, self.bert.shape, f"layer{index}"
        dense = partial(self.bert.dense, index)
        products = (
            ("parts", *self._query_key_value(index)),
            ("attention", *dense("attention.output.dense")),
            ("up", *dense("intermediate.dense")),
            ("down", *dense("output.dense")),
        )
        inputs = [source]
        for name, weight, bias in products:
            inputs += build.packed(f"{stem}.{name}", weight, bias)
        for role in ("attention.output", "output"):
            inputs += [self._norm_part(index, role, part) for part in ("weight", "bias")]
        attributes = {"heads": shape.heads, "epsilon": float(shape.epsilon)}
        return build.node("TransformerLayer", inputs, output, OWN, **attributes)

    def _query_key_value(self, index: int) -> tuple[Array, Array]:
        """The three weights side by side, the query's divided by the root of the head size."""
        parts = [self.bert.dense(index, f"attention.self.{part}") for part in _QKV]
        shape = self.bert.shape
        scales = [np.float32((shape.width // shape.heads) ** -0.5), np.float32(1), np.float32(1)]
        weight = np.concatenate([part[0] * scale for part, scale in zip(parts, scales)], axis=1)
        return weight, np.concatenate([part[1] * scale for part, scale in zip(parts, scales)])

    def _norm_part(self, index: int, role: str, part: str) -> str:
        name = f"layer{index}.{role}.norm.{part}"
        return self.build.constant(name, self.bert.layer(index, f"{role}.LayerNorm.{part}"))
