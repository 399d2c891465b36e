"""What goes over the wire. The same types decode requests, encode answers and write the OpenAPI document.

Unknown fields are refused, so that a misspelt one is noticed. Answers to searches are `types.Answer` itself.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from localsearch.server.request_limits import AtMost, AtMostDeep
from localsearch.types import Mode

Text = Annotated[str, Meta(pattern=r"\S", description="Some text, not only white space.")]
Collection = Annotated[str, Meta(pattern=r"^[\w.\-]{1,64}\Z", description="A named set of documents.")]
Filters = Annotated[
    dict[str, Any] | str | None,
    Meta(
        description='JSON such as {"year": {"$gte": 2020}}, or an expression such as `type:pdf after:2024-01-01`.',
        examples=[{"type": {"$in": ["pdf", "markdown"]}}, "type:pdf after:2024-01-01"],
    ),
    AtMostDeep("filter_depth"),
]


MinRelevance = Annotated[
    float, Meta(ge=0, le=1, description="Leave out, and do not count, hits whose relevance is below this.")
]

Like = Annotated[
    str,
    Meta(min_length=1, max_length=5000, description="The id of a document: others like it, itself left out."),
]


class RequestSchema(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything a client sends."""


class ResponseSchema(Struct, frozen=True, kw_only=True):
    """Base of everything the server answers."""


class SearchRequest(RequestSchema, frozen=True, kw_only=True):
    """A question, or a document that others should be like, or both.

    `filters` is exact: limit 10 gives 10 hits whenever 10 documents match.
    """

    query: Annotated[Text, Meta(examples=["how do I renew the certificate"]), AtMost("query_chars")] = ""
    limit: Annotated[int, Meta(ge=1, examples=[5]), AtMost("results")] = 5
    filters: Filters = None
    mode: Mode | None = None
    rerank: bool | None = None
    collection: Collection | None = None
    offset: Annotated[int, Meta(ge=0), AtMost("offset")] = 0
    explain: bool | None = None
    budget_ms: Annotated[float, Meta(ge=1, le=600_000, description="Milliseconds it may take.")] | None = None
    facets: Annotated[bool, Meta(description="Count types, folders, languages, tags and years.")] | None = (
        None
    )
    cache: Annotated[bool, Meta(description="False computes the answer anew.")] | None = None
    min_relevance: MinRelevance | None = None
    like: Like | None = None


class SearchParameters(RequestSchema, frozen=True, kw_only=True):
    """The same question in a query string; `filters` is an expression such as `type:pdf after:2024-01-01`."""

    q: Annotated[
        str,
        Meta(pattern=r"\S", description="The question.", examples=["renew the certificate"]),
        AtMost("query_chars"),
    ] = ""
    limit: Annotated[int, Meta(ge=1), AtMost("results")] = 5
    filters: Annotated[str, Meta(description="Such as `type:pdf after:2024-01-01`.")] | None = None
    mode: Mode | None = None
    rerank: bool = False
    collection: Collection | None = None
    offset: Annotated[int, Meta(ge=0), AtMost("offset")] = 0
    explain: bool = False
    budget_ms: Annotated[float, Meta(ge=1, le=600_000, description="Milliseconds it may take.")] | None = None
    facets: bool = False
    cache: bool = True
    min_relevance: MinRelevance = 0.0
    like: Like | None = None


class SentDocument(RequestSchema, frozen=True, kw_only=True):
    """A document. One with the id of another takes its place; without an id, one is made from the content."""

    text: Annotated[str, Meta(pattern=r"\S", examples=["The kiln must cool for a day before it is opened."])]
    id: (
        Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f]*\Z", examples=["kiln"])]
        | None
    ) = None
    title: Annotated[str, Meta(max_length=2000)] | None = None
    metadata: dict[str, Any] | None = None


class DocumentsRequest(RequestSchema, frozen=True, kw_only=True):
    """Documents to store."""

    documents: Annotated[list[SentDocument], Meta(min_length=1)]
    collection: Collection | None = None


class DocumentsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The ids of the stored documents, in the order sent: durable now, and found by their words."""

    ids: list[str]
    collection: str


class InCollection(RequestSchema, frozen=True, kw_only=True):
    """Which collection."""

    collection: Collection = "default"


class DeleteParameters(InCollection, frozen=True, kw_only=True):
    """Which collection; with `purge` to the last byte, which rewrites the whole index and takes its time."""

    purge: bool = False


class PassageParameters(InCollection, frozen=True, kw_only=True):
    """`at` is a character offset in the document's text; `chars` how many characters around it."""

    at: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    chars: Annotated[int, Meta(ge=1, le=100_000)] = 4000


