"""One query under way: its clock, its stages and its notes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from localsearch.search.query import SearchQuery


class Stage:
    """Adds the milliseconds spent inside to a name."""

    __slots__ = ("began", "name", "stages")

    def __init__(self, stages: dict[str, float], name: str) -> None:
        self.stages, self.name = stages, name

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        spent = (time.perf_counter() - self.began) * 1000
        self.stages[self.name] = round(self.stages.get(self.name, 0.0) + spent, 3)


@dataclass(slots=True)
class QueryContext:
    """One query under way: its clock, what it did and what it has to say.

    `reranker` names what has scored candidates again, None while nothing has. `words_only` is whether vectors could not
    be searched: such an answer is not kept.
    """

    query: SearchQuery
    began: float = field(default_factory=time.perf_counter)
    stages: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    reranker: str | None = None
    words_only: bool = False

    def stage(self, name: str) -> Stage:
        """Time what is done inside; several times the same name add up."""
        return Stage(self.stages, name)

    def took_ms(self) -> float:
        return round((time.perf_counter() - self.began) * 1000, 3)

    def left_s(self) -> float | None:
        """Seconds of the budget that are left, or None without a budget."""
        budget = self.query.budget_ms
        return None if budget is None else max(budget / 1000 - (time.perf_counter() - self.began), 0.0)

    def has_time(self, stage: str, needs_ms: float) -> bool:
        """Whether a stage still fits the budget; if not, the answer says that it was left out."""
        left = self.left_s()
        if left is None or left * 1000 >= needs_ms:
            return True
        self.notes.append(f"No time for {stage} within {self.query.budget_ms:g} ms.")
        return False
