"""Filters as programs send them: {"field": value}, {"field": {"$gte": 1}}, $and, $or, $not."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from localsearch.errors import FilterError
from localsearch.filters.fields import (
    BOUNDS,
    bound,
    canonical,
    check_text,
    compare,
    compare_text,
    describe,
    match,
)
from localsearch.filters.tree import (
    MAX_DEPTH,
    Equals,
    Exists,
    Filter,
    Match,
    Not,
    Op,
    Range,
    Scalar,
    all_of,
    any_of,
    checked,
    distinct,
    negate,
    too_deep,
)
from localsearch.numbers import is_integer64, is_number

_OPS: dict[str, Op] = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_OPERATORS = (*_OPS, "$eq", "$ne", "$in", "$nin", "$exists", "$contains", "$not", "$and", "$or")


def from_json(value: object) -> Filter | None:
    """Read a JSON filter; null and {} are no filter. FilterError names what has no meaning, and what would.

    {"field": value} and {"field": [a, b]} ask for equality with one; the operators are $eq $ne $in $nin $gt $gte $lt
    $lte $exists $contains, joined by $and, $or and $not. A field is one of every document (type, language, author,
    title, tags, path, size, date, created, modified, year, collection, id) or one of the metadata, "a.b" if nested.
    """
    return checked(_object(value, 1)) if value is not None else None


def _object(value: object, depth: int) -> Filter | None:
    if not isinstance(value, Mapping):
        raise FilterError(
            f"A filter is an object, not {_show(value)}.", hint='Write it like {"type": "pdf"}.'
        )
    if depth > MAX_DEPTH:
        raise too_deep()
    return all_of(part for name, item in value.items() if (part := _entry(name, item, depth)) is not None)


def _entry(name: object, value: object, depth: int) -> Filter | None:
    if not isinstance(name, str) or not name:
        raise FilterError(f"A field name is text, not {_show(name)}.", hint='Write it like {"type": "pdf"}.')
    if name in ("$and", "$or"):
        parts = _parts(name, value, depth)
        return any_of(parts) if name == "$or" else all_of(parts)
    if name == "$not":
        return negate(_must(_object(value, depth + 1), name))
    if name.startswith("$"):
        raise _unknown(name)
    return _field(field_name(name), value, depth)


def _parts(name: str, value: object, depth: int) -> list[Filter]:
    if not isinstance(value, list | tuple) or not value:
        raise FilterError(
            f"{name} takes a list of filters, not {_show(value)}.", hint=f'{{"{name}": [{{...}}, {{...}}]}}'
        )
    return [_must(_object(item, depth + 1), name) for item in value]


def _must(part: Filter | None, name: str) -> Filter:
    if part is None:
        raise FilterError(f"{name} has an empty filter in it.", hint="Leave the empty one out.")
    return part


def field_name(name: str) -> str:
    """The canonical name of a field. FilterError for one that no metadata can be asked for."""
    check_text("a field name", name)
    if '"' in name or "\\" in name or any(ord(character) < 32 for character in name):
        raise FilterError(
            f"{_show(name)} cannot be filtered on.",
            hint="Field names have no quotes, backslashes or control characters.",
        )
    return canonical(name)


def _field(name: str, value: object, depth: int) -> Filter | None:
    if name in BOUNDS:
        return bound(name, _text(name, value))
    if not isinstance(value, Mapping):
        return _equals(name, value if isinstance(value, list | tuple) else [value])
    if depth > MAX_DEPTH:
        raise too_deep()
    parts = []
    for key, item in value.items():
        if isinstance(key, str) and not key.startswith("$"):
            part = _field(field_name(f"{name}.{key}"), item, depth + 1)
        else:
            part = _operator(name, key, item, depth)
        parts += [part] if part is not None else []
    return all_of(parts)


def _operator(name: str, key: object, value: object, depth: int) -> Filter | None:
    if key in ("$eq", "$ne"):
        return _equals(name, [value]) if key == "$eq" else negate(_equals(name, [value]))
    if key in ("$in", "$nin"):
        if not isinstance(value, list | tuple):
            raise FilterError(
                f"{key} takes a list, not {_show(value)}.", hint=f'{{"{name}": {{"{key}": ["a", "b"]}}}}'
            )
        return _equals(name, value) if key == "$in" else negate(_equals(name, value))
    if key in _OPS:
        return _range(name, _OPS[key], value)
    if key == "$exists":
        if not isinstance(value, bool):
            raise FilterError(
                f"$exists takes true or false, not {_show(value)}.", hint=f'{{"{name}": {{"$exists": true}}}}'
            )
        return Exists(name) if value else Not(Exists(name))
    if key == "$contains":
        return _contains(name, value)
    if key == "$not":
        return negate(_must(_field(name, value, depth + 1), "$not"))
    raise _unknown(key)


def _equals(name: str, values: Sequence[object]) -> Filter:
    scalars = distinct(_scalar(name, value) for value in values if value is not None)
    kind = describe(name).kind
    parts: list[Filter] = []
    if kind == "path" and scalars:
        parts.append(match(name, [_text(name, value) for value in scalars]))
    elif kind == "date" and scalars:
        parts += [_date_is(name, value) for value in scalars]
    elif scalars or not values:
        parts.append(Equals(name, scalars))
    if any(value is None for value in values):
        parts.append(Not(Exists(name)))
    return cast(Filter, any_of(parts))


def _date_is(name: str, value: Scalar) -> Filter:
    return match(name, [value]) if isinstance(value, str) else Equals(name, (value,))


def _contains(name: str, value: object) -> Filter:
    """An element of a list field, or a part of the title or author."""
    kind = describe(name).kind
    if kind == "contains":
        return Match(name, (_text(name, value),))
    if kind in ("tags", "plain"):
        return Equals(name, (_scalar(name, value),))
    raise FilterError(f"$contains means nothing for {name}.", hint=f'Write {{"{name}": value}}.')


def _range(name: str, op: Op, value: object) -> Filter:
    scalar = _scalar(name, value)
    if isinstance(scalar, bool):
        raise FilterError(
            f"{name} cannot be {op} {_show(value)}.", hint="Compare with a number, a date or text."
        )
    kind = describe(name).kind
    if not isinstance(scalar, str) and kind in ("plain", "number", "date"):
        return Range(name, op, scalar)
    if not isinstance(scalar, str):
        raise FilterError(
            f"{name} is text and cannot be {op} {_show(value)}.", hint="Put the value in quotes."
        )
    return compare_text(name, op, scalar) if kind == "plain" else compare(name, op, scalar, quoted=True)


def _scalar(name: str, value: object) -> Scalar:
    if isinstance(value, str):
        check_text(name, value)
        return value
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(name, value)
    raise FilterError(
        f"{name} cannot be compared with {_show(value)}.",
        hint="Values are text, numbers, true, false or null.",
    )


def _number(name: str, value: int | float) -> int | float:
    if is_integer64(value):
        return value
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not is_number(number):
        raise FilterError(f"{name} cannot be compared with {_show(value)}.", hint="Numbers go up to 1.8e308.")
    return number


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise FilterError(
            f"{name} takes text, not {_show(value)}.", hint=f'Write it like {{"{name}": "..."}}.'
        )
    return value


def _unknown(name: object) -> FilterError:
    near = difflib.get_close_matches(str(name)[:40], _OPERATORS, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return FilterError(
        f"{_show(name)} is no filter operator.", hint=f"{hint}There are {', '.join(_OPERATORS)}."
    )


def _show(value: Any) -> str:
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = repr(type(value).__name__)
    return text if len(text) <= 60 else text[:57] + "..."
