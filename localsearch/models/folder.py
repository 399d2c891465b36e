"""Read a sentence-transformers folder, of any release, into a card: pooling, normalisation, prompts, length."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localsearch.errors import ModelFormatError, UsageError
from localsearch.models.bert import read_config
from localsearch.models.cards import CONFIG, TOKENIZER, WEIGHTS, Card
from localsearch.numbers import is_number

_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> str:
    """A model's name is a folder's name: letters, digits, dot, dash, underscore. UsageError otherwise."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a model's name",
            hint="Use letters, digits, dots, dashes; give one with --name NAME.",
        )
    return name


def model_files(folder: Path) -> dict[str, Path]:
    """The files that matter, by their installed name. ModelFormatError says which is missing."""
    if not folder.is_dir():
        raise ModelFormatError(
            f"{folder} is not a folder", hint="Give the folder that has config.json in it."
        )
    inner = folder / _transformer_path(folder)
    for name, why in ((CONFIG, ""), (WEIGHTS, _no_weights(inner)), (TOKENIZER, _no_tokenizer(inner))):
        if not (inner / name).is_file():
            raise ModelFormatError(
                f"{folder} holds no model: {name} is missing{why}",
                hint="Give the whole sentence-transformers folder, with config.json, tokenizer.json and "
                "model.safetensors.",
            )
    return {name: inner / name for name in (CONFIG, WEIGHTS, TOKENIZER)}


def read_folder(folder: Path, name: str) -> Card:
    """The card of a model carried in by hand. ModelFormatError names what is missing or unsupported."""
    inner = folder / _transformer_path(folder)
    config = read_config(inner)
    if any("SequenceClassification" in str(kind) for kind in config.get("architectures") or ()):
        return Card(name=name, kind="reranker", summary="Imported.", max_tokens=_max_tokens(inner, config))
    modules = _modules(folder)
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    _check_modules(kinds)
    pooling = _pooling(folder / modules[1]["path"]) if "Pooling" in kinds else "mean"
    prompts = _json(folder / "config_sentence_transformers.json").get("prompts") or {}
    return Card(
        name=name,
        summary="Imported.",
        dimensions=int(config.get("hidden_size") or 0),
        max_tokens=_max_tokens(inner, config),
        pooling=pooling,
        normalize="Normalize" in kinds,
        lowercase=bool(_json(inner / "sentence_bert_config.json").get("do_lower_case")),
        query_prefix=str(prompts.get("query") or ""),
        document_prefix=str(prompts.get("document") or prompts.get("passage") or ""),
    )


def _modules(folder: Path) -> list[dict[str, Any]]:
    """modules.json in order; a plain transformers folder counts as a transformer with mean pooling."""
    path = folder / "modules.json"
    if not path.is_file():
        return [{"type": "Transformer", "path": ""}]
    modules = _load(path)
    if not isinstance(modules, list) or not all(
        isinstance(item, dict) and "type" in item for item in modules
    ):
        raise ModelFormatError(f"{path} is not a list of modules", hint="Copy the model again.")
    return [{"path": "", **module} for module in sorted(modules, key=lambda item: item.get("idx", 0))]


def _check_modules(kinds: list[str]) -> None:
    """Only these three, in this order, are built into the graph."""
    if kinds not in (["Transformer"], ["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise _unusable(
            f"it is made of {', '.join(kinds)}; only Transformer, Pooling and Normalize are known"
        )


def _transformer_path(folder: Path) -> str:
    return str(_modules(folder)[0]["path"])


def _pooling(folder: Path) -> str:
    config = _json(folder / "config.json")
    if config.get("include_prompt") is False:
        raise _unusable("its pooling leaves the prompt out")
    mode = config.get("pooling_mode") or [mode for key, mode in _POOLING.items() if config.get(key)] or "mean"
    modes = [mode] if isinstance(mode, str) else list(mode)
    if len(modes) != 1 or modes[0] not in ("cls", "mean", "max"):
        raise _unusable(f"its pooling is {' and '.join(map(str, modes))}; only cls, mean and max are known")
    return str(modes[0])


def _max_tokens(folder: Path, config: Mapping[str, Any]) -> int:
    limits = [
        _json(folder / "sentence_bert_config.json").get("max_seq_length"),
        _json(folder / "tokenizer_config.json").get("model_max_length"),
        config.get("max_position_embeddings"),
    ]
    known = [int(limit) for limit in limits if is_number(limit) and 0 < limit < 1_000_000]
    return known[0] if known else 512


def _no_weights(folder: Path) -> str:
    if (folder / "model.safetensors.index.json").is_file():
        return " (its weights are split over several files)"
    if (folder / "pytorch_model.bin").is_file():
        return " (pytorch_model.bin can run code when read, so it is not used; save the model as safetensors)"
    return ""


def _no_tokenizer(folder: Path) -> str:
    if (folder / "vocab.txt").is_file() or (folder / "sentencepiece.bpe.model").is_file():
        return " (open and save it once with sentence-transformers, which writes tokenizer.json)"
    return ""


def _unusable(why: str) -> ModelFormatError:
    return ModelFormatError(
        f"this model cannot be used: {why}", hint="Choose another; models list names some."
    )


def _json(path: Path) -> dict[str, Any]:
    """A small settings file; an absent one is empty."""
    value = _load(path) if path.is_file() else {}
    if not isinstance(value, dict):
        raise ModelFormatError(f"{path} is not a table", hint="Copy the model again.")
    return value


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise ModelFormatError(f"{path} does not parse: {error}", hint="Copy the model again.") from error
