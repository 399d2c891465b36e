"""Compare results with expected.toml: ratios that must hold anywhere, and absolute goals that are only told."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXPECTED = Path(__file__).with_name("expected.toml")


@dataclass(frozen=True, slots=True)
class Expectation:
    """A figure at `path` (names parted by dots), what it should be, and by what share it may miss that.

    One of `at_least` and `at_most` is given. A goal is told but never fails a run: it depends on the machine.
    """

    name: str
    path: str
    at_least: float | None = None
    at_most: float | None = None
    tolerance: float = 0.1
    goal: bool = False
    full_only: bool = False
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """An expectation and what was measured; None where it was not."""

    expectation: Expectation
    measured: float | None

    @property
    def met(self) -> bool:
        return self.measured is not None and _within(self.expectation, self.measured, 0.0)

    @property
    def failed(self) -> bool:
        """Worse than the tolerance allows. What was not measured does not fail: a run may be of one suite."""
        allowed = self.expectation.tolerance
        return (
            not self.expectation.goal
            and self.measured is not None
            and not _within(self.expectation, self.measured, allowed)
        )


def _within(expectation: Expectation, measured: float, tolerance: float) -> bool:
    if expectation.at_least is not None and measured < expectation.at_least * (1 - tolerance):
        return False
    return expectation.at_most is None or measured <= expectation.at_most * (1 + tolerance)


def expectations(file: Path = EXPECTED) -> list[Expectation]:
    """Those of [[ratio]] and of [[goal]]."""
    rows = tomllib.loads(file.read_text("utf-8"))
    return [Expectation(**row) for row in rows["ratio"]] + [
        Expectation(**row, goal=True) for row in rows["goal"]
    ]


def value_at(figures: Mapping[str, Any], path: str) -> float | None:
    """The number at a path; names that hold a dot or space are quoted: peers.sizes."100000".x."""
    here: Any = figures
    for name in _names(path):
        if not isinstance(here, Mapping) or name not in here:
            return None
        here = here[name]
    return float(here) if isinstance(here, int | float) and not isinstance(here, bool) else None


def _names(path: str) -> list[str]:
    quoted = path.split('"')
    names: list[str] = []
    for index, part in enumerate(quoted):
        names += [part] if index % 2 else [name for name in part.split(".") if name]
    return names


def check(results: Mapping[str, Any], file: Path = EXPECTED) -> list[Finding]:
    """Every expectation with what was measured; those for the full run are left out of a quick one."""
    return [
        Finding(expectation, value_at(results["suites"], expectation.path))
        for expectation in expectations(file)
        if not (results["quick"] and expectation.full_only)
    ]


def row(finding: Finding) -> list[str]:
    """What, wanted, measured, verdict."""
    wanted = finding.expectation
    bound = f"≥ {wanted.at_least:g}" if wanted.at_least is not None else f"≤ {wanted.at_most:g}"
    measured = "–" if finding.measured is None else f"{finding.measured:.4g}"
    verdict = "not measured" if finding.measured is None else "yes" if finding.met else "no"
    if finding.measured is not None and not finding.met and not wanted.goal and not finding.failed:
        verdict = "within tolerance"
    return [wanted.name, f"{bound} {wanted.unit}".strip(), f"{measured} {wanted.unit}".strip(), verdict]


def table(findings: list[Finding]) -> str:
    """Lines for a terminal."""
    rows = [["figure", "expected", "measured", "met"], *(row(finding) for finding in findings)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip() for cells in rows
    )
