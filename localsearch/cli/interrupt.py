"""Stopping cleanly."""

from __future__ import annotations

import signal
import threading

INTERRUPTED = 130
"""The exit code of a command that was stopped, as shells have it."""


class Interrupt:
    """Ctrl-C and SIGTERM as a question that long work asks; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def __enter__(self) -> Interrupt:
        self._before = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        return self._asked.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than until somebody asks."""
        self._asked.wait(seconds)

    def _on_signal(self, number: int, frame: object) -> None:
        if self._asked.is_set():
            raise KeyboardInterrupt
        self._asked.set()
