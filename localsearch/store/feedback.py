"""Keep people's judgements of answers. `eval --feedback` and the quality metric read them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from localsearch.store.database import Database


@dataclass(frozen=True, slots=True)
class Judgement:
    """A person's word on one document for one query."""

    collection: str
    query: str
    key: str
    relevant: bool
    given: float


class Feedback:
    """Reading and writing judgements; the last word on a query and document counts."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def put(self, collection: str, query: str, key: str, relevant: bool) -> None:
        """Record a judgement, durably."""
        with self.db.write() as connection:
            connection.execute(
                "INSERT INTO feedback (collection, query, key, relevant, given) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET relevant = excluded.relevant, given = excluded.given",
                (collection, " ".join(query.split()), key, int(relevant), time.time()),
            )

    def all(self) -> list[Judgement]:
        """Every judgement, in the order given."""
        rows = self.db.query(
            "SELECT collection, query, key, relevant, given FROM feedback ORDER BY given, id"
        )
        return [Judgement(c, q, k, bool(relevant), given) for c, q, k, relevant, given in rows]

    def grades(self) -> dict[str, dict[str, int]]:
        """Grades by query and document id, 1 for relevant and 0 for not, as the metrics take them."""
        grades: dict[str, dict[str, int]] = {}
        for judgement in self.all():
            grades.setdefault(judgement.query, {})[judgement.key] = int(judgement.relevant)
        return grades

    def forget(self, keys: list[str]) -> None:
        """Delete what was said of these documents."""
        with self.db.write() as connection:
            connection.executemany("DELETE FROM feedback WHERE key = ?", [(key,) for key in keys])
