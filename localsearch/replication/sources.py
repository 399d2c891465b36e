"""Where a reader takes snapshots from: a folder that `ship` writes, or the primary itself over HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from localsearch.errors import ConflictError, DamagedError, StorageError, UnavailableError, UsageError
from localsearch.replication.identity import State
from localsearch.replication.manifest import LONGEST, Manifest, Part, decode, part_path
from localsearch.replication.ship import read_published

_BLOCK = 1 << 20
_TIMEOUT_S = 60.0
_ROUTE = "/snapshot"


class Source(Protocol):
    """Published snapshots. Each method raises UnavailableError when it cannot be reached."""

    name: str
    url: str
    """The address of the primary, where this is it."""

    def manifest(self, have: State | None) -> Manifest:
        """The published snapshot; `have` is the state of whoever asks. Raises DamagedError, FormatError."""
        ...

    def read(self, part: Part, offset: int) -> Iterator[bytes]:
        """The bytes of a part from an offset on. Raises DamagedError where it is gone."""
        ...


class FolderSource:
    """A folder that `ship` writes, or a copy of it."""

    url = ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = str(folder)

    def manifest(self, have: State | None) -> Manifest:
        try:
            found = read_published(self._folder)
        except StorageError as error:
            if error.code == "storage":
                raise UnavailableError(error.message, hint=error.hint) from error
            raise
        if found is None:
            raise UnavailableError(
                f"Nothing is published in {self._folder}.",
                hint="Is it mounted? Ship to it: localsearch ship DEST",
            )
        return found

    def read(self, part: Part, offset: int) -> Iterator[bytes]:
        try:
            with (self._folder / part_path(part.sha256)).open("rb") as file:
                file.seek(offset)
                while block := file.read(_BLOCK):
                    yield block
        except FileNotFoundError:
            raise gone(part) from None
        except OSError as error:
            raise UnavailableError(
                f"{self._folder} cannot be read: {error.strerror}.", hint="Is it mounted?"
            ) from error


class HttpSource:
    """A primary that serves its snapshots to whoever has an admin key. No proxy of the environment is asked."""

    def __init__(self, url: str, key: str) -> None:
        self.name = self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._opener = build_opener(ProxyHandler({}), _NoRedirects())

    def manifest(self, have: State | None) -> Manifest:
        # Of state 0: what matters is which index and epoch is known here, so that a former primary hears of it.
        headers = {"X-Localsearch-State": str(State(have.id, have.epoch, 0))} if have else {}
        try:
            data = b"".join(self._blocks(_ROUTE, headers, LONGEST))
        except FileNotFoundError:
            raise UnavailableError(
                f"{self.url} offers no snapshots.", hint="Is it a primary of this release?"
            ) from None
        return decode(data, f"{self.url}{_ROUTE}")

    def read(self, part: Part, offset: int) -> Iterator[bytes]:
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        try:
            yield from self._blocks(f"{_ROUTE}/{part.sha256}", headers, part.bytes - offset)
        except FileNotFoundError:
            raise gone(part) from None

    def _blocks(self, path: str, headers: dict[str, str], most: int) -> Iterator[bytes]:
        request = Request(self.url + path, headers={**self._headers, **headers})
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                if "Range" in headers and answer.status != 206:
                    raise UnavailableError(f"{self.url} takes no ranges.", hint="Is it a localsearch server?")
                while most > 0 and (block := answer.read(min(_BLOCK, most))):
                    most -= len(block)
                    yield block
        except HTTPError as error:
            raise self._refusal(error) from error
        except (URLError, OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise UnavailableError(
                f"The primary {self.url} does not answer: {str(reason)[:200]}.", hint="Is it running?"
            ) from error

    def _refusal(self, error: HTTPError) -> Exception:
        if error.code == 404:
            return FileNotFoundError(error.url)
        words = _message(error)
        if error.code == 409:
            return ConflictError(
                f"The primary {self.url}: {words}", hint="Follow the one that is the primary now."
            )
        if error.code in (401, 403):
            hint = "Set LOCALSEARCH_FOLLOW_KEY to an admin key of the primary."
        else:
            hint = "See the log of the primary."
        return UnavailableError(f"The primary {self.url} answered {error.code}: {words[:300]}", hint=hint)


def _message(error: HTTPError) -> str:
    """What a server of ours says of its refusal."""
    body = error.read(4_000)
    try:
        told = json.loads(body)["error"]
        return f"{told['message']} {told['hint']}"
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace")


class _NoRedirects(HTTPRedirectHandler):
    """A key is sent to the address that was named and to no other."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def gone(part: Part) -> DamagedError:
    """A part that the manifest names and that is not there: not copied yet, or not kept any more."""
    return DamagedError(
        f"The snapshot lacks a part ({part.sha256[:16]}).",
        hint="It is being copied, or was replaced meanwhile; the next look will tell.",
    )


def source_of(text: str, key: str) -> FolderSource | HttpSource:
    """The source that `--follow` names. Raises UsageError."""
    if "://" not in text:
        return FolderSource(Path(os.path.expanduser(text)).absolute())
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.username:
        raise UsageError(
            f"{text} is no address of a primary.", hint="Such as https://search.example.org, or a folder."
        )
    return HttpSource(text, key)
