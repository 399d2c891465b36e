"""Limits of the settings on single fields: checked on requests and written into the OpenAPI document from one table."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from localsearch.server import schemas
from localsearch.server.problems import bad_request
from localsearch.settings import LimitSettings

REQUEST_LIMITS: dict[tuple[str, str], tuple[str, str]] = {
    ("SearchRequest", "query"): ("maxLength", "query_chars"),
    ("SearchRequest", "limit"): ("maximum", "results"),
    ("SearchRequest", "offset"): ("maximum", "offset"),
    ("SearchParameters", "q"): ("maxLength", "query_chars"),
    ("SearchParameters", "limit"): ("maximum", "results"),
    ("SearchParameters", "offset"): ("maximum", "offset"),
    ("FeedbackRequest", "query"): ("maxLength", "query_chars"),
}
"""Type and field → the JSON schema keyword and the limit of the settings."""


def check(request: Struct, limits: LimitSettings) -> None:
    """Raise 400 naming the first field beyond its limit."""
    name = type(request).__name__
    for (kind, field), (keyword, setting) in REQUEST_LIMITS.items():
        if kind != name:
            continue
        value, most = getattr(request, field), getattr(limits, setting)
        if (len(value) if keyword == "maxLength" else value) > most:
            unit = " characters" if keyword == "maxLength" else ""
            raise bad_request(
                f"`{field}` may be at most {most}{unit}.", f"The limit is limits.{setting} in settings.toml."
            )
    if isinstance(request, schemas.SearchRequest) and depth(request.filters) > limits.filter_depth:
        raise bad_request(
            f"`filters` may nest at most {limits.filter_depth} deep.",
            "Flatten it: $in replaces most nests of $or.",
        )


def describe(name: str, schema: dict[str, Any], limits: LimitSettings) -> None:
    """Write the limits into the schema of one type."""
    for (kind, field), (keyword, setting) in REQUEST_LIMITS.items():
        if kind == name:
            schema["properties"][field][keyword] = getattr(limits, setting)


def depth(value: Any) -> int:
    """How deep objects and lists nest: 0 for a plain value."""
    level, values = 0, [value]
    while True:
        inner = [item for item in values if isinstance(item, dict | list)]
        if not inner:
            return level
        values = [item for box in inner for item in (box.values() if isinstance(box, dict) else box)]
        level += 1
