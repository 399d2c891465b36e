"""What a filter is: a small tree of frozen nodes, however it was written.

    type:pdf,docx size:>1mb -draft:yes
    And(parts=(Match("type", ("pdf", "docx")), Range("size", ">", 1000000), Not(Match("draft", ("yes",)))))

Build trees with all_of, any_of and negate: they keep one shape per meaning, so that text and tree convert both ways.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from localsearch.errors import FilterError

Op = Literal["<", "<=", ">", ">="]
Scalar: TypeAlias = str | int | float | bool
Bound: TypeAlias = str | int | float | datetime

MAX_DEPTH = 16
MAX_CLAUSES = 200
"""SQLite refuses expressions deeper than 1000; a chain of ANDs is as deep as it is long."""
MAX_VALUES = 10_000
MAX_LENGTH = 4_096


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold; a document without the field passes."""

    part: Filter


@dataclass(frozen=True, slots=True)
class Match:
    """The field is one of these as a person types them: case is ignored, `5` is the number and the text.

    Title and author need only contain one of them; a path may be a folder in it, with `*` and `?`.
    """

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Equals:
    """The field, or an element of it where it is a list, is exactly one of these, of the same type."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The field, or an element of it, compares so; numbers with numbers, dates with dates, text with text."""

    field: str
    op: Op
    value: Bound


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there and is neither null nor empty text."""

    field: str


Filter: TypeAlias = And | Or | Not | Match | Equals | Range | Exists


def all_of(parts: Iterable[Filter]) -> Filter | None:
    """Join with "and"; None when there is nothing to join."""
    flat: list[Filter] = []
    for part in parts:
        flat += part.parts if isinstance(part, And) else (part,)
    return flat[0] if len(flat) == 1 else And(tuple(flat)) if flat else None


def any_of(parts: Iterable[Filter]) -> Filter | None:
    """Join with "or", one node per field where values can be listed; None when there is nothing to join."""
    slots: dict[object, list[Filter]] = {}
    for part in parts:
        for item in part.parts if isinstance(part, Or) else (part,):
            key = (type(item), item.field) if isinstance(item, Match | Equals) else len(slots)
            slots.setdefault(key, []).append(item)
    flat = [_merged(items) for items in slots.values()]
    return flat[0] if len(flat) == 1 else Or(tuple(flat)) if flat else None


def _merged(items: list[Filter]) -> Filter:
    first = items[0]
    if isinstance(first, Match):
        values = [value for item in items if isinstance(item, Match) for value in item.values]
        return Match(first.field, tuple(dict.fromkeys(values)))
    if isinstance(first, Equals):
        return Equals(
            first.field,
            distinct(value for item in items if isinstance(item, Equals) for value in item.values),
        )
    return first


def distinct(values: Iterable[Scalar]) -> tuple[Scalar, ...]:
    """The values without repeats, in order; True and 1 are two values."""
    return tuple({(isinstance(value, bool), value): value for value in values}.values())


def negate(part: Filter) -> Filter:
    """The opposite."""
    return part.part if isinstance(part, Not) else Not(part)


def checked(tree: Filter | None) -> Filter | None:
    """Return the tree if it is within the limits; FilterError otherwise."""
    if tree is not None and _measure(tree, 1) > MAX_CLAUSES:
        raise FilterError(
            f"A filter may have at most {MAX_CLAUSES} clauses.",
            hint='List the values of one field in one clause: {"field": {"$in": [...]}}.',
        )
    return tree


def _measure(tree: Filter, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise too_deep()
    if isinstance(tree, And | Or):
        return sum(_measure(part, depth + 1) for part in tree.parts)
    if isinstance(tree, Not):
        return _measure(tree.part, depth + 1)
    if isinstance(tree, Match | Equals) and len(tree.values) > MAX_VALUES:
        raise FilterError(
            f"A filter on {tree.field} lists {len(tree.values)} values; at most {MAX_VALUES} are allowed.",
            hint="Split it over several searches, or give the documents a field that names the group.",
        )
    return 1


def too_deep() -> FilterError:
    """The error for a filter nested beyond the limit."""
    return FilterError(
        f"A filter may be nested at most {MAX_DEPTH} deep.", hint="Flatten it: $and inside $and adds nothing."
    )


def field_names(tree: Filter) -> set[str]:
    """The fields that a filter asks about."""
    if isinstance(tree, And | Or):
        return {name for part in tree.parts for name in field_names(part)}
    return field_names(tree.part) if isinstance(tree, Not) else {tree.field}
