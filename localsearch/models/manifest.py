"""Read and write model.json: what an installed model folder holds, each file with its hash. For `models` only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from localsearch import kernels
from localsearch.errors import ModelDamagedError, ModelFormatError, ModelMissingError
from localsearch.models.cards import TOKENIZER, WEIGHTS, Card, Pin
from localsearch.models.files import sha256
from localsearch.platform.disk import write_file

MANIFEST = "model.json"
_FUSED = "int8.fused.onnx"
FORMAT = 1
# Part of every fingerprint: raised when the graph changes so that its vectors do.
GRAPH = 2


@dataclass(frozen=True, slots=True)
class Manifest:
    """An installed model: its card as it was, its files, and whether int8.onnx has weights of 7 bits."""

    card: Card
    files: dict[str, Pin]
    reduce_range: bool = False
    source: str = ""
    graph: int = GRAPH
    format: int = FORMAT
    notes: tuple[str, ...] = field(default=())

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read model.json. Raises ModelMissingError, ModelDamagedError, ModelFormatError (newer release)."""
        path = folder / MANIFEST
        try:
            data = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise ModelMissingError(
                f"the model {folder.name} is not in the model folder {folder.parent}",
                hint=f"Run: localsearch models pull {folder.name}",
                model=folder.name,
            ) from error
        except (ValueError, OSError) as error:
            raise _damaged(path, error) from error
        if isinstance(data, dict) and data.get("format", 0) > FORMAT:
            raise ModelFormatError(f"{path} was written by a newer release", hint="Upgrade localsearch.")
        try:
            return msgspec.convert(data, cls)
        except msgspec.ValidationError as error:
            raise _damaged(path, error) from error

    def write(self, folder: Path) -> None:
        write_file(folder / MANIFEST, json.dumps(msgspec.to_builtins(self), indent=1).encode())

    def fingerprint(self, precision: str) -> str:
        """Name, precision and a digest of all that shapes a vector."""
        card = self.card
        parts: list[object] = [
            self.files[WEIGHTS].sha256 if WEIGHTS in self.files else self.files[f"{precision}.onnx"].sha256,
            self.files[TOKENIZER].sha256,
            precision,
            self.reduce_range and precision == "int8" and _FUSED not in self.files,
            self.graph,
            [
                card.pooling,
                card.normalize,
                card.lowercase,
                card.max_tokens,
                card.query_prefix,
                card.document_prefix,
            ],
        ]
        if card.dense or card.cut:
            parts.append([*(self.files[f"{name}/{WEIGHTS}"].sha256 for name in card.dense), card.cut])
        digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()
        return f"{card.name}:{precision}:{digest}"

    def path(self, folder: Path, precision: str) -> Path:
        """The ONNX file of that precision: with our own operator where the folder and this machine have it."""
        fused = f"{precision}.fused.onnx"
        return folder / (fused if fused in self.files and kernels.library() else f"{precision}.onnx")

    def exact(self, folder: Path) -> bool:
        """Whether no processor saturates with the 8-bit graph in use: an earlier release made some for VNNI alone."""
        return self.reduce_range or self.path(folder, "int8").name == _FUSED

    def check(self, folder: Path, contents: bool = True) -> None:
        """Compare every file with its size, and with its SHA-256 if `contents`; ModelDamagedError names the first."""
        for name, pin in self.files.items():
            path = folder / name
            if not path.is_file():
                raise _bad(folder, name, "is missing")
            if path.stat().st_size != pin.bytes:
                raise _bad(folder, name, f"has {path.stat().st_size:,} bytes instead of {pin.bytes:,}")
            if contents and sha256(path) != pin.sha256:
                raise _bad(folder, name, "does not match its SHA-256")


def pins(folder: Path) -> dict[str, Pin]:
    """Hash every file of a folder."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST]
    return {path.relative_to(folder).as_posix(): Pin(sha256(path), path.stat().st_size) for path in paths}


def _bad(folder: Path, name: str, what: str) -> ModelDamagedError:
    return ModelDamagedError(
        f"model {folder.name}: {name} {what}",
        hint=f"Run: localsearch models remove {folder.name}, then pull or import it again.",
        model=folder.name,
        file=name,
    )


def _damaged(path: Path, error: Exception) -> ModelDamagedError:
    return ModelDamagedError(f"{path} does not parse: {error}", hint="Remove the model and pull it again.")
