"""What this processor multiplies at best: plain int8 products in ONNX Runtime, a yardstick for the encoder."""

from __future__ import annotations

import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

SHAPES = ((2048, 384, 1536), (2048, 1536, 384), (1024, 1024, 1024), (2048, 2048, 2048))
SECONDS = 1.5


def _model(depth: int, width: int) -> bytes:
    """One MatMulInteger with constant weights, which is how quantised encoders multiply."""
    weights = np.random.default_rng(0).integers(-127, 127, (depth, width), dtype=np.int8)
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [None, depth])],
        [helper.make_tensor_value_info("c", TensorProto.INT32, [None, width])],
        [onnx.numpy_helper.from_array(weights, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(model.SerializeToString())


def multiplications_per_second(threads: int) -> dict[str, float]:
    """Multiply-adds per second of each shape in int8, by `threads` threads; the largest is the peak."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    found = {}
    for rows, depth, width in SHAPES:
        session = onnxruntime.InferenceSession(
            _model(depth, width), options, providers=["CPUExecutionProvider"]
        )
        left = np.random.default_rng(1).integers(0, 255, (rows, depth), dtype=np.uint8)
        session.run(None, {"a": left})
        began, rounds = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            session.run(None, {"a": left})
            rounds += 1
        found[f"{rows}x{depth}x{width}"] = rows * depth * width * rounds / (time.perf_counter() - began)
    return found


def per_token(layers: int, hidden: int, inner: int, length: float) -> float:
    """Multiply-adds of a BERT encoder per token: four projections, two halves of the feed-forward, attention.

    Attention multiplies queries by keys and weights by values: 2 * length * hidden per token and layer.
    """
    return layers * (4 * hidden * hidden + 2 * hidden * inner + 2 * length * hidden)
