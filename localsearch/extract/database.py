"""Databases in a file: SQLite and Parquet, by the columns that hold text, each row a paragraph."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from localsearch.extract.builder import Builder
from localsearch.extract.decode import clean
from localsearch.extract.limits import failure
from localsearch.extract.source import Source
from localsearch.types import Extract, Place

_SHADOW = (
    "_content",
    "_data",
    "_idx",
    "_docsize",
    "_config",
    "_segments",
    "_segdir",
    "_stat",
    "_node",
    "_parent",
    "_rowid",
)
"""Ends of the tables that a virtual table keeps its own data in: https://www.sqlite.org/fts5.html#fts5_data_structures."""
LONGEST_CELL = 1_000_000
BATCH = 1000


def read_sqlite(source: Source) -> list[Extract]:
    """Text of every table of an SQLite database, its name the heading; numbers stand beside the text of their row."""
    builder = Builder(source.limits.text)
    connection = sqlite3.connect(":memory:")
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    try:
        connection.deserialize(_without_journal(source.data))
        connection.execute("pragma query_only = 1")
        for name, virtual in _tables(connection):
            if builder.full:
                break
            _add_table(builder, connection, name, virtual)
    except (sqlite3.DatabaseError, sqlite3.OperationalError) as error:
        if builder.empty:
            raise failure("damaged", f"no readable SQLite database: {error}") from None
        builder.notes.append(f"it could not be read to its end: {error}")
    finally:
        connection.close()
    if builder.empty:
        raise failure("no-text", "; ".join(builder.notes) or "its tables hold no text")
    return [builder.extract("sqlite", title=None)]


def _without_journal(data: bytes) -> bytes:
    """The same database, marked as one without a write-ahead log, as one in memory has to be (bytes 18 and 19)."""
    return data[:18] + b"\1\1" + data[20:] if data[18:20] == b"\2\2" else data


def _tables(connection: sqlite3.Connection) -> list[tuple[str, bool]]:
    """Names of the tables that people fill, and whether each is virtual; indexes over others are left out."""
    rows = connection.execute(
        "select name, sql from sqlite_master where type = 'table' and name not like 'sqlite_%'"
    )
    found = [(str(name), str(sql or "").upper().startswith("CREATE VIRTUAL")) for name, sql in rows]
    virtual = [name for name, made in found if made]
    shadows = {name + end for name in virtual for end in _SHADOW}
    return [(name, made) for name, made in found if name not in shadows]


def _add_table(builder: Builder, connection: sqlite3.Connection, name: str, virtual: bool) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    try:
        cursor = connection.execute(f"select * from {quoted}")
        _add_rows(builder, name, [column[0] for column in cursor.description], cursor)
    except sqlite3.OperationalError as error:
        builder.notes.append(f"table {name} could not be read: {error}")


def _add_rows(builder: Builder, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Rows that hold text, as "column: value"; a table without any leaves no heading either."""
    named = False
    for number, row in enumerate(rows, 1):
        if builder.full:
            return
        if not any(isinstance(value, str) and value.strip() for value in row):
            continue
        if not named:
            builder.leave_headings()
            builder.heading(1, table, Place(sheet=table))
            named = True
        cells = (f"{column}: {shown}" for column, value in zip(columns, row) if (shown := _shown(value)))
        builder.add(" | ".join(cells), "table", Place(sheet=table, row=number), joint="\n")


def _shown(value: Any) -> str:
    if value is None or isinstance(value, (bytes, bytearray, memoryview)):
        return ""
    if isinstance(value, (list, tuple)):
        return ", ".join(filter(None, map(_shown, value[:1000])))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_shown(item)}" for key, item in value.items() if _shown(item))
    return clean(str(value)[:LONGEST_CELL]).strip()


def read_parquet(source: Source) -> list[Extract]:
    """Rows of a Parquet file whose columns hold text; needs pyarrow, the extra [parquet]."""
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise failure(
            "unsupported", "a Parquet file: pip install 'localsearch[parquet]' to read its text"
        ) from None
    pyarrow.set_cpu_count(1)
    builder = Builder(source.limits.text)
    try:
        file = parquet.ParquetFile(io.BytesIO(source.data))
        _add_rows(builder, "rows", file.schema_arrow.names, _parquet_rows(file))
    except pyarrow.ArrowException as error:
        raise failure("damaged", f"no readable Parquet file: {error}") from None
    if builder.empty:
        raise failure("no-text", "its columns hold no text")
    return [builder.extract("parquet", title=None)]


def _parquet_rows(file: Any) -> Iterator[Sequence[Any]]:
    for batch in file.iter_batches(batch_size=BATCH, use_threads=False):
        columns = [column.to_pylist() for column in batch.columns]
        yield from zip(*columns)
