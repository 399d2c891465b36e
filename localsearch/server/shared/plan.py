"""What one process of a server with several is told when it starts. It is pickled; it imports little."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from localsearch.server.run_token import RunToken

PRIMARY = 0
"""The place of the process that writes; the others, which read, count from 1."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`folder` is private to these processes; `place` is this process's among `workers`; `secret` opens the private
    socket; `token` is the key of this run."""

    folder: Path
    workers: int
    place: int
    secret: bytes
    token: RunToken

    @property
    def primary(self) -> bool:
        return self.place == PRIMARY

    @property
    def board(self) -> Path:
        return self.folder / "board"

    @property
    def buckets(self) -> Path:
        return self.folder / "buckets"

    @property
    def socket(self) -> Path:
        return self.folder / "primary.sock"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics"
