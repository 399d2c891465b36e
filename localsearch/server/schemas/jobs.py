"""Requests and answers of /index and /jobs. A job keeps its request as JSON, so old requests must stay readable."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from localsearch.server.schemas.base import AbsolutePath, Collection, RequestSchema, ResponseSchema
from localsearch.server.schemas.documents import Refused


class IndexRequest(RequestSchema, frozen=True, kw_only=True):
    """Files and folders on the server's machine to make searchable."""

    paths: Annotated[
        list[AbsolutePath],
        Meta(min_length=1, max_length=100, examples=[["/home/me/notes"]]),
    ]
    collection: Collection | None = None
    include: Annotated[list[str], Meta(max_length=100)] | None = None
    exclude: Annotated[list[str], Meta(max_length=100)] | None = None
    retry_failed: bool | None = None


JobState = Literal["queued", "running", "held", "done", "failed", "cancelled", "interrupted"]


class JobProgress(ResponseSchema, frozen=True, kw_only=True):
    """The step a job is at. `total` is null while it is not known.

    `left_s` is how many seconds the step may take yet at the rate so far, null while that is not known.
    """

    stage: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    detail: str = ""
    left_s: float | None = None


class JobAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Background work. Times are seconds since 1970. An interrupted job is one that stopped the server too often.

    A held one came with a backup and waits for `localsearch trust`.
    """

    id: int
    kind: Literal["index", "documents", "forget", "version", "compare", "gc"]
    state: JobState
    progress: JobProgress
    created: float
    started: float | None = None
    finished: float | None = None
    tries: int = 0
    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None


class JobStarted(ResponseSchema, frozen=True, kw_only=True, omit_defaults=True):
    """The work goes on in the background; follow it at `events`. It is done without what is `refused`."""

    job: JobAnswer
    events: str
    refused: list[Refused] = field(default_factory=list)


class JobsParameters(RequestSchema, frozen=True, kw_only=True):
    """The newest come first."""

    state: JobState | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 50


class JobsAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Jobs, newest first."""

    jobs: list[JobAnswer]
