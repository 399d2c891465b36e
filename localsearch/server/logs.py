"""The server's log: one line per event on stderr, for people or as JSON, each with its request id.

What people search for is their own business: at info level no line has a query in it.
"""

from __future__ import annotations

import logging
import sys
import time
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, TextIO

import msgspec

from localsearch.checked import printable
from localsearch.settings import ServerSettings

ROOT = "localsearch"

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that the current context works for."""


def set_up(settings: ServerSettings, stream: TextIO | None = None) -> logging.Handler:
    """Send the log of localsearch and uvicorn to `stream` (stderr); the handler, for `tear_down`."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if settings.log == "json" else HumanLines())
    level = settings.log_level.upper()
    for name in (ROOT, "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        # uvicorn tells of its own steps at info level; the server tells what matters of them itself.
        logger.setLevel(level if name == ROOT else max(logging.WARNING, logging.getLevelName(level)))
    return handler


def tear_down(handler: logging.Handler) -> None:
    """Undo `set_up`."""
    for name in (ROOT, "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.removeHandler(handler)
        logger.propagate = True


class JsonLines(logging.Formatter):
    """One JSON object a line. What a caller puts into `extra={"fields": {...}}` becomes fields of it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if id := request_id.get():
            line["request_id"] = id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


class HumanLines(logging.Formatter):
    """Time, level, message, and the fields as name=value. Control characters are shown, not obeyed."""

    def format(self, record: logging.LogRecord) -> str:
        parts = [_clock(int(record.created)), record.levelname.lower(), _printable(record.getMessage())]
        parts += [f"{name}={_printable(str(value))}" for name, value in getattr(record, "fields", {}).items()]
        if id := request_id.get():
            parts.append(f"request_id={id}")
        line = " ".join(parts)
        return line + "\n" + printable(self.formatException(record.exc_info)) if record.exc_info else line


@lru_cache(maxsize=1)
def _clock(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


def _utc(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


def _printable(text: str) -> str:
    """A name with line breaks or escape sequences in it must not forge lines of the log."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
