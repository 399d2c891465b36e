"""What a filter is: a small tree of frozen nodes, however it was written.

    type:pdf,docx size:>1mb -draft:yes
    And(parts=(Match("type", ("pdf", "docx")), Range("size", ">", 1000000), Not(Match("draft", ("yes",)))))

Build trees with all_of, any_of and negate: they keep one shape per meaning, so that text and tree convert both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


@dataclass(frozen=True, slots=True)
class Holds:
    """The text holds a word, a phrase, two words or phrases near each other, or a word like a pattern.

    `within` is how many words may lie between those of a phrase or of what is near; `beside` is the second of those.
    """

    text: str
    kind: Literal["word", "phrase", "near", "pattern"] = "word"
    within: int = 0
    beside: str = ""


Filter: TypeAlias = And | Or | Not | Match | Equals | Range | Exists | Holds


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
    if isinstance(tree, Holds):
        return set()
    return field_names(tree.part) if isinstance(tree, Not) else {tree.field}


def leaves(tree: Filter | None, wanted: bool = True) -> Iterator[tuple[Filter, bool]]:
    """Every leaf in order, with whether it is asked for rather than turned away."""
    if isinstance(tree, And | Or):
        for part in tree.parts:
            yield from leaves(part, wanted)
    elif isinstance(tree, Not):
        yield from leaves(tree.part, not wanted)
    elif tree is not None:
        yield tree, wanted


def held(tree: Filter | None) -> list[Holds]:
    """What the text is asked to hold, in order and once each."""
    found = (leaf for leaf, wanted in leaves(tree) if wanted and isinstance(leaf, Holds))
    return list(dict.fromkeys(found))


def asks_text(tree: Filter | None) -> bool:
    """Whether a filter asks anything of the text, so that SQL alone cannot answer it."""
    return any(isinstance(leaf, Holds) for leaf, _ in leaves(tree))


def spelled_out(tree: Filter) -> str:
    """A filter as it is written in a query, fields by their values: `rose AND NOT "red wine"`."""
    if isinstance(tree, And | Or):
        word = " AND " if isinstance(tree, And) else " OR "
        return word.join(
            f"({spelled_out(part)})" if isinstance(part, And | Or) else spelled_out(part)
            for part in tree.parts
        )
    if isinstance(tree, Not):
        inner = spelled_out(tree.part)
        return f"NOT ({inner})" if isinstance(tree.part, And | Or) else f"NOT {inner}"
    if isinstance(tree, Holds):
        return _spelled_text(tree)
    if isinstance(tree, Exists):
        return f"{tree.field}:*"
    if isinstance(tree, Range):
        value = tree.value.isoformat() if isinstance(tree.value, datetime) else tree.value
        return f"{tree.field}:{tree.op}{value}"
    return f"{tree.field}:{'=' if isinstance(tree, Equals) else ''}{','.join(map(str, tree.values))}"


def _spelled_text(leaf: Holds) -> str:
    if leaf.kind == "near":
        return f"{_quoted(leaf.text)} NEAR/{leaf.within} {_quoted(leaf.beside)}"
    if leaf.kind == "phrase":
        return f'"{leaf.text}"' + (f"~{leaf.within}" if leaf.within else "")
    return leaf.text


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text
