"""Requests and answers of /folders, /recent and /watching."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from localsearch.server.schemas.base import AbsolutePath, Collection, RequestSchema, ResponseSchema

FolderPath = Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"^[^\x00]*\Z")]
Patterns = Annotated[list[Annotated[str, Meta(min_length=1, max_length=1000)]], Meta(max_length=100)]


class FolderAnswer(ResponseSchema, frozen=True, kw_only=True):
    """A folder, or a file, that was indexed by its own name, as far as it may be seen.

    `checked` is when all of it was last looked through, `changed` when a document of it was last stored, in seconds
    since 1970. A `held` one came with a backup and waits for `localsearch trust`; a `missing` one cannot be reached.
    """

    path: str
    collection: str
    documents: int
    files: dict[str, int]
    noted: int
    checked: float | None
    changed: float | None
    include: list[str]
    exclude: list[str]
    held: bool
    missing: bool


class FoldersAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Every folder, whether they are kept current, and whether whoever asks may change them."""

    folders: list[FolderAnswer]
    watching: bool
    may_manage: bool


class FolderRequest(RequestSchema, frozen=True, kw_only=True):
    """A folder as GET /folders names it."""

    path: FolderPath
    collection: Collection = "default"


class PatternsRequest(FolderRequest, frozen=True, kw_only=True):
    """Which files of a folder are taken, and which are left out, from now on; globs as on the command line."""

    include: Patterns = field(default_factory=list)
    exclude: Patterns = field(default_factory=list)


class WatchingRequest(RequestSchema, frozen=True, kw_only=True):
    """Whether folders are kept current as their files change, now and after a restart."""

    on: bool


class WatchingAnswer(ResponseSchema, frozen=True, kw_only=True):
    """What holds from now on."""

    on: bool


class ChoiceParameters(RequestSchema, frozen=True, kw_only=True):
    """A folder on the server's machine; without one, where choosing begins."""

    path: AbsolutePath | None = None


class ChoiceFolder(ResponseSchema, frozen=True, kw_only=True):
    """A folder that may be chosen; `indexed` is whether all of it is searchable already."""

    name: str
    path: str
    indexed: bool


class ChoicesAnswer(ResponseSchema, frozen=True, kw_only=True):
    """The folders in a folder. `parent` is null at the top, `path` where there are several tops.

    `more` is how many further ones there are; hidden ones are not listed.
    """

    path: str | None
    parent: str | None
    folders: list[ChoiceFolder]
    more: int


class RecentParameters(RequestSchema, frozen=True, kw_only=True):
    """How many."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 8


class RecentDocument(ResponseSchema, frozen=True, kw_only=True):
    """A document and when its file was last changed, in seconds since 1970."""

    id: str
    collection: str
    title: str
    path: str | None
    type: str
    modified: float


class RecentAnswer(ResponseSchema, frozen=True, kw_only=True):
    """Documents that changed last, the latest first."""

    documents: list[RecentDocument]
