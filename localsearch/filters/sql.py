"""A filter as a WHERE clause over `documents AS d`.

Every name and value is a parameter, and every leaf is 0 or 1, never NULL, so that "not" means not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from math import ceil, floor
from typing import Any, TypeAlias

from localsearch import days
from localsearch.filters.fields import FIELDS, Field, describe
from localsearch.filters.tree import (
    And,
    Bound,
    Equals,
    Exists,
    Filter,
    Holds,
    Match,
    Not,
    Op,
    Or,
    Range,
    Scalar,
)
from localsearch.numbers import is_number, read_number

Clause: TypeAlias = tuple[str, list[Any]]
Seen: TypeAlias = Callable[[str], Clause]
"""The condition under which the path in a column may be seen: any other is as if it were not there."""

_NUMERIC = "e.type IN ('integer', 'real')"
_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_SECONDS = f"""ROUND((julianday(CASE
 WHEN e.atom GLOB '{_DAY}*' THEN e.atom
 WHEN e.atom GLOB '{_DAY[:-11]}' THEN e.atom || '-01'
 WHEN e.atom GLOB '{_DAY[:20]}' THEN e.atom || '-01-01' END) - 2440587.5) * 86400.0, 3)"""
"""Seconds since 1970 of a date in metadata, to the millisecond that SQLite keeps; NULL where it is none."""
_HAS_ZONE = "(e.atom GLOB '*[Zz]' OR e.atom GLOB '????-??-??[T ]*[+-][0-9][0-9]:[0-9][0-9]')"
_IS_DATE = f"e.type = 'text' AND {_SECONDS} IS NOT NULL"
_MOST_YEARS = 100
"""Runs of years in a list up to which each is compared by where it begins and ends."""
_METADATA = "CASE WHEN json_valid(d.metadata) THEN d.metadata END"
"""One row that is not JSON must not fail every search: it has no metadata then."""
_MEMBERS = f"json_each({_METADATA}, ?) AS e"


def to_sql(tree: Filter | None, seen: Seen | None = None) -> Clause:
    """The clause, to stand after WHERE, and its parameters in order. No filter is `1`."""
    if tree is None:
        return "1", []
    if isinstance(tree, And | Or):
        return _join(
            [to_sql(part, seen) for part in tree.parts], " AND " if isinstance(tree, And) else " OR "
        )
    if isinstance(tree, Not):
        clause, params = to_sql(tree.part, seen)
        return f"NOT {clause}", params
    if isinstance(tree, Holds):
        raise TypeError("SQL does not know what a text holds: ask the word index")
    return _leaf(tree, seen)


def field_sql(name: str) -> Clause:
    """The value of a built-in number or date field (`date`, `year`, `size`) exactly as filters compare it."""
    field = FIELDS[name]
    column, before = field_sql("date") if name == "year" else (field.column, [])
    if name == "year":
        column = f"CAST(strftime('%Y', {column}, 'unixepoch') AS INTEGER)"
    if not field.keys:
        return column, before
    value, condition = ("e.atom", _NUMERIC) if field.kind == "number" else (_SECONDS, _IS_DATE)
    key = field.keys[0]
    found = f"(SELECT {value} FROM {_MEMBERS} WHERE {condition} LIMIT 1)"
    return (
        f"CASE WHEN instr(d.metadata, ?) THEN COALESCE({found}, {column}) ELSE {column} END",
        [f'"{key}"', _json_path((key,)), *before, *before],
    )


def dated_sql() -> Clause:
    """Three columns by which a document's year is told as `year:` compares it: the year that its metadata names, the
    seconds since 1970 of its own date, and whether that was written without a time zone."""
    year = f"CASE WHEN instr(d.metadata, ?) THEN (SELECT e.atom FROM {_MEMBERS} WHERE {_NUMERIC} LIMIT 1) END"
    seconds, params = field_sql("date")
    written = f"(SELECT NOT {_HAS_ZONE} FROM {_MEMBERS} WHERE {_IS_DATE} LIMIT 1)"
    floating = f"CASE WHEN instr(d.metadata, ?) THEN IFNULL({written}, 0) ELSE 0 END"
    names = ('"year"', _json_path(("year",))), ('"date"', _json_path(("date",)))
    return f"{year}, {seconds}, {floating}", [*names[0], *params, *names[1]]


def _leaf(leaf: Match | Equals | Range | Exists, seen: Seen | None) -> Clause:
    field = describe(leaf.field)
    if isinstance(leaf, Exists):
        return _exists(leaf.field, field)
    if isinstance(leaf, Range):
        return _range(leaf, field)
    if field.kind == "path":
        return _join([_under(str(value), seen) for value in leaf.values], " OR ")
    if field.kind == "name" and isinstance(leaf, Match):
        named = [_named(leaf.field, str(value), seen) for value in leaf.values]
        return _join([*named, _in_metadata(leaf.field, _loose(leaf.values, False))], " OR ")
    if field.kind in ("number", "date"):
        return _number_is(leaf, field)
    return _text_is(leaf, field)


def _join(clauses: Sequence[Clause], word: str) -> Clause:
    if not clauses:
        return ("1" if word == " AND " else "0"), []
    return "(" + word.join(sql for sql, _ in clauses) + ")", [
        item for _, params in clauses for item in params
    ]


def _text_is(leaf: Match | Equals, field: Field) -> Clause:
    contains = field.kind == "contains" and isinstance(leaf, Match)
    test = _loose(leaf.values, contains) if isinstance(leaf, Match) else _exact(leaf.values)
    found = [_in_metadata(name, test) for name in field.keys or (leaf.field,)]
    if field.kind == "tags":
        sql, params = test
        found.insert(0, (f"EXISTS (SELECT 1 FROM json_each(d.tags) AS e WHERE {sql})", params))
    elif field.column:
        found.insert(0, _in_column(field.column, leaf, contains))
    return _join(found, " OR ")


def _in_column(column: str, leaf: Match | Equals, contains: bool) -> Clause:
    if isinstance(leaf, Equals):
        return _one_of(column, [value for value in leaf.values if isinstance(value, str)])
    if contains:
        return _has_one_of(f"lower({column})", folded(leaf.values))
    return _one_of(f"lower({column})", folded(leaf.values))


def _number_is(leaf: Match | Equals, field: Field) -> Clause:
    numbers = [value for value in leaf.values if is_number(value)]
    others = tuple(value for value in leaf.values if isinstance(value, str | bool))
    clauses: list[Clause] = [_years_are(numbers) if leaf.field == "year" else _value_is(leaf.field, numbers)]
    if others:
        clauses += [_in_metadata(name, _exact(others)) for name in field.keys]
    return _join(clauses, " OR ")


def _value_is(name: str, numbers: Sequence[int | float]) -> Clause:
    column, before = field_sql(name)
    sql, params = _one_of(column, numbers)
    return f"IFNULL({sql}, 0)", [*before, *params] if numbers else []


def _range(leaf: Range, field: Field) -> Clause:
    value: Any = _parameter(leaf.value)
    if field.kind == "date" and isinstance(leaf.value, datetime):
        return _date_is(field, leaf.op, leaf.value)
    if leaf.field == "year" and is_number(leaf.value):
        return _or_in_metadata("year", (f"e.atom {leaf.op} ?", [value]), _NUMERIC, _year(leaf.op, leaf.value))
    if field.kind in ("number", "date") and not isinstance(leaf.value, str):
        column, before = field_sql(leaf.field)
        return f"IFNULL({column} {leaf.op} ?, 0)", [*before, value]
    if isinstance(leaf.value, datetime):
        sql, params = _written_is(leaf.op, leaf.value)
        test, value = f"{_IS_DATE} AND {sql}", params
    elif isinstance(leaf.value, str):
        test = f"e.type = 'text' AND e.atom {leaf.op} ?"
    else:
        test = f"{_NUMERIC} AND e.atom {leaf.op} ?"
    values = value if isinstance(value, list) else [value]
    found = [_in_metadata(name, (test, values)) for name in field.keys or (leaf.field,)]
    if field.kind in ("text", "contains") and isinstance(leaf.value, str):
        found.insert(0, (f"{field.column} {leaf.op} ?", [value]))
    return _join(found, " OR ")


def _date_is(field: Field, op: Op, bound: datetime) -> Clause:
    """Compare a date field with a moment; a date without a time by what clocks show then."""
    column = field.column
    whole_day = f"({column} % {days.DAY} = 0 AND {column} = CAST({column} AS INTEGER))"
    sql, params = _by_zone(column, whole_day, op, bound)
    own = (f"IFNULL({sql}, 0)", params)
    return _or_in_metadata(field.keys[0], _written_is(op, bound), _IS_DATE, own) if field.keys else own


def _written_is(op: Op, bound: datetime) -> Clause:
    """Compare a date in metadata with a moment; one that names no zone by what clocks show then."""
    return _by_zone(_SECONDS, f"(NOT {_HAS_ZONE} OR {_SECONDS} % {days.DAY} = 0)", op, bound)


def _by_zone(value: str, floating: str, op: Op, bound: datetime) -> Clause:
    moment, shown = _parameter(bound), _parameter(days.wall(bound))
    if moment == shown:
        return f"{value} {op} ?", [moment]
    return f"CASE WHEN {floating} THEN {value} {op} ? ELSE {value} {op} ? END", [shown, moment]


def _or_in_metadata(key: str, test: Clause, condition: str, own: Clause) -> Clause:
    """A test of the first value under a key of the metadata that meets a condition; without one, of the column."""
    (tested, params), (column, values) = test, own
    found = f"(SELECT {tested} FROM {_MEMBERS} WHERE {condition} LIMIT 1)"
    return (
        f"CASE WHEN instr(d.metadata, ?) THEN COALESCE({found}, {column}) ELSE {column} END",
        [f'"{key}"', *params, _json_path((key,)), *values, *values],
    )


def _years_are(numbers: Sequence[int | float]) -> Clause:
    """Whether the year is one of these, each from its first moment to that of the next."""
    runs = _runs(sorted({int(number) for number in numbers if number == int(number)}))
    if len(runs) > _MOST_YEARS:
        return _value_is("year", numbers)
    each = [_join([_year(">=", low), _year("<=", high)], " AND ") for low, high in runs]
    test = _one_of("e.atom", numbers)
    return _or_in_metadata("year", test, _NUMERIC, _join(each, " OR "))


def _runs(years: Sequence[int]) -> list[tuple[int, int]]:
    """The first and last of years in a row.

    >>> _runs([1999, 2000, 2004])
    [(1999, 2000), (2004, 2004)]
    """
    starts = [at for at, year in enumerate(years) if at == 0 or year != years[at - 1] + 1]
    ends = [*starts[1:], len(years)] if starts else []
    return [(years[start], years[end - 1]) for start, end in zip(starts, ends, strict=True)]


def _year(op: Op, value: int | float) -> Clause:
    """Compare the year of the document's date with a number."""
    first = floor(value) + 1 if op in (">", "<=") else ceil(value)
    return _date_is(FIELDS["date"], ">=" if op in (">", ">=") else "<", days.year_start(first))


