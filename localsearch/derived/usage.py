"""What embedding has cost: counted wherever it happens, kept in the database, held against hosted prices."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from localsearch.models import Tally
from localsearch.settings import CostSettings
from localsearch.store import Embeddings


@dataclass(frozen=True, slots=True)
class Usage:
    """Word pieces embedded for this index, chunks and queries; seconds of processor time; dollars elsewhere."""

    tokens: int
    cpu_s: float
    hosted: Mapping[str, float]


NOTHING = Usage(0, 0.0, {})


class Meter:
    """Adds what the encoders of this process did to what is kept of all before it."""

    def __init__(self, embeddings: Embeddings, tally: Tally, prices: CostSettings) -> None:
        self._embeddings, self._tally, self._prices = embeddings, tally, prices
        self._saved = tally.cost
        self._lock = threading.Lock()

    def read(self) -> Usage:
        """Usage until now."""
        with self._lock:
            tokens, cpu_s = self._embeddings.spent()
            now = self._tally.cost
            tokens += now.tokens - self._saved.tokens
            cpu_s += now.cpu_s - self._saved.cpu_s
        return Usage(tokens, round(cpu_s, 3), hosted(tokens, self._prices))

    def save(self) -> None:
        """Make it durable. What a process that only reads has embedded, its queries, is not kept."""
        with self._lock:
            now = self._tally.cost
            if now != self._saved:
                self._embeddings.spend(now.tokens - self._saved.tokens, now.cpu_s - self._saved.cpu_s)
                self._saved = now


def hosted(tokens: int, settings: CostSettings) -> dict[str, float]:
    """Dollars for this many tokens, by the name of each price in the settings (dollars per million tokens).

    2,000,000 tokens at 0.02 are 0.04 dollars.
    """
    return {name: round(tokens * price / 1_000_000, 6) for name, price in settings.prices.items()}
