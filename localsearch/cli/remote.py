"""Sending work to the server that holds the index, when the command line cannot write to it itself."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from localsearch.cli.interrupt import Interrupt
from localsearch.errors import CancelledError, LocalSearchError, LockedError, NotFoundError, UsageError
from localsearch.indexing import IndexReport
from localsearch.types import Progress, Report

_POLL_S = 0.2
_TIMEOUT_S = 60.0
_ENDED = ("done", "failed", "cancelled", "interrupted")
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


class Remote:
    """A server on this machine, by the address that it wrote into the lock file."""

    def __init__(self, locked: LockedError) -> None:
        """Raises the error itself when what holds the index is no server."""
        url = locked.data.get("url")
        if not isinstance(url, str):
            raise locked
        host = urlsplit(url).netloc.rpartition(":")[0]
        self.url = url.replace(host, _ANYWHERE.get(host, host), 1)
        self._locked = locked
        token = locked.data.get("token")
        self._headers = {"Content-Type": "application/json"}
        if isinstance(token, str):
            self._headers["Authorization"] = f"Bearer {token}"
        from urllib.request import ProxyHandler, build_opener

        # Never through a proxy: the server is on this machine.
        self._opener = build_opener(ProxyHandler({}))

    def index(self, args: argparse.Namespace, report: Report, interrupted: Interrupt) -> IndexReport:
        """Have files and folders indexed and follow the job to its end; Ctrl-C stops the job."""
        body: dict[str, Any] = {
            "paths": args.paths,
            "collection": args.collection,
            "retry_failed": args.retry_failed,
        }
        body |= {"include": args.include or None, "exclude": args.exclude or None}
        return msgspec.convert(self.work("/index", body, report, interrupted), IndexReport)

    def work(
        self, path: str, body: Mapping[str, Any] | None, report: Report, interrupted: Interrupt
    ) -> Mapping[str, Any]:
        """Have a job done and follow it to its end; Ctrl-C stops it. What it came to."""
        job = self._ask("POST", path, body)["job"]
        while job["state"] not in _ENDED:
            if interrupted():
                self._cancel(job["id"])
                interrupted = Interrupt()
            time.sleep(_POLL_S)
            job = self._ask("GET", f"/jobs/{job['id']}")
            _tell(job["progress"], report)
        return _outcome(job)

    def activate(self, version: str) -> str:
        """Answer from a version from now on; its name."""
        return str(self._ask("POST", f"/versions/{quote(version, safe='')}/activate")["name"])

    def active(self) -> int | None:
        """The number of the version that answers; None before there is one."""
        found = self._ask("GET", "/versions")["versions"]
        return next((int(one["id"]) for one in found if one["state"] == "active"), None)

    def rollback(self) -> str:
        """Answer from the version that was active before; its name."""
        return str(self._ask("POST", "/versions/rollback")["name"])

    def purge(self, ids: list[str]) -> list[str]:
        """Delete documents to the last byte; returns their ids. Raises NotFoundError for an id that is not there."""
        for id in ids:
            self._ask("DELETE", f"/documents/{quote(id, safe='')}?" + urlencode({"purge": "true"}))
        return ids

    def feedback(self, query: str, id: str, relevant: bool, collection: str) -> None:
        """Record a judgement."""
        body = {"query": query, "id": id, "relevant": relevant, "collection": collection}
        self._ask("POST", "/feedback", body)

    def _cancel(self, id: int) -> None:
        try:
            self._ask("DELETE", f"/jobs/{id}")
        except LocalSearchError:
            return  # it ended meanwhile

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        from urllib.request import Request

        data = None if body is None else msgspec.json.encode(body)
        request = Request(self.url + path, data, self._headers, method=method)
        with self._explained(), self._opener.open(request, timeout=_TIMEOUT_S) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except HTTPError as error:
            raise _refusal(error, self.url) from error
        except (URLError, OSError, ValueError) as error:
            raise self._locked from error


def _tell(step: Mapping[str, Any], report: Report) -> None:
    if step["stage"]:
        report(Progress(step["stage"], step["done"], step["total"], step["unit"], step["detail"]))


def _outcome(job: Mapping[str, Any]) -> Mapping[str, Any]:
    if job["result"] is not None:
        found: Mapping[str, Any] = job["result"]
        return found
    if job["state"] == "cancelled":
        raise CancelledError("Stopped. What was done is kept.", hint="The same command goes on from here.")
    told = job["error"] or {"message": f"The job is {job['state']}.", "hint": "See: GET /jobs"}
    raise LocalSearchError(told["message"], hint=told["hint"])


def _refusal(error: HTTPError, url: str) -> LocalSearchError:
    """What the server answered, as an error of ours."""
    if error.code in (401, 403):
        return UsageError(
            f"The server at {url} holds the index and asks for an API key.",
            hint="Stop it, or send the work with a key: POST /index.",
        )
    try:
        told = json.load(error)["error"]
    except (ValueError, KeyError, TypeError):
        told = {"message": f"The server at {url} answered {error.code}.", "hint": "See its log."}
    kind = NotFoundError if error.code == 404 else LocalSearchError
    return kind(told["message"], hint=told["hint"])
