"""Write a filter as an expression, so that the tests can hold what the parser reads against it."""

from __future__ import annotations

import re
from datetime import datetime

from localsearch.filters.language import literal, spelled
from localsearch.filters.tokens import NAME
from localsearch.filters.tree import And, Equals, Exists, Filter, Match, Not, Or, Range, Scalar

_BARE = re.compile(r"[\w./+@:-]+")


def to_text(tree: Filter | None) -> str:
    """Write a filter as an expression that parse_filter reads back to the same tree."""
    if tree is None:
        return ""
    if isinstance(tree, Or):
        return " OR ".join(_part(part) for part in tree.parts)
    if isinstance(tree, And):
        return " AND ".join(_part(part) for part in tree.parts)
    if isinstance(tree, Not):
        return "-" + _part(tree.part)
    return _name(tree.field) + ":" + _value(tree)


def _part(tree: Filter) -> str:
    grouped = isinstance(tree, And | Or) or (isinstance(tree, Not) and isinstance(tree.part, And | Or | Not))
    return f"({to_text(tree)})" if grouped else to_text(tree)


def _name(name: str) -> str:
    plain = re.fullmatch(NAME, name) is not None and spelled(name) == name
    return name if plain else _quote(name)


def _value(leaf: Match | Equals | Range | Exists) -> str:
    if isinstance(leaf, Exists):
        return "*"
    if isinstance(leaf, Range):
        return leaf.op + (_quote(leaf.value) if isinstance(leaf.value, str) else _bound(leaf))
    if isinstance(leaf, Match):
        return ",".join(_text(value) for value in leaf.values)
    return "=" + (",".join(_exact(value) for value in leaf.values) or "[]")


def _bound(leaf: Range) -> str:
    if (
        isinstance(leaf.value, datetime)
        and leaf.op in (">=", "<")
        and leaf.value.time() == datetime.min.time()
    ):
        return leaf.value.date().isoformat()
    return (
        str(leaf.value)
        if not isinstance(leaf.value, datetime)
        else leaf.value.replace(tzinfo=None).isoformat() + "Z"
    )


def _exact(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else repr(value)


def _text(value: str) -> str:
    special = not _BARE.fullmatch(value) or value[0] in "<>=*" or ".." in value or literal(value) != value
    return _quote(value) if special else value


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
