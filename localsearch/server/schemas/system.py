"""Requests and answers about the server itself: /health, /stats, /alerts, /ledger, /cache, /versions."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from localsearch.replication.manifest import Manifest
from localsearch.server.reasons import Told
from localsearch.server.schemas.base import RequestSchema, ResponseSchema


class HealthAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class ReplicaAnswer(ResponseSchema, frozen=True, kw_only=True):
    """How a reader stands: what it follows, seconds since it was seen to have what its source has and since that was
    shipped, and why it is behind, if it is."""

    source: str
    primary: str
    lag_s: float
    shipped_s: float
    error: str | None


class GuardAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Searches of an engine since the start of this process, by what its count of rows told: whole at once, whole when
    asked again, or refused and answered by words."""

    whole: int
    retried: int
    refused: int


class VectorsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """How vectors stand: `count` can be found, `behind` changes are still to come to the engine, which counts `rows`.

    `problem` is why it cannot be searched, if it cannot.
    """

    backend: str
    count: int
    behind: int
    reachable: bool | None
    rows: int | None
    problem: str
    guard: GuardAnswer


class ReadyAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Searches are answered. `semantic_coverage` is the share of chunks found by meaning, under this `version`.

    `state` is that of X-Localsearch-State; `replica` is there where the server follows another. While the engine of the
    vectors is away, words answer, so that `ready` holds: `vectors` tells of it.
    """

    ready: bool
    documents: int
    semantic_coverage: float
    version: str | None
    state: str | None
    read_only: bool
    replica: ReplicaAnswer | None = None
    vectors: VectorsAnswer | None = None


class SnapshotAnswer(ResponseSchema, frozen=True, kw_only=True):
    """A snapshot of the whole index: its manifest, and the BLAKE2b-128 of that as it was sent."""

    format: int
    check: str
    manifest: Manifest


class Cleared(ResponseSchema, frozen=True, kw_only=True):
    """How many entries each cache held."""

    cleared: dict[str, int]


class AlertAnswer(ResponseSchema, frozen=True, kw_only=True):
    """A rule that holds now. It is pending until it has held as long as the rule says, then firing."""

    name: str
    state: Literal["pending", "firing"]
    severity: str
    value: float
    threshold: float
    since: float
    help: str


class AlertsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Firing and pending alerts."""

    alerts: list[AlertAnswer]


class LedgerParameters(RequestSchema, frozen=True, kw_only=True):
    """Files by state, or one file by its path; `noted` are the indexed ones that could not be read whole."""

    state: Literal["indexed", "skipped", "failed", "noted"] = "failed"
    path: Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"^[^\x00]*\Z")] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class LedgerFile(ResponseSchema, frozen=True, kw_only=True):
    """A file seen and what became of it. `rule` is a stable word for the reason, `remedy` what can be done about it, ""
    where nothing is known; `notes` say what was not read. `told` has the notes, or else the reason, each as a code with
    its values.
    """

    path: str
    collection: str
    state: str
    rule: str
    reason: str
    remedy: str
    tries: int
    size: int
    stale: bool
    notes: list[str]
    told: list[Told]


class LedgerRule(ResponseSchema, frozen=True, kw_only=True):
    """How many files one rule left out."""

    state: str
    rule: str
    files: int


class LedgerAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Files that were not read, and why."""

    files: list[LedgerFile]
    rules: list[LedgerRule]
    counts: dict[str, int]


class CacheAnswer(ResponseSchema, frozen=True, kw_only=True):
    """One cache since the start. `age_s` is that of its oldest entry."""

    hits: int
    misses: int
    evicted: int
    entries: int
    bytes: int
    age_s: float


class CostAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Embedding done for this index, wherever, and what the same tokens would cost in dollars at each hosted price."""

    tokens: int
    cpu_s: float
    hosted: dict[str, float]


class LatencyAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Searches of the last five minutes. Times are milliseconds."""

    searches: int
    p50_ms: float
    p99_ms: float
    error_rate: float


class StatsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Counts, sizes, caches, cost. `bytes` is what the index takes on disk.

    `better_model` knows more of the texts' languages than the model in use.
    """

    documents: int
    chunks: int
    embedded_chunks: int
    semantic_coverage: float
    files: dict[str, int]
    noted: int
    names: int
    version: str | None
    better_model: str | None
    home: str
    bytes: int
    seq: int
    collections: list[str]
    roots: list[str]
    release: str
    uptime_s: float
    background_error: str | None
    caches: dict[str, CacheAnswer]
    vectors: VectorsAnswer | None
    cost: CostAnswer
    latency: LatencyAnswer
    jobs: dict[str, int]
    quality: float | None
    recall: float | None


class Sample(ResponseSchema, frozen=True, kw_only=True):
    """One point of the small charts."""

    at: float
    searches: int
    p50_ms: float
    p99_ms: float
    hit_rate: float
    semantic_coverage: float


class HistoryAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Samples of the last hour, oldest first."""

    samples: list[Sample]
    every_s: float


class VersionAnswer(ResponseSchema, frozen=True, kw_only=True):
    """An embedding version: `pending` chunks still lack a vector, `bytes` of vector index are on disk."""

    id: int
    name: str
    model: str
    precision: str
    dimensions: int
    state: Literal["building", "ready", "active", "retired"]
    pending: int
    bytes: int
    created: float
    activated: float | None


class VersionRequest(RequestSchema, frozen=True, kw_only=True):
    """The model to embed everything with, beside the version in use; it is fetched where it is not here."""

    model: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*\Z")]
    precision: Literal["fp32", "int8"] | None = None


_NamedVersion = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*\Z")]


class ComparisonRequest(RequestSchema, frozen=True, kw_only=True):
    """Two versions, by number or name, and questions to compare them on, beside those that were asked."""

    first: _NamedVersion
    second: _NamedVersion
    questions: Annotated[list[Annotated[str, Meta(max_length=1000)]], Meta(max_length=200)] = field(
        default_factory=list
    )


class VersionsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Embedding versions; the one with the state `active` answers."""

    versions: list[VersionAnswer] = field(default_factory=list)
