"""Deleting so that no byte stays: text, title, vectors, words, graph, cached answers and logged queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from localsearch.derived import Derived
from localsearch.embedding import rebuild
from localsearch.store import Feedback, Ledger
from localsearch.types import Progress, Report, never, no_report

_STEPS = 5


@dataclass(frozen=True, slots=True)
class Purged:
    """What was purged: documents by id, and how many vectors no other passage used."""

    documents: tuple[str, ...]
    vectors: int


def purge(
    derived: Derived, targets: Sequence[str], forget_queries: Callable[[], None], report: Report = no_report
) -> Purged:
    """Delete documents by id, or by path with all below it, from every file of the home folder.

    The deletion itself is one durable transaction. The word index and the vector index are then built anew without
    them and the database is rewritten, since both keep deleted data until then; cut short, purging again finishes it.
    """
    corpus, db = derived.corpus, derived.corpus.db
    report(Progress("purge", 0, _STEPS, "steps", "deleting"))
    with db.write():
        rows = corpus.matching(targets)
        corpus.remove([row.id for row in rows])
        Feedback(db).forget([row.key for row in rows])
        Ledger(db).forget(targets)
        vectors = derived.embeddings.drop_unused()
    forget_queries()
    derived.catch_up()
    corpus.forget_changes(corpus.seq)
    report(Progress("purge", 1, _STEPS, "steps", "word index"))
    derived.rebuild_lexical(no_report)
    report(Progress("purge", 2, _STEPS, "steps", "vector index"))
    semantic = derived.semantic
    if semantic and semantic.vectors.generation is not None:
        semantic.vectors.publish(rebuild(derived, semantic, no_report, never))
    report(Progress("purge", 3, _STEPS, "steps", "database"))
    db.shrink()
    report(Progress("purge", _STEPS, _STEPS, "steps"))
    return Purged(tuple(row.key for row in rows), vectors)