def _exists(name: str, field: Field) -> Clause:
    found = [
        _in_metadata(key, ("e.type <> 'null' AND e.atom IS NOT ''", []), objects=True) for key in field.keys
    ]
    if field.kind == "plain":
        found = [_in_metadata(name, ("e.type <> 'null' AND e.atom IS NOT ''", []), objects=True)]
    elif field.kind == "tags":
        found.append(("d.tags <> '[]'", []))
    elif field.kind in ("number", "date"):
        sql, params = field_sql(name)
        found = [(f"({sql}) IS NOT NULL", params)]
    else:
        found.append((f"IFNULL({field.column}, '') <> ''", []))
    return _join(found, " OR ")


def _in_metadata(name: str, test: Clause, *, objects: bool = False) -> Clause:
    """Whether the metadata has a field of this name whose value, or one of its elements, passes the test."""
    ways = [tuple(name.split(".")), (name,)] if "." in name.strip(".") else [(name,)]
    return _join([_at(way, test, objects) for way in dict.fromkeys(ways)], " OR ")


def _at(keys: tuple[str, ...], test: Clause, objects: bool) -> Clause:
    condition, params = test
    path = _json_path(keys)
    kind = "" if objects else f" AND json_type({_METADATA}, ?) <> 'object'"
    sql = f"EXISTS (SELECT 1 FROM {_MEMBERS} WHERE {condition}{kind})"
    guard: list[Any] = [] if objects else [path]
    return f"(instr(d.metadata, ?) AND {sql})", [f'"{keys[-1]}"', path, *params, *guard]


