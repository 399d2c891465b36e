"""Score an index on judged queries: BEIR folders in, nDCG, recall, MRR and latency per mode out.

The metrics are pure functions over a ranked list of document ids and a mapping id -> grade; they agree with
trec_eval (https://github.com/usnistgov/trec_eval), which the tests compare with.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, get_args

import msgspec
import numpy as np

from localsearch.errors import CancelledError, NotFoundError, UsageError
from localsearch.types import Answer, Cancelled, Mode, Progress, Record, Report, never, no_report

EvalMode = Literal["lexical", "semantic", "hybrid", "rerank"]
MODES: tuple[EvalMode, ...] = get_args(EvalMode)
DEFAULT_MODES: tuple[EvalMode, ...] = ("lexical", "semantic", "hybrid")
COLLECTION = "default"
JUDGED = ".judged"
"""The hidden folder in which anyone may keep questions about the files beside it: queries.jsonl and qrels/."""
DEPTH = 100
PAGE = 10
BATCH = 500
STOPPED = "Run it again; nothing is kept of a partial run."

Grades = Mapping[str, int]
"""Document id -> judged grade; above 0 is relevant."""
T = TypeVar("T")


class Searchable(Protocol):
    """What evaluate needs of an engine, which stands above this module in the order of imports."""

    def add(self, records: Sequence[Record], *, collection: str) -> list[str]: ...

    def index(self, paths: Path, *, report: Report, cancelled: Cancelled) -> Any: ...

    def embed_pending(self, report: Report, cancelled: Cancelled) -> int: ...

    def search(
        self, query: str, *, limit: int, mode: Mode, rerank: bool, collection: str, cache: bool, plain: bool
    ) -> Answer: ...


# --- metrics


def ndcg(ranked: Sequence[str], grades: Grades, k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first k, between 0 and 1; 0 where nothing is relevant.

    Gain is the grade itself (not 2^grade - 1) and the discount log2(rank + 1), as in trec_eval's m_ndcg_cut.c,
    after Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (TOIS 2002).

    >>> round(ndcg(["a", "b"], {"b": 1}), 4)
    0.6309
    """
    ideal = _dcg(sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:k])
    return _dcg([max(grades.get(name, 0), 0) for name in ranked[:k]]) / ideal if ideal else 0.0


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))


def recall(ranked: Sequence[str], grades: Grades, k: int = 100) -> float:
    """Share of the relevant documents that stand among the first k (trec_eval's recall.k)."""
    relevant = {name for name, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranked[:k])) / len(relevant) if relevant else 0.0


def mrr(ranked: Sequence[str], grades: Grades, k: int = 10) -> float:
    """1 / rank of the first relevant document among the first k, 0 without one (trec_eval's recip_rank)."""
    for rank, name in enumerate(ranked[:k], start=1):
        if grades.get(name, 0) > 0:
            return 1.0 / rank
    return 0.0


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles of a sample, in its unit, interpolated linearly between neighbours."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, sample: Sequence[float]) -> Percentiles:
        if not len(sample):
            return cls(0.0, 0.0, 0.0)
        return cls(*(float(value) for value in np.percentile(sample, (50, 95, 99))))

    def to_json(self) -> dict[str, float]:
        return {"p50": round(self.p50, 3), "p95": round(self.p95, 3), "p99": round(self.p99, 3)}


# --- a judged collection


