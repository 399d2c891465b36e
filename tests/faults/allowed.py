"""What an index may hold after a fault: all that was confirmed, without or with each step that was only begun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Contents = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """Texts by key that were put, None where the key was deleted; whole or not at all, and whole if `confirmed`."""

    effect: Mapping[str, str | None]
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Allowed:
    """What was held before, and the steps after it."""

    held: Contents
    steps: Sequence[Step] = ()

    def has(self, found: Contents) -> bool:
        """Whether these contents come from some choice of the steps that were only begun.

        Steps are looked at from the last: what a later one wrote hides the same key in those before, and a step that
        shows what is not found was not done. So nearly every choice is settled as it comes up.
        """
        return self._comes_from(found, len(self.steps), frozenset())

    def _comes_from(self, found: Contents, count: int, hidden: frozenset[str]) -> bool:
        """Whether the first `count` steps can have made what is found under all keys but the hidden ones."""
        if not count:
            keys = (self.held.keys() | found.keys()) - hidden
            return all(self.held.get(key) == found.get(key) for key in keys)
        step = self.steps[count - 1]
        shown = step.effect.keys() - hidden
        seen = all(found.get(key) == step.effect[key] for key in shown)
        if seen and self._comes_from(found, count - 1, hidden | shown):
            return True
        return bool(shown) and not step.confirmed and self._comes_from(found, count - 1, hidden)

    def difference(self, found: Contents) -> str:
        """What is otherwise than had the confirmed steps alone been done."""
        wanted: dict[str, str | None] = dict(self.held)
        for step in self.steps:
            wanted |= step.effect if step.confirmed else {}
        wanted = {key: text for key, text in wanted.items() if text is not None}
        lost, extra = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
        other = sorted(key for key in wanted.keys() & found.keys() if wanted[key] != found[key])
        return f"lost {lost}, not expected {extra}, with another text {other}"
