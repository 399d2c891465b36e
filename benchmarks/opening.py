"""How long a large index takes to open and what memory it holds, beside another state of the project.

    python -m benchmarks.opening [--count 1000000] [--home FOLDER] [--before TREE] [--rounds 5] [--out JSON]

Neither depends on how long texts are or on what vectors mean, so both are made, a document for each passage: building
takes a third of the time of benchmarks.million. An index of a tenth of them stands beside it. Each tree opens both by
turns, in new processes, and asks a hundred questions of each kind; medians of the rounds are told. `own` is memory
that no file backs; `own_bytes_per_passage` is what it grows by from the smaller to the larger index.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.context import default_cache
from benchmarks.load import interpreter
from benchmarks.machine import ROOT
from localsearch import Engine, Record
from localsearch.types import Vectors

BATCH = 2_000
CENTRES = 2_000
_CHILD = """
import json, sys, time
from localsearch import Engine

def own():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))

home, words = sys.argv[1], sys.argv[2].split()
began, used = time.perf_counter(), time.process_time()
engine = Engine.open(home)
row = {"open_s": time.perf_counter() - began, "processor_s": time.process_time() - used, "opened_mb": own()}
for mode in ("lexical", "semantic", "hybrid"):
    for first, second in zip(words, words[1:]):
        engine.search(first + " " + second, mode=mode, cache=False)
row["asked_mb"] = own()
print(json.dumps(row))
"""


def texts(count: int) -> Iterator[str]:
    """Passages of twelve words drawn from 20,000, the n-th with weight 1/n (seed 7), each with a number of its own."""
    draw = random.Random(7)
    words = vocabulary()
    weights = np.cumsum([1 / (place + 1) for place in range(len(words))]).tolist()
    for number in range(count):
        yield " ".join([*draw.choices(words, cum_weights=weights, k=12), str(number)])


def vocabulary() -> list[str]:
    syllables = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]
    draw = random.Random(7)
    return ["".join(draw.choices(syllables, k=3)) for _ in range(20_000)]


def vectors(count: int, dimensions: int, seed: int) -> Vectors:
    """Unit vectors around centres, which are the same for every seed."""
    centres = np.random.default_rng(7).standard_normal((CENTRES, dimensions), np.float32)
    draw = np.random.default_rng(seed)
    made = centres[draw.integers(CENTRES, size=count)] + draw.standard_normal((count, dimensions), np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def build(home: Path, count: int) -> None:
    """Make the index unless it is there; what was begun and not ended goes on."""
    with Engine.open(home) as engine:
        numbered = enumerate(texts(count))
        while rows := list(islice(numbered, BATCH)):
            if rows[-1][0] >= engine.status().chunks:
                engine.add([Record(text, str(number)) for number, text in rows])
        _embed(engine)
        engine.embed_pending()


def _embed(engine: Engine) -> None:
    """Store a made vector for each chunk, by its hash, as `embed_pending` would; it then builds the graph."""
    semantic = engine.ensure_version()
    assert semantic, "the model is not here"
    version = semantic.version
    seed = 0
    while pending := engine.embeddings.pending(version.id, BATCH):
        seed += 1
        hashes = [chunk.hash for chunk in pending]
        found = dict(zip(hashes, vectors(len(hashes), version.dimensions, seed), strict=True))
        engine.derived.add_vectors(version.id, found, {chunk.chunk_id: chunk.hash for chunk in pending})


def opened(tree: Path, home: Path) -> dict[str, float]:
    """What one tree takes to open an index and to answer, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(tree), "LOCALSEARCH_OFFLINE": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [interpreter(tree), "-c", _CHILD, str(home), " ".join(vocabulary()[:101])]
    done = subprocess.run(command, cwd=home, env=environment, check=True, capture_output=True, text=True)
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return row


def measure(homes: dict[int, Path], trees: dict[str, Path], rounds: int) -> dict[str, Any]:
    """Medians of each tree at each size, and what a passage more costs it."""
    rows: dict[tuple[str, int], list[dict[str, float]]] = {}
    for number in range(rounds + 1):
        for name, tree in list(trees.items())[:: 1 if number % 2 else -1]:
            for count, home in homes.items():
                row = opened(tree, home)
                if number:  # the first round reads files into memory and compiles
                    rows.setdefault((name, count), []).append(row)
    return {name: _figures({count: _medians(rows[name, count]) for count in homes}) for name in trees}


def _medians(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0]}


def _figures(sizes: dict[int, dict[str, float]]) -> dict[str, Any]:
    (few, small), (many, large) = sorted(sizes.items())
    own = {
        name: round((large[name] - small[name]) * 2**20 / (many - few), 1)
        for name in ("opened_mb", "asked_mb")
    }
    return {**{str(count): row for count, row in sizes.items()}, "own_bytes_per_passage": own}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.opening",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--home", type=Path, default=default_cache() / "opening", metavar="FOLDER")
    parser.add_argument("--before", type=Path, metavar="TREE", help="a working tree with its own .venv")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, metavar="JSON")
    arguments = parser.parse_args()
    homes = {
        count: arguments.home.absolute() / str(count) for count in (arguments.count // 10, arguments.count)
    }
    for count, home in homes.items():
        build(home, count)
    trees = {"now": ROOT} | ({"before": arguments.before.absolute()} if arguments.before else {})
    report = {
        "commit": machine.commit(),
        "machine": machine.describe(),
        **measure(homes, trees, arguments.rounds),
    }
    text = json.dumps(report, indent=1) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
