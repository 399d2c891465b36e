"""Background work: start it, follow it, stop it."""

from __future__ import annotations

import os

import msgspec

from localsearch.errors import NotFoundError
from localsearch.server import events
from localsearch.server.operations import Call, Operation
from localsearch.server.problems import HttpError
from localsearch.server.responses import Response
from localsearch.server.routes.documents import started
from localsearch.server.schemas.jobs import IndexRequest, JobAnswer, JobsAnswer, JobsParameters, JobStarted
from localsearch.server.service import Service


def index(service: Service, call: Call) -> Response:
    """Queue the indexing of files and folders."""
    request: IndexRequest = call.body
    allowed = service.settings.server.index_roots
    paths = [allowed_path(path, allowed) for path in request.paths]
    return started(service, "index", msgspec.structs.replace(request, paths=paths))


def allowed_path(path: str, allowed: tuple[str, ...]) -> str:
    """A path with the home folder in place of `~`. Refuses what is not there, and what lies outside what is allowed."""
    path = os.path.expanduser(path)
    if not os.path.isabs(path) or "\0" in path:
        raise HttpError(
            400, "bad_path", f"{path} is no absolute path.", hint="Name it from the root: /home/me/notes."
        )
    if allowed and not any(_within(path, os.path.expanduser(root)) for root in allowed):
        raise HttpError(
            403,
            "outside",
            f"{path} may not be indexed.",
            hint="server.index_roots in settings.toml says what may.",
        )
    if not os.path.lexists(path):
        raise NotFoundError(f"There is no {path} on the server's machine.", hint="Check the spelling.")
    return path


def _within(path: str, root: str) -> bool:
    true = os.path.realpath(root)
    return os.path.commonpath([os.path.realpath(path), true]) == true


def listed(service: Service, call: Call) -> JobsAnswer:
    """Jobs, newest first."""
    parameters: JobsParameters = call.query
    return JobsAnswer(jobs=service.jobs.list(parameters.state, parameters.limit))


def get(service: Service, call: Call) -> JobAnswer:
    """One job."""
    return service.jobs.get(int(call.path["id"]))


def cancel(service: Service, call: Call) -> JobAnswer:
    """Stop a job; what it has done stays done."""
    return service.jobs.cancel(int(call.path["id"]))


OPERATIONS = (
    Operation(
        "POST",
        "/index",
        "Make files and folders on the server's machine searchable, in the background.",
        index,
        body=IndexRequest,
        answer=JobStarted,
        status=202,
        scope="admin",
        tag="jobs",
    ),
    Operation(
        "GET",
        "/jobs",
        "Background work, newest first.",
        listed,
        query=JobsParameters,
        answer=JobsAnswer,
        tag="jobs",
    ),
    Operation("GET", "/jobs/{id:number}", "One job.", get, answer=JobAnswer, tag="jobs"),
    Operation(
        "DELETE",
        "/jobs/{id:number}",
        "Stop a job.",
        cancel,
        answer=JobAnswer,
        scope="write",
        tag="jobs",
    ),
    Operation(
        "GET",
        "/jobs/{id:number}/events",
        "A job's progress as server-sent events: `progress` with the job, `end` when it is over.",
        stream=events.stream,
        produces="text/event-stream",
        tag="jobs",
    ),
)
