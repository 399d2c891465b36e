"""Errors as answers: `{"error": {"code", "message", "hint"}}` with the right status. Mapped here and nowhere else.

Plain values and functions, for any thread.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from localsearch.errors import LocalSearchError

Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")


class ErrorBody(msgspec.Struct, frozen=True):
    """What went wrong and what to do next."""

    code: str
    message: str
    hint: str


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The body of every answer that is not a success."""

    error: ErrorBody


class OpenAIErrorBody(ErrorBody, frozen=True):
    """The same with what clients of OpenAI's API read: the kind of error, and the field that it is about."""

    type: str
    param: str | None


OPENAI_ROUTES = "/v1/"
"""Where errors are told as clients of OpenAI's API expect, ours with two more fields and some codes of theirs."""
_OPENAI_CODES = {
    "bad_key": "invalid_api_key",
    "key_required": "invalid_api_key",
    "too_many_requests": "rate_limit_exceeded",
}
_PARAM = re.compile(r"`\$\.(\w+)|^`(\w+)`")


class HttpError(LocalSearchError):
    """A refusal by the server itself; `close` ends the connection after the answer."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        hint: str = "",
        headers: Headers | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.headers: Headers = list(headers or ())
        if close:
            self.headers.append((b"connection", b"close"))


def bad_request(message: str, hint: str = "See /docs for what this route takes.") -> HttpError:
    return HttpError(400, "bad_request", message, hint=hint)


def busy(code: str, message: str, retry_after_s: float, hint: str = "Try again later.") -> HttpError:
    """503 with Retry-After, in whole seconds of at least 1."""
    return HttpError(503, code, message, hint=hint, headers=[retry_after(retry_after_s)])


def retry_after(seconds: float) -> tuple[bytes, bytes]:
    return b"retry-after", str(max(1, math.ceil(seconds))).encode()


def answer(error: Exception, path: str = "") -> tuple[int, Headers, bytes]:
    """Status, headers and body for any exception. What is not a LocalSearchError is a 500 that tells no secrets.

    `path` is that of the request: below `OPENAI_ROUTES` the body is as clients of that API expect.
    """
    if not isinstance(error, LocalSearchError):
        hint = "The log has the details under this answer's X-Request-Id."
        error = HttpError(500, "internal", "Something went wrong inside the server.", hint=hint)
    code, message, hint = error.code, _clean(error.message), _clean(error.hint)
    body = ErrorBody(code, message, hint)
    if path.startswith(OPENAI_ROUTES):
        body = _openai(error, message, hint)
    return error.status, [JSON, *_headers(error)], msgspec.json.encode({"error": body})


def _openai(error: LocalSearchError, message: str, hint: str) -> OpenAIErrorBody:
    """The message has the hint as well: these clients show nothing else."""
    named = _PARAM.search(message)
    param = error.data.get("param") or (named and (named[1] or named[2]))
    code = _OPENAI_CODES.get(error.code, error.code)
    if error.status == 404 and param == "model":
        code = "model_not_found"
    kind = "server_error" if error.status >= 500 else "invalid_request_error"
    if error.status == 429:
        kind = "rate_limit_error"
    return OpenAIErrorBody(code, f"{message} {hint}".strip(), hint, kind, str(param) if param else None)


def _headers(error: LocalSearchError) -> Headers:
    if isinstance(error, HttpError):
        return error.headers
    wait: Any = error.data.get("retry_after")
    if error.status == 503:
        return [retry_after(float(wait or 1))]
    return []


def _clean(text: str) -> str:
    """Lone surrogates, as in names that are not UTF-8, have no place in JSON."""
    return text.encode("utf-8", "replace").decode()