class DocumentAnswer(ResponseSchema, frozen=True, kw_only=True):
    """A document with all of its text. Times are seconds since 1970; `size` is in bytes."""

    id: str
    collection: str
    title: str
    path: str | None
    type: str
    language: str
    author: str
    size: int
    created: float | None
    modified: float | None
    indexed: float
    tags: list[str]
    metadata: dict[str, Any]
    text: str


class PassageAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Part of a document's text: the characters from `start` up to `stop`. `more` is whether text follows."""

    id: str
    collection: str
    title: str
    path: str | None
    type: str
    start: int
    stop: int
    more: bool
    text: str


class Deleted(ResponseSchema, frozen=True, kw_only=True):
    """What was deleted."""

    id: str
    deleted: bool = True


class IndexRequest(RequestSchema, frozen=True, kw_only=True):
    """Files and folders on the server's machine to make searchable."""

    paths: Annotated[
        list[
            Annotated[
                str,
                Meta(min_length=1, max_length=4096, extra_json_schema={"pattern": "^(/|~/)[^\\x00]*$"}),
            ]
        ],
        Meta(min_length=1, max_length=100, examples=[["/home/me/notes"]]),
    ]
    collection: Collection | None = None
    include: Annotated[list[str], Meta(max_length=100)] | None = None
    exclude: Annotated[list[str], Meta(max_length=100)] | None = None
    retry_failed: bool | None = None


JobState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]


class JobProgress(ResponseSchema, frozen=True, kw_only=True):
    """The step a job is at. `total` is null while it is not known."""

    stage: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    detail: str = ""


class JobAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Background work. Times are seconds since 1970. An interrupted job is one that stopped the server too often."""

    id: int
    kind: Literal["index", "documents"]
    state: JobState
    progress: JobProgress
    created: float
    started: float | None = None
    finished: float | None = None
    tries: int = 0
    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None


class JobStarted(ResponseSchema, frozen=True, kw_only=True):
    """The work goes on in the background; follow it at `events`."""

    job: JobAnswer
    events: str


class JobsParameters(RequestSchema, frozen=True, kw_only=True):
    """The newest come first."""

    state: JobState | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 50


class JobsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Jobs, newest first."""

    jobs: list[JobAnswer]


class SuggestParameters(RequestSchema, frozen=True, kw_only=True):
    """The beginning of a question."""

    q: Annotated[str, Meta(max_length=1000)]
    limit: Annotated[int, Meta(ge=1, le=50)] = 8


class SuggestAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Completions from the corpus's own words, best first."""

    query: str
    suggestions: list[str]


class FeedbackRequest(RequestSchema, frozen=True, kw_only=True):
    """A judgement: whether this document answers this question."""

    query: Annotated[Text, Meta(examples=["kiln"]), AtMost("query_chars")]
    id: Annotated[str, Meta(min_length=1, max_length=5000, examples=["kiln"])]
    relevant: Annotated[bool, Meta(examples=[True])]
    collection: Collection | None = None


class FeedbackAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The judgement is kept."""

    recorded: bool = True


class HealthAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class ReadyAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Searches are answered. `semantic_coverage` is the share of passages found by meaning, under this `version`."""

    ready: bool
    documents: int
    semantic_coverage: float
    version: str | None


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
    """Files by state, or one file by its path."""

    state: Literal["indexed", "skipped", "failed"] = "failed"
    path: Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"^[^\x00]*\Z")] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class LedgerFile(ResponseSchema, frozen=True, kw_only=True):
    """A file seen and what became of it. `rule` is a stable word for the reason."""

    path: str
    collection: str
    state: str
    rule: str
    reason: str
    tries: int
    size: int
    stale: bool


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
    """Counts, sizes, caches, cost. `bytes` is what the index takes on disk."""

    documents: int
    chunks: int
    embedded_chunks: int
    semantic_coverage: float
    files: dict[str, int]
    version: str | None
    home: str
    bytes: int
    seq: int
    collections: list[str]
    roots: list[str]
    release: str
    uptime_s: float
    background_error: str | None
    caches: dict[str, CacheAnswer]
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
    """An embedding version: `pending` passages still lack a vector, `bytes` of vector index are on disk."""

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


class VersionsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Embedding versions; the one with the state `active` answers."""

    versions: list[VersionAnswer] = field(default_factory=list)
