"""Score a query and a chunk that are read together: a cross-encoder. Opened through `ModelStore.reranker`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from localsearch.models.manifest import Manifest
from localsearch.models.runner import Cost, Session, Workers
from localsearch.models.tokens import Tokenizer
from localsearch.types import Scores

Pair = tuple[list[int], list[int]]


class CrossEncoder:
    """A BERT sequence classifier with one label. Safe to share between threads."""

    def __init__(
        self, manifest: Manifest, session: Session, tokenizer: Tokenizer, precision: str, threads: int
    ) -> None:
        self.card = manifest.card
        self.name = manifest.card.name
        self.precision = precision
        self.fingerprint = manifest.fingerprint(precision)
        self.max_tokens = manifest.card.max_tokens
        self._session = session
        self._tokenizer = tokenizer
        self._workers = Workers(threads, background=False)

    @classmethod
    def open(cls, folder: Path, precision: str, threads: int) -> CrossEncoder:
        """Load an installed model. Raises ModelMissingError, ModelDamagedError."""
        manifest = Manifest.read(folder)
        tokenizer = Tokenizer.load(
            folder / "tokenizer.json", manifest.card.max_tokens, manifest.card.lowercase
        )
        return cls(manifest, Session(manifest.path(folder, precision)), tokenizer, precision, threads)

    @property
    def cost(self) -> Cost:
        """Pairs, tokens and processor seconds spent so far."""
        return self._session.cost

    def score(self, query: str, chunks: Sequence[str]) -> Scores:
        """The model's logit for each chunk, shape (len(chunks),): unbounded, the higher the better.

        A pair that is too long is cut as transformers does ("longest first"): in practice the chunk.
        """
        pairs = self._tokenizer.pairs(query, chunks)
        order = sorted(
            range(len(pairs)), key=lambda index: -len(pairs[index][0])
        )  # the longest first: no late straggler
        scores = np.empty(len(pairs), np.float32)
        scores[order] = list(self._workers.map(self._logit, [pairs[index] for index in order]))
        return scores

    def close(self) -> None:
        """End the worker threads."""
        self._workers.close()

    def _logit(self, pair: Pair) -> float:
        ids, segments = (np.asarray([row], np.int32) for row in pair)
        (logits,) = self._session.run({"ids": ids, "segments": segments}, "logits")
        return float(logits[0, 0])
