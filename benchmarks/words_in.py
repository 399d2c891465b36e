"""How fast texts come in by words, beside another state of the project and beside Recoll.

    python -m benchmarks.words_in [--files FOLDER] [--records JSONL] [--before TREE] [--recoll] [--rounds 3] [--out JSON]

Each tree makes a new index, by turns, so that what else the machine does falls on both: of the files of a folder, and of
the records of a file of JSON lines (`_id`, `title`, `text`; one that a judged set has), a thousand at a time. Nothing is
embedded. `seconds` are those until all is durable and found by its words; `processor_s` those of the processor, of the
process and of all that it started, which load on the machine changes less; both are medians of the rounds. Ratios are
medians of the rounds' ratios, now over before; `rate_ratio` is that of passages a second. TREE is a working tree with
its own .venv.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.load import interpreter
from benchmarks.machine import ROOT

_CHILD = """
import json, resource, sys, time
from localsearch import Engine
from localsearch.types import Record

def processor():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)

home, kind, source = sys.argv[1:]
records = []
if kind == "records":
    with open(source, encoding="utf-8") as lines:
        values = map(json.loads, lines)
        records = [Record(value["text"], value["_id"], value.get("title") or "") for value in values]
began, used = time.perf_counter(), processor()
with Engine.open(home) as engine:
    if kind == "files":
        engine.index([source], embed=False)
    for start in range(0, len(records), 1000):
        engine.add(records[start : start + 1000])
    seconds = time.perf_counter() - began
    chunks = len(engine.derived.catalog)
print(json.dumps({"seconds": seconds, "processor_s": processor() - used, "passages": chunks}))
"""


def ours(tree: Path, kind: str, source: Path) -> dict[str, float]:
    """Seconds, seconds of the processor, and passages of one new index that a tree makes."""
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"PYTHONPATH": str(tree), "LOCALSEARCH_OFFLINE": "1"}
        done = subprocess.run(
            [interpreter(tree), "-c", _CHILD, home, kind, str(source)],
            cwd=home,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def recoll(source: Path) -> dict[str, float]:
    """The same of recollindex, with English stems; it counts no passages."""
    with tempfile.TemporaryDirectory() as home:
        lines = [f"topdirs = {source}", "indexstemminglanguages = english", "skippedNames ="]
        Path(home, "recoll.conf").write_text("\n".join(lines) + "\n", "utf-8")
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["recollindex", "-c", home, "-z"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"seconds": time.perf_counter() - began, "processor_s": used, "passages": 0}


def measure(kind: str, source: Path, before: Path | None, beside: bool, rounds: int) -> dict[str, Any]:
    """Medians for each system, and ratios of the rounds."""
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(rounds):
        systems = {"now": lambda: ours(ROOT, kind, source)}
        if before:
            systems["before"] = lambda: ours(before, kind, source)
        if beside and kind == "files":
            systems["recoll"] = lambda: recoll(source)
        for name in list(systems)[:: 1 if number % 2 else -1]:
            found.setdefault(name, []).append(systems[name]())
    figures: dict[str, Any] = {name: _median(rows) for name, rows in sorted(found.items())}
    for other in found.keys() - {"now"}:
        pairs = list(zip(found["now"], found[other], strict=True))
        for unit in ("seconds", "processor_s"):
            ratio = statistics.median(now[unit] / then[unit] for now, then in pairs)
            figures[f"{unit}_ratio_to_{other}"] = round(ratio, 3)
        if other == "before":
            rates = [_rate(now) / _rate(then) for now, then in pairs]
            figures["rate_ratio"] = round(statistics.median(rates), 2)
    return figures


def _rate(row: dict[str, float]) -> float:
    return row["passages"] / row["seconds"]


def _median(rows: list[dict[str, float]]) -> dict[str, float]:
    row = {name: round(statistics.median(each[name] for each in rows), 2) for name in rows[0]}
    return row | {"passages_per_s": round(statistics.median(map(_rate, rows)), 1)}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.words_in",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--files", type=Path, metavar="FOLDER")
    parser.add_argument("--records", type=Path, metavar="JSONL")
    parser.add_argument("--before", type=Path, metavar="TREE")
    parser.add_argument("--recoll", action="store_true", help="beside recollindex, which must be installed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, metavar="JSON")
    arguments = parser.parse_args()
    if arguments.recoll and not shutil.which("recollindex"):
        parser.error("recollindex is not installed")
    sources = {"files": arguments.files, "records": arguments.records}
    report: dict[str, Any] = {"machine": machine.describe(), "load": os.getloadavg()[0]}
    for kind, source in sources.items():
        if source:
            report[kind] = measure(
                kind, source.absolute(), arguments.before, arguments.recoll, arguments.rounds
            )
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
