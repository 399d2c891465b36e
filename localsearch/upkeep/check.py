"""Find what is wrong with an index, and mend what is derived. A check never changes the database itself."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from localsearch import quantize
from localsearch.derived import Derived, Semantic
from localsearch.derived.embedder import rebuild
from localsearch.errors import VectorsUnavailableError
from localsearch.store import Corpus, TokenBits, rehash
from localsearch.types import Ids, Progress, Report, never, no_report

KNOWN_FILES = (
    "index.db",
    "service.db",
    "query-vectors.db",
    "query-log.db",
    "owner.lock",
    "settings.toml",
    "identity.json",
)
KNOWN_FOLDERS = ("lexical", "vectors", "models", "shipped")
_STRAY = ("-wal", "-shm", "-journal")
_BATCH = 2000
_UNIT = 0.01
"""How far from 1 the length of a stored vector may be: half floats lose about 0.0005, 12 bits no more."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong: `part` is database, words, hashes, vectors, stored vectors, token bits or files; `mendable` if
    repair can rebuild it."""

    part: str
    message: str
    mendable: bool


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The findings of a check. `ok` when nothing is wrong, or nothing is left after a repair."""

    ok: bool
    problems: tuple[Problem, ...]
    repaired: tuple[str, ...] = ()


def check(derived: Derived, home: Path, *, quick: bool = False, report: Report = no_report) -> list[Problem]:
    """Compare every derived index with the database, and the database with itself; `quick` skips reading vectors."""
    problems: list[Problem] = []
    steps = [_database(derived, quick), _words(derived), _vectors(derived, quick), _files(home)]
    for number, step in enumerate(steps):
        report(Progress("check", number, len(steps), "parts"))
        problems.extend(step)
    return problems


def repair(derived: Derived, problems: list[Problem], report: Report = no_report) -> list[str]:
    """Rebuild the derived parts that have problems, from the database; returns what was rebuilt, in words."""
    parts = {problem.part for problem in problems if problem.mendable}
    done = []
    if "hashes" in parts:
        count = _rehash(derived)
        done.append(
            f"the chunks of {count:,} documents were hashed anew and those without a vector are to come"
        )
    if "words" in parts:
        derived.rebuild_lexical(report)
        done.append("the word index was rebuilt from the database")
    if "stored vectors" in parts:
        for semantic in [derived.semantic] if derived.semantic else []:
            count = derived.embeddings.forget(semantic.version.id, list(_bad_vectors(derived, semantic)))
            done.append(f"{count} damaged vectors were dropped and will be computed again")
    if parts & {"vectors", "stored vectors"} and derived.semantic:
        derived.reload()
        semantic = derived.semantic
        semantic.vectors.publish(rebuild(derived, semantic, report, never))
        derived.load_vectors(semantic)
        done.append("the vector index was rebuilt from the database")
    if "token bits" in parts:
        tokens = TokenBits(derived.corpus.db)
        done.append(f"damaged token bits of {tokens.forget(tokens.damaged())} chunks were dropped")
    return done


def _database(derived: Derived, quick: bool) -> Iterator[Problem]:
    db = derived.corpus.db
    word = "quick_check" if quick else "integrity_check"
    for (line,) in db.query(f"PRAGMA {word}(20)"):
        if line != "ok":
            yield Problem("database", f"SQLite: {line}", mendable=False)
    for table, count in db.query('SELECT "table", count(*) FROM pragma_foreign_key_check GROUP BY 1'):
        yield Problem("database", f"{count} rows of {table} belong to nothing.", mendable=False)
    lost = db.one(
        "SELECT count(*) FROM documents WHERE id NOT IN (SELECT id >> 20 FROM bodies) AND id IN"
        " (SELECT document_id FROM chunks WHERE stop > start)"
    )
    if lost:
        yield Problem("database", f"{lost} documents have lost their text.", mendable=False)
    if not quick:
        yield from _stored_documents(derived.corpus)


def _stored_documents(corpus: Corpus) -> Iterator[Problem]:
    changed, wrong = _unsound(corpus)
    if wrong:
        yield Problem(
            "hashes", f"{len(wrong):,} documents have chunks under the hash of another text.", mendable=True
        )
    if changed:
        shown = ", ".join(map(str, changed[:5]))
        yield Problem(
            "database",
            f"{len(changed):,} documents are not what was stored (number {shown}); restore a backup,"
            " or delete them and index again.",
            mendable=False,
        )


