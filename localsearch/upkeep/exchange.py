"""Documents as JSON lines, readable by every release and by other programs.

The first line is {"format": "localsearch-export", "version": 1}. Every other line is one document:
{"id", "collection", "title", "text", "type", "path", "language", "author", "size", "created", "modified", "tags",
"metadata", "left_out"}; all but id and text may be missing. Times are ISO 8601 or seconds since 1970. The last line is
{"documents": N}, so that a file cut short is noticed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec

from localsearch.checked import Metadata, clean, count
from localsearch.errors import DamagedError, FormatError, UsageError
from localsearch.indexing import Indexer
from localsearch.indexing.prepare import LONGEST_ID, from_extract
from localsearch.platform.disk import rename, sync_file
from localsearch.store import Corpus, NewDocument
from localsearch.store.documents import SAID_COLUMNS
from localsearch.types import Chunk, Extract, Progress, Report, no_report

FORMAT = "localsearch-export"
VERSION = 1
_BATCH = 200
_NOTES = 20
_LONGEST_REASON = 500
_LONGEST_HEADER = 10_000
_LONGEST_LINE = 256 * 1024 * 1024
_FIELDS = ("title", "type", "path", "language", "author", "size", "created", "modified", "left_out")


def export(corpus: Corpus, target: Path, report: Report = no_report) -> int:
    """Write every document to a new file, complete or not at all; returns how many."""
    if target.exists():
        raise UsageError(f"{target} exists.", hint="Choose another name; nothing is overwritten.")
    partial = target.with_name(target.name + ".partial")
    ids = corpus.document_ids()
    with open(
        os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8"
    ) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(json.dumps({"format": FORMAT, "version": VERSION}) + "\n")
        for number, line in enumerate(_lines(corpus, ids), 1):
            file.write(line + "\n")
            report(Progress("export", number, len(ids), "documents"))
        file.write(json.dumps({"documents": len(ids)}) + "\n")
        sync_file(file)
    rename(partial, target)
    return len(ids)


def _lines(corpus: Corpus, ids: list[int]) -> Iterator[str]:
    for start in range(0, len(ids), _BATCH):
        for row in corpus.documents(ids[start : start + _BATCH]).values():
            values: dict[str, Any] = {"id": row.key, "collection": row.collection}
            values |= {name: getattr(row, name) for name in _FIELDS if getattr(row, name) not in (None, "")}
            values |= {"tags": list(row.tags), "metadata": row.metadata, "text": corpus.text(row.id)}
            yield json.dumps(values, ensure_ascii=False)


class _Header(msgspec.Struct):
    format: str
    version: int


class _Line(msgspec.Struct):
    """One line of an export: a document or, with neither id nor text, the end."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID)] | None = None
    text: str | None = None
    collection: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] = "default"
    title: str = ""
    type: Annotated[str, msgspec.Meta(max_length=100)] = "text"
    path: Annotated[str, msgspec.Meta(max_length=10_000)] | None = None
    language: str = ""
    author: str | list[str] = ""
    size: int | None = None
    created: str | float | None = None
    modified: str | float | None = None
    tags: list[str] = []
    metadata: dict[str, Any] = {}
    left_out: str = ""
    documents: int | None = None


_LINES = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class Imported:
    """How an import ended: documents stored, lines that were refused, and the first of these with their reasons."""

    documents: int
    refused: int = 0
    notes: tuple[str, ...] = ()


def import_file(indexer: Indexer, source: Path, report: Report = no_report) -> Imported:
    """Store every document of an export, in place of those with the same ids.

    Each batch is durable. A line that is no document is refused, told with its number, and the rest goes on. Raises
    FormatError, or DamagedError for a file that is no export or ends early; what came before is kept.
    """
    stored, refused, ended = 0, 0, False
    notes: list[str] = []
    batch: list[tuple[str, NewDocument]] = []
    for number, line in _read(source):
        try:
            values = _LINES.decode(line)
            ended = values.id is None and values.documents is not None
            if not ended:
                made = _document(values, indexer)
                batch.append(made)
                notes += [f"line {number}: {note}" for note in made[1].notes if len(notes) < _NOTES]
        except (ValueError, RecursionError, UsageError) as error:
            refused += 1
            if len(notes) < _NOTES:
                notes.append(f"line {number} was refused: {str(error)[:200]}")
        if len(batch) >= _BATCH:
            indexer.put(batch)
            stored, batch = stored + len(batch), []
            report(Progress("import", stored, None, "documents"))
    indexer.put(batch)
    stored += len(batch)
    if not ended:
        raise DamagedError(
            f"{source} ends early: its last line is missing. The {stored:,} documents before were stored"
            f"{f', {refused:,} lines refused' if refused else ''}.",
            hint="Export again, or go on with what there is.",
        )
    return Imported(stored, refused, tuple(notes))


def _read(source: Path) -> Iterator[tuple[int, bytes]]:
    """The lines after the header with their numbers; a line that is too long is given cut, and so is no JSON."""
    try:
        with open(source, "rb") as file:
            _check_header(source, file.readline(_LONGEST_HEADER))
            number, whole = 1, True
            while line := file.readline(_LONGEST_LINE):
                number += whole
                if whole and line.strip():
                    yield number, line
                whole = line.endswith(b"\n")
    except OSError as error:
        raise UsageError(
            f"{source} cannot be read: {error.strerror}.", hint="Name a file that `export` wrote."
        ) from error


def _check_header(source: Path, line: bytes) -> None:
    try:
        header = msgspec.json.decode(line, type=_Header)
    except (ValueError, RecursionError):
        header = _Header("", 0)
    if header.format != FORMAT or header.version < 1:
        raise DamagedError(
            f"{source} is not an export of localsearch.", hint="Its first line names the format."
        )
    if header.version > VERSION:
        raise FormatError(
            f"{source} was written by a newer release.", hint="Upgrade localsearch to import it."
        )


def _document(values: _Line, indexer: Indexer) -> tuple[str, NewDocument]:
    """The document of a line. Raises UsageError for what cannot be stored."""
    if values.id is None or values.text is None:
        raise UsageError("it has no id and text")
    for name in (values.id, values.collection, values.path or ""):
        if clean(name) != name or "\0" in name or (name is values.collection and not name.isprintable()):
            raise UsageError("an id, a path or a collection holds control characters")
    fields = {name: told for name in SAID_COLUMNS if (told := getattr(values, name)) not in (None, "", [])}
    extract = Extract(values.text, values.type, values.title, metadata={**values.metadata, **fields})
    document = from_extract(extract, values.id, indexer.settings.chunk)
    if values.left_out and not values.text:
        document = replace(document, left_out=values.left_out[:_LONGEST_REASON], chunks=(Chunk(0, 0),))
    if not document.text.strip() and not document.title.strip():
        raise UsageError("it has no text")
    size = len(document.text.encode()) if values.size is None else count(values.size)
    metadata = Metadata(values.metadata).values
    return values.collection, replace(document, path=values.path, size=size, metadata=metadata)
