"""Vectors of texts that are no part of the index: for programs that bring their own store."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from localsearch.derived import Derived
from localsearch.errors import CancelledError, NotFoundError, UsageError
from localsearch.models import Card, ModelStore
from localsearch.types import Cancelled, Encoder, Vectors, never

if TYPE_CHECKING:
    from localsearch.models.encoder import OnnxEncoder

TextKind = Literal["document", "query"]
"""What a text is: many models put another prefix before a query than before what it should find."""

_ROUNDED = 1e-4
"""What the length of a vector that a model has normalised may differ from 1."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Unit vectors, shape (n, dimensions), of n texts, by which model, and how many tokens it read."""

    model: str
    vectors: Vectors
    tokens: int


class Encoders:
    """The embedding models by name, each loaded when first asked for. Safe to share between threads.

    The model of the active version is the one that search has in memory; as many others stay loaded as are installed.
    """

    def __init__(self, models: ModelStore, derived: Derived) -> None:
        self._models = models
        self._derived = derived
        self._lock = threading.Lock()
        self._loaded: dict[str, OnnxEncoder] = {}

    @property
    def default(self) -> str:
        """The model of the active version; before there is one, that of the settings."""
        semantic = self._derived.semantic
        return semantic.version.model if semantic else self._models.settings.model.name

    def cards(self) -> list[Card]:
        """The cards of the embedding models that are installed, the default first."""
        found = [
            one for one in self._models.cards() if one.kind == "encoder" and self._models.installed(one.name)
        ]
        return sorted(found, key=lambda card: (card.name != self.default, card.name))

    def of(self, name: str | None = None) -> Encoder:
        """The model of this name, the default without one. Raises NotFoundError and ModelError."""
        name = name or self.default
        semantic = self._derived.semantic
        if semantic and name == semantic.version.model:
            return semantic.model.encoder()
        installed = [card.name for card in self.cards()]
        if name not in installed and name != self.default:
            raise NotFoundError(
                f"There is no embedding model {name!r} here.",
                hint=f"Installed: {', '.join(installed) or 'none'}. `localsearch models list` shows what there is.",
                param="model",
            )
        with self._lock:
            if name not in self._loaded or name not in installed:
                self._loaded[name] = self._models.encoder(name)
            return self._loaded[name]

    def embed(
        self,
        texts: Sequence[str],
        *,
        kind: TextKind = "document",
        model: str | None = None,
        dimensions: int | None = None,
        truncate: bool = False,
        cancelled: Cancelled = never,
    ) -> Embedded:
        """As `Engine.embed`, with the tokens that were read."""
        _check_texts(texts)
        encoder = self.of(model)
        if dimensions not in (None, encoder.dimensions):
            raise UsageError(
                f"The vectors of {encoder.name} have {encoder.dimensions} dimensions and cannot be cut.",
                hint=f"Leave dimensions out, or ask for {encoder.dimensions}.",
                param="dimensions",
            )
        query = kind == "query"
        lengths = encoder.lengths(texts, query=query) if texts else []
        if not truncate:
            _check_lengths(encoder, lengths)
        encode = partial(_queries, encoder) if query else encoder.encode_documents
        vectors = _units(encode(texts, cancelled=cancelled))
        return Embedded(encoder.name, vectors, sum(min(length, encoder.max_tokens) for length in lengths))

    def close(self) -> None:
        """End the threads of the models loaded here."""
        for encoder in self._loaded.values():
            encoder.close()


def _check_texts(texts: Sequence[str]) -> None:
    for at, text in enumerate(texts):
        if not text.strip():
            raise UsageError(f"Text {at} is empty.", hint="Leave it out.", param="input")


def _units(vectors: Vectors) -> Vectors:
    """Rows of length 1, also of a model that does not normalise its vectors."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if (np.abs(norms - 1) < _ROUNDED).all():
        return vectors
    units: Vectors = vectors / np.maximum(norms, np.float32(1e-12))
    return units


def _queries(encoder: Encoder, texts: Sequence[str], *, cancelled: Cancelled) -> Vectors:
    """One after the other, on this thread."""
    vectors = np.empty((len(texts), encoder.dimensions), np.float32)
    for at, text in enumerate(texts):
        if cancelled():
            raise CancelledError("encoding was stopped")
        vectors[at] = encoder.encode_query(text)
    return vectors


def _check_lengths(encoder: Encoder, lengths: Sequence[int]) -> None:
    for at, length in enumerate(lengths):
        if length > encoder.max_tokens:
            raise UsageError(
                f"Text {at} has {length} tokens, and {encoder.name} reads {encoder.max_tokens}.",
                hint="Cut it into parts, or set truncate to leave out what is beyond.",
                param="input",
            )
