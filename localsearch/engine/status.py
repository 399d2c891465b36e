"""What is told of an index as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from localsearch.derived.usage import Usage
from localsearch.release import __version__
from localsearch.vectors import VectorState


@dataclass(frozen=True, slots=True)
class Status:
    """What is indexed and how fresh: `changed` is when a document was last stored.

    `names` is how many files are known by their names alone, beside the documents; `noted`, how many indexed files
    could not be read whole. `bytes` is what the home folder takes on disk, models not counted. `cost` is what
    embedding has taken so far. `vectors` is how those of the version stand. `kernels` names the vector instructions in
    use, "" without any. `better_model` knows more of the texts' languages than the model in use; `recommend_model`
    tells what it costs.
    """

    documents: int
    chunks: int
    embedded_chunks: int
    semantic_coverage: float
    files: Mapping[str, int]
    noted: int
    names: int
    version: str | None
    home: str
    bytes: int
    seq: int
    collections: tuple[str, ...]
    roots: tuple[str, ...]
    changed: float | None
    cost: Usage
    kernels: str
    better_model: str | None
    vectors: VectorState | None = None
    release: str = __version__
