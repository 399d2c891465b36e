"""Judged collections in BEIR layout: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, read and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from localsearch.errors import NotFoundError, UsageError
from localsearch.evaluation.metrics import Grades
from localsearch.types import Record

JUDGED = ".judged"
"""The hidden folder in which anyone may keep questions about the files beside it: queries.jsonl and qrels/."""
T = TypeVar("T")


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
