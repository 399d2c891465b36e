"""What the fault tests index: passages of data/sample, embedded by hashing their words, so that no model is loaded.

The encoder is a real one (feature hashing, Weinberger et al. 2009): the same text always has the same vector, texts
that share words are near each other. Two salts make two versions.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from allowed import Allowed

from localsearch.engine import Engine
from localsearch.settings import Settings, VectorSettings
from localsearch.types import Cancelled, Record, Vectors, never
from localsearch.upkeep.versions import Version

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
ALL = os.environ.get("LOCALSEARCH_FAULTS") == "all"
"""Whether to run everything (`make faults`) or the part that fits CI."""
DIMENSIONS = 64
QUERIES = (
    "sourdough starter",
    "bicycle brake pads",
    "prune an apple tree",
)


@dataclass(frozen=True, slots=True)
class HashingEncoder:
    """Each word adds plus or minus one to one of 64 components."""

    salt: str = "a"
    dimensions: int = DIMENSIONS
    max_tokens: int = 256
    name: str = "hashing"

    @property
    def precision(self) -> str:
        return self.salt

    @property
    def fingerprint(self) -> str:
        return f"hashing-{self.salt}"

    def encode_query(self, text: str) -> Vectors:
        return self.encode_documents([text])[0]

    def encode_documents(self, texts: Sequence[str], *, cancelled: Cancelled = never) -> Vectors:
        vectors = np.full((len(texts), self.dimensions), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                digest = hashlib.blake2b((self.salt + word).encode(), digest_size=8).digest()
                vectors[row, digest[0] % self.dimensions] += 1.0 if digest[1] & 1 else -1.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(re.findall(r"\w+", text)) for text in texts]


@cache
def passages() -> tuple[str, ...]:
    """Paragraphs of the sample's plain texts, each different, 80 to 900 characters."""
    texts = [path.read_text("utf-8") for end in ("md", "txt") for path in sorted(SAMPLE.rglob(f"*.{end}"))]
    parts = [part.strip() for text in texts for part in re.split(r"\n\s*\n", text)]
    return tuple(dict.fromkeys(part for part in parts if 80 <= len(part) <= 900))


def records(count: int, start: int = 0) -> list[Record]:
    """Documents d0, d1, ... each of one passage."""
    texts = passages()
    return [Record(texts[n % len(texts)], f"d{n}") for n in range(start, start + count)]


def settings_at(home: Path, **vectors: int) -> Settings:
    """Settings of a home folder without a model of its own; generations are made early."""
    chosen = VectorSettings(**{"merge_at": 24, **vectors})  # type: ignore[arg-type]
    return Settings(home=home, models=home.parent / "no-models", offline=True, vectors=chosen)


def open_engine(home: Path, *, read_only: bool = False, settings: Settings | None = None) -> Engine:
    """An engine whose versions are embedded by hashing; their precision is the salt."""
    engine = Engine.open(settings=settings or settings_at(home), read_only=read_only)

    def encoder(name: str | None = None, precision: str | None = None) -> HashingEncoder:
        return HashingEncoder(precision or "a")

    engine.models.encoder = encoder  # type: ignore[method-assign,assignment]
    return engine


def build_version(engine: Engine, salt: str) -> Version:
    """Embed everything by one salt; the first version of an index is active at once."""
    return engine.versions.build(HashingEncoder(salt))


def make_home(home: Path, count: int = 80, versions: str = "a") -> dict[str, str]:
    """An index of records with one version for each letter; returns what it holds."""
    with open_engine(home) as engine:
        engine.add(records(count))
        for salt in versions:
            build_version(engine, salt)
        engine.embed_pending()
        return contents(engine)


def contents(engine: Engine) -> dict[str, str]:
    """Text by id of every document, as stored."""
    rows = engine.db.query("SELECT id, key FROM documents")
    held = {key: engine.corpus.text(document) for document, key in rows}
    assert len(held) == len(rows), "a document is there twice"
    return held


Answers = dict[tuple[str, str], dict[str, float]]


def answers(engine: Engine) -> Answers:
    """Every document found, with its score, for each query and mode."""
    found: Answers = {}
    for query in QUERIES:
        for mode in ("lexical", "semantic"):
            hits = engine.search(query, mode=mode, limit=1000, cache=False).results  # type: ignore[arg-type]
            ids = [hit.id for hit in hits]
            assert len(ids) == len(set(ids)), f"{query}: a document is found twice"
            found[query, mode] = {hit.id: hit.score for hit in hits}
    return found


def from_json(rows: Any) -> Answers:
    """Answers that a child told."""
    return {(query, mode): hits for query, mode, hits in rows}


def same_answers(one: Answers, two: Answers, scores: bool = True) -> None:
    """The same documents for every query; by meaning also the same scores, unless told otherwise.

    Scores by words depend on how many deleted passages a segment still counts, as in every index of this kind.
    """
    assert one.keys() == two.keys()
    for key, hits in one.items():
        assert hits.keys() == two[key].keys(), key
        if key[1] == "semantic" and scores:
            far = {name: (score, two[key][name]) for name, score in hits.items()}
            apart = {name: pair for name, pair in far.items() if abs(pair[0] - pair[1]) > 0.005}
            assert not apart, (key, apart)


_built: dict[tuple[str, frozenset[tuple[str, str]]], Answers] = {}


def fresh_answers(held: Mapping[str, str], home: Path, salt: str = "a") -> Answers:
    """The answers of an index built from nothing with these documents; equal contents are built once."""
    key = (salt, frozenset(held.items()))
    if key not in _built:
        with open_engine(home) as engine:
            engine.add([Record(text, name) for name, text in sorted(held.items())])
            build_version(engine, salt)
            _built[key] = answers(engine)
    return _built[key]


def verify(home: Path, allowed: Allowed, scratch: Path) -> None:
    """Open what a fault left: it is sound, holds one of the allowed contents, and answers as a fresh build does."""
    with open_engine(home) as engine:
        report = engine.check()
        assert report.ok, report.problems
        held = contents(engine)
        assert allowed.has(held), allowed.difference(held)
        engine.embed_pending()
        assert engine.status().semantic_coverage == 1.0
        active = engine.embeddings.active()
        found = answers(engine)
        after = engine.check()
        assert after.ok, after.problems
    if active:
        same_answers(found, fresh_answers(held, scratch, active.precision))


def shuffled(seed: int, count: int) -> list[int]:
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order
