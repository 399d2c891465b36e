"""From what was read to what is stored: titles, dates, language and chunks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from localsearch import text as language_of
from localsearch.errors import UsageError
from localsearch.indexing.chunk import chunk
from localsearch.numbers import is_number
from localsearch.settings import ChunkSettings
from localsearch.store import NewDocument
from localsearch.store.documents import SAID_COLUMNS
from localsearch.types import Extract, Record

_LANGUAGE_SAMPLE = 4000
_SURROGATE = re.compile("[\ud800-\udfff]")


def from_record(record: Record, settings: ChunkSettings) -> NewDocument:
    """A document that a program sent. Raises UsageError when it has no text."""
    if not record.text.strip() and not record.title.strip():
        raise UsageError("A document needs text.", hint='Send {"text": "..."} with at least one word.')
    title = record.title or _string(record.metadata.get("title"))
    kind = _string(record.metadata.get("type")) or "text"
    body = _clean(record.text)
    key = record.id if record.id is not None else hashlib.blake2b(body.encode(), digest_size=12).hexdigest()
    document = from_extract(Extract(body, kind, title, metadata=record.metadata), key, settings)
    return replace(document, size=len(body.encode()), metadata=dict(record.metadata))


def from_extract(extract: Extract, key: str, settings: ChunkSettings) -> NewDocument:
    """A document as read from a file, under its key; its path and content hash are the caller's to add."""
    metadata = extract.metadata
    body = _clean(extract.text)
    return NewDocument(
        key=key,
        title=_clean(extract.title or _string(metadata.get("title"))),
        type=extract.type,
        text=body,
        chunks=chunk(replace(extract, text=body), settings),
        member=extract.member,
        language=_string(metadata.get("language"))[:2].lower()
        or language_of.detect_language(body[:_LANGUAGE_SAMPLE]),
        author=_string(metadata.get("author")),
        created=timestamp(metadata.get("created")),
        modified=timestamp(metadata.get("modified") or metadata.get("date")),
        tags=_tags(metadata.get("tags")),
        metadata=_rest(metadata),
    )


def timestamp(value: Any) -> float | None:
    """Seconds since 1970 UTC of an ISO 8601 date or time, or of a number; None when it is neither.

    >>> timestamp("1970-01-02")
    86400.0
    """
    try:
        if is_number(value):
            return float(value)
        when = datetime.fromisoformat(str(value).strip())
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _rest(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in metadata.items() if name not in SAID_COLUMNS}


def _tags(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(_clean(str(part)) for part in value) if isinstance(value, list | tuple) else ()


def _string(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_clean(str(part)) for part in value)
    return _clean(str(value)) if value is not None else ""


def _clean(text: str) -> str:
    """Lone surrogates become U+FFFD one for one, so that offsets stay and SQLite can store it."""
    return _SURROGATE.sub("\ufffd", text)
