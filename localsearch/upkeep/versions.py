"""Embedding versions: build one beside the active one, compare, switch in one step, go back, free the space.

A version is a model with its precision, over the same chunks. Vectors of different versions never meet: a search
takes one version's encoder and vectors together, and finishes on what it began with.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localsearch.derived import Derived, Model, Semantic
from localsearch.derived.calibrate import calibrate_if_due
from localsearch.derived.embedder import Embedder, rebuild
from localsearch.errors import ConflictError, NotFoundError
from localsearch.evaluation.metrics import Percentiles, mrr, ndcg
from localsearch.platform.disk import folder_bytes
from localsearch.search import Searcher, SearchQuery
from localsearch.store import Version
from localsearch.types import Answer, Cancelled, Encoder, Report, never, no_report

KNOWN_ITEMS = 100
_AT = 10


@dataclass(frozen=True, slots=True)
class VersionState:
    """A version and how far it is: `pending` chunks still lack a vector; `bytes` of vector index on disk."""

    id: int
    name: str
    model: str
    precision: str
    state: str
    dimensions: int
    pending: int
    bytes: int
    created: float
    activated: float | None


@dataclass(frozen=True, slots=True)
class Side:
    """One version in a comparison; quality figures are None where nothing was judged."""

    version: str
    known_item_mrr: float | None
    judged_ndcg: float | None
    latency_ms: Mapping[str, float]
    bytes: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A query that was asked, and the title of the first hit by each version; None where nothing was found."""

    query: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions on the same queries, in semantic mode: overlap of the first ten hits, and quality of each.

    `differences` are queries that were asked or judged, not made, whose first hits differ.
    """

    queries: int
    logged: int
    judged: int
    known_items: int
    overlap_at_10: float
    same_first: float
    a: Side
    b: Side
    differences: tuple[Difference, ...] = ()


class Versions:
    """Makes, compares and switches embedding versions of one index."""

    def __init__(
        self,
        derived: Derived,
        embedder: Embedder,
        searcher: Searcher,
        open_version: Callable[[Version], Semantic],
        folder: Path,
    ) -> None:
        self.derived = derived
        self.embeddings = derived.embeddings
        self.embedder = embedder
        self.searcher = searcher
        self._open = open_version
        self._folder = folder

    def states(self) -> list[VersionState]:
        """Every version, oldest first."""
        return [self._state(version) for version in self.embeddings.versions()]

    def find(self, name: str | int) -> Version:
        """A version by number or by name. Raises NotFoundError naming those there are."""
        versions = self.embeddings.versions()
        for version in versions:
            if str(name) in (str(version.id), version.name):
                return version
        known = ", ".join(version.name for version in versions) or "none"
        raise NotFoundError(f"There is no version {name}.", hint=f"Versions: {known}.")

    def build(self, encoder: Encoder, report: Report = no_report, cancelled: Cancelled = never) -> Version:
        """Embed everything with another model beside the active version; interrupted, the same call goes on.

        Searches stay on the active version. The new one is `ready` when every chunk has its vector.
        """
        version = self.embeddings.begin(
            encoder.name, encoder.precision, encoder.fingerprint, encoder.dimensions
        )
        self.embeddings.expect_all(version.id)
        self.embedder.run_version(version, Model(lambda: encoder), report, cancelled)
        if version.state == "active" and self.derived.semantic is None:
            self.derived.adopt(self._open(version))
        if not cancelled() and version.state != "active":
            self._publish(version, report, cancelled)
            self.embeddings.set_state(version.id, "ready")
        return self.embeddings.version(version.id)

    def _publish(self, version: Version, report: Report, cancelled: Cancelled) -> None:
        semantic = self._open(version)
        self.derived.load_vectors(semantic)
        semantic.vectors.catch_up(report, cancelled)
        if semantic.vectors.needs_merge():
            semantic.vectors.publish(rebuild(self.derived, semantic, report, cancelled))
        calibrate_if_due(self.derived, semantic, cancelled)

    def activate(self, name: str | int) -> Version:
        """Answer from this version from now on, in one step. Raises ConflictError while it is incomplete."""
        version = self.find(name)
        if version.state == "active":
            return version
        if version.state == "building":
            left = self.embeddings.pending_count(version.id)
            raise ConflictError(
                f"Version {version.name} is not complete: {left:,} chunks lack a vector.",
                hint=f"Run: localsearch versions build --model {version.model}",
            )
        semantic = self._open(version)
        semantic.model.encoder()
        self.derived.switch(semantic)
        return self.embeddings.version(version.id)

    def rollback(self) -> Version:
        """Return to the version that was active before. Raises ConflictError when there is none."""
        retired = [version for version in self.embeddings.versions() if version.state == "retired"]
        if not retired:
            raise ConflictError(
                "No version was active before this one.", hint="See: localsearch versions list"
            )
        return self.activate(max(retired, key=lambda version: version.activated or 0.0).id)

    def gc(self) -> int:
        """Delete retired and abandoned versions and cached vectors that no chunk uses; returns the bytes freed."""
        before = folder_bytes(self._folder) + self.derived.corpus.db.size()
        for version in self.embeddings.versions():
            if version.state in ("retired", "building"):
                self.embeddings.drop(version.id)
                shutil.rmtree(self._folder / str(version.id), ignore_errors=True)
        self.embeddings.drop_unused()
        self.derived.corpus.db.shrink()
        return max(0, before - folder_bytes(self._folder) - self.derived.corpus.db.size())

    def compare(
        self,
        first: str | int,
        second: str | int,
        logged: Sequence[str] = (),
        judged: Mapping[str, Mapping[str, int]] | None = None,
    ) -> Comparison:
        """Compare two versions on logged, judged and generated known-item queries."""
        judged = judged or {}
        items = self._known_items()
        queries = list(dict.fromkeys([*logged, *judged, *items]))
        one, two = self._run(self.find(first), queries), self._run(self.find(second), queries)
        tops = [(_keys(a), _keys(b)) for a, b in zip(one, two)]
        shares = [len(set(a) & set(b)) / max(len(a), len(b), 1) for a, b in tops]
        return Comparison(
            queries=len(queries),
            logged=len(logged),
            judged=len(judged),
            known_items=len(items),
            overlap_at_10=_mean(shares) or 0.0,
            same_first=_mean([float(a[:1] == b[:1]) for a, b in tops]) or 0.0,
            a=self._side(self.find(first), dict(zip(queries, one)), items, judged),
            b=self._side(self.find(second), dict(zip(queries, two)), items, judged),
            differences=tuple(
                Difference(query, _first(a), _first(b))
                for query, a, b in zip(queries, one, two)
                if query not in items and _keys(a)[:1] != _keys(b)[:1]
            ),
        )

    def _run(self, version: Version, queries: Sequence[str]) -> list[Answer]:
        semantic = self.derived.semantic
        if semantic is None or semantic.version.id != version.id:
            semantic = self._open(version)
            self.derived.load_vectors(semantic)
        return [
            self.searcher.answer(SearchQuery(query, limit=_AT, mode="semantic"), semantic)
            for query in queries
        ]

    def _known_items(self) -> dict[str, str]:
        """Return known-item queries: eight words from the middle of a document, and its id."""
        chosen = random.Random(7)
        ids = self.derived.corpus.document_ids()
        items = {}
        for document in self.derived.corpus.documents(
            chosen.sample(ids, min(KNOWN_ITEMS, len(ids)))
        ).values():
            words = self.derived.corpus.text(document.id, 0, 20_000).split()
            start = len(words) // 2
            if len(words) >= 8:
                items[" ".join(words[start : start + 8])] = document.key
        return items

    def _side(
        self,
        version: Version,
        answers: Mapping[str, Answer],
        items: Mapping[str, str],
        judged: Mapping[str, Mapping[str, int]],
    ) -> Side:
        ranked = {query: _keys(answer) for query, answer in answers.items()}
        return Side(
            version=version.name,
            known_item_mrr=_mean([mrr(ranked[query], {key: 1}) for query, key in items.items()]),
            judged_ndcg=_mean(
                [ndcg(ranked[q], grades) for q, grades in judged.items() if any(grades.values())]
            ),
            latency_ms=Percentiles.of([answer.took_ms for answer in answers.values()] or [0.0]).to_json(),
            bytes=folder_bytes(self._folder / str(version.id)),
        )

    def _state(self, version: Version) -> VersionState:
        return VersionState(
            id=version.id,
            name=version.name,
            model=version.model,
            precision=version.precision,
            state=version.state,
            dimensions=version.dimensions,
            pending=self.embeddings.pending_count(version.id),
            bytes=folder_bytes(self._folder / str(version.id)),
            created=version.created,
            activated=version.activated,
        )


def _keys(answer: Answer) -> list[str]:
    return [hit.id for hit in answer.results]


def _first(answer: Answer) -> str | None:
    return next((hit.title or hit.id for hit in answer.results), None)


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