class _Document(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    text: str = ""
    title: str | None = ""
    metadata: dict[str, Any] | None = None


class _Query(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    text: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A BEIR folder, checked. The corpus stays on disk and is read anew by `records`.

    `judgements` holds only queries with at least one relevant document; `notes` tells what was left out.
    """

    name: str
    split: str
    corpus: Path
    documents: int
    queries: Mapping[str, str]
    judgements: Mapping[str, Grades]
    notes: tuple[str, ...] = ()

    @classmethod
    def load(cls, folder: str | Path, split: str = "test") -> Dataset:
        """Read corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv.

        Raises NotFoundError naming a missing file and UsageError naming the file and line of a broken one.
        """
        root = Path(folder)
        if not root.is_dir():
            raise NotFoundError(f"{root} is not a folder", hint="Give a folder in BEIR layout.")
        if not (root / "corpus.jsonl").exists() and (root / JUDGED).is_dir():
            return cls._of_files(root.resolve(), split)
        _require(root, "corpus.jsonl", "queries.jsonl", f"qrels/{split}.tsv")
        ids = _ids(root / "corpus.jsonl")
        texts = {query.id: query.text for _, query in _parsed(root / "queries.jsonl", _Query)}
        graded = _read_qrels(root / "qrels" / f"{split}.tsv")
        judged = {q: g for q, g in graded.items() if q in texts and any(v > 0 for v in g.values())}
        if not judged:
            raise UsageError(
                f"{root / 'qrels' / split}.tsv finds nothing relevant for any query of queries.jsonl",
                hint="Check that both files belong together, or choose another --split.",
            )
        notes = _notes(graded, judged, texts, ids)
        queries = {q: texts[q] for q in judged}
        return cls(root.resolve().name, split, root / "corpus.jsonl", len(ids), queries, judged, notes)

    @classmethod
    def _of_files(cls, root: Path, split: str) -> Dataset:
        """A folder of files with questions about them in .judged; documents are named by their path in the folder."""
        _require(root / JUDGED, "queries.jsonl", f"qrels/{split}.tsv")
        texts = {query.id: query.text for _, query in _parsed(root / JUDGED / "queries.jsonl", _Query)}
        graded = _read_qrels(root / JUDGED / "qrels" / f"{split}.tsv")
        judged = {
            query: {str(root / name): grade for name, grade in grades.items()}
            for query, grades in graded.items()
            if query in texts and any(grade > 0 for grade in grades.values())
        }
        return cls(root.name, split, root, 0, {query: texts[query] for query in judged}, judged)

    def records(self) -> Iterator[Record]:
        """The documents, in the order of the file; one without text is known by its title."""
        for _, document in _parsed(self.corpus, _Document):
            title = document.title or ""
            yield Record(document.text or title, document.id, title, document.metadata or {})


def _require(root: Path, *names: str) -> None:
    for name in names:
        if not (root / name).is_file():
            raise NotFoundError(
                f"{root / name} is missing",
                hint="A judged collection is a folder with corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv; "
                f"{_splits(root)}.",
            )


def _splits(root: Path) -> str:
    found = sorted(file.stem for file in root.glob("qrels/*.tsv"))
    return f"this one has the splits {', '.join(found)}" if found else "this one has no qrels"


def _parsed(file: Path, shape: type[T]) -> Iterator[tuple[int, T]]:
    decoder = msgspec.json.Decoder(shape)
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield number, decoder.decode(line.removeprefix(b"\xef\xbb\xbf"))
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise _broken(file, number, str(error)) from error


def _broken(file: Path, number: int, what: str) -> UsageError:
    return UsageError(
        f"{file}, line {number}: {what}",
        hint="Mend that line: JSON lines need a string _id and text, qrels three columns apart by tabs.",
        file=str(file),
        line=number,
    )


def _ids(file: Path) -> set[str]:
    seen: set[str] = set()
    for number, document in _parsed(file, _Document):
        if document.id in seen:
            raise _broken(file, number, f"_id {document.id!r} was there before")
        seen.add(document.id)
    if not seen:
        raise UsageError(f"{file} holds no document", hint="An empty collection cannot be scored.")
    return seen


def _read_qrels(file: Path) -> dict[str, dict[str, int]]:
    graded: dict[str, dict[str, int]] = {}
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8: {error.reason}", hint="Save it as UTF-8.") from error
    for number, line in enumerate(lines, start=1):
        if line.strip() and not (number == 1 and _is_header(line)):
            query, document, grade = _judgement(line, file, number)
            graded.setdefault(query, {})[document] = grade
    return graded


def _is_header(line: str) -> bool:
    columns = line.split("\t")
    return len(columns) == 3 and not columns[2].strip().lstrip("-").isdigit()


def _judgement(line: str, file: Path, number: int) -> tuple[str, str, int]:
    columns = [column.strip() for column in line.split("\t")]
    if len(columns) != 3:
        raise _broken(file, number, f"{len(columns)} columns where query-id, corpus-id and score belong")
    try:
        return columns[0], columns[1], int(columns[2])
    except ValueError:
        raise _broken(file, number, f"score {columns[2]!r} is no whole number") from None


def _notes(
    graded: Mapping[str, Grades], judged: Mapping[str, Grades], texts: Mapping[str, str], ids: set[str]
) -> tuple[str, ...]:
    unknown = len(graded.keys() - texts.keys())
    barren = len(graded.keys() - judged.keys()) - unknown
    lost = len({name for grades in judged.values() for name, grade in grades.items() if grade > 0} - ids)
    parts = (
        (unknown, "judged queries are not in queries.jsonl and were left out"),
        (barren, "queries have no relevant document and were left out"),
        (lost, "relevant documents are not in corpus.jsonl and count as not found"),
    )
    return tuple(f"{count} {what}" for count, what in parts if count)


# --- the run


@dataclass(frozen=True, slots=True)
class ModeScores:
    """Means over all queries, and what one uncached query for 100 documents took, in milliseconds."""

    ndcg_10: float
    recall_100: float
    mrr_10: float
    latency_ms: Percentiles

    def to_json(self) -> dict[str, Any]:
        return {
            "ndcg@10": round(self.ndcg_10, 5),
            "recall@100": round(self.recall_100, 5),
            "mrr@10": round(self.mrr_10, 5),
            "latency_ms": self.latency_ms.to_json(),
        }


@dataclass(frozen=True, slots=True)
class EvalReport:
    """What `eval` found. `index_s` is the seconds until searchable by words and by meaning."""

    dataset: str
    split: str
    documents: int
    queries: int
    index_s: float
    modes: Mapping[str, ModeScores]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The shape of `eval --json`."""
        return {
            "dataset": self.dataset,
            "split": self.split,
            "documents": self.documents,
            "queries": self.queries,
            "index_s": round(self.index_s, 2),
            "modes": {mode: scores.to_json() for mode, scores in self.modes.items()},
            "notes": list(self.notes),
        }


def parse_modes(text: str) -> tuple[EvalMode, ...]:
    """Modes from a list parted by commas or spaces, as `lexical,hybrid`; raises UsageError on other words."""
    words = text.replace(",", " ").split()
    found = tuple(mode for word in dict.fromkeys(words) for mode in MODES if mode == word)
    unknown = [word for word in words if word not in MODES]
    if unknown or not found:
        raise UsageError(
            f"no such mode: {unknown[0]}" if unknown else "no mode given",
            hint=f"Choose from {', '.join(MODES)}.",
        )
    return found


def evaluate(
    engine: Searchable,
    dataset: Dataset,
    modes: Sequence[EvalMode] = DEFAULT_MODES,
    *,
    report: Report = no_report,
    cancelled: Cancelled = never,
) -> EvalReport:
    """Index the collection into `default`, embed all of it, and run every judged query in every mode."""
    started = time.perf_counter()
    documents = fill(engine, dataset, report=report, cancelled=cancelled)
    index_s = time.perf_counter() - started
    scores = score(engine, dataset.queries, dataset.judgements, modes, report=report, cancelled=cancelled)
    counts = (documents, len(dataset.queries))
    return EvalReport(dataset.name, dataset.split, *counts, index_s, scores, dataset.notes)


def fill(
    engine: Searchable, dataset: Dataset, *, report: Report = no_report, cancelled: Cancelled = never
) -> int:
    """Add the documents in batches, then embed what is pending; returns how many there are.

    Documents without any text stay out.
    """
    if dataset.corpus.is_dir():
        return int(engine.index(dataset.corpus, report=report, cancelled=cancelled).documents)
    records = (record for record in dataset.records() if record.text.strip())
    done = 0
    while batch := list(islice(records, BATCH)):
        if cancelled():
            raise CancelledError("evaluation stopped", hint=STOPPED)
        engine.add(batch, collection=COLLECTION)
        done += len(batch)
        report(Progress("index", done, dataset.documents, "documents"))
    engine.embed_pending(report, cancelled)
    return dataset.documents


def score(
    engine: Searchable,
    queries: Mapping[str, str],
    judgements: Mapping[str, Grades],
    modes: Sequence[EvalMode] = DEFAULT_MODES,
    *,
    collection: str = COLLECTION,
    plain: bool = True,
    report: Report = no_report,
    cancelled: Cancelled = never,
) -> dict[str, ModeScores]:
    """Run every query against what the engine already holds, per mode, results uncached.

    `queries` maps query id -> text, `judgements` query id -> grades. `plain` says that quotes and colons in a
    query are no syntax, as in judged collections. One unmeasured query opens each mode, so that loading the model is
    not part of its latency.
    """
    total = len(modes) * len(queries)
    found: dict[str, ModeScores] = {}
    for mode in modes:
        _timed(engine, next(iter(queries.values())), mode, collection, plain)
        runs: dict[str, tuple[list[str], float]] = {}
        for query, text in queries.items():
            if cancelled():
                raise CancelledError("evaluation stopped", hint=STOPPED)
            runs[query] = _timed(engine, text, mode, collection, plain)
            report(Progress("query", len(found) * len(queries) + len(runs), total, "queries", mode))
        found[mode] = _means(runs, judgements)
    return found


def _timed(
    engine: Searchable, text: str, mode: EvalMode, collection: str, plain: bool
) -> tuple[list[str], float]:
    """The ranking to the depth that recall looks to, and the milliseconds that one page of it takes."""
    leg: Mode = "hybrid" if mode == "rerank" else mode
    search = partial(
        engine.search,
        text,
        mode=leg,
        rerank=mode == "rerank",
        collection=collection,
        cache=False,
        plain=plain,
    )
    started = time.perf_counter()
    search(limit=PAGE)
    took_ms = (time.perf_counter() - started) * 1e3
    return [hit.id for hit in search(limit=DEPTH).results], took_ms


def _means(runs: Mapping[str, tuple[Sequence[str], float]], judgements: Mapping[str, Grades]) -> ModeScores:
    values = [
        (ndcg(ranked, judgements[query]), recall(ranked, judgements[query]), mrr(ranked, judgements[query]))
        for query, (ranked, _) in runs.items()
    ]
    means = np.mean(values, axis=0)
    latency = Percentiles.of([took for _, took in runs.values()])
    return ModeScores(float(means[0]), float(means[1]), float(means[2]), latency)


def table(report: EvalReport) -> list[list[str]]:
    """Rows of plain text for a terminal, the heading first."""
    heading = ["mode", "nDCG@10", "recall@100", "MRR@10", "p50 ms", "p95 ms", "p99 ms"]
    return [heading, *(_row(mode, scores) for mode, scores in report.modes.items())]


def _row(mode: str, scores: ModeScores) -> list[str]:
    quality = (scores.ndcg_10, scores.recall_100, scores.mrr_10)
    latency = (scores.latency_ms.p50, scores.latency_ms.p95, scores.latency_ms.p99)
    return [mode, *(f"{value:.4f}" for value in quality), *(f"{value:.1f}" for value in latency)]
