"""The folders of the index: what is in them, adding, forgetting, and what is left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import msgspec

from localsearch.errors import NotFoundError
from localsearch.scan import display, path_of, raw_of
from localsearch.server.operations import Call, Operation
from localsearch.server.problems import HttpError
from localsearch.server.responses import Response
from localsearch.server.routes.documents import started
from localsearch.server.routes.jobs import allowed_path
from localsearch.server.schemas.folders import (
    ChoiceFolder,
    ChoiceParameters,
    ChoicesAnswer,
    FolderAnswer,
    FolderRequest,
    FoldersAnswer,
    PatternsRequest,
    RecentAnswer,
    RecentDocument,
    RecentParameters,
    WatchingAnswer,
    WatchingRequest,
)
from localsearch.server.schemas.jobs import IndexRequest, JobStarted
from localsearch.server.service import Service

MOST_CHOICES = 500
"""Folders that are listed of one."""


def listed(service: Service, call: Call) -> FoldersAnswer:
    """Every folder, as far as it may be seen."""
    folders = service.engine.folders.listed(call.within)
    return FoldersAnswer(
        folders=[msgspec.convert(folder, FolderAnswer, from_attributes=True) for folder in folders],
        watching=service.watching.on,
        may_manage=call.key is None or (call.key.may("admin") and not call.within),
    )


def forget(service: Service, call: Call) -> Response:
    """Queue the forgetting of a folder."""
    request: FolderRequest = call.body
    service.engine.folders.find(request.path, request.collection)
    return started(service, "forget", request)


def patterns(service: Service, call: Call) -> Response:
    """Keep what is left out of a folder, and queue looking through it."""
    request: PatternsRequest = call.body
    path = service.engine.folders.find(request.path, request.collection)
    path = allowed_path(os.fsdecode(raw_of(path)), service.settings.server.index_roots)
    service.engine.folders.set_patterns(
        request.path, request.collection, include=request.include, exclude=request.exclude
    )
    return started(service, "index", IndexRequest(paths=[path], collection=request.collection))


def watching(service: Service, call: Call) -> WatchingAnswer:
    """Keep folders current from now on, or no longer."""
    request: WatchingRequest = call.body
    service.engine.folders.watch(request.on)
    service.watching.on = request.on
    return WatchingAnswer(on=request.on)


def choices(service: Service, call: Call) -> ChoicesAnswer:
    """The folders in a folder that may be indexed."""
    asked: ChoiceParameters = call.query
    tops = [os.path.expanduser(root) for root in service.settings.server.index_roots]
    here = asked.path or (tops[0] if len(tops) == 1 else None if tops else os.path.expanduser("~"))
    indexed = {folder.encode() for _, folder, _ in service.engine.ledger.roots()}
    if here is None:
        return ChoicesAnswer(path=None, parent=None, folders=list(_shown(tops, indexed)), more=0)
    path = allowed_path(os.fsdecode(raw_of(here)), service.settings.server.index_roots)
    try:
        with os.scandir(path) as entries:
            found = sorted(one.path for one in entries if not one.name.startswith(".") and one.is_dir())
    except OSError as error:
        raise NotFoundError(
            f"{here} cannot be listed: {error.strerror}", hint="Choose another, or type the path."
        ) from error
    return ChoicesAnswer(
        path=display(os.fsencode(path)),
        parent=_parent(path, service.settings.server.index_roots),
        folders=list(_shown(found[:MOST_CHOICES], indexed)),
        more=max(0, len(found) - MOST_CHOICES),
    )


def _shown(paths: Iterable[str], indexed: set[bytes]) -> Iterator[ChoiceFolder]:
    for path in paths:
        shown = display(os.fsencode(path))
        tops = [shown, *map(str, path_of(os.fsencode(shown)).parents)]
        yield ChoiceFolder(
            name=shown.rpartition("/")[2] or shown,
            path=shown,
            indexed=any(top.encode() in indexed for top in tops),
        )


def _parent(path: str, allowed: tuple[str, ...]) -> str | None:
    """The folder above, where it may be chosen from too."""
    above = os.path.dirname(os.path.abspath(path))
    if above == os.path.abspath(path):
        return None
    try:
        return display(os.fsencode(allowed_path(above, allowed)))
    except HttpError:
        return None


def recent(service: Service, call: Call) -> RecentAnswer:
    """Documents whose files changed last."""
    asked: RecentParameters = call.query
    rows = service.engine.reader.recent(asked.limit, within=call.within)
    return RecentAnswer(
        documents=[
            RecentDocument(
                id=row.key,
                collection=row.collection,
                title=row.title,
                path=row.path,
                type=row.type,
                modified=row.modified or 0.0,
            )
            for row in rows
        ]
    )


OPERATIONS = (
    Operation(
        "GET",
        "/folders",
        "The folders that were indexed: counts, freshness, what is left out.",
        listed,
        answer=FoldersAnswer,
        limited=True,
        tag="folders",
    ),
    Operation(
        "GET",
        "/folders/choices",
        "Folders on the server's machine that may be indexed, one level at a time.",
        choices,
        query=ChoiceParameters,
        answer=ChoicesAnswer,
        scope="admin",
        tag="folders",
    ),
    Operation(
        "POST",
        "/folders/forget",
        "Drop a folder and what was read from it, in the background; its files stay.",
        forget,
        body=FolderRequest,
        answer=JobStarted,
        status=202,
        scope="admin",
        tag="folders",
    ),
    Operation(
        "POST",
        "/folders/patterns",
        "Keep which files of a folder are taken and left out, and look through it again.",
        patterns,
        body=PatternsRequest,
        answer=JobStarted,
        status=202,
        scope="admin",
        tag="folders",
    ),
    Operation(
        "POST",
        "/watching",
        "Keep folders current as their files change, or no longer; this is remembered.",
        watching,
        body=WatchingRequest,
        answer=WatchingAnswer,
        scope="admin",
        tag="folders",
    ),
    Operation(
        "GET",
        "/recent",
        "Documents whose files changed last.",
        recent,
        query=RecentParameters,
        answer=RecentAnswer,
        limited=True,
        tag="folders",
    ),
)
