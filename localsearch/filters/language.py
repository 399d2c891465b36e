"""One clause of the filter language: a name, a colon and a value with no space between.

    type:pdf,docx after:2024-01-01 before:2025 path:reports/ author:"A B" size:>1mb

Values of one field separated by commas mean any of them.

    size:>1mb  size:1mb..2mb   comparisons and ranges, both ends included
    modified:2024-05           within that month; after:, before: and date: ask for the document's own date
    project:=alpha, year:=5    exactly this text, number, true or false
    author:*                   has an author
"""

from __future__ import annotations

import re

from localsearch.errors import FilterError
from localsearch.filters.fields import BOUNDS, FIELDS, bound, canonical, check_text, compare, describe, match
from localsearch.filters.tokens import QUOTED, unquoted
from localsearch.filters.tree import And, Equals, Exists, Filter, Op, Scalar, distinct
from localsearch.numbers import read_number
from localsearch.patterns import regex

_VALUE = regex(r"(?P<op>[<>]=?|=)?(?P<rest>.*)", re.DOTALL)
_ITEM = regex(rf'(?:(?P<quoted>{QUOTED})|(?P<bare>[^",]+))(?:,(?=.)|$)', re.DOTALL)
_RANGE = regex(r'(?P<low>[^".,]+(?:\.\d+[a-z]*)?)\.\.(?P<high>[^".,]+(?:\.\d+[a-z]*)?)')


def spelled(name: str) -> str:
    """The field a person means: built-in names in any case, metadata names as written."""
    lower = canonical(name.lower())
    return lower if lower in FIELDS or lower in BOUNDS else name


def clause(name: str, raw: str) -> tuple[Filter, bool]:
    """The filter for one `name:value`, and whether it lists values, so that the same field again means "or"."""
    parts = _VALUE.fullmatch(raw)
    op, rest = (parts["op"], parts["rest"]) if parts else (None, raw)
    if name in BOUNDS:
        return bound(name, _single(name, raw)[0]), False
    if op == "=":
        return Equals(name, _literals(name, rest)), True
    if op:
        text, quoted = _single(name, rest)
        return compare(name, _op(op), text, quoted=quoted), False
    if rest == "*":
        return Exists(name), False
    kind = describe(name).kind
    if kind not in ("path", "name", "tags", "text", "contains") and (span := _RANGE.fullmatch(rest)):
        low, high = compare(name, ">=", span["low"]), compare(name, "<=", span["high"])
        return And((low, high)), True
    return match(name, [text for text, _ in _items(name, rest)]), True


def _op(text: str) -> Op:
    ops: dict[str, Op] = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}
    return ops[text]


def _items(name: str, raw: str) -> list[tuple[str, bool]]:
    """The values in `a,"b c"`, each with whether it was quoted."""
    found: list[tuple[str, bool]] = []
    at = 0
    while at < len(raw):
        item = _ITEM.match(raw, at)
        if item is None:
            raise FilterError(f"{name}:{raw[:60]} does not parse.", hint=f'Write it like {name}:a,"b c".')
        quoted = item["quoted"] is not None
        found.append((unquoted(item["quoted"]) if quoted else item["bare"], quoted))
        at = item.end()
    if not found:
        raise FilterError(f"{name}: has no value.", hint=f'Write it like {name}:value or {name}:"two words".')
    return found


def _single(name: str, raw: str) -> tuple[str, bool]:
    items = _items(name, raw)
    if len(items) > 1:
        raise FilterError(f"{name}:{raw[:60]} compares with several values.", hint="Compare with one value.")
    return items[0]


def _literals(name: str, raw: str) -> tuple[Scalar, ...]:
    if raw == "[]":
        return ()
    values = [(text if quoted else literal(text)) for text, quoted in _items(name, raw)]
    for value in values:
        check_text(name, str(value))
    return distinct(values)


def literal(text: str) -> Scalar:
    """What an unquoted value after `:=` is: a number, true, false, or text."""
    if text in ("true", "false"):
        return text == "true"
    value = read_number(text)
    return text if value is None else value
