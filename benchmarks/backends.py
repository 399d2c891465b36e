"""Both backends of vectors side by side: quality on judged collections, latency by stage, memory of each process.

    python -m benchmarks.backends DATA --uri URI [--server PID] [--sets adi,med] [--homes DIR] [--rounds 3] [--out FILE]

DATA holds judged collections in folders of BEIR's layout, URI is a running Milvus, PID its process, whose memory is told.
Each collection is embedded once (`--homes` keeps the indexes), and copied for each backend, which builds its index from
the database. A backend answers in a process of its own; the two are asked by turns, uncached, `--rounds` times. One JSON
object on stdout; `--out FILE` keeps it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.workers import pss_mb
from localsearch import Engine
from localsearch.evaluation.beir import Dataset
from localsearch.evaluation.metrics import ndcg
from localsearch.settings import Settings, load

MODES = ("hybrid", "semantic")
_HANDED_OVER_S = 25.0
"""Seconds in which Milvus puts its graphs in the place of the rough index of new rows."""


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--uri", required=True)
    parser.add_argument("--server", type=int, help="the process of Milvus")
    parser.add_argument("--sets", default="adi,med,cranfield,scifact")
    parser.add_argument("--homes", type=Path, help="where indexes are kept")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs=2, metavar=("BACKEND", "HOME"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments)
    text = json.dumps(measure(arguments), indent=1)
    print(text)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", "utf-8")
    return 0


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every collection on both backends."""
    with tempfile.TemporaryDirectory() as folder:
        homes = arguments.homes or Path(folder) / "homes"
        sets = {
            name: _side_by_side(arguments, name, embedded(arguments.data, homes, name), Path(folder) / name)
            for name in arguments.sets.split(",")
        }
    server = round(pss_mb(arguments.server), 1) if arguments.server else None
    return {
        "commit": machine.commit(),
        "machine": machine.describe(),
        "rounds": arguments.rounds,
        "server_pss_mb": server,
        "sets": sets,
    }


def embedded(data: Path, homes: Path, name: str) -> Path:
    """The index of a collection, made if it is not kept."""
    home = homes / name
    with Engine.open(settings=_settings(home, "faiss", "")) as engine:
        if not engine.corpus.document_count():
            engine.add([one for one in Dataset.load(data / name).records() if one.text.strip()])
        engine.embed_pending()
    return home


def _side_by_side(
    arguments: argparse.Namespace, name: str, home: Path, work: Path
) -> dict[str, dict[str, Any]]:
    children = {}
    for backend in ("faiss", "milvus"):
        shutil.copytree(home, work / backend, ignore=shutil.ignore_patterns("identity.json", "models"))
        children[backend] = _start(arguments, name, backend, work / backend)
    try:
        made = {backend: _ask(one, "build") for backend, one in children.items()}
        rounds: dict[str, list[Any]] = {backend: [] for backend in children}
        for _ in range(arguments.rounds):
            for backend, one in children.items():
                rounds[backend].append(_ask(one, "search"))
        return {
            backend: made[backend] | _merged(rounds[backend]) | _ask(children[backend], "end")
            for backend in children
        }
    finally:
        for one in children.values():
            one.kill()
            one.wait()


def _start(arguments: argparse.Namespace, name: str, backend: str, home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.backends", str(arguments.data), "--uri", arguments.uri]
    command += ["--sets", name, "--child", backend, str(home)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _ask(process: subprocess.Popen[str], what: str) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(what + "\n")
    process.stdin.flush()
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def _merged(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Quality of the last round, and percentiles of the times of all, in milliseconds."""
    found: dict[str, Any] = {}
    for mode in MODES:
        total = np.concatenate([one[mode]["total_ms"] for one in rounds])
        stage = np.concatenate([one[mode]["semantic_ms"] for one in rounds])
        found[mode] = {
            "ndcg_at_10": rounds[-1][mode]["ndcg_at_10"],
            "by_words_only": sum(one[mode]["by_words_only"] for one in rounds),
            **{f"p{p}_ms": round(float(np.percentile(total, p)), 2) for p in (50, 99)},
            **{f"semantic_p{p}_ms": round(float(np.percentile(stage, p)), 2) for p in (50, 99)},
        }
    return found


# -- in the process of one backend


def child(arguments: argparse.Namespace) -> int:
    """Build, search and end as told on standard input, a line of JSON for each."""
    backend, home = arguments.child
    dataset = Dataset.load(arguments.data / arguments.sets)
    with Engine.open(settings=_settings(Path(home), backend, arguments.uri)) as engine:
        for line in sys.stdin:
            print(json.dumps(_done(engine, dataset, line.strip())), flush=True)
    return 0


def _done(engine: Engine, dataset: Dataset, what: str) -> dict[str, Any]:
    semantic = engine.derived.semantic
    assert semantic is not None
    if what == "build":
        began, source = time.perf_counter(), engine.embeddings.of(semantic.version.id)
        semantic.vectors.catch_up()
        ids = source.ids()
        semantic.vectors.publish(semantic.vectors.build(source.stream(ids), len(ids)))
        took = time.perf_counter() - began
        if semantic.vectors.state.backend == "milvus":
            time.sleep(_HANDED_OVER_S)
        return {"vectors": len(ids), "build_s": round(took, 2)}
    if what == "end":
        told = {"pss_mb": round(pss_mb(os.getpid()), 1), "guard": _guard(semantic.vectors.state.guard)}
        _drop(semantic.vectors)
        return told
    return {mode: _asked(engine, dataset, mode) for mode in MODES}


def _asked(engine: Engine, dataset: Dataset, mode: str) -> dict[str, Any]:
    grades, total, stage, words = [], [], [], 0
    for number, judged in dataset.judgements.items():
        began = time.perf_counter()
        answer = engine.search(dataset.queries[number], mode=mode, limit=10, cache=False)  # type: ignore[typeddict-item]
        total.append(round((time.perf_counter() - began) * 1000, 3))
        stage.append(answer.stages.get("semantic", 0.0))
        words += any(note.startswith("Words only") for note in answer.notes)
        grades.append(ndcg([hit.id for hit in answer], judged))
    return {
        "ndcg_at_10": round(float(np.mean(grades)), 4),
        "total_ms": total,
        "semantic_ms": stage,
        "by_words_only": words,
    }


def _guard(counts: Any) -> dict[str, int]:
    return {"whole": counts.whole, "retried": counts.retried, "refused": counts.refused}


def _drop(vectors: Any) -> None:
    """Leave nothing in the engine."""
    if vectors.state.backend == "milvus":
        vectors.server.drop(vectors.generation)


def _settings(home: Path, backend: str, uri: str) -> Settings:
    settings = load(home)
    vectors = replace(settings.vectors, backend=backend, milvus_uri=uri or settings.vectors.milvus_uri)  # type: ignore[arg-type]
    return replace(settings, vectors=vectors)


if __name__ == "__main__":
    raise SystemExit(main())
