"""Documents as JSON lines, readable by every release and by other programs.

The first line is {"format": "localsearch-export", "version": 1}. Every other line is one document:
{"id", "collection", "title", "text", "type", "path", "language", "author", "size", "created", "modified", "tags",
"metadata"}; all but id and text may be missing. Times are ISO 8601 or seconds since 1970. The last line is
{"documents": N}, so that a file cut short is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from localsearch.errors import DamagedError, FormatError, UsageError
from localsearch.indexing import Indexer
from localsearch.indexing.prepare import from_extract
from localsearch.numbers import is_number
from localsearch.platform.disk import rename, sync_file
from localsearch.store import Corpus, NewDocument
from localsearch.store.documents import SAID_COLUMNS
from localsearch.types import Extract, Progress, Report, no_report

FORMAT = "localsearch-export"
VERSION = 1
_BATCH = 200
_FIELDS = ("title", "type", "path", "language", "author", "size", "created", "modified")


def export(corpus: Corpus, target: Path, report: Report = no_report) -> int:
    """Write every document to a new file, complete or not at all; returns how many."""
    if target.exists():
        raise UsageError(f"{target} exists.", hint="Choose another name; nothing is overwritten.")
    partial = target.with_name(target.name + ".partial")
    ids = corpus.document_ids()
    with open(partial, "w", encoding="utf-8") as file:
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


def import_file(indexer: Indexer, source: Path, report: Report = no_report) -> int:
    """Store every document of an export, in place of those with the same ids; returns how many.

    Each batch is durable. Raises FormatError, or DamagedError naming the line; what came before it is kept.
    """
    count, ended = 0, False
    batch: list[tuple[str, NewDocument]] = []
    for number, values in _read(source):
        ended = "documents" in values and "id" not in values
        if ended:
            continue
        batch.append(_document(values, number, indexer))
        if len(batch) >= _BATCH:
            indexer.put(batch)
            count, batch = count + len(batch), []
            report(Progress("import", count, None, "documents"))
    indexer.put(batch)
    count += len(batch)
    if not ended:
        raise DamagedError(
            f"{source} ends early: its last line is missing. The {count:,} documents before were stored.",
            hint="Export again, or go on with what there is.",
        )
    return count


def _read(source: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with open(source, encoding="utf-8") as file:
            _check_header(source, file.readline())
            for number, line in enumerate(file, 2):
                yield number, json.loads(line)
    except FileNotFoundError as error:
        raise UsageError(f"There is no file {source}.", hint="Name a file that `export` wrote.") from error
    except ValueError as error:
        raise DamagedError(f"{source} cannot be read: {error}.", hint="Export again.") from error


def _check_header(source: Path, line: str) -> None:
    header = json.loads(line) if line.strip() else {}
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DamagedError(
            f"{source} is not an export of localsearch.", hint="Its first line names the format."
        )
    if header.get("version", 0) > VERSION:
        raise FormatError(
            f"{source} was written by a newer release.", hint="Upgrade localsearch to import it."
        )


def _document(values: dict[str, Any], number: int, indexer: Indexer) -> tuple[str, NewDocument]:
    if not isinstance(values.get("id"), str) or not isinstance(values.get("text"), str):
        raise DamagedError(f"Line {number} has no id and text.", hint="Export again.")
    kept = {name: values[name] for name in SAID_COLUMNS if name in values}
    metadata = dict(values.get("metadata", {}))
    extract = Extract(
        values["text"], values.get("type", "text"), values.get("title", ""), metadata={**metadata, **kept}
    )
    document = from_extract(extract, values["id"], indexer.settings.chunk)
    size = int(values["size"]) if is_number(values.get("size")) else len(values["text"].encode())
    return values.get("collection", "default"), replace(
        document, path=values.get("path"), size=size, metadata=metadata
    )
