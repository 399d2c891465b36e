"""Keep models.lock: hashes learnt at the first pull of a model whose card does not name them.

For `models.fetch` only.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from localsearch.errors import ModelFormatError
from localsearch.models.cards import Pin
from localsearch.models.files import storage_errors
from localsearch.platform.disk import write_file


class Lock:
    """A small JSON file: model → file → pin. What it once holds is never replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pin(self, model: str, name: str, card: Pin) -> Pin:
        """The card's own pin, or the one learnt before, or an empty one."""
        return card if card.sha256 else self._read().get(model, {}).get(name, card)

    def record(self, model: str, found: dict[str, Pin]) -> None:
        """Remember the hashes of a model's files, keeping those that are known."""
        known = self._read()
        entry = found | known.get(model, {})
        if known.get(model, {}) == entry:
            return
        with storage_errors(self._path.parent):
            write_file(self._path, json.dumps(msgspec.to_builtins(known | {model: entry}), indent=1).encode())

    def _read(self) -> dict[str, dict[str, Pin]]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, dict[str, Pin]])
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError as error:
            raise ModelFormatError(
                f"{self._path} does not parse: {error}",
                hint="Restore it; removing it forgets the learnt hashes.",
            ) from error
