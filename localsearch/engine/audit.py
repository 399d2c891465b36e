"""HOME/audit.jsonl: who asked what through the Model Context Protocol, and which documents that read.

One JSON object a line. Several processes may write. A full file becomes audit.jsonl.1, in place of the one before.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

AUDIT = "audit.jsonl"
MOST_BYTES = 10_000_000
DETAILS = ("arguments", "documents", "error")
"""What of a line may hold text of documents, their names, or a question about them."""
_LOG = logging.getLogger("localsearch.audit")


class AuditLog:
    """Appends lines. Safe to share between threads; a disk that refuses is told to the log, and stops no answer."""

    def __init__(self, home: Path, *, wanted: bool = True, most: int = MOST_BYTES) -> None:
        self.file = home / AUDIT
        self._older = home / f"{AUDIT}.1"
        self._wanted, self._most = wanted, most
        self._lock = threading.Lock()

    def write(self, entry: Mapping[str, Any]) -> None:
        """Append one line, in one write, so that lines of several processes do not mix."""
        if not self._wanted:
            return
        line = msgspec.json.encode(entry) + b"\n"
        try:
            with self._lock:
                self._turn_over()
                descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    os.write(descriptor, line)
                finally:
                    os.close(descriptor)
        except OSError as error:
            _LOG.error("%s cannot be written: %s", self.file, error.strerror)

    def _turn_over(self) -> None:
        with suppress(FileNotFoundError):
            if self.file.stat().st_size >= self._most:
                os.replace(self.file, self._older)

    def forget(self) -> None:
        """Take out of every line what may hold text of documents: when, who and how much stay."""
        with self._lock:
            for file in (self.file, self._older):
                with suppress(FileNotFoundError):
                    kept = [_without_details(line) for line in file.read_bytes().splitlines()]
                    with file.open("r+b") as writing:
                        writing.write(b"".join(line + b"\n" for line in kept))
                        writing.truncate()


def _without_details(line: bytes) -> bytes:
    try:
        entry = msgspec.json.decode(line)
        return msgspec.json.encode({name: value for name, value in entry.items() if name not in DETAILS})
    except (msgspec.DecodeError, AttributeError):
        return b"{}"