def _unsound(corpus: Corpus) -> tuple[list[int], list[int]]:
    """Ids of documents that are not what was stored, and of those that are but have a wrong hash."""
    changed = list(corpus.changed_on_disk())
    sound = sorted({*corpus.document_ids()} - {*changed})
    return changed, list(rehash.wrongly_hashed(corpus, sound))


def _rehash(derived: Derived) -> int:
    """Hash anew what has a wrong hash and is what was stored; what no chunk names any more is dropped."""
    _, wrong = _unsound(derived.corpus)
    rehash.rehash(derived.corpus, derived.embeddings, wrong)
    derived.embeddings.drop_unused()
    derived.catch_up()
    return len(wrong)


def _words(derived: Derived) -> Iterator[Problem]:
    wanted = np.flatnonzero(derived.corpus.owners())
    held = np.sort(derived.lexical.ids())
    yield from _compare("words", "the word index", wanted, held)
    if len(np.unique(held)) < len(held):
        yield Problem("words", "The word index holds chunks twice.", mendable=True)


def _vectors(derived: Derived, quick: bool) -> Iterator[Problem]:
    semantic = derived.semantic
    if semantic is None:
        return
    wanted = derived.embeddings.embedded_ids(semantic.version.id)
    try:
        yield from _compare("vectors", "the vector index", wanted, semantic.vectors.ids())
        for line in () if quick else semantic.vectors.check():
            yield Problem("vectors", line, mendable=True)
    except VectorsUnavailableError as error:
        yield Problem("vectors", f"{error.message} {error.hint}".strip(), mendable=False)
    if quick:
        return
    bad = sum(1 for _ in _bad_vectors(derived, semantic))
    if bad:
        yield Problem("stored vectors", f"{bad} stored vectors are damaged.", mendable=True)
    damaged = len(TokenBits(derived.corpus.db).damaged())
    if damaged:
        yield Problem("token bits", f"The token bits of {damaged} chunks are damaged.", mendable=True)


def _bad_vectors(derived: Derived, semantic: Semantic) -> Iterator[int]:
    """Rows of `vectors` that are not unit vectors of the right size."""
    dimensions = semantic.version.dimensions
    sizes = quantize.stored_sizes(dimensions)
    last = 0
    while rows := derived.corpus.db.query(
        "SELECT id, vector, crc FROM vectors WHERE version_id = ? AND id > ? ORDER BY id LIMIT ?",
        (semantic.version.id, last, _BATCH),
    ):
        last = rows[-1][0]
        whole = [(row, blob) for row, blob, crc in rows if _is_whole(blob, sizes, crc)]
        yield from (row for row, blob, crc in rows if not _is_whole(blob, sizes, crc))
        with np.errstate(all="ignore"):
            matrix = quantize.from_bytes([blob for _, blob in whole], dimensions)
            lengths = np.linalg.norm(matrix, axis=1)
            bad = ~(np.abs(lengths - 1) < _UNIT)
        yield from (whole[at][0] for at in np.flatnonzero(bad).tolist())


def _is_whole(blob: object, sizes: tuple[int, ...], crc: object) -> bool:
    """Whether a stored vector has a size it may have and its checksum, which the first release did not store."""
    return isinstance(blob, bytes) and len(blob) in sizes and (crc is None or zlib.crc32(blob) == crc)


def _compare(part: str, name: str, wanted: Ids, held: Ids) -> Iterator[Problem]:
    missing, extra = np.setdiff1d(wanted, held), np.setdiff1d(held, wanted)
    if len(missing):
        yield Problem(part, f"{len(missing):,} chunks are missing from {name}.", mendable=True)
    if len(extra):
        yield Problem(part, f"{len(extra):,} chunks in {name} are not in the database.", mendable=True)


def _files(home: Path) -> Iterator[Problem]:
    for entry in sorted(home.iterdir()):
        name = entry.name
        for end in _STRAY:
            name = name.removesuffix(end)
        known = name in KNOWN_FOLDERS if entry.is_dir() else name in KNOWN_FILES
        if not known:
            yield Problem("files", f"{entry} is not part of the index.", mendable=False)
