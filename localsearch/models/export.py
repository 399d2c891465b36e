"""Models that are not of the BERT family: sentence-transformers exports them (extra [export]), the rest is as for all.

The exported graph is wrapped so that it looks like ours: ids in, `embedding` and `tokens` out, no mask; of
a re-ranker ids and segments in, `logits` out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from localsearch.errors import ModelFormatError
from localsearch.models.cards import WEIGHTS, Card
from localsearch.models.carried import below
from localsearch.models.dense import Dense, read_dense

_FLOAT, _INT32, _INT64 = 1, 6, 7


def available() -> bool:
    """Whether the extra [export] is installed."""
    return all(find_spec(name) for name in ("sentence_transformers", "torch", "optimum"))


def export(card: Card, source: Path, folder: Path) -> Card:
    """Write both graphs of the model in `source` into `folder`; as convert(). ModelFormatError when that fails."""
    with TemporaryDirectory(dir=folder, prefix=".export-") as work:
        path = _exported(card, source, Path(work))
        if card.kind == "reranker":
            wrapped, width = _wrap_classifier(path), card.dimensions
        else:
            wrapped, width = _wrap(path, card, folder)
    fp32 = folder / "fp32.onnx"
    fp32.write_bytes(wrapped.SerializeToString())
    _quantize(fp32, folder / "int8.onnx")
    (folder / WEIGHTS).unlink()  # these graphs carry their weights
    return replace(card, dimensions=width)


def _exported(card: Card, source: Path, work: Path) -> Path:
    name = "CrossEncoder" if card.kind == "reranker" else "SentenceTransformer"
    try:
        model = getattr(import_module("sentence_transformers"), name)(
            str(source),
            device="cpu",
            backend="onnx",
            local_files_only=True,
            model_kwargs={"export": True, "provider": "CPUExecutionProvider"},
        )
        (model.model if card.kind == "reranker" else model[0].auto_model).save_pretrained(str(work))
    except Exception as error:  # three libraries raise here, each its own kinds
        raise ModelFormatError(
            f"sentence-transformers cannot export {source}: {error}",
            hint="Try the newest releases of the extra.",
        ) from error
    return next(work.rglob("*.onnx"))


def _wrap(path: Path, card: Card, folder: Path) -> tuple[Any, int]:
    """Give an exported graph our inputs and outputs. Return it with the width of its vectors."""
    import onnx
    from onnx import helper

    from localsearch.models.network import output_width

    model = onnx.load(path)
    graph = model.graph
    hidden, inner = _hidden(graph)
    dense = read_dense([below(folder, name) for name in card.dense], inner)
    width = output_width(inner, dense, card.cut)
    front = _front([item.name for item in graph.input], {"attention_mask": 1, "token_type_ids": 0})
    nodes = [*front, *graph.node, *_pooled(hidden, card.pooling, _opset(model)), *_dense(graph, dense)]
    last = nodes[-1].output[0]
    if width < (len(dense[-1].bias) if dense else inner):
        ends = [_constant(graph, f"cut.{at}", np.array([at], np.int64)) for at in (0, width, 1)]
        nodes.append(helper.make_node("Slice", [last, *ends], ["cut"]))
        last = "cut"
    unit = helper.make_node("LpNormalization", [last], ["embedding"], axis=1, p=2)
    nodes.append(unit if card.normalize else helper.make_node("Identity", [last], ["embedding"]))
    outputs = {"embedding": ["batch", width], "tokens": ["batch", "length", inner]}
    return _rewired(model, nodes, ["ids"], outputs), width


def _wrap_classifier(path: Path) -> Any:
    """Give the exported graph of a sequence classifier our inputs and the output `logits`."""
    import onnx
    from onnx import helper

    model = onnx.load(path)
    graph = model.graph
    [output] = [item for item in graph.output if item.name == "logits"] or [None]
    labels = output.type.tensor_type.shape.dim[-1].dim_value if output is not None else 0
    if labels != 1:
        raise ModelFormatError(
            f"the exported graph gives {labels} labels; a re-ranker gives one",
            hint="Choose one trained to score a query with a chunk.",
        )
    inputs = [item.name for item in graph.input]
    front = _front([name for name in inputs if name != "token_type_ids"], {"attention_mask": 1})
    if "token_type_ids" in inputs:
        front.append(helper.make_node("Cast", ["segments"], ["token_type_ids"], to=_INT64))
    return _rewired(model, [*front, *graph.node], ["ids", "segments"], {"logits": ["batch", 1]})


def _rewired(model: Any, nodes: list[Any], inputs: list[str], outputs: dict[str, list[Any]]) -> Any:
    from onnx import helper

    graph = model.graph
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.extend(helper.make_tensor_value_info(name, _INT32, ["batch", "length"]) for name in inputs)
    graph.output.extend(helper.make_tensor_value_info(name, _FLOAT, dims) for name, dims in outputs.items())
    return model


def _hidden(graph: Any) -> tuple[str, int]:
    """The output with a vector for each token, and its width."""
    for output in graph.output:
        shape = output.type.tensor_type.shape.dim
        if output.name in ("last_hidden_state", "token_embeddings") and len(shape) == 3:
            return output.name, shape[2].dim_value
    names = ", ".join(output.name for output in graph.output)
    raise ModelFormatError(
        f"the exported graph gives {names} and no token vectors", hint="This model cannot be used."
    )


def _front(inputs: list[str], fillers: dict[str, int]) -> list[Any]:
    from onnx import helper

    unknown = set(inputs) - {"input_ids", *fillers}
    if unknown:
        raise ModelFormatError(
            f"the exported graph also asks for {', '.join(sorted(unknown))}",
            hint="This model cannot be used.",
        )
    nodes = [
        helper.make_node("Cast", ["ids"], ["input_ids"], to=_INT64),
        helper.make_node("Shape", ["ids"], ["ids.shape"]),
    ]
    for name in sorted(set(inputs) & set(fillers)):
        value = helper.make_tensor(f"{name}.value", _INT64, [1], [fillers[name]])
        nodes.append(helper.make_node("ConstantOfShape", ["ids.shape"], [name], value=value))
    return nodes


def _pooled(hidden: str, pooling: str, opset: int) -> list[Any]:
    from onnx import helper

    nodes = [helper.make_node("Identity", [hidden], ["tokens"])]
    if pooling == "cls":
        first = helper.make_tensor("first.value", _INT64, [], [0])
        nodes.append(helper.make_node("Constant", [], ["first"], value=first))
        nodes.append(helper.make_node("Gather", ["tokens", "first"], ["pooled"], axis=1))
    else:
        kind = {"mean": "ReduceMean", "max": "ReduceMax"}[pooling]
        nodes += _reduce(kind, "tokens", "pooled", opset)
    return nodes


def _dense(graph: Any, layers: Sequence[Dense]) -> list[Any]:
    """Each linear layer over the pooled vector, with its activation."""
    from onnx import helper

    nodes, source = [], "pooled"
    for index, layer in enumerate(layers):
        stem = f"dense{index}"
        parts = [
            _constant(graph, f"{stem}.weight", layer.weight),
            _constant(graph, f"{stem}.bias", layer.bias),
        ]
        nodes.append(helper.make_node("Gemm", [source, *parts], [stem], transB=1))
        source = stem
        if layer.activation:
            source = f"{stem}.activation"
            nodes.append(helper.make_node(layer.activation, [stem], [source]))
    return nodes


def _constant(graph: Any, name: str, value: NDArray[Any]) -> str:
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    return name


def _reduce(kind: str, source: str, output: str, opset: int) -> list[Any]:
    """Write a reduction over the tokens. From opset 18 on the axis is an input."""
    from onnx import helper

    if opset < 18:
        return [helper.make_node(kind, [source], [output], axes=[1], keepdims=0)]
    axis = helper.make_tensor("axis.value", _INT64, [1], [1])
    return [
        helper.make_node("Constant", [], ["axis"], value=axis),
        helper.make_node(kind, [source, "axis"], [output], keepdims=0),
    ]


def _opset(model: Any) -> int:
    return next(int(item.version) for item in model.opset_import if item.domain in ("", "ai.onnx"))


def _quantize(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source,
        target,
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul"],
        extra_options={"DefaultTensorType": _FLOAT},
    )
