"""Models that are not of the BERT family: sentence-transformers exports them (extra [export]), the rest is as for all.

The exported graph is wrapped so that it looks like ours: ids in, `embedding` and `tokens` out, no mask.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from localsearch.errors import ModelFormatError
from localsearch.models.cards import WEIGHTS, Card

_INT64 = 7
_FLOAT = 1


def available() -> bool:
    """Whether the extra [export] is installed."""
    return all(find_spec(name) for name in ("sentence_transformers", "torch", "optimum"))


def export(card: Card, source: Path, folder: Path) -> Card:
    """Write both graphs of the encoder in `source` into `folder`; as convert(). ModelFormatError when that fails."""
    if card.kind == "reranker":
        raise ModelFormatError(
            f"{card.name}: only re-rankers of the BERT family can be used",
            hint="Choose one with a BERT inside.",
        )
    if card.dense or card.cut:
        raise ModelFormatError(
            f"{card.name}: Dense modules and fewer dimensions are known for the BERT family alone",
            hint="Choose another; models list names some.",
        )
    with TemporaryDirectory(dir=folder, prefix=".export-") as work:
        path = _exported(source, Path(work))
        wrapped, width = _wrap(path, card.pooling, card.normalize)
    fp32 = folder / "fp32.onnx"
    fp32.write_bytes(wrapped.SerializeToString())
    _quantize(fp32, folder / "int8.onnx")
    (folder / WEIGHTS).unlink()  # these graphs carry their weights
    return replace(card, dimensions=width)


def _exported(source: Path, work: Path) -> Path:
    try:
        model = import_module("sentence_transformers").SentenceTransformer(
            str(source),
            device="cpu",
            backend="onnx",
            local_files_only=True,
            model_kwargs={"export": True, "provider": "CPUExecutionProvider"},
        )
        model[0].auto_model.save_pretrained(str(work))
    except Exception as error:  # three libraries raise here, each its own kinds
        raise ModelFormatError(
            f"sentence-transformers cannot export {source}: {error}",
            hint="Try the newest releases of the extra.",
        ) from error
    return next(work.rglob("*.onnx"))


def _wrap(path: Path, pooling: str, normalize: bool) -> tuple[Any, int]:
    """Give an exported graph our inputs and outputs. Return it with the width of its vectors."""
    import onnx
    from onnx import helper

    model = onnx.load(path)
    graph = model.graph
    hidden, width = _hidden(graph)
    front, back = (
        _front([item.name for item in graph.input]),
        _back(hidden, pooling, normalize, _opset(model)),
    )
    nodes = [*front, *graph.node, *back]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info("ids", 6, ["batch", "length"]))
    graph.output.append(helper.make_tensor_value_info("embedding", _FLOAT, ["batch", width]))
    graph.output.append(helper.make_tensor_value_info("tokens", _FLOAT, ["batch", "length", width]))
    return model, width


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


def _front(inputs: list[str]) -> list[Any]:
    from onnx import helper

    fillers = {"attention_mask": 1, "token_type_ids": 0}
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


def _back(hidden: str, pooling: str, normalize: bool, opset: int) -> list[Any]:
    from onnx import helper

    nodes = [helper.make_node("Identity", [hidden], ["tokens"])]
    if pooling == "cls":
        first = helper.make_tensor("first.value", _INT64, [], [0])
        nodes.append(helper.make_node("Constant", [], ["first"], value=first))
        nodes.append(helper.make_node("Gather", ["tokens", "first"], ["pooled"], axis=1))
    else:
        kind = {"mean": "ReduceMean", "max": "ReduceMax"}[pooling]
        nodes += _reduce(kind, "tokens", "pooled", opset)
    last = helper.make_node("LpNormalization", ["pooled"], ["embedding"], axis=1, p=2)
    return [*nodes, last if normalize else helper.make_node("Identity", ["pooled"], ["embedding"])]


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
