"""A filter as an expression over the fields that an engine of vectors keeps of each chunk.

The expression holds for every document that the filter matches, and may hold for others: what it lets through is held
against the database. So a leaf that the fields cannot tell asks nothing, on either side of a "not".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from localsearch.days import DAY
from localsearch.filters.fields import FIELDS
from localsearch.filters.sql import folded
from localsearch.filters.tree import And, Equals, Filter, Match, Not, Or, Range
from localsearch.numbers import is_number

TEXTS = ("type", "language", "collection")
"""Fields of text, kept as SQLite's lower() makes them."""
DATES = ("date", "modified")
"""Fields of dates, in seconds since 1970. They are compared with a day to spare: the database knows the time zones."""
SPEAKING = tuple(dict.fromkeys(key for name in (*TEXTS, *DATES, "size") for key in FIELDS[name].keys))
"""Names of metadata that speak for these fields beside or instead of their columns. Documents that have one are marked
`loose` in the engine, and let through."""
_MOST_VALUES = 1_000
_WHOLE = 1 << 62
"""Numbers beyond it are no sizes that an engine could compare."""


def to_expression(tree: Filter | None) -> str:
    """The expression, as Milvus reads it; "" where it would ask nothing.

    >>> to_expression(And((Match("type", ("md",)), Not(Range("size", ">", 1000)))))
    '((loose == true or type in ["md"]) and (loose == true or not (size > 1000)))'
    """
    return "" if tree is None else _of(tree, True)


def _of(tree: Filter, wanted: bool) -> str:
    """What holds wherever the tree does, or, if not `wanted`, wherever it does not; "" for everywhere."""
    if isinstance(tree, Not):
        return _of(tree.part, not wanted)
    if isinstance(tree, And | Or):
        parts = [_of(part, wanted) for part in tree.parts]
        if isinstance(tree, And) == wanted:
            told = [part for part in parts if part]
            return f"({' and '.join(told)})" if len(told) > 1 else "".join(told)
        return f"({' or '.join(parts)})" if parts and all(parts) else ""
    test = _leaf(tree, wanted)
    if not test:
        return ""
    return f"(loose == true or {test})" if wanted else f"(loose == true or not ({test}))"


def _leaf(leaf: Filter, wanted: bool) -> str:
    """A test that holds wherever the leaf does, or, if not `wanted`, nowhere else; "" for none."""
    if isinstance(leaf, Match) and leaf.field in TEXTS:
        return _text_in(leaf.field, leaf.values)
    if isinstance(leaf, Equals) and leaf.field in TEXTS and wanted:
        return _text_in(leaf.field, [value for value in leaf.values if isinstance(value, str)])
    if isinstance(leaf, Equals) and leaf.field == "size":
        sizes = [int(value) for value in leaf.values if is_number(value) and _is_whole(value)]
        return f"size in {sizes}" if len(sizes) == len(leaf.values) <= _MOST_VALUES and sizes else ""
    if isinstance(leaf, Range) and leaf.field == "size" and is_number(leaf.value) and _is_whole(leaf.value):
        return f"size {leaf.op} {int(leaf.value)}"
    if isinstance(leaf, Range) and leaf.field in DATES and isinstance(leaf.value, datetime):
        spare = DAY if wanted == (leaf.op in ("<", "<=")) else -DAY
        return f"{leaf.field} {leaf.op} {int(leaf.value.timestamp()) + spare}"
    return ""


def _text_in(field: str, values: Sequence[str]) -> str:
    if not 0 < len(values) <= _MOST_VALUES:
        return ""
    return f"{field} in {json.dumps(folded(values), ensure_ascii=False)}"


def _is_whole(value: float | int) -> bool:
    return abs(value) < _WHOLE and value == int(value)
