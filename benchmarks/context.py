"""What every suite is given: folders, sizes, data, and a way to run systems side by side."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, passages
from benchmarks.peers import environments
from benchmarks.peers.client import Peer, Running, running

LIMIT = 10
"""Hits asked for by a timed query."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. `embedded` passages carry vectors; larger sizes are searched by words only."""

    corpus: tuple[int, ...]
    embedded: int
    queries: int
    slow_queries: int
    encode_texts: int
    encode_rounds: int
    end_to_end: int
    peers_corpus: tuple[int, ...]
    quality_sets: tuple[str, ...]
    peer_sets: tuple[str, ...]
    http_seconds: float

    @property
    def main(self) -> int:
        """The size that most figures are about."""
        return self.embedded


ALL_SETS = ("scifact", "nfcorpus", "cranfield", "cisi", "med", "nq-utd", "germanquad")
FULL = Sizes(
    corpus=(1_000, 10_000, 100_000, 400_000),
    embedded=100_000,
    queries=300,
    slow_queries=40,
    encode_texts=1_000,
    encode_rounds=2,
    end_to_end=1_000,
    peers_corpus=(10_000, 100_000),
    quality_sets=ALL_SETS,
    peer_sets=("scifact", "nfcorpus", "cranfield"),
    http_seconds=8.0,
)
QUICK = Sizes(
    corpus=(1_000, 10_000),
    embedded=10_000,
    queries=100,
    slow_queries=20,
    encode_texts=100,
    encode_rounds=1,
    end_to_end=200,
    peers_corpus=(1_000,),
    quality_sets=("cranfield", "med"),
    peer_sets=("med",),
    http_seconds=2.0,
)


@dataclass(frozen=True, slots=True)
class Context:
    """One run: where things are and how much to do. `reuse` takes indexes that former code built."""

    cache: Path
    data: Path
    models: Path
    sizes: Sizes
    quick: bool = False
    log: Path = field(default=Path(os.devnull))
    reuse: bool = False

    @property
    def passages(self) -> Path:
        return passages.build(self.cache)

    def vectors(self, count: int) -> Path:
        """A .npy file with the vectors of the first `count` passages."""
        from benchmarks.vectors import ensure

        return ensure(self, count)

    @property
    def peer_model(self) -> Path:
        """The same weights for the peers, as a sentence-transformers folder."""
        return environments.model_folder(self.models, self.cache).absolute()

    def peers(self) -> dict[str, Peer]:
        return environments.find(self.cache)

    @contextmanager
    def run(self, peer: Peer, *, model: bool = True, **options: Any) -> Iterator[Running]:
        """A peer's process with the model loaded where it encodes."""
        with running(peer, self.log) as process:
            if model and process.hello()["encodes"]:
                folder = self.models if peer.key == "localsearch" else self.peer_model
                process.load(model=str(folder.absolute()), **options)
            yield process

    @contextmanager
    def ours(self, *, model: bool = True, **options: Any) -> Iterator[Running]:
        with self.run(environments.ours(), model=model, **options) as process:
            yield process

    @contextmanager
    def folder(self) -> Iterator[str]:
        """An empty folder on the disk of the cache, removed afterwards."""
        self.cache.mkdir(parents=True, exist_ok=True)
        made = tempfile.mkdtemp(prefix="home-", dir=self.cache)
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def queries(self, count: int, start: int = 0) -> list[str]:
        """Queries of three and of ten words by turns, from passages that are in every size of the corpus: `count` of
        them from the given one on, all different for different starts."""
        asked = passages.Queries.of(passages.read(self.passages, (start + count + 1) // 2)).mixed()
        return [text for text in asked if text.strip()][start : start + count]

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def percentiles(sample: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the mean, in the sample's unit; of an empty sample nothing."""
    if not len(sample):
        return {}
    p50, p95, p99 = np.percentile(sample, (50, 95, 99))
    return {
        "p50": round(float(p50), 4),
        "p95": round(float(p95), 4),
        "p99": round(float(p99), 4),
        "mean": round(statistics.fmean(sample), 4),
        "n": len(sample),
    }


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """theirs / ours, rounded; None where either is missing."""
    return round(theirs / ours, 3) if ours and theirs else None


def rounded(values: Mapping[str, Any], digits: int = 3) -> dict[str, Any]:
    return {
        name: round(value, digits) if isinstance(value, float) else value for name, value in values.items()
    }


def default_cache() -> Path:
    return machine.ROOT / "benchmarks" / "cache"
