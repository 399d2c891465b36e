"""Snapshots for readers: the manifest of the present state, and the parts that it names."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from localsearch.errors import ConflictError, NotFoundError
from localsearch.replication.capture import mark
from localsearch.replication.manifest import MANIFEST, part_path
from localsearch.replication.ship import ship
from localsearch.server.headers import DATA_HEADERS
from localsearch.server.operations import Call, Operation
from localsearch.server.responses import FileResponse, Response
from localsearch.server.schemas.system import SnapshotAnswer
from localsearch.server.service import Service

FOLDER = "shipped"
"""Of the home folder: what readers over HTTP take."""
_FRESH_S = 1.0
"""Age up to which a snapshot is given again, so that many readers cost as much as one."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})")


def manifest(service: Service, call: Call) -> Response:
    """The manifest of a snapshot of the present state, made if there is none yet."""
    if service.read_only:
        raise ConflictError(
            "This server only reads, so it has no snapshots to give.",
            hint=f"Ask {service.primary or 'the primary'}.",
        )
    folder = service.settings.home / FOLDER
    with service.shipping:
        now = mark(service.settings.home, service.engine.db)
        if now != service.shipped and not _fresh(folder / MANIFEST):
            ship(service.settings, service.engine.db, folder)
            os.utime(folder / MANIFEST)
            service.shipped = now
        return Response((folder / MANIFEST).read_bytes())


def part(service: Service, call: Call) -> FileResponse:
    """A part of a snapshot by its SHA-256, or the rest of it from an offset on."""
    digest = call.path["sha256"]
    if not _DIGEST.fullmatch(digest):
        raise _gone()
    try:
        descriptor = os.open(
            service.settings.home / FOLDER / part_path(digest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        )
    except OSError:
        raise _gone() from None
    size = os.fstat(descriptor).st_size
    headers = [*DATA_HEADERS, (b"content-type", b"application/octet-stream"), (b"accept-ranges", b"bytes")]
    found = _RANGE.fullmatch(call.range)
    first, last = (int(found[1]), int(found[2] or size - 1)) if found else (0, size - 1)
    if not found or not first <= last < size:
        return FileResponse(descriptor, size, headers)
    os.lseek(descriptor, first, os.SEEK_SET)
    headers.append((b"content-range", b"bytes %d-%d/%d" % (first, last, size)))
    return FileResponse(descriptor, last - first + 1, headers, 206)


def _fresh(file: Path) -> bool:
    try:
        return 0 <= time.time() - file.stat().st_mtime < _FRESH_S
    except FileNotFoundError:
        return False


def _gone() -> NotFoundError:
    return NotFoundError("There is no such part.", hint="Ask for the manifest anew: GET /snapshot")


OPERATIONS = (
    Operation(
        "GET",
        "/snapshot",
        "The manifest of a snapshot of the whole index, for `serve --follow`.",
        manifest,
        answer=SnapshotAnswer,
        scope="admin",
        tag="system",
    ),
    Operation(
        "GET",
        "/snapshot/{sha256}",
        "A part of a snapshot, by its SHA-256; takes Range.",
        part,
        produces="application/octet-stream",
        scope="admin",
        anywhere=True,
        tag="system",
    ),
)
