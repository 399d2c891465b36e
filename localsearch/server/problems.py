"""Errors as answers: `{"error": {"code", "message", "hint"}}` with the right status. Mapped here and nowhere else.

Plain values and functions, for any thread.
"""

from __future__ import annotations

import math
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


def answer(error: Exception) -> tuple[int, Headers, bytes]:
    """Status, headers and body for any exception. What is not a LocalSearchError is a 500 that tells no secrets."""
    if isinstance(error, LocalSearchError):
        return error.status, [JSON, *_headers(error)], _body(error.code, error.message, error.hint)
    hint = "The log has the details under this answer's X-Request-Id."
    return 500, [JSON], _body("internal", "Something went wrong inside the server.", hint)


def _headers(error: LocalSearchError) -> Headers:
    if isinstance(error, HttpError):
        return error.headers
    wait: Any = error.data.get("retry_after")
    if error.status == 503:
        return [retry_after(float(wait or 1))]
    return []


def _body(code: str, message: str, hint: str) -> bytes:
    problem = ErrorBody(_clean(code), _clean(message), _clean(hint))
    return msgspec.json.encode(ErrorAnswer(problem))


def _clean(text: str) -> str:
    """Lone surrogates, as in names that are not UTF-8, have no place in JSON."""
    return text.encode("utf-8", "replace").decode()
