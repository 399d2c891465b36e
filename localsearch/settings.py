"""One frozen Settings, read once from HOME/settings.toml, the environment and flags.

Nothing else reads the environment.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

import msgspec
import platformdirs

from localsearch.errors import SettingsError

HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model embeds. `precision` auto is int8 where the processor multiplies 8-bit safely, else fp32."""

    name: str = "all-MiniLM-L6-v2"
    precision: Literal["auto", "fp32", "int8"] = "auto"
    threads: int = 0
    reranker: str = ""


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """Passage length and overlap in estimated word pieces."""

    tokens: int = 200
    overlap: int = 30


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """Defaults of a query."""

    fusion: Literal["adaptive", "convex", "rrf", "dbsf"] = "adaptive"
    semantic_weight: float = 0.5
    candidates: int = 100
    lexical_engine: Literal["tantivy", "rank-bm25"] = "tantivy"


@dataclass(frozen=True, slots=True)
class VectorSettings:
    """HNSW: M neighbours per node, build and query breadth (0: chosen), storage of a vector.

    `merge_at` is the delta's size that starts a new generation, `tombstone_share` the deleted share.
    """

    m: int = 32
    ef_construction: int = 200
    ef_search: int = 0
    storage: Literal["fp32", "fp16", "int8"] = "int8"
    recall_target: float = 0.985
    merge_at: int = 10_000
    tombstone_share: float = 0.1


@dataclass(frozen=True, slots=True)
class ExtractSettings:
    """Limits on reading one file: memory, CPU and wall seconds, sizes in bytes, archive depth."""

    workers: int = 0
    memory_mb: int = 1024
    cpu_s: int = 60
    wall_s: int = 120
    max_file_mb: int = 200
    max_text_mb: int = 50
    max_members: int = 2000
    max_depth: int = 3
    ocr: bool = False


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the server listens and what it allows."""

    host: str = "127.0.0.1"
    port: int = 8765


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. `home` holds the index; `models` holds downloaded models (default: HOME/models)."""

    home: Path
    models: Path
    offline: bool = False
    model: ModelSettings = field(default_factory=ModelSettings)
    chunk: ChunkSettings = field(default_factory=ChunkSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    vectors: VectorSettings = field(default_factory=VectorSettings)
    extract: ExtractSettings = field(default_factory=ExtractSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    hub: str = HUB


def load(
    home: str | os.PathLike[str] | None = None,
    *,
    offline: bool | None = None,
    environ: Mapping[str, str] | None = None,
    **overrides: Any,
) -> Settings:
    """Settings from HOME/settings.toml, then LOCALSEARCH_* variables, then arguments; the later wins.

    Raises SettingsError naming the file and the key when one does not parse.
    """
    env = os.environ if environ is None else environ
    folder = Path(
        home or env.get("LOCALSEARCH_HOME") or platformdirs.user_data_dir("localsearch")
    ).expanduser()
    folder = folder.absolute()
    values = _read(folder / "settings.toml")
    values |= {"home": str(folder)}
    values["models"] = env.get("LOCALSEARCH_MODELS") or values.get("models") or str(folder / "models")
    values["hub"] = (env.get("HF_ENDPOINT") or values.get("hub") or HUB).rstrip("/")
    if env.get("LOCALSEARCH_OFFLINE", "0") not in ("", "0", "false", "no"):
        values["offline"] = True
    if offline is not None:
        values["offline"] = offline
    settings = _convert(values, folder / "settings.toml")
    return replace(settings, **overrides) if overrides else settings


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not valid TOML: {error}", hint="Mend or remove that file.") from error


def _convert(values: dict[str, Any], file: Path) -> Settings:
    unknown = _unknown_keys(values, Settings)
    if unknown:
        raise SettingsError(
            f"{file}: unknown setting {unknown[0]}", hint="README lists the settings; check the spelling."
        )
    try:
        return msgspec.convert(values, Settings, strict=True, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{file}: {error}", hint="README lists each setting with its type.") from error


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    raise NotImplementedError(kind)


def _unknown_keys(values: Mapping[str, Any], shape: type, prefix: str = "") -> list[str]:
    known = get_type_hints(shape)
    found = [prefix + key for key in values if key not in known]
    for key, value in values.items():
        if isinstance(value, dict) and is_dataclass(known.get(key)):
            found += _unknown_keys(value, known[key], f"{prefix}{key}.")
    return found
