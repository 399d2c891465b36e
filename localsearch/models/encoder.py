"""Text to unit vectors on ONNX Runtime.

Each text is a run of its own, on one thread, beside others: nothing is padded, nothing waits for the longest, memory
is bounded by the threads, and in int8, where one scale serves a whole run, a text's vector never depends on its
neighbours. Measured, batches of texts of equal length are not faster from 60 tokens on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from localsearch.errors import CancelledError
from localsearch.models.manifest import Manifest
from localsearch.models.runner import Cost, Session, Tally, Workers
from localsearch.models.tokens import Tokenizer
from localsearch.types import Cancelled, Progress, Report, Vectors, never, no_report

_REPORT_EVERY = 16


class OnnxEncoder:
    """An encoder of the model folder. Safe to share between threads; documents give way to queries."""

    def __init__(
        self, manifest: Manifest, session: Session, tokenizer: Tokenizer, precision: str, threads: int
    ) -> None:
        card = manifest.card
        self.card = card
        self.precision = precision
        self.fingerprint = manifest.fingerprint(precision)
        self.name = card.name
        self.dimensions = card.dimensions
        self.max_tokens = card.max_tokens
        self._session = session
        self._tokenizer = tokenizer
        self._background = Workers(threads, background=True)
        self._foreground = Workers(threads, background=False)

    @classmethod
    def open(cls, folder: Path, precision: str, threads: int, tally: Tally | None = None) -> OnnxEncoder:
        """Load an installed model. `tally` adds up what it encodes. Raises ModelMissingError, ModelDamagedError."""
        manifest = Manifest.read(folder)
        card = manifest.card
        tokenizer = Tokenizer.load(folder / "tokenizer.json", card.max_tokens, card.lowercase)
        session = Session(manifest.path(folder, precision), tally)
        return cls(manifest, session, tokenizer, precision, threads)

    @property
    def cost(self) -> Cost:
        """Texts, tokens and processor seconds spent so far."""
        return self._session.cost

    def encode_query(self, text: str) -> Vectors:
        """One query, shape (dimensions,); runs on the calling thread, at once."""
        return self._embed(self.card.query_prefix + text)

    def encode_documents(
        self, texts: Sequence[str], report: Report = no_report, cancelled: Cancelled = never
    ) -> Vectors:
        """Many chunks, shape (len(texts), dimensions), in the order given. CancelledError when asked to stop."""
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for index, vector in enumerate(self.stream(texts, cancelled=cancelled)):
            vectors[index] = vector
            if (index + 1) % _REPORT_EVERY == 0 or index + 1 == len(texts):
                report(Progress("embed", index + 1, len(texts), "chunks"))
        return vectors

    def stream(self, texts: Iterable[str], *, cancelled: Cancelled = never) -> Iterator[Vectors]:
        """Vectors of any number of chunks, one by one in order; only a few texts are held at a time."""
        prefix = self.card.document_prefix
        for vector in self._background.map(self._embed, (prefix + text for text in texts)):
            if cancelled():
                raise CancelledError("encoding was stopped")
            yield vector

    def with_tokens(
        self, texts: Iterable[str], *, cancelled: Cancelled = never
    ) -> Iterator[tuple[Vectors, NDArray[np.float32]]]:
        """As `stream`, each vector with those of its chunk's tokens, which the same pass computes."""
        prefix = self.card.document_prefix
        for both in self._background.map(self._both, (prefix + text for text in texts)):
            if cancelled():
                raise CancelledError("encoding was stopped")
            yield both

    def token_vectors(self, texts: Sequence[str], *, query: bool = False) -> list[NDArray[np.float32]]:
        """Unit vectors of each token of each text, shape (tokens, dimensions), special tokens left out.

        For late interaction: both sides of MaxSim. `query` puts the query's prefix, else the documents', first. One
        text runs on the calling thread, several side by side at normal priority.
        """
        prefix = self.card.query_prefix if query else self.card.document_prefix
        prepared = [prefix + text for text in texts]
        if len(prepared) < 2:
            return [self._tokens(text) for text in prepared]
        return list(self._foreground.map(self._tokens, prepared))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Word pieces of each text without special tokens, before truncation."""
        return self._tokenizer.count(texts)

    def lengths(self, texts: Sequence[str], *, query: bool = False) -> list[int]:
        """Tokens of each text with its prefix and the special tokens, before truncation to `max_tokens`."""
        prefix = self.card.query_prefix if query else self.card.document_prefix
        counts = self._tokenizer.count([prefix + text for text in texts])
        return [count + self._tokenizer.frame.size for count in counts]

    def close(self) -> None:
        """End the worker threads; the encoder may still be used, and starts them again."""
        self._background.close()
        self._foreground.close()

    def _embed(self, text: str) -> Vectors:
        vector: Vectors = self._session.run(self._feed(text), "embedding")[0][0]
        return vector

    def _tokens(self, text: str) -> NDArray[np.float32]:
        return self._units(self._session.run(self._feed(text), "tokens")[0][0])

    def _both(self, text: str) -> tuple[Vectors, NDArray[np.float32]]:
        embedding, tokens = self._session.run(self._feed(text), "embedding", "tokens")
        return embedding[0], self._units(tokens[0])

    def _units(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Token vectors of length 1 without those of special tokens."""
        frame = self._tokenizer.frame
        rows = rows[frame.before : len(rows) - frame.after]
        return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)

    def _feed(self, text: str) -> dict[str, NDArray[np.int32]]:
        return {"ids": np.asarray(self._tokenizer.ids([text]), np.int32)}
