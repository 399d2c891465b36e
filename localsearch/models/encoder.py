"""Text to unit vectors on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from localsearch.errors import CancelledError
from localsearch.models.batches import equal_batches
from localsearch.models.manifest import Manifest
from localsearch.models.runner import Cost, Session, Workers
from localsearch.models.tokens import Tokenizer
from localsearch.types import Cancelled, Progress, Report, Vectors, never, no_report

# Tokens of one run: enough rows to keep the matrix kernels busy, few enough to stay in a core's cache.
RUN_TOKENS = 512
# Texts tokenised and held at a time, whatever the length of the list.
WINDOW = 1024


class OnnxEncoder:
    """An encoder of the model folder. Safe to share between threads; documents give way to queries."""

    def __init__(
        self, manifest: Manifest, session: Session, tokenizer: Tokenizer, precision: str, threads: int
    ) -> None:
        self.manifest = manifest
        self.precision = precision
        self.fingerprint = manifest.fingerprint(precision)
        self.name = manifest.card.name
        self.dimensions = manifest.card.dimensions
        self.max_tokens = manifest.card.max_tokens
        self._session = session
        self._tokenizer = tokenizer
        self._documents = Workers(threads, background=True)
        self._passages = Workers(threads, background=False)

    @classmethod
    def open(cls, folder: Path, precision: str, threads: int) -> OnnxEncoder:
        """Load an installed model. Raises ModelMissingError, ModelDamagedError."""
        manifest = Manifest.read(folder)
        card = manifest.card
        tokenizer = Tokenizer.load(folder / "tokenizer.json", card.max_tokens, card.lowercase)
        return cls(manifest, Session(manifest.path(folder, precision)), tokenizer, precision, threads)

    @property
    def cost(self) -> Cost:
        """Texts, tokens and processor seconds spent so far."""
        return self._session.cost

    def encode_query(self, text: str) -> Vectors:
        """One query, shape (dimensions,); runs on the calling thread, at once."""
        ids = self._tokenizer.ids([self.manifest.card.query_prefix + text])
        vector: Vectors = self._embed(np.asarray(ids, np.int32))[0]
        return vector

    def encode_documents(
        self, texts: Sequence[str], report: Report = no_report, cancelled: Cancelled = never
    ) -> Vectors:
        """Many passages, shape (len(texts), dimensions), in the order given. CancelledError when asked to stop."""
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        done = 0
        for part in self.stream(texts, cancelled=cancelled):
            vectors[done : done + len(part)] = part
            done += len(part)
            report(Progress("embed", done, len(texts), "passages"))
        return vectors

    def stream(self, texts: Iterable[str], *, cancelled: Cancelled = never) -> Iterator[Vectors]:
        """Vectors of any number of passages in order, some at a time, with bounded memory."""
        prefix, rest = self.manifest.card.document_prefix, iter(texts)
        while window := [prefix + text for text in islice(rest, WINDOW)]:
            ids = self._tokenizer.ids(window)
            vectors = np.empty((len(ids), self.dimensions), np.float32)
            for batch, rows in self._batches(self._documents, self._embed, ids, cancelled):
                vectors[batch] = rows
            yield vectors

    def token_vectors(self, texts: Sequence[str], *, query: bool = False) -> list[NDArray[np.float32]]:
        """Unit vectors of each token of each text, shape (tokens, dimensions), special tokens left out.

        For late interaction: both sides of MaxSim. `query` puts the query's prefix, else the documents', first.
        """
        card = self.manifest.card
        prefix = card.query_prefix if query else card.document_prefix
        ids = self._tokenizer.ids([prefix + text for text in texts])
        frame = self._tokenizer.frame
        found: list[NDArray[np.float32]] = [np.empty((0, self.dimensions), np.float32)] * len(ids)
        for batch, rows in self._batches(self._passages, self._tokens, ids, never):
            for position, row in zip(batch, rows, strict=True):
                found[position] = row[frame.before : len(row) - frame.after]
        return found

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Word pieces of each text without special tokens, before truncation."""
        return self._tokenizer.count(texts)

    def close(self) -> None:
        """End the worker threads."""
        self._documents.close()
        self._passages.close()

    def _batches(
        self,
        workers: Workers,
        work: Callable[[NDArray[np.int32]], NDArray[np.float32]],
        ids: list[list[int]],
        cancelled: Cancelled,
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        def run(batch: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
            return batch, work(np.asarray([ids[position] for position in batch], np.int32))

        for result in workers.map(run, equal_batches([len(row) for row in ids], RUN_TOKENS)):
            if cancelled():
                raise CancelledError("encoding was stopped")
            yield result

    def _embed(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._session.run("embedding", {"ids": ids})

    def _tokens(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        rows = self._session.run("tokens", {"ids": ids})
        norms = np.linalg.norm(rows, axis=2, keepdims=True)
        return np.asarray(rows / np.maximum(norms, 1e-12), np.float32)
