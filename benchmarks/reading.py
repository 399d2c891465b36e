"""Speed of the readers, beside another state of the project: python -m benchmarks.reading FOLDER ... [--before TREE]

Every file is read by turns by this tree and by the other one, as indexing reads it: by one confined worker process, from
opening to the answer. The first reading warms up and is not counted; of the others the fastest counts, as whatever
else the machine does only adds. TREE is a working tree of the project with its own .venv. The ratio is files per
second now over those before, of the files that both read.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT

ROUNDS = 5
"""Timed readings of each file."""
LARGEST = 20_000_000
_READ = """
import json, sys, time
from dataclasses import replace
from pathlib import Path
from localsearch.extract import Extractor
from localsearch.settings import ExtractSettings
later = {"recognise": "later"} if hasattr(ExtractSettings, "recognise") else {}
with Extractor(replace(ExtractSettings(), workers=1, **later)) as extractor:
    for line in sys.stdin:
        path = Path(json.loads(line))
        began = time.perf_counter()
        try:
            found = extractor.extract(path)
        except Exception:
            found = ()
        spent = time.perf_counter() - began
        pages = sum(extract.metadata.get("pages", 1) for extract in found)
        kind = found[0].type if found else ""
        print(json.dumps([kind, sum(len(extract.text) for extract in found), pages, spent]), flush=True)
import resource
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, flush=True)
"""


class Reader:
    """A process that reads files with the readers of one tree."""

    def __init__(self, tree: Path) -> None:
        python = tree / ".venv" / "bin" / "python"
        self._process = subprocess.Popen(
            [str(python), "-c", _READ],
            cwd=tree,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def read(self, path: Path) -> tuple[str, int, int, float]:
        """Type, characters, pages and seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(str(path)) + "\n")
        self._process.stdin.flush()
        kind, length, pages, spent = json.loads(self._process.stdout.readline())
        return kind, length, pages, spent

    def close(self) -> int:
        """End it; the most megabytes of memory that the worker had."""
        kilobytes, _ = self._process.communicate()
        return int(kilobytes) // 1000


def files(folders: Iterable[Path], most: int) -> Iterator[Path]:
    """Files of the folders, of each ending at most so many of each folder, spread evenly over it."""
    for folder in folders:
        by_ending: defaultdict[str, list[Path]] = defaultdict(list)
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if path.is_file() and 0 < path.stat().st_size < LARGEST:
                by_ending[path.suffix.lower()].append(path)
        for paths in by_ending.values():
            yield from paths[:: max(1, len(paths) // most)][:most]


def measure(paths: list[Path], before: Path | None, rounds: int = ROUNDS) -> dict[str, Any]:
    """For each type: files, pages, megabytes of text, seconds by either tree, and their ratio."""
    trees = {"now": ROOT, **({"before": before} if before else {})}
    readers = {name: Reader(tree) for name, tree in trees.items()}
    rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in paths:
        row: dict[str, Any] = {"file": path.name}
        found = {name: [reader.read(path)] for name, reader in readers.items()}
        for _ in range(rounds):
            for name, reader in readers.items():
                found[name].append(reader.read(path))
        for name, readings in found.items():
            row[name] = min(reading[3] for reading in readings[1:])
            row[f"{name} read"] = bool(readings[0][0])
        kind, length, pages = found["now"][0][:3]
        row |= {
            "pages": pages,
            "characters": length,
            "characters before": found.get("before", [("", 0)])[0][1],
        }
        rows[kind or "not read"].append(row)
    peaks = {name: reader.close() for name, reader in readers.items()}
    return {"kinds": {kind: summary(found) for kind, found in sorted(rows.items())}, "peak_mb": peaks}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One type's figures; the ratio over files that both trees read."""
    both = [row for row in rows if row["now read"] and row.get("before read")]
    result: dict[str, Any] = {
        "files": len(rows),
        "files_s": round(len(rows) / max(1e-9, sum(row["now"] for row in rows)), 1),
        "pages_s": round(sum(row["pages"] for row in rows) / max(1e-9, sum(row["now"] for row in rows)), 1),
        "characters": sum(row["characters"] for row in rows),
    }
    if both:
        now, before = sum(row["now"] for row in both), sum(row["before"] for row in both)
        result |= {"compared": len(both), "ratio": round(before / max(1e-9, now), 2)}
        result["median_ratio"] = round(
            statistics.median(row["before"] / max(1e-9, row["now"]) for row in both), 2
        )
        more = sum(row["characters"] for row in both) / max(1, sum(row["characters before"] for row in both))
        result["characters_ratio"] = round(before / max(1e-9, now) * more, 2)
        slowest = sorted(both, key=lambda row: row["before"] - row["now"])[:3]
        result["slowest"] = [
            f"{row['file']}: {row['before'] * 1000:.1f} → {row['now'] * 1000:.1f} ms, "
            f"{row['characters before']} → {row['characters']} characters"
            for row in slowest
        ]
    return result


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reading",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--before", type=Path, metavar="TREE")
    parser.add_argument("--most", type=int, default=60, help="files of each ending in each folder")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="timed readings of each file; more on a busy machine"
    )
    parser.add_argument("--out", type=Path, metavar="JSON")
    arguments = parser.parse_args()
    report = measure(list(files(arguments.folders, arguments.most)), arguments.before, arguments.rounds)
    print(json.dumps(report, indent=1, ensure_ascii=False))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
