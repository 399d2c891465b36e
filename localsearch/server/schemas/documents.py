"""Requests and answers of /documents, /read and /originals."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Raw, field

from localsearch.server.schemas.base import Collection, RequestSchema, ResponseSchema


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


class DocumentsReceived(RequestSchema, frozen=True, kw_only=True):
    """A DocumentsRequest whose documents are not looked at yet."""

    documents: Annotated[list[Raw], Meta(min_length=1)]
    collection: Collection | None = None


class Refused(ResponseSchema, frozen=True, kw_only=True):
    """A document that was not stored, by its place in the request, from 0."""

    at: int
    message: str


class DocumentsAnswer(ResponseSchema, frozen=True, kw_only=True, omit_defaults=True):
    """The ids of the stored documents, in the order sent: durable now, and found by their words.

    With `refused` documents, which cost only themselves, the status is 207; when none is left it is 400.
    """

    ids: list[str]
    collection: str
    refused: list[Refused] = field(default_factory=list)


class InCollection(RequestSchema, frozen=True, kw_only=True):
    """Which collection."""

    collection: Collection = "default"


class DeleteParameters(InCollection, frozen=True, kw_only=True):
    """Which collection; with `purge` to the last byte, which rewrites the whole index and takes its time."""

    purge: bool = False


class DocumentParameters(InCollection, frozen=True, kw_only=True):
    """Which collection, and which part: lines or pages such as `10-20`, or `chars` characters around `at`."""

    lines: Annotated[str, Meta(max_length=30, examples=["10-20"])] | None = None
    pages: Annotated[str, Meta(max_length=30, examples=["1"])] | None = None
    at: Annotated[int, Meta(ge=0, le=1_000_000_000)] | None = None
    chars: Annotated[int, Meta(ge=1, le=1_000_000)] = 4000
    max_chars: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None


class ReadRequest(RequestSchema, frozen=True, kw_only=True):
    """Documents by ids, paths, folders, or patterns with `*` and `?`; `each` and `budget` count characters."""

    names: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=5000, examples=["notes/*.md"])]],
        Meta(min_length=1, max_length=100),
    ]
    collection: Collection | None = None
    each: Annotated[int, Meta(ge=1, le=1_000_000)] = 4000
    budget: Annotated[int, Meta(ge=1, le=10_000_000)] = 40_000


class Deleted(ResponseSchema, frozen=True, kw_only=True):
    """What was deleted."""

    id: str
    deleted: bool = True
