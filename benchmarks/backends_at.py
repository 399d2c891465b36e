"""Both backends of vectors over many passages, by turns: python -m benchmarks.backends_at --uri URI --server PID

    [--count 100000] [--real N] [--rounds 3] [--cache DIR] [--out FILE]

URI is a running Milvus with the settings of deploy/scale, PID its process. Passages are those of `benchmarks.passages`. The
first N have vectors of their own, each of the rest one made of two of these, as in `benchmarks.million`: times, memory and
recall are those of so many vectors. Questions are made of passages that have their own, and the passage that one is made of
is what it shall find; that gives nDCG@10.

Each backend answers in a process of its own. Filters are by a number among the metadata, which Milvus has not, as it has
not the path: what it finds is held against the database, and `asked` is how often a question had to ask Milvus. At last
documents come in all the while, and the guard's counts are those of searches meanwhile. One JSON object on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import homes, machine, passages
from benchmarks.backends import MODES, _ask, _drop, _guard, _settings
from benchmarks.context import FULL, Context, default_cache
from benchmarks.million import _write, made
from benchmarks.vectors import ensure
from benchmarks.workers import pss_mb
from localsearch import Engine, Record
from localsearch.evaluation.metrics import ndcg

QUESTIONS, LIMIT = 200, 10
SHARES = {"all": None, "half": 500, "fifth": 200, "ninth": 110, "tenth": 100, "hundredth": 10}
"""Of a thousand numbers that documents have by turns, how many a filter lets through."""
WRITES_S, WRITTEN, PAUSE_S = 60.0, 20, 0.5
"""Seconds of writing, documents that come in at once, and the pause after them."""
_SETTLED_S = 300.0
"""Seconds that Milvus has to build its graphs and to load them in the place of the rows themselves."""


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uri", required=True)
    parser.add_argument("--server", type=int, required=True, help="the process of Milvus")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--real", type=int, default=100_000, help="passages that are embedded")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=default_cache())
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


def _models() -> Path:
    return Path(os.environ.get("LOCALSEARCH_MODELS", machine.ROOT / "models"))


class Blended(Context):
    """Passages of which the first have their own vectors."""

    real = 100_000

    def vectors(self, count: int) -> Path:
        own = ensure(self, min(count, self.real))
        if count <= self.real:
            return own
        file = self.cache / f"made-{self.real}-{count}.npy"
        if not file.exists():
            _write(file, made(np.load(own).astype(np.float32), count))
        return file.absolute()


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Both backends over the same index of passages."""
    context = Blended(arguments.cache, Path(), _models(), FULL, log=arguments.cache / "peers.log")
    Blended.real = arguments.real
    load = os.getloadavg()[0]
    home, built = homes.ensure(context, arguments.count)
    before = round(pss_mb(arguments.server), 1)
    with tempfile.TemporaryDirectory(dir=arguments.cache) as folder:
        found = _side_by_side(arguments, Path(home), Path(folder))
    return {
        "commit": machine.commit(),
        "machine": machine.describe(),
        "passages": arguments.count,
        "own_vectors": min(arguments.real, arguments.count),
        "packages": sorted(
            {one.source.split("/")[0] for one in passages.read(context.passages, arguments.count)}
        ),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
        "rounds": arguments.rounds,
        "built": {name: built[name] for name in ("words_s", "vectors_s", "chunks", "embedded")},
        "server_pss_mb": {"empty": before, **found.pop("server")},
        **found,
    }


def _side_by_side(arguments: argparse.Namespace, home: Path, work: Path) -> dict[str, Any]:
    children: dict[str, subprocess.Popen[str]] = {}
    for backend in ("faiss", "milvus"):
        shutil.copytree(home, work / backend, ignore=shutil.ignore_patterns("identity.json", "models"))
        children[backend] = _start(arguments, backend, work / backend)
    try:
        found = {backend: _ask(one, "build") for backend, one in children.items()}
        server = {"loaded": round(pss_mb(arguments.server), 1)}
        rounds: dict[str, list[Any]] = {backend: [] for backend in children}
        for _ in range(arguments.rounds):
            for backend, one in children.items():
                rounds[backend].append(_ask(one, "search"))
        for backend, one in children.items():
            found[backend] |= _merged(rounds[backend]) | _ask(one, "filters") | _ask(one, "memory")
        server["searched"] = round(pss_mb(arguments.server), 1)
        for backend, one in children.items():
            found[backend] |= _ask(one, "recall") | _ask(one, "writes") | _ask(one, "end")
        server["written"] = round(pss_mb(arguments.server), 1)
        return {"server": server, **found}
    finally:
        for one in children.values():
            one.kill()
            one.wait()


