"""Every shape of model beside sentence-transformers on torch: python -m benchmarks.shapes [--data DIR]

The same weights on both sides: those of a real model where it can be had, else random ones of its shape, which cost the
same. Passages and queries are SciFact's, cut at the same length. Both sides have a process of their own and the same number
of threads; they take turns, after a round that warms up, and the median of the rounds counts. Needs the extra [export]
beside [bench]; a CPU build of torch goes in first.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import datasets, machine
from benchmarks.context import QUICK, Context, default_cache
from benchmarks.peers import model
from benchmarks.peers.adapter import disk
from benchmarks.peers.client import HERE, Peer, Running, running
from benchmarks.tables import Table, megabytes, number
from localsearch.models import ModelStore
from localsearch.models.manifest import Manifest
from localsearch.settings import load

RESULTS = machine.ROOT / "benchmarks" / "results" / "shapes"
TOKENS, THREADS = 256, 2
QUERIES, JUDGED = 8, 20
"""Queries of each round, and passages that a re-ranker scores for a query."""
BERT, XLM = "all-MiniLM-L6-v2", "multilingual-e5-small-q4"
"""The real models, whose tokenizers the others borrow."""
PRECISIONS = ("int8", "fp32")


@dataclass(frozen=True, slots=True)
class Shape:
    """What is measured. `model` is the name of a real one, empty for random weights of the shape that `like` has."""

    key: str
    like: str
    family: str = "bert"
    layers: int = 6
    width: int = 384
    heads: int = 12
    inner: int = 1536
    pieces: int = 30_522
    pooling: str = "mean"
    dense: int = 0
    kind: str = "encoder"
    model: str = ""

    @property
    def title(self) -> str:
        """As the table names it."""
        parts = [
            {"bert": "BERT", "xlm-roberta": "XLM-R", "mpnet": "MPNet", "modernbert": "ModernBERT"}[
                self.family
            ]
        ]
        parts.append(f"{self.layers} layers of {self.width}")
        if self.pieces > 100_000:
            parts.append(f"{self.pieces:,} pieces")
        if self.dense:
            parts.append(f"Dense to {self.dense}")
        return ", ".join([*parts, "cross-encoder" if self.kind == "reranker" else self.pooling])


SHAPES = (
    Shape("bert-6-mean", BERT, model=BERT),
    Shape("bert-6-cls", "snowflake-arctic-embed-xs", pooling="cls"),
    Shape("bert-12-mean", "gte-small", layers=12),
    Shape("bert-12-cls", "bge-small-en-v1.5", layers=12, pooling="cls"),
    Shape("bert-6-dense", "mdbr-leaf-ir", dense=768),
    Shape("bert-12-pieces", XLM, layers=12, pieces=250_037, model=XLM),
    Shape("xlm-r-12", "XLM-R of that size", "xlm-roberta", layers=12, pieces=250_037),
    Shape("mpnet-12", "all-mpnet-base-v2", "mpnet", layers=12, width=768, inner=3072, pieces=30_527),
    Shape(
        "modernbert-12",
        "granite-embedding-small-english-r2",
        "modernbert",
        layers=12,
        pieces=50_368,
        pooling="cls",
    ),
    Shape("cross-6", "ms-marco-MiniLM-L6-v2", kind="reranker"),
    Shape("cross-12", "ms-marco-MiniLM-L12-v2", layers=12, kind="reranker"),
)


@dataclass(frozen=True, slots=True)
class Texts:
    """A file of passages, how many of them are encoded, and queries."""

    file: str
    passages: Sequence[str]
    queries: Sequence[str]


def measure(shape: Shape, texts: Texts, models: Path, work: Path, rounds: int) -> dict[str, Any]:
    """Make or lay out the model, install it, and time both precisions of ours and torch by turns."""
    folder, installed = work / shape.key, work / "installed" / shape.key
    converted: float | None = None
    if shape.model:
        model.write(models / shape.model, folder, TOKENS)
        installed = models / shape.model
    else:
        tokenizer = models / (XLM if shape.pieces > 100_000 else BERT) / "tokenizer.json"
        with _torch(work) as torch:
            torch.make(folder=str(folder), shape=asdict(shape), tokenizer=str(tokenizer), tokens=TOKENS)
        began = time.perf_counter()
        ModelStore(load(work, environ={}, models=installed.parent)).import_folder(folder, shape.key)
        converted = round(time.perf_counter() - began, 1)
    with ExitStack() as stack:
        processes = {name: stack.enter_context(_peer("with_encoder", work)) for name in PRECISIONS}
        loaded = {
            name: process.load(folder=str(installed), precision=name, tokens=TOKENS, threads=THREADS)
            for name, process in processes.items()
        }
        processes["torch"] = stack.enter_context(_torch(work))
        processes["torch"].load(model=str(folder), kind=shape.kind, tokens=TOKENS, threads=THREADS)
        times = _by_turns(processes, texts, rounds)
        vectors = {
            name: _vectors(process, texts, work / f"{name}.npy") for name, process in processes.items()
        }
        peaks = {name: process.usage()["peak"] for name, process in processes.items()}
    sizes = dict.fromkeys(PRECISIONS, disk(str(installed))) | {"torch": disk(str(folder))}
    systems = {
        name: _figures(rows, len(texts.passages)) | {"peak": peaks[name], "disk": sizes[name]}
        for name, rows in times.items()
    }
    dimensions = Manifest.read(installed).card.dimensions
    shutil.rmtree(folder)
    shutil.rmtree(work / "installed", ignore_errors=True)
    return {
        **asdict(shape),
        "title": shape.title,
        "weights": shape.model or "random",
        "dimensions": dimensions,
        "converted_s": converted,
        "graph": loaded["int8"]["graph"],
        "path": loaded["int8"]["path"],
        "alike": {name: _alike(vectors[name], vectors["torch"], shape) for name in PRECISIONS},
        "systems": systems,
        "ratio": round(systems["int8"]["passages_per_s"] / systems["torch"]["passages_per_s"], 2),
        "fastest_ratio": round(systems["int8"]["fastest_per_s"] / systems["torch"]["fastest_per_s"], 2),
        "cpu_ratio": round(systems["torch"]["cpu_ms"] / systems["int8"]["cpu_ms"], 2),
        "query_ratio": round(systems["torch"]["query_ms"] / systems["int8"]["query_ms"], 2),
    }


@dataclass(frozen=True, slots=True)
class Round:
    """What one system took: seconds and processor seconds for the passages, median milliseconds of the queries."""

    seconds: float
    cpu_s: float
    query_ms: float


def _by_turns(processes: Mapping[str, Running], texts: Texts, rounds: int) -> dict[str, list[Round]]:
    passages, count = list(texts.passages[:JUDGED]), len(texts.passages)
    for process in processes.values():
        process.encode(file=texts.file, count=min(16, count))
        process.queries(texts=list(texts.queries[:4]), passages=passages)
    found: dict[str, list[Round]] = {name: [] for name in processes}
    for turn in range(rounds):
        asked = list(texts.queries[turn * QUERIES : (turn + 1) * QUERIES])
        for name, process in processes.items():
            taken = process.encode(file=texts.file, count=count)
            took = process.queries(texts=asked, passages=passages)
            found[name].append(Round(taken["seconds"], taken["cpu_s"], statistics.median(took)))
    return found


def _figures(rounds: Sequence[Round], count: int) -> dict[str, Any]:
    return {
        "passages_per_s": round(statistics.median(count / one.seconds for one in rounds), 2),
        "fastest_per_s": round(max(count / one.seconds for one in rounds), 2),
        "cpu_ms": round(1e3 * statistics.median(one.cpu_s for one in rounds) / count, 2),
        "query_ms": round(statistics.median(one.query_ms for one in rounds), 3),
        "rounds": [[round(count / one.seconds, 2), round(one.query_ms, 3)] for one in rounds],
    }


def _vectors(process: Running, texts: Texts, file: Path) -> np.ndarray[Any, Any]:
    process.encode(file=texts.file, count=min(32, len(texts.passages)), out=str(file))
    return np.asarray(np.load(file))


def _alike(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any], shape: Shape) -> float:
    """The worst cosine to torch's vectors; of a re-ranker the correlation of the scores."""
    if shape.kind == "reranker":
        return round(float(np.corrcoef(ours[:, 0], theirs[:, 0])[0, 1]), 5)
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return round(float(((ours * theirs).sum(1) / norms).min()), 5)


