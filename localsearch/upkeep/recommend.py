"""Which model would serve an index: what its texts are written in, what models know, and what one costs here.

A model serves a language that its card names. What embedding costs is measured where the model is installed, and
otherwise estimated from the model in use by the size of the layers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from localsearch.derived import Derived
from localsearch.models import Card, ModelStore, convertible
from localsearch.platform.disk import folder_bytes, free_bytes

_COMMON = 0.05
"""Share of the chunks from which on a language counts."""
_SERVED = 0.9
"""Share of the chunks with which a model serves an index well enough."""
_SAMPLE, _LARGEST = 24, 2.0
"""Chunks that are embedded to measure, and the seconds after which that ends."""
_SEED = 7
_VECTOR_BYTES = {"int8": 2, "int12": 3, "int16": 4}
"""Of each dimension of a chunk, in the database and in the vector index together."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model for an index. `covers` is the share of the chunks in languages it knows.

    Bytes: `download`, 0 once it is here; `disk` when installed; `memory` when loaded; `vectors` of this index. 0 also
    where unknown. `seconds` to embed the whole index, None where unknown, `measured` with this very model or estimated.
    """

    name: str
    summary: str
    covers: float
    installed: bool
    download: int
    disk: int
    memory: int
    vectors: int
    seconds: float | None
    measured: bool


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The model in use and, unless that serves, a better one with the command that builds it beside the other.

    `languages` gives the share of the recognised chunks by language, the commonest first; `why` is a sentence or two.
    """

    chunks: int
    languages: Mapping[str, float]
    current: Candidate
    better: Candidate | None
    why: str
    command: str | None = None


def recommend(derived: Derived, models: ModelStore, current: str) -> Recommendation:
    """Look at the languages of the index and at this machine; change nothing."""
    shares = language_shares(derived.lexical.languages)
    used, chosen = _used_and_better(shares, models, current)
    costs = _Costs(derived, models, used)
    now = costs.of(used, covered(used, shares))
    if chosen is None:
        return Recommendation(costs.chunks, shares, now, None, _why_not(used, shares))
    better = costs.of(chosen, covered(chosen, shares))
    why = _why(used, chosen, shares)
    need, free = (
        better.download + better.vectors + (0 if better.installed else better.disk),
        free_bytes(models.folder),
    )
    if need > free:
        why += f" Its {need / 1e6:,.0f} MB do not fit: {free / 1e6:,.0f} MB are free."
    return Recommendation(
        costs.chunks, shares, now, better, why, f"localsearch versions build --model {chosen.name}"
    )


def better_model(derived: Derived, models: ModelStore, current: str) -> tuple[str, str] | None:
    """The name of the model that `recommend` would name, and why, without measuring; None where `current` serves."""
    shares = language_shares(derived.lexical.languages)
    used, chosen = _used_and_better(shares, models, current)
    return (chosen.name, _why(used, chosen, shares)) if chosen else None


def _used_and_better(
    shares: Mapping[str, float], models: ModelStore, current: str
) -> tuple[Card, Card | None]:
    cards = [
        card
        for card in models.cards()
        if card.kind == "encoder" and (models.installed(card.name) or convertible(card))
    ]
    used = next((card for card in cards if card.name == current), Card(current))
    return used, better_card(used, cards, shares, models.installed, offline=models.settings.offline)


def _why(used: Card, chosen: Card, shares: Mapping[str, float]) -> str:
    return (
        f"{used.name} knows the language of {covered(used, shares):.0%} of the texts, {chosen.name} of"
        f" {covered(chosen, shares):.0%}."
    )


def language_shares(counts: Mapping[str, int]) -> dict[str, float]:
    """The share of each common language among the chunks whose language was recognised.

    >>> language_shares({"de": 90, "en": 8, "fr": 2, "": 50})
    {'de': 0.9, 'en': 0.08}
    """
    known = {language: count for language, count in counts.items() if language}
    total = sum(known.values())
    ranked = sorted(known.items(), key=lambda item: (-item[1], item[0]))
    return {language: count / total for language, count in ranked if count >= _COMMON * total}


