"""Write nodes and constants of an ONNX graph, and the two ways to multiply: fp32 and int8.

For `models.network` only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from localsearch.models.weights import Weights

Array = NDArray[Any]
# Opset 23 has the Attention operator.
OPSET, IR_VERSION = 23, 11
MICROSOFT = "com.microsoft"
OWN = "localsearch"
"""The domain of our own operators, see localsearch/kernels."""
_PANEL, _GROUP = 64, 4
_IN_PLACE = {"F32": TensorProto.FLOAT, "U8": TensorProto.UINT8}


@dataclass(frozen=True, slots=True)
class Quantized:
    """The names of an activation in 8 bits: its values, scale and zero point."""

    values: str
    scale: str
    zero: str


@dataclass(slots=True)
class GraphBuilder:
    """Collects nodes and initialisers; a value is known by the name of the node that makes it."""

    weights: Weights
    reduce_range: bool = False
    nodes: list[Any] = field(default_factory=list)
    initializers: list[Any] = field(default_factory=list)

    def constant(self, name: str, value: Array) -> str:
        """Store an array in the graph."""
        self.initializers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def stored(self, name: str, weights: Weights | None = None) -> str:
        """Use an array of a safetensors file in place (ONNX external data); 16-bit floats are widened and stored."""
        weights = weights or self.weights
        tensor = weights.tensor(name)
        if tensor.kind not in _IN_PLACE:
            return self.constant(name, weights.array(name))
        proto = TensorProto(name=name, data_type=_IN_PLACE[tensor.kind], dims=tensor.shape)
        proto.data_location = TensorProto.EXTERNAL
        place = {"location": weights.path.name, "offset": tensor.offset, "length": tensor.length}
        for key, value in place.items():
            proto.external_data.add(key=key, value=str(value))
        self.initializers.append(proto)
        return name

    def node(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, name=output, **attributes))
        return output

    def product(self, stem: str, source: str, weight: str, bias: Array) -> str:
        """`source` times the transpose of a stored weight (out, in), plus bias (out,), in fp32."""
        out = self.node("FusedMatMul", [source, weight], f"{stem}.product", MICROSOFT, transB=1)
        return self.node("Add", [out, self.constant(f"{stem}.bias", bias)], stem)

    def quantize(self, stem: str, source: str) -> Quantized:
        """Bring an activation to 8 bits with the range it has in this run."""
        names = [f"{stem}.{part}" for part in ("values", "scale", "zero")]
        self.nodes.append(helper.make_node("DynamicQuantizeLinear", [source], names, name=stem))
        return Quantized(*names)

    def product8(self, stem: str, source: Quantized, weight: Array, bias: Array) -> str:
        """An 8-bit activation times an 8-bit weight (in, out), plus bias (out,), as fp32."""
        values, scales = quantize(weight, self.reduce_range)
        constants = [
            self.constant(f"{stem}.{part}", value)
            for part, value in (("weight", values), ("scale", scales), ("bias", np.asarray(bias, np.float32)))
        ]
        inputs = [source.values, constants[0], source.scale, constants[1], source.zero, "", constants[2]]
        return self.node("MatMulIntegerToFloat", inputs, stem, MICROSOFT)

    def packed(self, stem: str, weight: Array, bias: Array) -> list[str]:
        """A weight (in, out) in 8 bits as layer.c reads it: panels of 64 columns, rows by fours; sums, scales, bias."""
        values, scales = quantize(weight, self.reduce_range)
        rows, columns = values.shape
        panels = values.reshape(rows // _GROUP, _GROUP, columns // _PANEL, _PANEL).transpose(2, 0, 3, 1)
        sums = values.sum(axis=0, dtype=np.int32)
        parts = {"weight": panels, "sums": sums, "scales": scales, "bias": np.asarray(bias, np.float32)}
        return [self.constant(f"{stem}.{part}", value) for part, value in parts.items()]

    def model(self, inputs: list[str], outputs: dict[str, list[Any]]) -> onnx.ModelProto:
        """The finished model: int32 inputs (batch, length), float outputs of the given shapes."""
        graph = helper.make_graph(
            self.nodes,
            "localsearch",
            [helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", "length"]) for name in inputs],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in outputs.items()],
            self.initializers,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        if any(node.domain == OWN for node in self.nodes):
            opsets.append(helper.make_opsetid(OWN, 1))
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="localsearch"
        )


def quantize(weight: Array, reduce_range: bool = False) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric 8-bit weights and one scale per output column; 7 bits with `reduce_range`.

    >>> quantize(np.array([[1.0, -4.0], [0.5, 2.0]], np.float32))[0].tolist()
    [[127, -127], [64, 64]]
    """
    top = 63 if reduce_range else 127
    scales = np.maximum(np.abs(weight).max(axis=0), 1e-12).astype(np.float32) / np.float32(top)
    return np.clip(np.rint(weight / scales), -top, top).astype(np.int8), scales