def _torch(work: Path) -> Any:
    return _peer("with_torch", work)


@contextmanager
def _peer(script: str, work: Path) -> Iterator[Running]:
    with running(Peer(script, Path(sys.executable), HERE / f"{script}.py"), work / "log.txt") as process:
        yield process


# --- the table


def table(results: Mapping[str, Any]) -> Table:
    """One row for each shape: ours in 8 bits, and torch's figure after a stroke."""
    heading = [
        "shape",
        "weights",
        "passages/s",
        "times torch",
        "CPU ms",
        "query ms",
        "peak MB",
        "disk MB",
        "likeness",
    ]
    rows = [heading]
    for row in results["shapes"].values():
        ours, theirs = row["systems"]["int8"], row["systems"]["torch"]
        both = [
            f"{number(ours['passages_per_s'])} / {number(theirs['passages_per_s'])}",
            number(row["ratio"], 2),
            f"{number(ours['cpu_ms'])} / {number(theirs['cpu_ms'])}",
            f"{number(ours['query_ms'])} / {number(theirs['query_ms'])}",
            *(f"{megabytes(ours[part])} / {megabytes(theirs[part])}" for part in ("peak", "disk")),
            f"{row['alike']['int8']:.3f}",
        ]
        weights = row["weights"] if row["weights"] != "random" else f"random, as {row['like']}"
        mark = "" if "fused" in row["graph"] else " ¹"
        rows.append([row["title"] + mark, weights, *both])
    about, paths = results["machine"], {row["path"] for row in results["shapes"].values()}
    note = (
        f"localsearch in 8 bits / sentence-transformers on torch ({results['torch']}); a query of a cross-encoder is"
        f" scored with {JUDGED} passages. {results['count']} SciFact abstracts cut at {TOKENS} tokens, {THREADS} threads"
        f" each, by turns, median of {results['rounds']} rounds; {about['processor']}, {about['cores']} cores, at a load of"
        f" {about['load_average'][0]} to {results['load_after']}, kernels"
        f" {', '.join(sorted(paths)) or 'none'}. CPU: processor time of a passage."
        " Peak: memory of a process that encodes and does no more. Likeness: the worst"
        " cosine to torch's vectors, of a cross-encoder the correlation of the scores. Disk: the installed folder, with"
        " weights in both precisions. ¹ exported, on ONNX Runtime's own operators. Commit "
        f"{results['commit']}."
    )
    return Table("shapes", "Shapes of models", rows, note)


