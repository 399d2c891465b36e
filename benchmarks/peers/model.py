"""Lay out an installed model as sentence-transformers wants it, from its card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from localsearch.models.manifest import Manifest


def write(source: Path, target: Path) -> None:
    """Copy weights, tokenizer and shape; write modules, pooling and window from the card."""
    card = Manifest.read(source).card
    shutil.rmtree(target, ignore_errors=True)
    (target / "1_Pooling").mkdir(parents=True)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        shutil.copyfile(source / name, target / name)
    _json(target / "modules.json", _modules(card.normalize))
    _json(target / "sentence_bert_config.json", {"max_seq_length": card.max_tokens, "do_lower_case": False})
    _json(
        target / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": card.dimensions,
            "pooling_mode_mean_tokens": card.pooling == "mean",
            "pooling_mode_cls_token": card.pooling == "cls",
        },
    )
    _json(
        target / "tokenizer_config.json",
        {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": True,
            "model_max_length": card.max_tokens,
            "unk_token": "[UNK]",
            "sep_token": "[SEP]",
            "pad_token": "[PAD]",
            "cls_token": "[CLS]",
            "mask_token": "[MASK]",
        },
    )


def _modules(normalize: bool) -> list[dict[str, Any]]:
    kinds = ["Transformer", "Pooling", *(["Normalize"] if normalize else [])]
    paths = ["", "1_Pooling", "2_Normalize"]
    return [
        {"idx": i, "name": str(i), "path": paths[i], "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]


def _json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2) + "\n")
