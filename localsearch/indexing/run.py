"""A run of indexing in values: what to index, what was found and read on the way, and how it ended."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localsearch.errors import ExtractionError
from localsearch.scan import ScannedFile, check_unchanged
from localsearch.store import FileRow, NewDocument
from localsearch.types import Cancelled, Extract, Report


@dataclass(frozen=True, slots=True)
class IndexJob:
    """What to index and how. `within` limits it to some paths below its one root, judged by the root's rules.

    `roots`, where there are any, are the only folders that a path may lead into, links resolved. `true` is where its
    one root must lead, when nobody asks for the run: a root that was replaced by a link is then not read.
    """

    paths: tuple[Path, ...]
    collection: str = "default"
    within: tuple[Path, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    dry_run: bool = False
    retry_failed: bool = False
    roots: tuple[Path, ...] = ()
    true: str = ""


@dataclass(frozen=True, slots=True)
class FileCounts:
    """What became of the files of one run; each file is counted once."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class IndexReport:
    """How a run ended.

    `notes` tells what went wrong as a whole, such as a root that could not be read; `rules` counts what was skipped or
    failed by the stable word for the reason.
    """

    files: FileCounts
    documents: int
    chunks: int
    seconds: float
    cancelled: bool = False
    notes: tuple[str, ...] = ()
    rules: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Added:
    """Ids of the records stored, in order, and why others were refused, by their place."""

    ids: list[str]
    refused: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Compared:
    """A root held against the ledger: what to read, what to skip, what is gone."""

    to_read: list[ScannedFile]
    skipped: list[ScannedFile]
    gone: list[bytes]
    unnamed: list[tuple[ScannedFile, FileRow]]
    inodes: dict[bytes, int]


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file after reading: its content's hash and what it holds, None when its content is stored already; then the
    documents that are made of it."""

    found: ScannedFile
    digest: bytes | None
    outcome: tuple[Extract, ...] | ExtractionError | None
    documents: tuple[NewDocument, ...] = ()


class Opened:
    """A file that was found and is open until it was read."""

    __slots__ = ("before", "descriptor", "digest", "found")

    def __init__(self, found: ScannedFile, descriptor: int) -> None:
        self.found = found
        self.descriptor = descriptor
        self.before = os.fstat(descriptor)
        self.digest = b""

    def read(self, path: Path, outcome: tuple[Extract, ...] | ExtractionError) -> ReadFile:
        """What came of it; a failure when the file was written to between hashing and reading."""
        try:
            check_unchanged(path, self.before, os.fstat(self.descriptor))
        except ExtractionError as error:
            return ReadFile(self.found, None, error)
        finally:
            self.close()
        return ReadFile(self.found, self.digest, outcome)

    def close(self) -> None:
        os.close(self.descriptor)


@dataclass(slots=True)
class IndexRun:
    """The state of one run."""

    job: IndexJob
    report: Report
    cancelled: Cancelled
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rules: dict[str, int] = field(default_factory=dict)
    stage: str = "read"
    scanned: int = 0
    done: int = 0
    to_read: int = 0
    documents: int = 0
    chunks: int = 0
    reread: list[FileRow] = field(default_factory=list)
    again: set[bytes] = field(default_factory=set)
    """Content that is stored and is read once more, for the text of its scans."""

    def count(self, word: str, by: int = 1) -> None:
        self.counts[word] = self.counts.get(word, 0) + by

    def copy(self) -> tuple[dict[str, int], dict[str, int], int, int]:
        """The counts as they are now."""
        return dict(self.counts), dict(self.rules), self.documents, self.chunks

    def restore(self, counts: tuple[dict[str, int], dict[str, int], int, int]) -> None:
        """Take back what was counted since `copy`."""
        self.counts, self.rules, self.documents, self.chunks = counts

    def leave_out(self, word: str, rule: str) -> None:
        """Count a file that was skipped or failed, and why."""
        self.count(word)
        self.rules[rule] = self.rules.get(rule, 0) + 1