def _start(arguments: argparse.Namespace, backend: str, home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.backends_at", "--uri", arguments.uri]
    command += ["--server", str(arguments.server), "--cache", str(arguments.cache)]
    command += ["--child", backend, str(home)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _merged(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Quality of the last round, and percentiles of all, of each stage in milliseconds."""
    found: dict[str, Any] = {}
    for mode in MODES:
        stages = {
            name: [ms for one in rounds for ms in one[mode]["stages"][name]]
            for name in rounds[0][mode]["stages"]
        }
        found[mode] = {
            "ndcg_at_10": rounds[-1][mode]["ndcg_at_10"],
            "by_words_only": sum(one[mode]["by_words_only"] for one in rounds),
            "questions": sum(one[mode]["questions"] for one in rounds),
            "stages": {name: _percentiles(sample) for name, sample in stages.items()},
        }
    return found


def _percentiles(sample: list[float]) -> dict[str, float]:
    return {f"p{p}_ms": round(float(np.percentile(sample, p)), 2) for p in (50, 99)}


# -- in the process of one backend


def child(arguments: argparse.Namespace) -> int:
    """Build, search and end as told on standard input, a line of JSON for each."""
    backend, home = arguments.child
    settings = _settings(Path(home), backend, arguments.uri)
    settings = replace(settings, models=_models(), caches=replace(settings.caches, query_vectors_days=0.0))
    some = passages.read(passages.build(arguments.cache), QUESTIONS)
    asked = passages.Queries.of(some)
    questions = [pair for two in zip(asked.keywords, asked.sentences, strict=True) for pair in two][
        :QUESTIONS
    ]
    with Engine.open(settings=settings) as engine:
        one = Measured(engine, questions, some)
        for line in sys.stdin:
            print(json.dumps(getattr(one, line.strip())()), flush=True)
    return 0


class Measured:
    """What one process measures, each method a word of the line that it is told."""

    def __init__(
        self, engine: Engine, questions: list[tuple[str, str]], some: list[passages.Passage]
    ) -> None:
        assert engine.derived.semantic is not None
        self.engine, self.questions, self.some = engine, questions, some
        self.semantic = engine.derived.semantic
        self.index = self.semantic.vectors
        self.is_milvus = self.index.state.backend == "milvus"

    def build(self) -> dict[str, Any]:
        """FAISS has its graph with the home; Milvus is sent every vector."""
        began = time.perf_counter()
        if self.is_milvus:
            self.index.catch_up()
        took = round(time.perf_counter() - began, 1)
        return {"vectors": len(self.index), "filled_s": took, **(self._settled() if self.is_milvus else {})}

    def _settled(self) -> dict[str, Any]:
        """Wait until Milvus has a graph of every row, and has loaded it."""
        server, name = self.index.server, self.index.generation  # type: ignore[attr-defined]
        began = time.monotonic()
        while time.monotonic() - began < _SETTLED_S and (server.unindexed(name, 0) or server.unloaded(name)):
            time.sleep(0.5)
        left = {"without_graph": server.unindexed(name, 0), "not_taken_over": server.unloaded(name)}
        return {"settled_s": round(time.monotonic() - began, 1), **left}

    def search(self) -> dict[str, Any]:
        return {mode: self._asked(mode) for mode in MODES}

    def _asked(self, mode: str) -> dict[str, Any]:
        stages: dict[str, list[float]] = {}
        grades, words = [], 0
        for text, wanted in self.questions:
            began = time.perf_counter()
            answer = self.engine.search(text, mode=mode, limit=LIMIT, cache=False)  # type: ignore[arg-type]
            for name, ms in {"whole": (time.perf_counter() - began) * 1e3, **answer.stages}.items():
                stages.setdefault(name, []).append(round(ms, 3))
            words += _is_by_words(answer)
            grades.append(ndcg([hit.id for hit in answer], {wanted: 1}))
        ndcg_at_10 = round(float(np.mean(grades)), 4)
        return {"ndcg_at_10": ndcg_at_10, "by_words_only": words, "questions": len(grades), "stages": stages}

    def recall(self) -> dict[str, Any]:
        """Of the ten nearest by every vector, and milliseconds for candidates alone, of which so many by this process."""
        ids, vectors = self.engine.embeddings.vectors_of(
            self.semantic.version.id, self.engine.embeddings.embedded_ids(self.semantic.version.id)
        )
        encoder = self.semantic.model.encoder()
        found, took, cpu = 0, [], []
        for text, _ in self.questions:
            query = encoder.encode_query(text)
            began, used = time.perf_counter(), time.process_time()
            nearest = self.index.search(query, 10)
            took.append((time.perf_counter() - began) * 1e3)
            cpu.append((time.process_time() - used) * 1e3)
            truth = ids[np.argsort(vectors @ query)[-10:]]
            found += len(np.intersect1d(nearest.ids, truth))
        return {
            "recall_at_10": round(found / (10 * len(took)), 4),
            "candidates": _percentiles(took) | {"own_cpu_p50_ms": round(float(np.median(cpu)), 2)},
        }

    def filters(self) -> dict[str, Any]:
        """Semantic searches under filters that Milvus cannot tell: times, and how often each asked Milvus."""
        told = {}
        for name, keep in SHARES.items():
            calls = Calls(self.index.server) if self.is_milvus else None  # type: ignore[attr-defined]
            filters = None if keep is None else {"bucket": {"$lt": keep}}
            took, short = [], 0
            for text, _ in self.questions[:60]:
                began = time.perf_counter()
                answer = self.engine.search(text, mode="semantic", limit=LIMIT, cache=False, filters=filters)
                took.append((time.perf_counter() - began) * 1e3)
                short += len(answer.results) < LIMIT
            told[name] = _percentiles(took) | {"short": short, **(calls.end() if calls else {})}
        return {"filters": told}

    def memory(self) -> dict[str, Any]:
        return {"pss_mb": round(pss_mb(os.getpid()), 1)}

    def writes(self) -> dict[str, Any]:
        """Searches while documents come in: what the guard made of them."""
        before, stop, written = _guard(self.index.state.guard), threading.Event(), Counter[str]()
        thread = threading.Thread(target=self._write, args=(stop, written))
        thread.start()
        until, took, outcomes = time.monotonic() + WRITES_S, [], Counter[str]()
        number = 0
        while time.monotonic() < until:
            number += 1
            began = time.perf_counter()
            answer = self.engine.search(
                self.questions[number % len(self.questions)][0], mode="hybrid", limit=LIMIT, cache=False
            )
            took.append((time.perf_counter() - began) * 1e3)
            outcomes["by words only" if _is_by_words(answer) else "both"] += 1
            time.sleep(0.02)
        stop.set()
        thread.join()
        after = _guard(self.index.state.guard)
        guard = {name: after[name] - before[name] for name in after}
        return {"writes": {"guard": guard, **outcomes, **written, **_percentiles(took)}}

    def _write(self, stop: threading.Event, written: Counter[str]) -> None:
        """New documents, and changed ones, embedded and fed as they come."""
        random = np.random.default_rng(3)
        while not stop.is_set():
            chosen = random.integers(0, len(self.some), WRITTEN)
            records = [
                Record(f"{self.some[n].text} {random.integers(1 << 30)}", f"written-{random.integers(500)}")
                for n in chosen.tolist()
            ]
            self.engine.add(records)
            self.engine.embed_pending()
            written["documents"] += len(records)
            written["batches"] += 1
            stop.wait(PAUSE_S)

    def end(self) -> dict[str, Any]:
        told = {"guard": _guard(self.index.state.guard)}
        _drop(self.index)
        return told


class Calls:
    """Counts how often a server is asked for the nearest."""

    def __init__(self, server: Any) -> None:
        self._server, self._search = server, server.search
        self.asked = self.rows = 0
        server.search = self._counted

    def _counted(self, name: str, query: Any, k: int, expression: str = "") -> Any:
        self.asked += 1
        self.rows += k
        return self._search(name, query, k, expression)

    def end(self) -> dict[str, float]:
        self._server.search = self._search
        return {"asked": round(self.asked / 60, 2), "rows": round(self.rows / 60)}


def _is_by_words(answer: Any) -> bool:
    return any(note.startswith("Words only") for note in answer.notes)


if __name__ == "__main__":
    raise SystemExit(main())
