"""Digest what is stored, since SQLite keeps no checksums: `check` finds a byte that changed on the disk.

For `store` only; `upkeep.check` asks through Corpus and Embeddings.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import Any

_HALF = 8
_DIGESTED = (
    "collection, key, title, path, member, type, language, author, size, created, modified, indexed, tags, metadata,"
    " content_hash"
)
"""What is digested of a row, in this order: stored digests depend on it, so it does not follow new columns."""


def store_digest(connection: sqlite3.Connection, document_id: int, content: Iterable[Sequence[Any]]) -> None:
    """Digest a document that was stored in this transaction; `content` are its segments of text and then its chunks,
    as `_content` reads them.

    The row is read back: RETURNING gives a whole number of a REAL column as an integer, SELECT as a float.
    """
    digest = _digest([_row(connection, document_id)]) + _digest(content)
    connection.execute("UPDATE documents SET digest = ? WHERE id = ?", (digest, document_id))


def renew_digest(connection: sqlite3.Connection, document_id: int) -> None:
    """Digest a document as it is stored now."""
    store_digest(connection, document_id, _content(connection, document_id))


def renew_row_digest(connection: sqlite3.Connection, document_id: int) -> None:
    """Digest the row of a document anew after a change to it; its text stays as it was."""
    digest = _stored(connection, document_id)
    if digest is not None:
        renewed = _digest([_row(connection, document_id)]) + digest[_HALF:]
        connection.execute("UPDATE documents SET digest = ? WHERE id = ?", (renewed, document_id))


@contextmanager
def keeping_digest(connection: sqlite3.Connection, document_id: int) -> Iterator[None]:
    """Digest a document anew after a change to its row or chunks, unless it was not what was stored before."""
    sound = _stored(connection, document_id) is not None and is_as_stored(connection, document_id)
    yield
    if sound:
        renew_digest(connection, document_id)


def is_as_stored(connection: sqlite3.Connection, document_id: int) -> bool:
    """Whether every byte of a document is what was stored; True for one that is gone or has no digest."""
    try:
        digest = _stored(connection, document_id)
        if digest is None:
            return True
        return digest == _digest([_row(connection, document_id)]) + _digest(_content(connection, document_id))
    except (sqlite3.OperationalError, TypeError):
        return False  # text that is no longer UTF-8, a digest that is no longer bytes


def _stored(connection: sqlite3.Connection, document_id: int) -> bytes | None:
    row = connection.execute("SELECT digest FROM documents WHERE id = ?", (document_id,)).fetchone()
    return row[0] if row else None


def _row(connection: sqlite3.Connection, document_id: int) -> Sequence[Any]:
    row: Sequence[Any] = connection.execute(
        f"SELECT {_DIGESTED} FROM documents WHERE id = ?", (document_id,)
    ).fetchone()
    return row


def _content(connection: sqlite3.Connection, document_id: int) -> Iterator[Sequence[Any]]:
    segments = connection.execute(
        "SELECT text FROM bodies WHERE id BETWEEN ? AND ? ORDER BY id",
        (document_id << 20, ((document_id + 1) << 20) - 1),
    )
    chunks = connection.execute(
        "SELECT start, stop, place, hash FROM chunks WHERE document_id = ? ORDER BY id", (document_id,)
    )
    yield from segments
    yield from chunks


def _digest(rows: Iterable[Sequence[Any]]) -> bytes:
    found = hashlib.blake2b(digest_size=_HALF)
    for row in rows:
        found.update(f"[{', '.join(map(_json, row))}]".encode())
    return found.digest()


def _json(value: Any) -> str:
    """The value in JSON of ASCII, bytes in hexadecimal: in a quarter of the time that a call for each row takes."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, bytes):
        return f'"{value.hex()}"'
    if value is None:
        return "null"
    return repr(value) if type(value) is int or _is_plain(value) else json.dumps(value)


def _is_plain(value: Any) -> bool:
    """A number of which JSON writes what Python does."""
    return type(value) is float and isfinite(value)
