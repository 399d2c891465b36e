"""Limits of the settings on single fields of what a client sends.

A field of a request type carries its limit: `Annotated[int, Meta(ge=1), AtMost("results")]`. The endpoint checks it,
and the OpenAPI document shows it, with the value that `LimitSettings` has. This module names no type: a new one
needs no line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

from localsearch.server.problems import bad_request
from localsearch.settings import LimitSettings

_KEYWORDS = {"string": "maxLength", "integer": "maximum", "number": "maximum"}
"""The word of JSON schema for the most that a value of a type may be."""


@dataclass(frozen=True, slots=True)
class AtMost:
    """The limit of a number, or of the characters of a text; `limit` names a field of LimitSettings."""

    limit: str

    def check(self, field: str, value: Any, limits: LimitSettings) -> None:
        """Raise 400 naming the field when the value is beyond the limit."""
        most, text = getattr(limits, self.limit), isinstance(value, str)
        if (len(value) if text else value) > most:
            unit = " characters" if text else ""
            hint = "Send less." if text else "Ask for less; a later page has the rest."
            raise bad_request(f"`{field}` may be at most {most}{unit}.", hint)

    def describe(self, schema: dict[str, Any], limits: LimitSettings) -> None:
        """Write the limit into the schema of a field."""
        for one in (schema, *schema.get("anyOf", ())):
            keyword = _KEYWORDS.get(one.get("type", ""))
            if keyword:
                one[keyword] = getattr(limits, self.limit)


@dataclass(frozen=True, slots=True)
class AtMostDeep:
    """How deep objects and lists may nest; `limit` names a field of LimitSettings."""

    limit: str

    def check(self, field: str, value: Any, limits: LimitSettings) -> None:
        """Raise 400 naming the field when the value nests deeper."""
        most = getattr(limits, self.limit)
        if depth(value) > most:
            raise bad_request(
                f"`{field}` may nest at most {most} deep.", "Flatten it: $in replaces most nests of $or."
            )

    def describe(self, schema: dict[str, Any], limits: LimitSettings) -> None:
        """JSON schema has no word for it."""


@dataclass(frozen=True, slots=True)
class AtMostTexts:
    """How many texts a list may hold, and that it holds nothing else; `limit` names a field of LimitSettings."""

    limit: str

    def check(self, field: str, value: Any, limits: LimitSettings) -> None:
        """Raise 400 naming the field for too many, and for token ids in the place of texts."""
        texts, most = [value] if isinstance(value, str) else value, getattr(limits, self.limit)
        if not all(isinstance(text, str) for text in texts):
            raise bad_request(
                f"`{field}` holds token ids, and those of another tokenizer mean something else to this model.",
                "Send text. LangChain's OpenAIEmbeddings does with check_embedding_ctx_length=False.",
            )
        if len(texts) > most:
            raise bad_request(f"`{field}` may be at most {most} texts.", "Send the rest in another request.")

    def describe(self, schema: dict[str, Any], limits: LimitSettings) -> None:
        """Write into the schema of a field that its list is one of texts, and how long it may be."""
        for one in schema.get("anyOf", ()):
            if one.get("type") == "array":
                one["maxItems"] = getattr(limits, self.limit)
                one["items"] = next(item for item in one["items"]["anyOf"] if item["type"] == "string")


Limit = AtMost | AtMostDeep | AtMostTexts


def check(request: Struct, limits: LimitSettings) -> None:
    """Raise 400 naming the first field beyond its limit."""
    for field, limit in limits_of(type(request)).items():
        value = getattr(request, field)
        if value is not None:
            limit.check(field, value, limits)


def describe(kind: Any, schema: dict[str, Any], limits: LimitSettings) -> None:
    """Write the limits of a request type into its schema."""
    for field, limit in limits_of(kind).items():
        limit.describe(schema["properties"][field], limits)


@cache
def limits_of(kind: Any) -> Mapping[str, Limit]:
    """The fields of a type that have a limit, each with it."""
    hints = get_type_hints(kind, include_extras=True)
    return {field: limit for field, hint in hints.items() if (limit := _limit(hint)) is not None}


def _limit(hint: Any) -> Limit | None:
    """The limit in an annotation, within an alternative too."""
    if get_origin(hint) is Annotated:
        inner, *notes = get_args(hint)
        return next((note for note in notes if isinstance(note, Limit)), None) or _limit(inner)
    if get_origin(hint) in (Union, UnionType):
        return next((limit for one in get_args(hint) if (limit := _limit(one)) is not None), None)
    return None


def depth(value: Any) -> int:
    """How deep objects and lists nest: 0 for a plain value."""
    level, values = 0, [value]
    while True:
        inner = [item for item in values if isinstance(item, dict | list)]
        if not inner:
            return level
        values = [item for box in inner for item in (box.values() if isinstance(box, dict) else box)]
        level += 1