def _json_path(keys: Sequence[str]) -> str:
    return "$" + "".join(f'."{key}"' for key in keys)


def _loose(values: Sequence[str], contains: bool) -> Clause:
    text, params = (_has_one_of if contains else _one_of)("lower(e.atom)", folded(values))
    clauses: list[Clause] = [(f"(e.type = 'text' AND {text})", params)]
    if numbers := [number for value in values if (number := read_number(value)) is not None]:
        sql, params = _one_of("e.atom", numbers)
        clauses.append((f"({_NUMERIC} AND {sql})", params))
    if flags := [value.lower() for value in values if value.lower() in ("true", "false")]:
        clauses.append(_one_of("e.type", flags))
    return _join(clauses, " OR ")


def _exact(values: Sequence[Scalar]) -> Clause:
    clauses: list[Clause] = []
    if texts := [value for value in values if isinstance(value, str)]:
        sql, params = _one_of("e.atom", texts)
        clauses.append((f"(e.type = 'text' AND {sql})", params))
    if numbers := [value for value in values if is_number(value)]:
        sql, params = _one_of("e.atom", numbers)
        clauses.append((f"({_NUMERIC} AND {sql})", params))
    if flags := [json.dumps(value) for value in values if isinstance(value, bool)]:
        clauses.append(_one_of("e.type", flags))
    return _join(clauses, " OR ")


