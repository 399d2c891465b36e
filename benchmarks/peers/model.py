"""Lay out an installed model as sentence-transformers wants it, from its card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from localsearch.models.bert import PACKED, SCALES
from localsearch.models.cards import WEIGHTS
from localsearch.models.manifest import Manifest
from localsearch.models.weights import Weights, write_weights
from localsearch.models.words import BLOCK

_BERT = ("BertTokenizer", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]")
_XLM = ("XLMRobertaTokenizerFast", "<unk>", "</s>", "<pad>", "<s>", "<unk>")
"""The class of a tokenizer, then its special tokens."""
_ROLES = ("tokenizer_class", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def write(source: Path, target: Path, tokens: int = 0) -> None:
    """Copy weights, tokenizer and shape; write modules, pooling, prompts and window (`tokens`) from the card."""
    card = Manifest.read(source).card
    tokens = min(tokens or card.max_tokens, card.max_tokens)
    shutil.rmtree(target, ignore_errors=True)
    (target / "1_Pooling").mkdir(parents=True)
    for name in ("tokenizer.json", "config.json"):
        shutil.copyfile(source / name, target / name)
    _weights(source, target)
    _json(target / "modules.json", _modules(card.normalize))
    _json(target / "sentence_bert_config.json", {"max_seq_length": tokens, "do_lower_case": False})
    prompts = {"query": card.query_prefix, "document": card.document_prefix}
    _json(target / "config_sentence_transformers.json", {"prompts": prompts})
    _json(
        target / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": card.dimensions,
            "pooling_mode_mean_tokens": card.pooling == "mean",
            "pooling_mode_cls_token": card.pooling == "cls",
        },
    )
    pieces = json.loads((source / "tokenizer.json").read_text("utf-8"))["model"]["type"] == "Unigram"
    settings = dict(zip(_ROLES, _XLM if pieces else _BERT))
    _json(
        target / "tokenizer_config.json",
        {**settings, "do_lower_case": not pieces, "model_max_length": tokens},
    )


def _weights(source: Path, target: Path) -> None:
    """The file as it is, or with a word table in blocks of 4 bits written as the floats that these mean."""
    weights = Weights.open(source / WEIGHTS)
    packed = next((name for name in weights.tensors if name.endswith(PACKED)), None)
    if packed is None:
        shutil.copyfile(source / WEIGHTS, target / WEIGHTS)
        return
    halves, scales = (
        weights.array(packed).astype(np.uint8),
        weights.array(packed.removesuffix(PACKED) + SCALES),
    )
    numbers = np.stack([halves & 15, halves >> 4], axis=-1).reshape(*scales.shape, BLOCK).astype(np.float32)
    table = ((numbers - 8) * scales[..., None]).reshape(len(halves), -1)
    others = {name: weights.array(name) for name in weights.tensors if not name.endswith((PACKED, SCALES))}
    write_weights(target / WEIGHTS, {packed.removesuffix(PACKED): table, **others})


def _modules(normalize: bool) -> list[dict[str, Any]]:
    kinds = ["Transformer", "Pooling", *(["Normalize"] if normalize else [])]
    paths = ["", "1_Pooling", "2_Normalize"]
    return [
        {"idx": i, "name": str(i), "path": paths[i], "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]


def _json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2) + "\n")
