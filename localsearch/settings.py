"""One frozen Settings, read once from HOME/settings.toml, the environment and flags.

Nothing else reads the environment.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_type_hints

import msgspec
import platformdirs

from localsearch.errors import SettingsError

HUB = "https://huggingface.co"
MB = 1_000_000
"""Bytes in one of the megabytes that settings count, as in `size:>1mb`."""
Storage = Literal["fp32", "fp16", "int16", "int12", "int8"]


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model embeds. `precision` auto is int8 where the processor multiplies 8-bit safely, else fp32.

    `keep_tokens` stores, while indexing, what `rerank` needs of every passage: a bit for each dimension of each
    token's vector, 48 bytes a token of the default model, about 9 kB a passage. Without it a passage's bits are
    computed when it is first looked at, and then kept (`caches.token_bits_disk_mb`).
    """

    name: str = "all-MiniLM-L6-v2"
    precision: Literal["auto", "fp32", "int8"] = "auto"
    keep_tokens: bool = False
    threads: int = 0
    reranker: str = ""


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """Passage length and overlap in estimated word pieces."""

    tokens: int = 240
    overlap: int = 30


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """Defaults of a query. `semantic_weight` is the share of the semantic leg in convex, rrf and dbsf.

    Steps of adaptive fusion, 0 leaves one out: `coverage` is the share of the query that the best hit by words must
    hold for words to count in full, `feedback` how far the query's vector moves towards the best passages, `smoothing`
    the share of a score that comes from a passage's neighbours, `rerank_weight` the weight of what `rerank` adds.
    """

    fusion: Literal["adaptive", "convex", "rrf", "dbsf"] = "adaptive"
    semantic_weight: float = 0.5
    coverage: float = 0.6
    feedback: float = 0.3
    smoothing: float = 0.3
    rerank_weight: float = 2.0
    candidates: int = 100
    lexical_engine: Literal["tantivy", "rank-bm25"] = "tantivy"


@dataclass(frozen=True, slots=True)
class VectorSettings:
    """HNSW: M neighbours per node, efConstruction and efSearch (0: chosen by measurement), storage of a vector.

    int12 searches by one byte a dimension and scores by four bits more, int16 by a second byte, int8 has only the
    first; docs/decisions/hnsw.md compares. Another storage than an index has comes with its next merge.
    `merge_at` is the delta's size that starts a new generation, `tombstone_share` the deleted share.
    """

    m: int = 24
    ef_construction: int = 200
    ef_search: int = 0
    storage: Storage = "int12"
    recall_target: float = 0.99
    merge_at: int = 10_000
    tombstone_share: float = 0.1


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """What is taken of the folders that are indexed, beyond what is taken anyway.

    `hidden` takes what has a leading dot; `secrets` what looks like keys, passwords, browser profiles and private
    histories; `caches` packages, caches and the output of builds. With `ignore_files`, what .gitignore, .ignore and
    .localsearchignore name is left out. Version control's own data never is taken, and a file that is named itself
    always; files above `extract.max_file_mb` are not read.
    """

    hidden: bool = False
    secrets: bool = False
    caches: bool = False
    ignore_files: bool = True


