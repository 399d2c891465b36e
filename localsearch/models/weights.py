"""Read and write a safetensors file without its library: a JSON header, then raw little-endian arrays.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
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
_ALIGNMENT = 64
_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
         "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "F8_E4M3": 8, "F8_E5M2": 8}  # fmt: skip
"""Bits of a value of each type that the format knows; only those of _TYPES can be read."""
_MAX_HEADER = 8_000_000
"""Bytes. The format allows 100 MB; a model of a thousand arrays has 100 kB."""
_MAX_DIMENSIONS = 8
LARGEST = 1e6
"""Of a weight, whose squares are summed in fp32. Trained ones stay below 1,000; fp16 ends at 65,504."""
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 48)]


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
        tensors = {name: _tensor(path, name, entry, start) for name, entry in header.items()}
        _check_places(path, tensors.values(), start, size)
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


def is_sane(array: NDArray[np.float32]) -> bool:
    """Whether every value is a number that a trained weight may be."""
    return bool((np.abs(array) <= LARGEST).all())


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


class _Entry(msgspec.Struct):
    """A row of the header; `data_offsets` are counted from its end."""

    dtype: Annotated[str, msgspec.Meta(max_length=20)]
    shape: Annotated[list[_Count], msgspec.Meta(max_length=_MAX_DIMENSIONS)]
    data_offsets: tuple[_Count, _Count]


def _header(path: Path, size: int) -> tuple[dict[str, _Entry], int]:
    """The rows of the header and where the arrays begin."""
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 2 <= length <= min(size - 8, _MAX_HEADER):
            raise _damaged(path, "it has no safetensors header")
        text = file.read(length)
    try:
        header = json.loads(text, object_pairs_hook=_unique)
        if isinstance(header, dict):
            header.pop("__metadata__", None)
        return msgspec.convert(header, dict[str, _Entry]), 8 + length
    except msgspec.ValidationError as error:
        raise _damaged(path, f"its header is none: {error}") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "its header does not parse") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table of which no name stands twice, as the format wants it."""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name stands twice")
    return table


def _tensor(path: Path, name: str, entry: _Entry, start: int) -> Tensor:
    """A row of the header, its bytes held against its shape and type."""
    first, last = entry.data_offsets
    if entry.dtype not in _BITS:
        raise _damaged(path, f"{name[:100]} is of a type that is none ({entry.dtype})")
    if (last - first) * 8 != math.prod(entry.shape) * _BITS[entry.dtype]:
        raise _damaged(path, f"{name[:100]} has {last - first:,} bytes, not those of its shape {entry.shape}")
    return Tensor(name, entry.dtype, tuple(entry.shape), start + first, last - first)


def _check_places(path: Path, tensors: Iterable[Tensor], start: int, size: int) -> None:
    """Arrays lie one behind the other and fill the file, as the format wants it."""
    at = start
    for tensor in sorted(tensors, key=lambda tensor: (tensor.offset, tensor.length)):
        if tensor.offset != at:
            what = "overlaps another" if tensor.offset < at else "leaves a gap before it"
            raise _damaged(path, f"{tensor.name[:100]} {what}")
        at += tensor.length
    if at != size:
        raise _damaged(path, f"it is {'shorter' if at > size else 'longer'} than its header says")


def _damaged(path: Path, why: str) -> ModelFormatError:
    return ModelFormatError(
        f"{path} is no usable safetensors file: {why}", hint="Fetch or copy the file again."
    )
