"""The word table in blocks of 32 numbers with a scale each: 8 bits, or the 4 bits of a file that has no more.

For `models` only. As floats the table of a multilingual model, 250,000 rows, is most of the model. Blocked, it is an
array of bytes mapped into memory, of which a run reads the rows of its tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from localsearch.models.bert import PACKED, SCALES, WORDS, BertWeights
from localsearch.models.weights import Weights, write_weights

BLOCK = 32
_LARGE = 100_000_000
"""Bytes of floats from which on a table is blocked."""
_FILE = "words.safetensors"
_ROWS = 8192


@dataclass(frozen=True, slots=True)
class WordTable:
    """Where a blocked table lies, and the bits of a number in it: bytes (rows, width * bits / 8), scales by block."""

    weights: Weights
    packed: str
    scales: str
    bits: int


def stored_words(bert: BertWeights) -> WordTable | None:
    """The table of weights that came without one in floats."""
    name = bert.name(WORDS)
    if name + PACKED not in bert.weights:
        return None
    return _table(bert.weights, name, bert.shape.width)


def blocked_words(bert: BertWeights, folder: Path) -> WordTable | None:
    """The stored one, or one in 8 bits written into `folder` where the table is large; None: use the floats."""
    stored = stored_words(bert)
    if stored or bert.vocabulary * bert.shape.width * 4 < _LARGE or bert.shape.width % BLOCK:
        return stored
    name = bert.name(WORDS)
    packed, scales = _in_8_bits(bert.weights.array(name))
    write_weights(folder / _FILE, {name + PACKED: packed, name + SCALES: scales})
    return _table(Weights.open(folder / _FILE), name, bert.shape.width)


def _table(weights: Weights, name: str, width: int) -> WordTable:
    bytes_per_row = weights.tensor(name + PACKED).shape[1]
    return WordTable(weights, name + PACKED, name + SCALES, 8 * bytes_per_row // width)


def _in_8_bits(table: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Bytes around 128 and the scales of their blocks, some rows at a time."""
    rows, width = table.shape
    packed = np.empty((rows, width), np.uint8)
    scales = np.empty((rows, width // BLOCK), np.float32)
    for start in range(0, rows, _ROWS):
        part = slice(start, start + _ROWS)
        blocks = table[part].reshape(-1, width // BLOCK, BLOCK)
        scales[part] = np.maximum(np.abs(blocks).max(axis=2) / 127, 1e-12)
        packed[part] = (np.rint(blocks / scales[part][..., None]) + 128).reshape(-1, width)
    return packed, scales