def latest() -> Path | None:
    """The committed result that the table in the documents is of."""
    return max(
        RESULTS.glob("*.json"), default=None, key=lambda path: json.loads(path.read_text())["finished"]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shapes", description=__doc__)
    parser.add_argument("--data", type=Path, default=machine.ROOT.parent / "shared" / "bench", metavar="DIR")
    parser.add_argument("--models", type=Path, default=machine.ROOT / "models", metavar="DIR")
    parser.add_argument("--only", nargs="*", choices=[shape.key for shape in SHAPES])
    parser.add_argument("--count", type=int, default=64, help="passages of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    store = ModelStore(load(arguments.models, environ={}, models=arguments.models))
    for name in (BERT, XLM):
        store.pull(name)
    results = _run(arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / f"{machine.commit()}-{machine.name()}.json"
    file.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results).markdown())
    return 0


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    about = machine.describe()
    chosen = [shape for shape in SHAPES if not arguments.only or shape.key in arguments.only]
    with tempfile.TemporaryDirectory(prefix="shapes-") as made:
        work = Path(made)
        texts = _texts(arguments, work)
        with _torch(work) as process:
            version = process.hello()["version"]
        shapes = {}
        for shape in chosen:
            print(shape.title, file=sys.stderr, flush=True)
            shapes[shape.key] = measure(shape, texts, arguments.models, work, arguments.rounds)
    return {
        "commit": machine.commit(),
        "machine": about,
        "load_after": round(os.getloadavg()[0], 2),
        "torch": version,
        "threads": THREADS,
        "tokens": TOKENS,
        "count": arguments.count,
        "rounds": arguments.rounds,
        "finished": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        "shapes": shapes,
    }


def _texts(arguments: argparse.Namespace, work: Path) -> Texts:
    dataset = datasets.find(Context(default_cache(), arguments.data, arguments.models, QUICK), "scifact")
    if dataset is None:
        raise SystemExit(f"scifact is not in {arguments.data}; --data names the folder of judged collections")
    records = [record for record in dataset.records() if record.text.strip()][: arguments.count]
    rows = [{"id": record.id, "title": record.title, "text": record.text} for record in records]
    file = work / "passages.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    queries = list(dataset.queries.values())[: arguments.rounds * QUERIES]
    return Texts(str(file), [f"{row['title']}\n{row['text']}" for row in rows], queries)


if __name__ == "__main__":
    sys.exit(main())
