"""The models on judged collections: python -m benchmarks.judged_models [--data DIR] [--sets NAME ...] [--models NAME ...]

nDCG@10 of each mode, by `localsearch eval` with `model.name` set, each collection in an index of its own. What was measured
before stays in results/models/judged.json where it is not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.tables import MODES, Table, number

FILE = machine.ROOT / "benchmarks" / "results" / "models" / "judged.json"
MODELS = ("all-MiniLM-L6-v2", "multilingual-e5-small-q4")
SETS = ("adi", "cisi", "cranfield", "med", "nfcorpus", "nq-utd", "scifact", "germanquad", "xquad-zh")


def measure(model: str, collection: Path) -> dict[str, Any]:
    """The collection's size and nDCG@10 by mode."""
    with tempfile.TemporaryDirectory(prefix="judged-") as home:
        Path(home, "settings.toml").write_text(f'[model]\nname = "{model}"\n')
        words = ("--home", home, "--json", "eval", str(collection), "--modes", ",".join(MODES))
        done = subprocess.run(
            [sys.executable, "-m", "localsearch", *words], stdout=subprocess.PIPE, check=True, env=os.environ
        )
    found = json.loads(done.stdout)
    scores = {mode: round(found["modes"][mode]["ndcg@10"], 4) for mode in MODES}
    return {"documents": found["documents"], "queries": found["queries"], **scores}


def table() -> str:
    """Each collection with both models, and the means."""
    models = json.loads(FILE.read_text("utf-8"))["models"]
    rows = [["collection", "lexical", *(f"{mode}, {model}" for mode in MODES[1:] for model in models)]]
    sets = list(next(iter(models.values())))
    columns = [("lexical", MODELS[0]), *((mode, model) for mode in MODES[1:] for model in models)]
    rows += [[name, *(number(models[model][name][mode], 3) for mode, model in columns)] for name in sets]
    means = [sum(models[model][name][mode] for name in sets) / len(sets) for mode, model in columns]
    rows.append(["mean", *(number(mean, 3) for mean in means)])
    note = "nDCG@10; germanquad is German, xquad-zh Chinese, the others English."
    return Table("judged", "", rows, note).markdown()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judged_models", description=__doc__)
    parser.add_argument("--data", type=Path, default=machine.ROOT.parent / "shared" / "bench", metavar="DIR")
    parser.add_argument("--sets", nargs="*", choices=SETS, default=SETS)
    parser.add_argument("--models", nargs="*", default=MODELS)
    arguments = parser.parse_args()
    results = json.loads(FILE.read_text("utf-8"))
    for model in arguments.models:
        for name in arguments.sets:
            row = measure(model, arguments.data / name)
            results["models"].setdefault(model, {})[name] = row
            print(model, name, row, flush=True)
            FILE.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
