"""Read a sentence-transformers folder, of any release, into a card: pooling, normalisation, prompts, length."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from localsearch.checked import clean
from localsearch.errors import ModelFormatError, UsageError
from localsearch.models.bert import classifies, read_config, unusable
from localsearch.models.cards import CONFIG, TOKENIZER, WEIGHTS, Card
from localsearch.models.carried import LONGEST_JSON, below, read_json, read_table
from localsearch.numbers import is_number

_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_LONGEST_PROMPT = 2_000
_MOST_DENSE = 8
_LARGEST = {CONFIG: LONGEST_JSON, WEIGHTS: 16_000_000_000, TOKENIZER: 200_000_000}
"""Bytes of each file."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> str:
    """A model's name is a folder's name: letters, digits, dot, dash, underscore. UsageError otherwise."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a model's name",
            hint="Use letters, digits, dots, dashes; give one with --name NAME.",
        )
    return name


class _Module(msgspec.Struct):
    type: Annotated[str, msgspec.Meta(max_length=300)]
    path: str = ""
    idx: int = 0


class _Prompts(msgspec.Struct):
    query: str | None = None
    document: str | None = None
    passage: str | None = None


def model_files(folder: Path) -> dict[str, Path]:
    """The files that matter, by their installed name. ModelFormatError says which is missing."""
    if not folder.is_dir():
        raise ModelFormatError(
            f"{folder} is not a folder", hint="Give the folder that has config.json in it."
        )
    inner = _transformer(folder)
    for name, why in ((CONFIG, ""), (WEIGHTS, _no_weights(inner)), (TOKENIZER, _no_tokenizer(inner))):
        if not (inner / name).is_file():
            raise ModelFormatError(
                f"{folder} holds no model: {name} is missing{why}",
                hint="Give the whole sentence-transformers folder, with config.json, tokenizer.json and "
                "model.safetensors.",
            )
    modules = _modules(folder)
    _check_modules(modules)
    files = {name: inner / name for name in (CONFIG, WEIGHTS, TOKENIZER)}
    for part in _dense(modules):
        files |= {f"{part}/{name}": below(folder, part) / name for name in (CONFIG, WEIGHTS)}
    for name, path in files.items():
        _check_size(name, path)
    return files


def _check_size(name: str, path: Path) -> None:
    if not path.is_file():
        raise ModelFormatError(f"{path.parent.parent}: {name} is missing", hint="Copy the model again.")
    size, most = path.stat().st_size, _LARGEST[path.name]
    if size > most:
        raise unusable(f"{name} has {size:,} bytes; {most:,} are the most")


def read_folder(folder: Path, name: str) -> Card:
    """The card of a model carried in by hand. ModelFormatError names what is missing or unsupported."""
    inner = _transformer(folder)
    config = read_config(inner)
    if classifies(config):
        return Card(name=name, kind="reranker", summary="Imported.", max_tokens=_max_tokens(inner, config))
    modules = _modules(folder)
    kinds = _kinds(modules)
    _check_modules(modules)
    pooling = _pooling(below(folder, modules[1].path)) if "Pooling" in kinds else "mean"
    prompts = _prompts(folder)
    return Card(
        name=name,
        summary="Imported.",
        max_tokens=_max_tokens(inner, config),
        pooling=pooling,
        normalize="Normalize" in kinds,
        dense=_dense(modules),
        cut=_cut(folder),
        lowercase=bool(read_table(inner / "sentence_bert_config.json").get("do_lower_case")),
        query_prefix=prompts.query or "",
        document_prefix=prompts.document or prompts.passage or "",
    )


def _modules(folder: Path) -> list[_Module]:
    """modules.json in order; a plain transformers folder counts as a transformer with mean pooling."""
    try:
        modules = read_json(folder / "modules.json", list[_Module])
    except FileNotFoundError:
        return [_Module("Transformer")]
    for module in modules:
        # sentence-transformers runs code of the folder for any other name, see its import_from_string.
        if not module.type.startswith("sentence_transformers."):
            raise unusable(f"modules.json names {module.type!r}, which is none of sentence-transformers")
    if not modules:
        raise unusable("modules.json names no module")
    return sorted(modules, key=lambda module: module.idx)


def _kinds(modules: list[_Module]) -> list[str]:
    return [module.type.rpartition(".")[2] for module in modules]


def _check_modules(modules: list[_Module]) -> None:
    """Only these, in this order, are built into the graph."""
    kinds = _kinds(modules)
    known = ["Transformer", "Pooling", *["Dense"] * min(kinds.count("Dense"), _MOST_DENSE), "Normalize"]
    if kinds not in (known[:1], known[:-1], known):
        raise unusable(
            f"it is made of {', '.join(kinds)[:200]}; only Transformer, Pooling, Dense and Normalize are "
            "known, in this order"
        )


def _dense(modules: list[_Module]) -> tuple[str, ...]:
    """The folders of the Dense modules; paths that lead elsewhere are refused."""
    paths = [module.path for module, kind in zip(modules, _kinds(modules)) if kind == "Dense"]
    for path in paths:
        if not _NAME.fullmatch(path):
            raise unusable(f"a Dense module lies at {path[:100]!r}")
    return tuple(paths)


def _cut(folder: Path) -> int:
    """The dimensions that the model's own settings keep, 0 for all."""
    cut = read_table(folder / "config_sentence_transformers.json").get("truncate_dim")
    return int(cut) if is_number(cut) and 1 <= cut < 1_000_000 else 0


def _transformer(folder: Path) -> Path:
    return below(folder, _modules(folder)[0].path)


def _prompts(folder: Path) -> _Prompts:
    """The prompts of queries and documents, each of a length that leaves room for a text."""
    path = folder / "config_sentence_transformers.json"
    try:
        prompts = msgspec.convert(read_table(path).get("prompts") or {}, _Prompts)
    except msgspec.ValidationError as error:
        raise unusable(f"{path.name}: {error}") from error
    for prompt in (prompts.query, prompts.document, prompts.passage):
        if prompt and (len(prompt) > _LONGEST_PROMPT or clean(prompt) != prompt):
            raise unusable(f"{path.name}: a prompt is no text of at most {_LONGEST_PROMPT:,} characters")
    return prompts


def _pooling(folder: Path) -> str:
    config = read_table(folder / "config.json")
    if config.get("include_prompt") is False:
        raise unusable("its pooling leaves the prompt out")
    mode = config.get("pooling_mode") or [mode for key, mode in _POOLING.items() if config.get(key)] or "mean"
    modes = mode if isinstance(mode, list) else [mode]
    if len(modes) != 1 or modes[0] not in ("cls", "mean", "max"):
        names = " and ".join(map(str, modes))[:200]
        raise unusable(f"its pooling is {names}; only cls, mean and max are known")
    return str(modes[0])


def _max_tokens(folder: Path, config: Mapping[str, Any]) -> int:
    limits = [
        read_table(folder / "sentence_bert_config.json").get("max_seq_length"),
        read_table(folder / "tokenizer_config.json").get("model_max_length"),
        config.get("max_position_embeddings"),
    ]
    known = [int(limit) for limit in limits if is_number(limit) and 1 <= limit < 1_000_000]
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
