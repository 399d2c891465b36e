"""Read and write a safetensors file without its library: a JSON header, then raw little-endian arrays.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from localsearch.errors import ModelFormatError

_TYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "F64": np.dtype("<f8"),
    "U8": np.dtype("u1"),
}
_MAX_HEADER = 100_000_000
_ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where one array lies: `length` bytes from `offset` in the file."""

    name: str
    kind: str
    shape: tuple[int, ...]
    offset: int
    length: int


class Weights:
    """The named arrays of one safetensors file, mapped into memory and converted when asked for."""

    def __init__(self, path: Path, tensors: dict[str, Tensor]) -> None:
        self.path = path
        self.tensors = tensors
        self._bytes = np.memmap(path, np.uint8, "r")

    @classmethod
    def open(cls, path: Path) -> Weights:
        """Map a file; ModelFormatError when it is not safetensors or is cut short."""
        size = path.stat().st_size
        header, start = _header(path, size)
        tensors = {
            name: _tensor(name, entry, start) for name, entry in header.items() if name != "__metadata__"
        }
        if any(tensor.offset + tensor.length > size for tensor in tensors.values()):
            raise _damaged(path, "it is shorter than its header says")
        return cls(path, tensors)

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def array(self, name: str) -> NDArray[np.float32]:
        """One array as float32, in its own shape; ModelFormatError when it is absent."""
        tensor = self.tensor(name)
        raw = self._bytes[tensor.offset : tensor.offset + tensor.length]
        values = raw.view(_TYPES[tensor.kind]).reshape(tensor.shape)
        if tensor.kind == "BF16":
            return (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return np.asarray(values, np.float32)

    def tensor(self, name: str) -> Tensor:
        """Where an array lies; ModelFormatError when it is absent or not of floats."""
        tensor = self.tensors.get(name)
        if tensor is None:
            raise ModelFormatError(
                f"{self.path.name} has no weights named {name}",
                hint="The file belongs to another kind of model; import its sentence-transformers folder as is.",
            )
        if tensor.kind not in _TYPES:
            raise ModelFormatError(
                f"{self.path.name}: {name} is stored as {tensor.kind}, which is not a float type",
                hint="Use the unquantised release of this model.",
            )
        return tensor


def write_weights(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays of float32 or uint8 in the order given; their bytes begin at a multiple of 64."""
    names = {np.dtype(np.float32): "F32", np.dtype(np.uint8): "U8"}
    header, end = {}, 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": names[array.dtype], "shape": array.shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).data)


def _header(path: Path, size: int) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 2 <= length <= min(size, _MAX_HEADER):
            raise _damaged(path, "it has no safetensors header")
        text = file.read(length)
    try:
        header = json.loads(text)
    except ValueError as error:
        raise _damaged(path, "its header does not parse") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header is not a table")
    return header, 8 + length


def _tensor(name: str, entry: dict[str, Any], start: int) -> Tensor:
    first, last = entry["data_offsets"]
    return Tensor(name, entry["dtype"], tuple(entry["shape"]), start + first, last - first)


def _damaged(path: Path, why: str) -> ModelFormatError:
    return ModelFormatError(
        f"{path} is no usable safetensors file: {why}", hint="Fetch or copy the file again."
    )
