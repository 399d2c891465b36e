"""Files that leave the server: the page's own, and originals of indexed documents. Nothing else can be read.

`Pages` is read at the start and then in memory, for any thread; `open_original` opens a file, in a worker thread.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from localsearch.errors import NotFoundError
from localsearch.extract.kinds import TEXT_TYPES
from localsearch.platform.beneath import open_true
from localsearch.scan import secret_head
from localsearch.secrets import beginning as secret_beginning
from localsearch.server.headers import COMMON_HEADERS
from localsearch.server.problems import Headers
from localsearch.server.responses import FileResponse, Response

WEB = Path(__file__).parent / "web"
TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
}
SHOWN = frozenset({"application/pdf", "image/png", "image/jpeg", "image/gif", "image/webp"})
"""Types that a browser may show; text is shown as plain text, everything else is only ever downloaded."""
FILE_POLICY = b"default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; object-src 'self'"


class Pages:
    """The page's files, read once: what is not in the folder does not exist, whatever a path says."""

    def __init__(self, folder: Path = WEB) -> None:
        self._files = {
            file.relative_to(folder).as_posix(): (file.read_bytes(), TYPES[file.suffix].encode())
            for file in sorted(folder.rglob("*"))
            if file.is_file() and file.suffix in TYPES
        }

    def reply(self, name: str) -> Response:
        """One file. Raises NotFoundError."""
        if name not in self._files:
            raise NotFoundError("There is no such page.", hint="The page is at /, the routes at /docs.")
        body, kind = self._files[name]
        return Response(body, type=kind, page=True)


def open_original(
    raw: bytes, type: str, roots: Iterable[tuple[bytes, bytes]], *, secrets: bool = False
) -> FileResponse:
    """Open the file of an indexed document for sending. Raises NotFoundError for all that is not a file in a root.

    `roots` are pairs: the path that was indexed, and where it led then, links resolved. The file is opened below the
    latter with no link followed, so that neither it nor a folder on the way, nor the root, can be swapped for one.
    What holds a secret by now is not sent, unless `secrets` are wanted or the file was itself named to be indexed.
    """
    for root, true in roots:
        for top in (root, true):
            if raw == top or raw.startswith(top.rstrip(b"/") + b"/"):
                return _opened(true + raw[len(top) :], os.fsdecode(raw), type, secrets or raw == top)
    raise _gone()


def _opened(true: bytes, path: str, type: str, secrets: bool) -> FileResponse:
    try:
        descriptor = open_true(true)
    except (OSError, ValueError):
        raise _gone() from None
    try:
        if not secrets and secret_head(secret_beginning(descriptor)):
            raise _gone()
        return FileResponse(descriptor, os.fstat(descriptor).st_size, _headers(path, type))
    except BaseException:
        os.close(descriptor)
        raise


def _headers(path: str, type: str) -> Headers:
    kind, shown = _media(path, type)
    name = quote(os.path.basename(path), safe="", errors="replace")
    how = "inline" if shown else "attachment"
    policy = FILE_POLICY if kind == "application/pdf" else FILE_POLICY + b"; sandbox"
    return [
        *COMMON_HEADERS,
        (b"content-type", kind.encode()),
        (b"content-disposition", f"{how}; filename*=UTF-8''{name}".encode()),
        (b"content-security-policy", policy),
        (b"cache-control", b"private, no-store"),
    ]


def _media(path: str, type: str) -> tuple[str, bool]:
    """Media type to send and whether a browser may show it. Nothing that could hold a script is sent as what it is."""
    guessed, encoding = mimetypes.guess_type(os.path.basename(path))
    if encoding is None and guessed in SHOWN:
        return guessed, True
    if encoding is None and (type in TEXT_TYPES or (guessed or "").startswith("text/")):
        return "text/plain; charset=utf-8", True
    return "application/octet-stream", False


def _gone() -> NotFoundError:
    return NotFoundError(
        "The file of this document cannot be opened.",
        hint="It was moved or deleted, or its folder is not indexed.",
    )
