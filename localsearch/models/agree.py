"""Hold the three files of a model against each other: config.json, the weights, the tokenizer. For `models` only.

Each may be well formed and yet not belong to the others. What passes here can be built, and answers every text with
finite numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from localsearch.models.bert import WORDS, BertWeights, unusable
from localsearch.models.cards import Card
from localsearch.models.runner import Session
from localsearch.models.tokens import Tokenizer
from localsearch.models.weights import LARGEST, is_sane
from localsearch.models.words import BLOCK, stored_words

_ASCII = "".join(map(chr, range(32, 127)))
_PROBES = (
    "",
    "a",
    _ASCII,
    "Grüße, 東京 и здравствуйте! 👩‍👩‍👧 ﷺ\n\t" + "e\u0301" * 20,
    "word " * 600,
    "x" * 3000,
)
"""Texts of many scripts and lengths that every tokenizer must cut into ids of the model."""
_MOST_MADE = 8
"""Characters or tokens of one byte of text: compatibility decomposition makes 18 letters of three bytes, no more."""


def check_weights(bert: BertWeights) -> None:
    """Raise ModelFormatError unless the file holds the arrays of config.json, each of its shape and of sane size."""
    shape, weights = bert.shape, bert.weights
    for name, expected in _arrays(bert):
        found = weights.tensor(name).shape
        if found != expected:
            raise unusable(f"config.json asks for {name} of shape {expected}, the file has {found}")
        if not is_sane(weights.array(name)):
            raise unusable(
                f"{name} holds what is no weight: infinite, not a number, or beyond {LARGEST:,.0f}"
            )
    if bert.layer_name(shape.layers, "output.dense.weight") in weights:
        raise unusable(f"config.json tells of {shape.layers} layers, the file has more")


def check_tokenizer(bert: BertWeights, card: Card, tokenizer: Tokenizer) -> None:
    """Raise ModelFormatError unless the ids and segments of the tokenizer are rows of the model's tables."""
    rows, segments = bert.vocabulary, len(bert.segments())
    if (largest := tokenizer.largest_id) >= rows:
        raise unusable(f"the tokenizer has a token {largest}, the weights end at {rows - 1}")
    if tokenizer.frame.size >= card.max_tokens:
        raise unusable(
            f"the tokenizer puts {tokenizer.frame.size} tokens around a text of at most {card.max_tokens}"
        )
    if tokenizer.size <= len(tokenizer.special):
        raise unusable("the tokenizer has no tokens but special ones")
    for probe in _PROBES:
        [ids] = tokenizer.uncut([probe])
        made = max(len(ids) - tokenizer.frame.size, len(tokenizer.normalized(probe)))
        if made > _MOST_MADE * len(probe.encode()) + 1:
            raise unusable(f"the tokenizer makes {made:,} characters or tokens of {len(probe):,} characters")
        pairs = tokenizer.pairs(probe, [_ASCII]) if card.kind == "reranker" else []
        _check_ids(rows, [ids, *(pair for pair, _ in pairs)])
        if pairs and 1 < segments <= max(pairs[0][1], default=0):  # the graph reads none where there is one
            raise unusable(f"the tokenizer tells of a segment that the weights lack; they have {segments}")


def check_answers(bert: BertWeights, card: Card, tokenizer: Tokenizer, session: Session) -> None:
    """Raise ModelFormatError unless a built graph answers texts with finite vectors or scores of the right shape."""
    for probe in _PROBES:
        if card.kind == "reranker":
            [(ids, segments)] = tokenizer.pairs(probe, [_ASCII])
            feeds = {"ids": _row(ids), "segments": _row(segments)}
            [found], expected = session.run(feeds, "logits"), (1, bert.shape.labels)
        else:
            ids = tokenizer.ids([probe])[0]
            [found], expected = session.run({"ids": _row(ids)}, "embedding"), (1, card.dimensions)
        if found.shape != expected or not np.isfinite(found).all():
            raise unusable(f"it answers a text of {len(probe):,} characters with what are no finite numbers")


def _arrays(bert: BertWeights) -> Iterable[tuple[str, tuple[int, ...]]]:
    """Every array that the graph is made of, and its shape by config.json."""
    shape = bert.shape
    width, inner = (shape.width,), (shape.inner,)
    rows = bert.vocabulary if shape.vocabulary is None else shape.vocabulary
    kinds = shape.segments or bert.kinds
    for table, count in (("position", shape.positions), ("token_type", max(kinds, 1))):
        yield bert.name(f"embeddings.{table}_embeddings.weight"), (count, *width)
    if stored := stored_words(bert):
        yield stored.packed, (rows, shape.width * stored.bits // 8)
        yield stored.scales, (rows, shape.width // BLOCK)
    else:
        yield bert.name(WORDS), (rows, *width)
    yield from _norm(bert.name("embeddings"), width)
    square, up, down = width + width, inner + width, width + inner
    for index in range(shape.layers):
        for part in ("query", "key", "value"):
            yield from _dense(bert.layer_name(index, f"attention.self.{part}"), square)
        yield from _dense(bert.layer_name(index, "attention.output.dense"), square)
        yield from _dense(bert.layer_name(index, "intermediate.dense"), up)
        yield from _dense(bert.layer_name(index, "output.dense"), down)
        for part in ("attention.output", "output"):
            yield from _norm(bert.layer_name(index, part), width)
    if shape.labels:
        dense, out = bert.head()
        yield from _dense(dense, square)
        yield from _dense(out, (shape.labels, *width))


def _dense(name: str, shape: tuple[int, ...]) -> Iterable[tuple[str, tuple[int, ...]]]:
    return (f"{name}.weight", shape), (f"{name}.bias", shape[:1])


def _norm(name: str, width: tuple[int, ...]) -> Iterable[tuple[str, tuple[int, ...]]]:
    return (f"{name}.LayerNorm.weight", width), (f"{name}.LayerNorm.bias", width)


def _check_ids(rows: int, texts: Sequence[Sequence[int]]) -> None:
    largest = max((id for ids in texts for id in ids), default=0)
    if largest >= rows:
        raise unusable(f"the tokenizer makes a token {largest}, the weights end at {rows - 1}")


def _row(ids: Sequence[int]) -> NDArray[np.int32]:
    return np.asarray([ids], np.int32)
