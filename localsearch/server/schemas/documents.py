"""Requests and answers of /documents, /passages and /originals."""

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


class PassageParameters(InCollection, frozen=True, kw_only=True):
    """`at` is a character offset in the document's text; `chars` how many characters around it.

    With `rendered`, Markdown comes as HTML too, in which the blocks from `at` up to `stop` have the class `passage`.
    """

    at: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    stop: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    chars: Annotated[int, Meta(ge=1, le=100_000)] = 4000
    rendered: bool = False


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
    """Part of a document's text: the characters from `start` up to `stop`; it begins in the line number `line`.

    `more` is whether text follows, `html` what was asked to be rendered.
    """

    id: str
    collection: str
    title: str
    path: str | None
    type: str
    start: int
    stop: int
    more: bool
    text: str
    line: int = 1
    html: str = ""


class Deleted(ResponseSchema, frozen=True, kw_only=True):
    """What was deleted."""

    id: str
    deleted: bool = True
