"""Run suites, keep each result by the state of the code, and put them together in one file per commit and machine."""

from __future__ import annotations

import importlib
import json
import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.context import Context

SUITES = ("quality", "indexing", "scale", "latency", "memory", "ann", "http", "peers")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: which suites, and whether results made by the same code are made anew."""

    suites: tuple[str, ...]
    fresh: bool = False


def run(context: Context, plan: Plan) -> dict[str, Any]:
    """Run what has no result yet; a suite that fails is told and does not stop the others."""
    for suite in plan.suites:
        file = _kept(context, suite)
        if plan.fresh or not file.exists():
            _run_one(context, suite, file)
    return collect(context)


def _kept(context: Context, suite: str) -> Path:
    kind = "quick" if context.quick else "full"
    return context.cache / "runs" / f"{machine.state()}-{machine.name()}-{kind}" / f"{suite}.json"


def _run_one(context: Context, suite: str, file: Path) -> None:
    context.say(f"== {suite}")
    before, began = machine.describe()["load_average"], time.perf_counter()
    try:
        figures = importlib.import_module(f"benchmarks.suites.{suite}").run(context)
    except Exception as error:
        traceback.print_exc()
        context.say(f"== {suite} failed: {error}")
        return
    result = {
        "suite": suite,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": machine.commit(),
        "seconds": round(time.perf_counter() - began, 1),
        "load_average_before": before,
        "figures": figures,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1), "utf-8")
    context.say(f"== {suite} took {result['seconds']} s")


def collect(context: Context) -> dict[str, Any]:
    """All results of this code on this machine, with the machine described."""
    found = {}
    for suite in SUITES:
        file = _kept(context, suite)
        if file.exists():
            found[suite] = json.loads(file.read_text())
    return {
        "commit": machine.commit(),
        "state": machine.state(),
        "quick": context.quick,
        "machine": machine.describe(),
        "suites": {suite: row["figures"] for suite, row in found.items()},
        "runs": {suite: {k: v for k, v in row.items() if k != "figures"} for suite, row in found.items()},
    }


def write(results: dict[str, Any], out: Path) -> Path:
    """results/COMMIT-MACHINE.json, `-quick` in its name where it is one; returns the file."""
    out.mkdir(parents=True, exist_ok=True)
    kind = "-quick" if results["quick"] else ""
    file = out / f"{results['commit'].rstrip('+')}-{results['machine']['name']}{kind}.json"
    file.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    return file
