"""Model files from a Hugging Face hub: HUB/REPO/resolve/REVISION/FILE, resumed where an earlier try stopped."""

from __future__ import annotations

import http.client
import io
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from localsearch.errors import CancelledError, ModelFetchError, OfflineError
from localsearch.models.cards import ModelSource, Pin
from localsearch.models.files import BLOCK, sha256, storage_errors
from localsearch.release import __version__
from localsearch.types import Cancelled, Progress, Report

_TIMEOUT_S = 30
_TRIES = 4
_RETRY = (408, 429, 500, 502, 503, 504)
_HAND = "Or carry the folder in by hand: models import DIR"


@dataclass(frozen=True, slots=True)
class Download:
    """One file on its way: where from, where to, what it must be."""

    url: str
    target: Path
    pin: Pin
    report: Report
    cancelled: Cancelled

    @property
    def name(self) -> str:
        return self.target.name


def fetch_hub(
    endpoint: str,
    source: ModelSource,
    name: str,
    pin: Pin,
    partial: Path,
    report: Report,
    cancelled: Cancelled,
) -> Path:
    """Fetch one file into `partial` and return its path; a whole one that is already there is not fetched again.

    Raises OfflineError (hub not reachable), ModelFetchError (refused, missing, cut short), DiskFullError.
    """
    url = "/".join((endpoint, source.repo, "resolve", quote(source.revision), quote(name)))
    target = partial / name
    with storage_errors(partial):
        target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and pin.sha256 and sha256(target) == pin.sha256:
        return target
    target.unlink(missing_ok=True)
    download = Download(url, target, pin, report, cancelled)
    part = target.with_name(target.name + ".part")
    for attempt in range(_TRIES):
        if _attempt(download, part, last=attempt == _TRIES - 1):
            part.replace(target)
            return target
    raise _cut_short(download, part)


def _attempt(download: Download, part: Path, last: bool) -> bool:
    """Fetch what is missing; True when the file is whole, False to try again."""
    have = part.stat().st_size if part.exists() else 0
    if download.pin.bytes and have == download.pin.bytes:
        return True
    request = urllib.request.Request(download.url, headers={"User-Agent": f"localsearch/{__version__}"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            return _receive(download, response, part, have if response.status == 206 else 0)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is longer than the file: it belongs to something else
            part.unlink(missing_ok=True)
            return False
        if error.code in _RETRY and not last:
            return False
        raise _refused(download, error.code) from error
    except http.client.HTTPException:
        return False
    except urllib.error.URLError as error:
        raise OfflineError(
            f"the hub cannot be reached for {download.name}: {error.reason}",
            hint=f"Check the network. {_HAND}",
        ) from error
    except (TimeoutError, ConnectionError):
        return False


def _receive(download: Download, response: http.client.HTTPResponse, part: Path, start: int) -> bool:
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else download.pin.bytes or None
    done = start
    with storage_errors(part.parent):
        file = part.open("ab" if start else "wb", buffering=0)  # a full disk shows in write, not in close
    with file:
        while block := response.read(BLOCK):
            if download.cancelled():
                raise CancelledError("the download was stopped; the next pull resumes it")
            with storage_errors(part.parent):
                _write(file, block)
            done += len(block)
            download.report(Progress("download", done, total, "B", download.name))
    return total is None or done == total


def _write(file: io.FileIO, block: bytes) -> None:
    """All of it: an unbuffered file may take less at a time."""
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]


def _refused(download: Download, status: int) -> ModelFetchError:
    if status in (401, 403):
        why, hint = "the hub asks for a login (private, gated or misspelt model)", _HAND
    elif status == 404:
        why, hint = "the hub does not have it", f"Check the card's repo and revision. {_HAND}"
    else:
        why, hint = f"the hub answered {status}", f"Try again later. {_HAND}"
    return ModelFetchError(f"cannot fetch {download.name}: {why}", hint=hint, status=status, url=download.url)


def _cut_short(download: Download, part: Path) -> ModelFetchError:
    have = part.stat().st_size if part.exists() else 0
    return ModelFetchError(
        f"the download of {download.name} was cut short {_TRIES} times, at {have:,} bytes",
        hint="Run the same command again: it goes on from there.",
        url=download.url,
    )
