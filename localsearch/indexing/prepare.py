"""From what was read to what is stored: titles, dates, language and chunks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from localsearch import text as language_of
from localsearch.checked import Metadata, clean, timestamp
from localsearch.errors import UsageError
from localsearch.extract import type_by_name
from localsearch.extract.chunk import chunk
from localsearch.settings import ChunkSettings
from localsearch.store import NewDocument
from localsearch.store.documents import SAID_COLUMNS
from localsearch.types import Chunk, Extract, Record

_DATES = ("created", "modified", "date")
_LANGUAGE_SAMPLE = 4000
LONGEST_ID = 10_000
"""Characters of an id that a program may give a document."""
LONGEST_COLLECTION = 200
_LONGEST_FIELD = 10_000
_LONGEST_TYPE = 100
_TAGS, _LONGEST_TAG = 1000, 200


def from_record(record: Record, settings: ChunkSettings) -> NewDocument:
    """A document that a program sent. Raises UsageError when it has no text, or an id that cannot be stored."""
    _check_kinds(record)
    body = clean(record.text)
    title = _string(record.title) or _string(record.metadata.get("title"))
    if not body.strip() and not title.strip():
        raise UsageError("A document needs text.", hint='Send {"text": "..."} with at least one word.')
    key = record.id if record.id is not None else hashlib.blake2b(body.encode(), digest_size=12).hexdigest()
    check_id(key)
    kind = _string(record.metadata.get("type")) or "text"
    document = from_extract(Extract(body, kind, title, metadata=record.metadata), key, settings)
    return replace(document, size=len(body.encode()), metadata=Metadata(record.metadata).values)


def from_name(path: str, size: int, modified: float, reason: str) -> NewDocument:
    """The document of a file of which only the name is known, and why; it has one chunk, without text."""
    return NewDocument(
        key=path,
        title="",
        path=path,
        type=type_by_name(path)[:_LONGEST_TYPE],
        size=size,
        modified=modified,
        text="",
        chunks=(Chunk(0, 0),),
        left_out=clean(reason) or "it was not read",
    )


def _check_kinds(record: Record) -> None:
    """Raise UsageError for what a program sends that is no record of text."""
    if not isinstance(record, Record):
        raise UsageError(f"{type(record).__name__} is no Record.", hint='Send Record("some text", "an id").')
    for name, kind, word in (
        ("text", str, "text"),
        ("title", str, "text"),
        ("metadata", Mapping, "an object"),
    ):
        if not isinstance(getattr(record, name), kind):
            raise UsageError(f"{name} is {type(getattr(record, name)).__name__}.", hint=f"It is {word}.")


def check_collection(name: str) -> None:
    """Raise UsageError for the name of a collection that cannot be asked for."""
    if not isinstance(name, str) or not name or len(name) > LONGEST_COLLECTION or not name.isprintable():
        raise UsageError(
            f"{str(name)[:50]!r} cannot be a collection.",
            hint=f"Use 1 to {LONGEST_COLLECTION} printable letters.",
        )


def check_id(id: str) -> None:
    """Raise UsageError for an id that no document can have."""
    if not isinstance(id, str) or not id or len(id) > LONGEST_ID or clean(id) != id:
        raise UsageError(
            f"An id is text of 1 to {LONGEST_ID:,} characters.", hint="Leave it out to have one made."
        )


def from_extract(extract: Extract, key: str, settings: ChunkSettings) -> NewDocument:
    """A document as read from a file, under its key; its path and content hash are the caller's to add.

    What its metadata holds beyond the bounds of `checked` is left out, and told in the document's notes.
    """
    body = clean(extract.text)
    metadata = Metadata(_rest(extract.metadata))
    if body is not extract.text:
        extract = replace(extract, text=body)
    fields = extract.metadata
    title = _string(extract.title) or _string(fields.get("title"))
    return NewDocument(
        key=clean(key),
        title=title,
        type=_string(extract.type)[:_LONGEST_TYPE],
        text=body,
        chunks=chunk(extract, settings) if extract.chunks is None else extract.chunks,
        member=clean(extract.member),
        language=_language(fields.get("language")) or language_of.detect_language(body[:_LANGUAGE_SAMPLE]),
        author=_string(fields.get("author")),
        created=timestamp(fields.get("created")),
        modified=timestamp(fields.get("modified") or fields.get("date")),
        tags=_tags(fields.get("tags")),
        metadata=metadata.values,
        notes=(*_wrong_dates(fields), *metadata.notes),
    )


def _rest(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in metadata.items() if name not in SAID_COLUMNS}


def _wrong_dates(fields: Mapping[str, Any]) -> Iterator[str]:
    """A note for each date that no calendar has. Text that is no date at all is text, and needs none."""
    for name in _DATES:
        value = fields.get(name)
        written = isinstance(value, str) and value[:4].isdigit()
        if (written or isinstance(value, int | float)) and timestamp(value) is None and value != "":
            yield f"{name}: not a date of the years 1 to 9999, left out"


def _language(value: Any) -> str:
    """The language of a tag such as de-CH, as two letters; empty when it is none."""
    found = _string(value)[:2].lower()
    return found if len(found) == 2 and found.isascii() and found.isalpha() else ""


def _tags(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    found = value if isinstance(value, list | tuple) else ()
    return tuple(_text(part)[:_LONGEST_TAG] for part in found[:_TAGS] if _is_plain(part))


def _string(value: Any) -> str:
    parts = value[:_TAGS] if isinstance(value, list | tuple) else [value]
    return ", ".join(_text(part) for part in parts if _is_plain(part))[:_LONGEST_FIELD]


def _is_plain(value: Any) -> bool:
    return value is not None and not isinstance(value, Mapping | list | tuple | set)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return clean(value[:_LONGEST_FIELD])
    found = Metadata({"": value}).values[""]
    return "" if found is None else str(found)[:_LONGEST_FIELD]
