"""Write the tokenizer.json of a SentencePiece Unigram model, as XLM-RoBERTa's, from its pieces. For `models` only.

The normaliser is composition (NFC) and a replacement for each of some thousand characters, in the form that
SentencePiece compiles: a double array over UTF-8 bytes whose leaves point into a list of texts that end in zero bytes.
https://github.com/google/sentencepiece/blob/master/doc/normalization.md
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SPACE = "▁"
_LEAF = 1 << 31
_HAS_LEAF = 1 << 8
_LABELS = 256


@dataclass(frozen=True, slots=True)
class Pieces:
    """Word pieces with their log probabilities, the ids of the special ones, and the normaliser's replacements."""

    texts: tuple[str, ...]
    scores: tuple[float, ...]
    start: int
    end: int
    padding: int
    unknown: int
    replacements: Mapping[str, str]


def tokenizer_json(pieces: Pieces) -> str:
    """The whole file, as the library `tokenizers` reads it."""
    special = {pieces.start, pieces.end, pieces.padding, pieces.unknown}
    masks = [id for id, text in enumerate(pieces.texts) if text == "<mask>"]
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(pieces, id, lstrip=id in masks) for id in sorted({*special, *masks})],
        "normalizer": {"type": "Sequence", "normalizers": _normalizers(pieces.replacements)},
        "pre_tokenizer": _metaspace(),
        "post_processor": _frame(pieces),
        "decoder": _metaspace(),
        "model": {
            "type": "Unigram",
            "unk_id": pieces.unknown,
            "vocab": list(zip(pieces.texts, pieces.scores)),
            "byte_fallback": False,
        },
    }
    return json.dumps(content, ensure_ascii=False)


def charsmap(replacements: Mapping[str, str]) -> bytes:
    """SentencePiece's compiled form of replacements: the double array's size, the array, the texts."""
    texts, places = bytearray(), {}
    for text in sorted(set(replacements.values())):
        places[text] = len(texts)
        texts += text.encode() + b"\0"
    units = _double_array({key.encode(): places[text] for key, text in replacements.items()})
    return len(units).to_bytes(4, "little") + units + bytes(texts)


def _normalizers(replacements: Mapping[str, str]) -> list[dict[str, Any]]:
    """SentencePiece also replaces sequences that have a composed form; here composition does, before and after.

    White space at the end goes, as in SentencePiece.
    """
    composition = {"type": "NFC"}
    return [
        composition,
        {"type": "Precompiled", "precompiled_charsmap": b64encode(charsmap(replacements)).decode()},
        composition,
        {"type": "Strip", "strip_left": False, "strip_right": True},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
    ]


def _metaspace() -> dict[str, Any]:
    return {"type": "Metaspace", "replacement": _SPACE, "prepend_scheme": "always", "split": True}


def _added(pieces: Pieces, id: int, lstrip: bool) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": lstrip, "rstrip": False, "normalized": False, "special": True}
    return {"id": id, "content": pieces.texts[id], **flags}


def _frame(pieces: Pieces) -> dict[str, Any]:
    """One text between start and end; two with two ends between them."""
    start, end = pieces.texts[pieces.start], pieces.texts[pieces.end]
    first, *ends = ({"SpecialToken": {"id": text, "type_id": 0}} for text in (start, end, end, end))
    a, b = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    named = ((start, pieces.start), (end, pieces.end))
    return {
        "type": "TemplateProcessing",
        "single": [first, a, ends[0]],
        "pair": [first, a, ends[0], ends[1], b, ends[2]],
        "special_tokens": {text: {"id": text, "ids": [id], "tokens": [text]} for text, id in named},
    }


def _double_array(values: Mapping[bytes, int]) -> bytes:
    """A trie as Darts-clone lays it out: the child of a node by byte c lies at (the node's base XOR c)."""
    children: list[dict[int, int]] = [{}]
    leaves: dict[int, int] = {}
    for key, value in sorted(values.items()):
        node = 0
        for byte in key:
            if byte not in children[node]:
                children[node][byte] = len(children)
                children.append({})
            node = children[node][byte]
        leaves[node] = value
    return _place(children, leaves)


def _place(children: list[dict[int, int]], leaves: dict[int, int]) -> bytes:
    """Give every node a base of its own at which the places of all its children, and of its value, are free."""
    units = np.zeros((len(children) + 2) * _LABELS, np.uint32)
    taken, bases = np.zeros(len(units), bool), np.zeros(len(units), bool)
    taken[0] = bases[0] = True
    waiting, highest = [(0, 0, 0)], 0  # node, its place, its label
    while waiting:
        node, place, label = waiting.pop()
        wanted = [*([0] if node in leaves else []), *children[node]]
        base = _free(taken, bases, wanted)
        bases[base] = True
        units[place] = _unit(place ^ base, label, node in leaves)
        for byte in wanted:
            taken[base ^ byte] = True
            highest = max(highest, base ^ byte)
        if node in leaves:
            units[base] = _LEAF | leaves[node]
        waiting += [(child, base ^ byte, byte) for byte, child in children[node].items()]
    return units[: (highest | (_LABELS - 1)) + 1].astype("<u4").tobytes()


def _free(taken: NDArray[np.bool_], used: NDArray[np.bool_], wanted: list[int]) -> int:
    """The lowest base that no other node has, whose wanted places are free.

    With a base of its own no node finds another's child under the same byte.
    """
    start = int(np.argmin(taken)) & -_LABELS
    for block in range(start, len(taken), _LABELS):
        bases = np.arange(block, block + _LABELS)
        free = ~(taken[bases[:, None] ^ np.asarray(wanted)].any(axis=1) | used[bases])
        if free.any():
            return block + int(np.argmax(free))
    raise ValueError("the replacements do not fit")


def _unit(offset: int, label: int, leaf: bool) -> int:
    """21 bits of offset, or its upper 21 of 29 where the lowest eight are zero."""
    wide = offset >= 1 << 21
    return (offset >> 8 << 10 | 1 << 9 if wide else offset << 10) | leaf * _HAS_LEAF | label