def covered(card: Card, shares: Mapping[str, float]) -> float:
    """The share of the texts in languages that the card names."""
    return sum(share for language, share in shares.items() if language in card.languages) / (
        sum(shares.values()) or 1
    )


def better_card(
    used: Card,
    cards: Iterable[Card],
    shares: Mapping[str, float],
    installed: Callable[[str], bool],
    *,
    offline: bool,
) -> Card | None:
    """The card that serves the texts, unless the one in use does or none does better.

    First by how much of the texts it knows; then one that is here, from the package index, and with the least work.
    """
    if not shares or covered(used, shares) >= _SERVED:
        return None
    found = [
        (
            round(covered(card, shares), 2),
            installed(card.name),
            _packaged(card),
            -_work(card),
            card.name,
            card,
        )
        for card in cards
        if installed(card.name) or (card.sources and not offline)
    ]
    best = max(found, key=lambda item: item[:-1], default=None)
    return best[-1] if best and best[0] > covered(used, shares) else None


def _packaged(card: Card) -> bool:
    return any(source.kind == "wheel" for source in card.sources)


def _work(card: Card) -> float:
    """Products of a token with the weights of all layers, up to a factor."""
    return float(card.layers * card.dimensions**2)


def _why_not(used: Card, shares: Mapping[str, float]) -> str:
    if not shares:
        return f"{used.name} is in use; the language of the texts is not known."
    if covered(used, shares) >= _SERVED:
        return f"{used.name} is in use and knows the language of the texts."
    return f"{used.name} is in use; of the models that can be had none knows more of the texts."


class _Costs:
    """What models cost on this index; the model in use is measured once."""

    def __init__(self, derived: Derived, models: ModelStore, used: Card) -> None:
        self._derived, self._models, self._used = derived, models, used
        self.chunks = derived.corpus.counts()[1]
        self._measured: dict[str, float | None] = {}

    def of(self, card: Card, covers: float) -> Candidate:
        here = self._models.installed(card.name)
        seconds = self._seconds(card)
        estimated = None if seconds is not None else self._estimated(card)
        return Candidate(
            name=card.name,
            summary=card.summary,
            covers=covers,
            installed=here,
            download=0 if here else card.download,
            disk=folder_bytes(self._models.folder / card.name) if here else card.disk,
            memory=card.memory,
            vectors=self.chunks * card.dimensions * _VECTOR_BYTES[self._models.settings.vectors.storage],
            seconds=seconds if seconds is not None else estimated,
            measured=seconds is not None,
        )

    def _estimated(self, card: Card) -> float | None:
        seconds = self._seconds(self._used)
        return (
            seconds * _work(card) / _work(self._used)
            if seconds and _work(card) and _work(self._used)
            else None
        )

    def _seconds(self, card: Card) -> float | None:
        """To embed every chunk, by a sample; None while the model is not here."""
        if card.name not in self._measured:
            here = self._models.installed(card.name) and self.chunks
            self._measured[card.name] = self._measure(card.name) if here else None
        return self._measured[card.name]

    def _measure(self, name: str) -> float:
        ids = self._derived.catalog.ids()
        chosen = np.random.default_rng(_SEED).choice(ids, min(_SAMPLE, len(ids)), replace=False)
        texts = list(self._derived.corpus.embedded_texts(chosen.tolist()).values())
        encoder = self._models.encoder(name)
        try:
            encoder.encode_query("warm")
            began, done = time.perf_counter(), 0
            for _ in encoder.stream(texts):
                done += 1
                if time.perf_counter() - began > _LARGEST:
                    break
            return (time.perf_counter() - began) / max(done, 1) * self.chunks
        finally:
            encoder.close()
