"""What every source of change events reports, whatever the system."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class WatchLimit(Exception):
    """The system refuses to watch this much; the text says what to do about it."""


@dataclass(slots=True)
class WatchEvents:
    """What happened since the last reading: raw paths that may have changed.

    A path that is a folder stands for everything below it. `lost` means that events are missing and every root has to
    be looked through; `limited` are roots that can no longer be watched, with the reason.
    """

    paths: set[bytes] = field(default_factory=set)
    lost: bool = False
    ended: set[Path] = field(default_factory=set)
    limited: dict[Path, str] = field(default_factory=dict)


class EventSource(Protocol):
    """Change events of some roots. All but `wake` are called from one thread."""

    def add(self, root: Path) -> None:
        """Watch a folder and what is below it, or one file. Raises WatchLimit."""
        ...

    def remove(self, root: Path) -> None:
        """Stop watching a root, which may be gone."""
        ...

    def read(self, timeout: float) -> WatchEvents:
        """Wait at most `timeout` seconds for events and return all there are."""
        ...

    def wake(self) -> None:
        """End a `read` that waits, from any thread."""
        ...

    def close(self) -> None:
        """Release everything held of the system."""
        ...
