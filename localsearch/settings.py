"""One frozen Settings, read once from HOME/settings.toml, the environment and flags.

Nothing else reads the environment. A `_setting` is what a person may set; a `_constant` is a number that nobody should
have to: it has a name and a meaning here, programs and tests may replace it, and settings.toml may not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import msgspec

from localsearch import days
from localsearch.errors import FilterError, SettingsError

HUB = "https://huggingface.co"
_LONGEST_FILE = 1_000_000
"""Bytes of settings.toml."""
MB = 1_000_000
"""Bytes in one of the megabytes that settings count, as in `size:>1mb`."""
Links = Literal["auto", "none", "file", "kitty", "vscode"]
Storage = Literal["fp32", "fp16", "int16", "int12", "int8"]


def _setting(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


def _constant(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning, "constant": True})


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which models embed and re-rank."""

    name: str = _setting("all-MiniLM-L6-v2", "the embedding model, as `localsearch models list` names it")
    languages: Literal["any", "auto"] = _setting(
        "any",
        "auto: when texts are embedded for the first time in an index, the model that knows their languages takes the"
        " place of `name` where that does not; it is fetched, and the command line and the log say so",
    )
    precision: Literal["auto", "fp32", "int8"] = _setting("auto", "of its weights; auto is int8")
    reranker: str = _setting(
        "",
        "the cross-encoder that `rerank` asks once it is installed; empty, or until then: late interaction of the"
        " embedding model",
    )
    keep_tokens: bool = _setting(
        False,
        "store while indexing what late interaction needs of every chunk, about 9 kB each; otherwise it is computed"
        " when a chunk is first re-ranked, and kept",
    )
    threads: int = _setting(0, "threads that encode; 0: one for each core")


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """How documents are cut."""

    tokens: int = _setting(240, "length of a chunk in estimated word pieces")
    overlap: int = _constant(30, "word pieces that neighbours share")


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How the two legs are fused. The constants of `adaptive` are in localsearch/ranking/constants.py."""

    fusion: Literal["adaptive", "convex", "rrf", "dbsf"] = _setting(
        "adaptive", "how words and meaning are combined"
    )
    semantic_weight: float = _setting(0.5, "share of meaning in convex, rrf and dbsf, 0 to 1")
    about_weight: float = _setting(
        0.5,
        "weight of words about a document, such as tags, author, other metadata and further names of its file, beside"
        " those of its text, 0 to 1; with 0 they are found by filters alone",
    )
    lexical_engine: Literal["tantivy", "rank-bm25"] = _setting(
        "tantivy", "what scores BM25; rank-bm25 is the slow reference, in memory"
    )
    candidates: int = _constant(100, "chunks of each leg that are fused")


@dataclass(frozen=True, slots=True)
class VectorSettings:
    """Where vectors are, and the HNSW graph of them. What is changed of the graph comes with the next merge; an engine
    takes it with the next build, as `localsearch check --repair` or a new version makes one.

    The address of Milvus may be another machine's. Its token is the environment variable LOCALSEARCH_MILVUS_TOKEN.
    docs/decisions/backends.md has the reasons.
    """

    backend: Literal["faiss", "milvus"] = _setting(
        "faiss", "what searches them: faiss in this process, or a Milvus server (the extra [milvus])"
    )
    m: int = _setting(24, "M: neighbours of a node")
    ef_construction: int = _setting(200, "candidates looked at while building")
    ef_search: int = _setting(
        0, "candidates, or lists of IVF_SQ8, looked at while searching; 0: chosen by measured recall"
    )
    storage: Storage = _setting(
        "int12",
        "of a vector's component: int12 searches by one byte and scores by four bits more, int16 by a second byte,"
        " int8 has only the first",
    )
    milvus_uri: str = _setting("http://127.0.0.1:19530", "the address of Milvus")
    milvus_index: Literal["HNSW", "IVF_SQ8", "FLAT"] = _setting(
        "HNSW",
        "how Milvus finds candidates: a graph over whole vectors; lists of vectors of a byte a component; or comparing"
        " with all",
    )
    milvus_shards: int = _setting(
        1, "shards of a collection, which take writes side by side: one for each 50 million vectors or so"
    )
    milvus_replicas: int = _setting(
        1, "copies of a collection in memory, each on query nodes of its own, which answer side by side"
    )
    milvus_consistency: Literal["Bounded", "Eventually"] = _setting(
        "Bounded",
        "how old an answer may be: Bounded waits for a node that is seconds behind; Strong, which takes 200 ms of every"
        " search, is none of the choices, since the count of rows tells what is missing",
    )
    milvus_timeout_s: float = _setting(5.0, "seconds after which a call of Milvus has failed")
    milvus_token: str = _constant("", "the token of Milvus, from the environment")
    recall_target: float = _constant(0.99, "recall@10 by which efSearch is chosen")
    merge_at: int = _constant(10_000, "vectors outside the graph that start a merge")
    tombstone_share: float = _constant(0.1, "deleted share of the graph that starts a rebuild")


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """What is taken of indexed folders beyond what is taken anyway.

    Version control's own data never is taken, and a file that is named itself always.
    """

    hidden: bool = _setting(False, "take what has a leading dot")
    secrets: bool = _setting(
        False, "take what looks like keys, passwords, browser profiles and private histories"
    )
    caches: bool = _setting(False, "take packages, caches and the output of builds")
    ignore_files: bool = _setting(True, "leave out what .gitignore, .ignore and .localsearchignore name")


@dataclass(frozen=True, slots=True)
class ExtractSettings:
    """How files are read. A megabyte is 1,000,000 bytes, and of text as many characters."""

    max_file_mb: int = _setting(
        200, "megabytes above which a file is not read; also of all that an archive unpacks to"
    )
    ocr: Literal["auto", "on", "off"] = _setting(
        "auto",
        "recognise text in scanned pages and images, when all else is done; auto: where an engine is installed",
    )
    ocr_engine: Literal["auto", "rapidocr", "tesseract"] = _setting(
        "auto",
        "what recognises it: the extra [ocr], or the program tesseract; auto: the first that is installed",
    )
    workers: int = _constant(0, "processes that read; 0: by the cores")
    memory_mb: int = _setting(1024, "memory of one of them with the programs that it starts, megabytes")
    cpu_s: int = _setting(60, "processor seconds for one file, those of such programs among them")
    wall_s: int = _setting(120, "seconds for one file")
    recognise: Literal["now", "later"] = _constant(
        "now", "whether a reader recognises text itself, or tells what waits for it"
    )
    niceness: int = _constant(0, "by how much readers give way to other programs, 0 to 19")
    max_text_mb: int = _constant(50, "million characters of text of one file")
    max_members: int = _constant(2000, "members of an archive")
    max_depth: int = _constant(3, "archives within archives")


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """What is kept to answer faster."""

    remember_queries: bool = _setting(
        True, "keep the text of frequent searches on disk, to warm the caches after a start"
    )
    results_mb: int = _constant(64, "memory for answers, megabytes")
    results_min_s: float = _constant(10.0, "seconds that an answer is kept at the least")
    results_max_s: float = _constant(3600.0, "seconds that an answer is kept at the most")
    query_vectors_mb: int = _constant(16, "memory for vectors of queries, megabytes")
    query_vectors_disk_mb: int = _constant(256, "disk for vectors of queries, megabytes")
    query_vectors_days: float = _constant(30.0, "days that a query's vector is kept")
    token_bits_disk_mb: int = _constant(
        512, "disk for what late interaction computed, megabytes; 0 keeps nothing"
    )
    warm: int = _constant(50, "searches that are asked after a start")


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What one client may ask of the server."""

    rate: float = _setting(20.0, "requests a second for each key and each client from elsewhere; 0: no limit")
    concurrent: int = _setting(0, "searches at once; 0: one more than there are cores")
    documents_mb: int = _setting(32, "megabytes of one request that sends documents")
    burst: int = _constant(100, "requests at once that `rate` allows")
    local_rate: float = _constant(0.0, "`rate` for clients on this machine without a key")
    local_burst: int = _constant(1000, "`burst` for them")
    wait_s: float = _constant(2.0, "seconds that a search waits for its turn")
    bodies_mb: int = _constant(
        64, "megabytes of all bodies together that are not small; at least two of `documents_mb`"
    )
    body_kb: int = _constant(1280, "kilobytes of any other request")
    query_chars: int = _constant(100_000, "characters of a query")
    results: int = _constant(100, "hits of one answer")
    offset: int = _constant(10_000, "hits that may be skipped")
    embedding_texts: int = _constant(2048, "texts of one request for vectors")
    filter_depth: int = _constant(8, "how deep a filter nests")
    job_documents: int = _constant(100, "documents of one request from which it becomes a job")
    queued_jobs: int = _constant(32, "jobs that wait")
    event_streams: int = _constant(32, "clients that follow jobs")
    connections: int = _setting(512, "connections at once")
    header_s: float = _setting(10.0, "seconds to send a request's head")
    body_s: float = _setting(30.0, "seconds to send its body")
    write_s: float = _setting(10.0, "seconds after which an answer must be taken, or 16 kB of it a second")
    idle_s: int = _setting(60, "seconds between requests of a connection")
    shutdown_s: int = _constant(30, "seconds that an end waits for requests")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the server listens, who may ask, and what it writes down."""

    host: str = _setting("127.0.0.1", "address to listen on; beyond this machine, API keys are required")
    port: int = _setting(8765, "TCP port; 0: any that is free")
    hosts: tuple[str, ...] = _setting(
        (),
        "further names it answers to, as in the Host header; behind a proxy that lets others in, set"
        " `require_keys` too",
    )
    origins: tuple[str, ...] = _setting((), "origins of pages elsewhere whose scripts may call it")
    index_roots: tuple[str, ...] = _setting((), "the only folders that `POST /index` may name; empty: any")
    require_keys: bool = _setting(False, "require API keys on this machine too")
    trust_local_users: bool = _setting(
        False, "let every user of this machine in without a key, not only the one who runs the server"
    )
    workers: int = _setting(
        0, "processes that answer, of which one writes; also `--workers`; 0: one for each core, 4 at most"
    )
    primary: str = _setting(
        "",
        "the address that takes writes, such as https://index.example.org: readers tell it when they refuse one",
    )
    state_wait_s: float = _setting(
        2.0,
        "seconds that a request waits for the state that its X-Localsearch-State names, before it is refused",
    )
    follow_s: float = _setting(
        2.0, "seconds between two looks of `serve --follow` at its source, and a tenth more or less by chance"
    )
    follow_key: str = _constant("", "the admin key of the primary that is followed: LOCALSEARCH_FOLLOW_KEY")
    log: Literal["human", "json"] = _setting("human", "form of log lines")
    log_level: Literal["debug", "info", "warning", "error"] = _constant(
        "info", "from which they are written; -v, -q"
    )
    inherited: int = _constant(
        0, "sockets that the service manager hands on to this process, by LISTEN_PID and LISTEN_FDS"
    )
    limits: LimitSettings = field(default_factory=LimitSettings)


@dataclass(frozen=True, slots=True)
class AlertRule:
    """Fires when `value` stays above (or below) `threshold` for `for_s` seconds.

    Values: error_rate (share of answers that are 5xx), p99_ms (of searches), both over five minutes; stale_s (age of
    the last change or check), failed_files, disk_free (share), recall (of HNSW against exact search), replica_lag_s (of
    a reader: time since it was seen to have what its source has).
    """

    name: str
    value: Literal["error_rate", "p99_ms", "stale_s", "failed_files", "disk_free", "recall", "replica_lag_s"]
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
    AlertRule(
        "ReplicaBehind",
        "replica_lag_s",
        300,
        severity="critical",
        help="/ready says why: is the primary there, is the snapshot whole, is there room?",
    ),
)


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """What is watched, and who is told."""

    rules: tuple[AlertRule, ...] = _setting(RULES, "each fires while a value is beyond its threshold")
    command: tuple[str, ...] = _setting(
        (), "a program and its arguments, handed each change as JSON on its input"
    )
    interval_s: float = _constant(15.0, "seconds between evaluations")
    command_s: float = _constant(10.0, "seconds for the command")


@dataclass(frozen=True, slots=True)
class CostSettings:
    """What a hosted service would have asked."""

    prices: Mapping[str, float] = field(
        default_factory=lambda: {"hosted small": 0.02, "hosted large": 0.13},
        metadata={"meaning": "name and dollars per million tokens embedded"},
    )


@dataclass(frozen=True, slots=True)
class TerminalSettings:
    """What the command line makes of hits on a terminal."""

    links: Links = _setting(
        "auto",
        "addresses of hits: `file` names the file, `kitty` and `vscode` its line too; auto: by TERM and TERM_PROGRAM",
    )
    open: str = _setting(
        "", "program of `search --open N`, such as `code -g {path}:{line}`, also {page}; empty: the desktop's"
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings."""

    home: Path = field(metadata={"meaning": "the index folder: `--home`, LOCALSEARCH_HOME", "constant": True})
    models: Path = field(
        metadata={
            "meaning": "the folder of models; HOME/models where that exists, else one for all homes of this user"
        }
    )
    offline: bool = _setting(False, "never connect to anything; also `--offline`, LOCALSEARCH_OFFLINE=1")
    time_zone: str = _setting(
        "",
        "whose days the dates in filters and on the page are, and times in files that name no zone, such as"
        " Europe/Berlin; empty: of this machine; a request may name another",
    )
    audit: bool = _setting(
        True,
        "write each call of an MCP client into HOME/audit.jsonl: when, who, what, and which documents it read",
    )
    hub: str = _setting(HUB, "address of the model hub or of a mirror; also HF_ENDPOINT")
    model: ModelSettings = field(default_factory=ModelSettings)
    chunk: ChunkSettings = field(default_factory=ChunkSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    vectors: VectorSettings = field(default_factory=VectorSettings)
    scan: ScanSettings = field(default_factory=ScanSettings)
    extract: ExtractSettings = field(default_factory=ExtractSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    terminal: TerminalSettings = field(default_factory=TerminalSettings)
    caches: CacheSettings = field(default_factory=CacheSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    cost: CostSettings = field(default_factory=CostSettings)
    cores: int = _constant(0, "cores that this process counts on for searches; 0: all that it may use")
    notes: tuple[str, ...] = _constant((), "what is to be said of settings.toml: lines without effect")


GONE: Mapping[str, str] = {
    "search.coverage": "a constant of ranking now",
    "search.feedback": "a constant of ranking now",
    "search.smoothing": "a constant of ranking now",
    "search.closer": "a constant of ranking now, rerank_weight",
}
"""Settings of earlier releases, and what became of them."""


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
    import platformdirs

    personal = Path(platformdirs.user_data_dir("localsearch"))
    folder = _place(home or env.get("LOCALSEARCH_HOME") or personal).absolute()
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
    server = replace(
        settings.server, inherited=_inherited(env), follow_key=env.get("LOCALSEARCH_FOLLOW_KEY", "")
    )
    vectors = replace(settings.vectors, milvus_token=env.get("LOCALSEARCH_MILVUS_TOKEN", ""))
    settings = replace(settings, server=server, vectors=vectors)
    if settings.terminal.links == "auto":
        settings = replace(settings, terminal=replace(settings.terminal, links=_links(env)))
    return replace(settings, **overrides) if overrides else settings


def _inherited(env: Mapping[str, str]) -> int:
    """How many sockets are meant for this process, and not for one that it was started by."""
    return int(env.get("LISTEN_FDS", "0")) if env.get("LISTEN_PID") == str(os.getpid()) else 0


def _links(env: Mapping[str, str]) -> Links:
    """Which addresses the terminal opens; those that tell nothing of themselves open files."""
    if env.get("TERM_PROGRAM") == "vscode":
        return "vscode"
    return "kitty" if env.get("TERM") == "xterm-kitty" else "file"


def _place(path: str | os.PathLike[str]) -> Path:
    """A path with the home folder in place of `~`. Raises SettingsError for a user that is none, or a NUL."""
    try:
        if "\0" in os.fspath(path):
            raise RuntimeError("a path holds no NUL")
        return Path(path).expanduser()
    except RuntimeError as error:
        raise SettingsError(f"{path} cannot be found: {error}", hint="Name a folder from the root.") from None


def _read(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise SettingsError(f"{file} is no regular file.", hint="Remove it, or put a file in its place.")
        with file.open("rb") as opened:
            content = opened.read(_LONGEST_FILE + 1)
        if len(content) > _LONGEST_FILE:
            raise SettingsError(f"{file} is longer than {_LONGEST_FILE:,} bytes.", hint="Shorten that file.")
        return tomllib.loads(content.decode("utf-8"))
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        raise SettingsError(
            f"{file.parent} is no folder, so it cannot be the home of an index.",
            hint="Name a folder with --home.",
        ) from None
    except (
        ValueError,
        RecursionError,
    ) as error:  # of TOML, of UTF-8, of digits without end, of lists in lists
        raise SettingsError(f"{file} is not valid TOML: {error}", hint="Mend or remove that file.") from error


def _convert(values: dict[str, Any], file: Path) -> Settings:
    notes: list[str] = []
    taken = _settable(values, Settings, file, notes)
    try:
        settings = msgspec.convert(taken, Settings, strict=True, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"{file}: {error}", hint="docs/SETTINGS.md lists each setting with its type."
        ) from error
    try:
        days.zone(settings.time_zone)
    except FilterError as error:
        raise SettingsError(f"{file}: time_zone: {error.message}", hint=error.hint) from error
    return replace(settings, notes=tuple(notes))


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return _place(value)
    raise NotImplementedError(kind)


def _settable(
    values: Mapping[str, Any], shape: Any, file: Path, notes: list[str], prefix: str = ""
) -> dict[str, Any]:
    """The values that may be set; a note for each that is a constant now. SettingsError for an unknown name."""
    kinds, known = get_type_hints(shape), {one.name: one for one in fields(shape)}
    taken = {}
    for name, value in values.items():
        key = prefix + name
        if key in GONE or (name in known and known[name].metadata.get("constant") and key != "home"):
            word = GONE.get(key) or f"a constant now, {known[name].default}"
            notes.append(f"{file}: {key} is {word}; the line has no effect and can go.")
            continue
        if name not in known:
            raise SettingsError(
                f"{file}: unknown setting {key}",
                hint="docs/SETTINGS.md lists the settings; check the spelling.",
            )
        taken[name] = _settable_within(value, kinds[name], file, notes, f"{key}.")
    return taken


def _settable_within(value: Any, kind: Any, file: Path, notes: list[str], prefix: str) -> Any:
    """The same for a group of settings, or a list of groups."""
    if isinstance(value, list):
        inner = next(iter(get_args(kind)), None)
        return [_settable_within(item, inner, file, notes, prefix) for item in value]
    if isinstance(value, dict) and is_dataclass(kind):
        return _settable(value, kind, file, notes, prefix)
    if isinstance(value, bool) and {"on", "off"} <= set(get_args(kind)):
        return "on" if value else "off"  # as it was written while there was no third choice
    return value