def _one_of(expression: str, values: Sequence[Any]) -> Clause:
    if len(values) == 1:
        return f"{expression} = ?", [values[0]]
    if not values:
        return "0", []
    return f"{expression} IN (SELECT value FROM json_each(?))", [json.dumps(list(values))]


def _has_one_of(expression: str, values: Sequence[str]) -> Clause:
    return _join([(f"instr({expression}, ?) > 0", [value]) for value in values], " OR ")


def folded(values: Sequence[str]) -> list[str]:
    """Each value in its usual capitalisations, ASCII lowered: SQLite's lower() knows no other letters."""
    forms: tuple[Callable[[str], str], ...] = (str.lower, str.upper, str.title, str.capitalize, str)
    return list(dict.fromkeys(_ascii_lower(form(value)) for value in values for form in forms))


def _ascii_lower(text: str) -> str:
    return "".join(character.lower() if character.isascii() else character for character in text)


def path_sql(tree: Filter | None, column: str) -> Clause | None:
    """Whether one path, in this column, passes what a filter says of paths; None when it says nothing of them."""
    if isinstance(tree, And | Or):
        found = [clause for part in tree.parts if (clause := path_sql(part, column))]
        return _join(found, " AND " if isinstance(tree, And) else " OR ") if found else None
    if isinstance(tree, Not):
        part = path_sql(tree.part, column)
        return part and (f"NOT {part[0]}", part[1])
    if isinstance(tree, Match | Equals) and describe(tree.field).kind == "path":
        return _join([_path_is(str(value), column) for value in tree.values], " OR ")
    return None


def _under(pattern: str, seen: Seen | None) -> Clause:
    """Documents with a path in this folder or of this name; copies of one file are one document with many paths."""
    own, params = _seen_path_is(pattern, "d.path", seen)
    other, more = _seen_path_is(pattern, "f.path", seen)
    copies = (
        "SELECT 1 FROM files AS f WHERE f.content_hash = d.content_hash AND f.collection = d.collection AND "
        + other
    )
    return f"({own} OR EXISTS ({copies}))", [*params, *more]


def _named(field: str, text: str, seen: Seen | None) -> Clause:
    """Documents whose file, or a copy of it, or member of a container, has a name with this text or ending."""
    ends = folded([text.lstrip(".") if field == "ext" else text])
    bodies = ["".join(_LIKE.get(character, character) for character in end) for end in ends]
    like = [f"%.{body}" if field == "ext" else f"%{body}%" for body in bodies]
    own, params = _seen_name_is("d.path", like, seen)
    other, more = _seen_name_is("f.path", like, seen)
    member, last = _seen_name_is("d.member", like, None)
    copies = (
        "SELECT 1 FROM files AS f WHERE f.content_hash = d.content_hash AND f.collection = d.collection AND "
        + other
    )
    file = f"(d.member = '' AND ({own} OR EXISTS ({copies})))"
    return f"({file} OR {member})", [*params, *more, *last]


def _seen_name_is(column: str, like: Sequence[str], seen: Seen | None) -> Clause:
    """Whether what follows the last slash is like one of these; a path out of sight has no name."""
    name = f"substr({column}, length(rtrim({column}, replace({column}, '/', ''))) + 1)"
    named = _join([(f"IFNULL(lower({name}) LIKE ? ESCAPE '\\', 0)", [one]) for one in like], " OR ")
    return _join([named, *([seen(column)] if seen else [])], " AND ")


def _seen_path_is(pattern: str, column: str, seen: Seen | None) -> Clause:
    clauses = [_path_is(pattern, column), *([seen(column)] if seen else [])]
    return _join(clauses, " AND ")


def _path_is(pattern: str, column: str) -> Clause:
    anchored = pattern.startswith("/") or pattern[1:3] == ":/"
    front = "" if anchored else "'/' || "
    test = f"IFNULL({front}replace({column}, '\\', '/') || '/' LIKE ? ESCAPE '\\', 0)"
    return _join([(test, [_path_like(form, anchored)]) for form in folded([pattern])], " OR ")


def _path_like(pattern: str, anchored: bool) -> str:
    body = "".join(_LIKE.get(character, character) for character in pattern.strip("/"))
    start = "/" if pattern.startswith("/") else "" if anchored else "%/"
    return f"{start}{body}/%" if body else "/%"


_LIKE = {"%": "\\%", "_": "\\_", "\\": "\\\\", "*": "%", "?": "_"}


def _parameter(value: Bound) -> str | int | float:
    if not isinstance(value, datetime):
        return value
    return round((value - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds(), 3)