@dataclass(frozen=True, slots=True)
class ExtractSettings:
    """Limits on reading one file. A megabyte is 1,000,000 bytes, and of text as many characters.

    Memory in megabytes; seconds of processor and of wall time; the size of a file, and of all that an archive unpacks
    to; its members, and archives within archives.
    """

    workers: int = 0
    memory_mb: int = 1024
    cpu_s: int = 60
    wall_s: int = 120
    max_file_mb: int = 200
    max_text_mb: int = 50
    max_members: int = 2000
    max_depth: int = 3
    ocr: bool = False
    ocr_engine: Literal["auto", "rapidocr", "tesseract"] = "auto"


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """Sizes in megabytes of 1,000,000 bytes, lifetimes in days or seconds.

    `token_bits_disk_mb` bounds what is kept, in the database, of passages that `rerank` has looked at; 0 keeps nothing.
    `remember_queries` keeps the text of frequent searches on disk to warm the caches after a start; `warm` is how
    many of them.
    """

    query_vectors_mb: int = 16
    query_vectors_disk_mb: int = 256
    query_vectors_days: float = 30.0
    token_bits_disk_mb: int = 512
    results_mb: int = 64
    results_min_s: float = 10.0
    results_max_s: float = 3600.0
    remember_queries: bool = True
    warm: int = 50


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What one client may ask of the server. Times in seconds.

    `rate` requests a second with bursts of `burst` for every key and every client from elsewhere; 0 is no limit.
    `local_rate` is the same for keyless clients on this machine. `concurrent` searches run at once, 0 is one more than
    there are cores, and the next waits at most `wait_s`. `job_documents` is the number of documents in one request from
    which it becomes a job.
    """

    rate: float = 20.0
    burst: int = 100
    local_rate: float = 0.0
    local_burst: int = 1000
    concurrent: int = 0
    wait_s: float = 2.0
    body_kb: int = 1280
    documents_mb: int = 32
    query_chars: int = 100_000
    results: int = 100
    offset: int = 10_000
    filter_depth: int = 8
    job_documents: int = 100
    queued_jobs: int = 32
    event_streams: int = 32
    connections: int = 512
    header_s: float = 10.0
    body_s: float = 30.0
    write_s: float = 30.0
    idle_s: int = 60
    shutdown_s: int = 30


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the server listens, who may ask, and what it writes down.

    `hosts` are further names it answers to, as they appear in the Host header (behind a proxy that lets others in, set
    `require_keys` too); `origins` are pages elsewhere whose scripts may call it. `index_roots`, when given, are the
    only folders that `POST /index` may name. API keys are required when it listens beyond this machine;
    `require_keys` requires them here too.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    index_roots: tuple[str, ...] = ()
    require_keys: bool = False
    log: Literal["human", "json"] = "human"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    limits: LimitSettings = field(default_factory=LimitSettings)


@dataclass(frozen=True, slots=True)
class AlertRule:
    """Fires when `value` stays above (or below) `threshold` for `for_s` seconds.

    Values: error_rate (share of answers that are 5xx), p99_ms (of searches), both over five minutes; stale_s (age of
    the last change or check), failed_files, disk_free (share), recall (of HNSW against exact search).
    """

    name: str
    value: Literal["error_rate", "p99_ms", "stale_s", "failed_files", "disk_free", "recall"]
    threshold: float
    above: bool = True
    for_s: float = 0.0
    severity: Literal["warning", "critical"] = "warning"
    help: str = ""


RULES = (
    AlertRule(
        "HighErrorRate", "error_rate", 0.05, for_s=60, severity="critical", help="See the log for the errors."
    ),
    AlertRule(
        "SlowSearch", "p99_ms", 1000, for_s=120, help="See the stages in /metrics; lower limits.concurrent."
    ),
    AlertRule("StaleIndex", "stale_s", 7 * 86_400, help="Run `localsearch index`, or serve with --watch."),
    AlertRule(
        "FailedFiles", "failed_files", 100, help="`localsearch status` and `why FILE` tell which and why."
    ),
    AlertRule("DiskNearlyFull", "disk_free", 0.05, above=False, severity="critical", help="Free some space."),
    AlertRule("LowRecall", "recall", 0.95, above=False, for_s=600, help="Raise vectors.ef_search."),
)


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Rules, how often they are evaluated, and a command that is handed each change as JSON on its input."""

    rules: tuple[AlertRule, ...] = RULES
    interval_s: float = 15.0
    command: tuple[str, ...] = ()
    command_s: float = 10.0


@dataclass(frozen=True, slots=True)
class CostSettings:
    """Hosted prices to compare with, in dollars per million tokens embedded."""

    prices: Mapping[str, float] = field(default_factory=lambda: {"hosted small": 0.02, "hosted large": 0.13})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. `home` holds the index. `models` holds the models: HOME/models where that exists, else one folder
    for all homes of this user.
    """

    home: Path
    models: Path
    offline: bool = False
    model: ModelSettings = field(default_factory=ModelSettings)
    chunk: ChunkSettings = field(default_factory=ChunkSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    vectors: VectorSettings = field(default_factory=VectorSettings)
    scan: ScanSettings = field(default_factory=ScanSettings)
    extract: ExtractSettings = field(default_factory=ExtractSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    caches: CacheSettings = field(default_factory=CacheSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    cost: CostSettings = field(default_factory=CostSettings)
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
    personal = Path(platformdirs.user_data_dir("localsearch"))
    folder = Path(home or env.get("LOCALSEARCH_HOME") or personal).expanduser().absolute()
    values = _read(folder / "settings.toml")
    values |= {"home": str(folder)}
    own = folder / "models"
    shared = own if own.is_dir() else personal / "models"
    values["models"] = env.get("LOCALSEARCH_MODELS") or values.get("models") or str(shared)
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
            f"{file}: unknown setting {unknown[0]}",
            hint="docs/SETTINGS.md lists the settings; check the spelling.",
        )
    try:
        return msgspec.convert(values, Settings, strict=True, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"{file}: {error}", hint="docs/SETTINGS.md lists each setting with its type."
        ) from error


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    raise NotImplementedError(kind)


def _unknown_keys(values: Mapping[str, Any], shape: type, prefix: str = "") -> list[str]:
    known: dict[str, Any] = get_type_hints(shape)
    found = [prefix + key for key in values if key not in known]
    for key in values.keys() & known.keys():
        value, kind = values[key], known[key]
        if isinstance(value, list):
            kind = next(iter(get_args(kind)), None)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and is_dataclass(kind):
                found += _unknown_keys(item, cast("type", kind), f"{prefix}{key}.")
    return found
