"""Dumps of documents: JSON lines, or one JSON array, of objects that each have a text and an id or a title."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from localsearch.extract.decode import clean
from localsearch.extract.fields import front_matter
from localsearch.extract.plain import cut
from localsearch.types import Block, Extract, Place

_IDS = ("id", "_id")
_APART = frozenset({"text", "title", "metadata", "_id"})
_LONGEST_MEMBER = 300


def read_records(text: str, kind: str, limit: int) -> list[Extract]:
    """A document for each object, addressed by its id or else by its number; none when this is no such dump.

    Every object has to be one, or all is read as data. `kind` is json or jsonl. In lines beyond `limit` characters
    nothing is read.
    """
    whole, notes = cut(text, limit)
    if kind == "jsonl" and notes:
        whole = whole.rpartition("\n")[0]
    found: list[Extract] = []
    try:
        for row, line, value in _lines(whole) if kind == "jsonl" else _elements(whole):
            if not _is_record(value):
                return []
            found.append(_record(value, kind, Place(line=line, row=row)))
    except (ValueError, RecursionError):
        return []
    found = [extract for extract in found if extract.text.strip()]
    return [*found[:-1], replace(found[-1], notes=notes)] if found else []


def _lines(text: str) -> Iterator[tuple[int, int, Any]]:
    """Row, line and value of each line that is not blank."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, number, json.loads(line)


def _elements(text: str) -> Iterator[tuple[int, int, Any]]:
    """Row, line and value of each element of an array. ValueError for what is none."""
    read, at, line = json.JSONDecoder().raw_decode, _past_blanks(text, 0), 1
    counted, row, sign = 0, 0, "["
    while text[at : at + 1] == sign:
        at = _past_blanks(text, at + 1)
        row, line, counted = row + 1, line + text.count("\n", counted, at), at
        value, at = read(text, at)
        yield row, line, value
        at, sign = _past_blanks(text, at), ","
    if text[at:].strip() != "]":
        raise ValueError("no array")


def _past_blanks(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def _is_record(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("text"), str)
        and (isinstance(value.get("title"), str) or _id(value) != "")
    )


def _id(value: dict[str, Any]) -> str:
    for name in _IDS:
        found = value.get(name)
        if isinstance(found, str | int) and not isinstance(found, bool) and str(found).strip():
            return str(found).strip()
    return ""


def _record(value: dict[str, Any], kind: str, place: Place) -> Extract:
    title = clean(value["title"]).strip()[:300] if isinstance(value.get("title"), str) else ""
    text = clean(value["text"])
    text = text if text.strip() else title
    own = value["metadata"] if isinstance(value.get("metadata"), dict) else {}
    id = _id(value)
    named = {"id": id} if id else {}
    rest = {name: item for name, item in value.items() if name not in _APART}
    blocks = (Block(0, len(text), "paragraph", place),) if text.strip() else ()
    return Extract(text, kind, title, blocks, front_matter(own | rest | named), _member(id, place))


def _member(id: str, place: Place) -> str:
    printable = "".join(sign if sign.isprintable() else "?" for sign in id)
    return printable[:_LONGEST_MEMBER] or str(place.row)
