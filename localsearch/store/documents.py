"""What is stored of a document beside its text: one dataclass, whose fields are the columns of `documents`.

A new column is a field here and a migration; `corpus` reads and writes whatever fields there are.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import PurePosixPath
from typing import Any

from localsearch.checked import Metadata, seconds
from localsearch.errors import DamagedError
from localsearch.types import Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentColumns:
    """What a document is and says of itself. Times are seconds since 1970 UTC, `size` is in bytes.

    `left_out` is why only the name of its file is known; empty for one that was read.
    """

    key: str
    title: str
    path: str | None = None
    member: str = ""
    type: str
    language: str = ""
    author: str = ""
    size: int = 0
    created: float | None = None
    modified: float | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    content_hash: bytes | None = None
    left_out: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument(DocumentColumns):
    """A document ready to be stored, with its text and chunks. Without a title it is called by its file's name.

    `notes` tell what of its metadata was lost on the way here; the ledger keeps them with the file.
    """

    text: str
    chunks: tuple[Chunk, ...]
    notes: tuple[str, ...] = ()

    @property
    def named(self) -> bool:
        """Whether it has no title of its own and comes from a file, so that the file's name is its title."""
        return not self.title and self.path is not None

    @property
    def stored_title(self) -> str:
        """The title that is stored, searched and embedded."""
        return file_name(self.path, self.member) if self.named else self.title


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRow(DocumentColumns):
    """A stored document without its text."""

    id: int
    collection: str
    indexed: float


SAID_COLUMNS = ("title", "author", "language", "tags", "created", "modified")
"""Columns that a document's own metadata fills."""
_STORED = tuple(column.name for column in fields(DocumentRow))
COLUMNS = ", ".join(_STORED)
"""What is selected for `from_row`."""
_INSERTED = tuple(name for name in (*_STORED, "named") if name != "id")
_INSERT = f"INSERT INTO documents ({', '.join(_INSERTED)}) VALUES ({', '.join('?' * len(_INSERTED))})"


def from_row(row: Sequence[Any]) -> DocumentRow:
    """A document from a row of `COLUMNS`. Raises DamagedError for one that no release of ours has written."""
    values = dict(zip(_STORED, row, strict=True))
    tags, metadata = values["tags"], values["metadata"]
    try:
        values["tags"] = () if tags == "[]" else tuple(str(tag) for tag in json.loads(tags))
        values["metadata"] = {} if metadata == "{}" else Metadata(json.loads(metadata)).values
        for name in ("created", "modified"):
            values[name] = None if values[name] is None else seconds(values[name])
        values["indexed"] = seconds(values["indexed"]) or 0.0
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(
            f"document number {values['id']} of the database is damaged", hint="Run localsearch check."
        ) from error
    return DocumentRow(**values)


def insert(connection: sqlite3.Connection, collection: str, document: NewDocument) -> int:
    """Store the columns of a new document; returns its id."""
    others = {
        "title": document.stored_title,
        "named": document.named,
        "tags": json.dumps(document.tags, ensure_ascii=False),
        "metadata": json.dumps(document.metadata, ensure_ascii=False, allow_nan=False),
        "collection": collection,
        "indexed": time.time(),
    }
    values = [others[name] if name in others else getattr(document, name) for name in _INSERTED]
    return int(connection.execute(_INSERT, values).lastrowid or 0)


def key_of(path: str, member: str = "") -> str:
    """The id of what was read from a file, or of a member of it.

    >>> key_of("/mail/old.mbox", "3")
    '/mail/old.mbox!/3'
    """
    return f"{path}!/{member}" if member else path


def at_path(document: DocumentRow, path: str | None) -> DocumentRow:
    """The document as the copy of its file with this path: by its id and, where that is its title, by its name."""
    if path in (None, document.path):
        return document
    title = document.title
    if title == file_name(document.path, document.member):
        title = file_name(path, document.member)
    return replace(document, path=path, key=key_of(path, document.member), title=title)


def words_about(document: DocumentColumns) -> Iterator[str]:
    """What is said about a document beside its text, a line for each value: author, tags and all else of its metadata.

    Names of fields and what is true or false are no words of it.
    """
    yield from _lines((document.author, document.tags, document.metadata))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from filter(None, map(str.strip, value.splitlines()))
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _lines(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def file_name(path: str | None, member: str) -> str:
    """What a document is called that has no title of its own: the name of its file, if it comes from one."""
    return PurePosixPath(member or path).name if path else ""
