"""Side by side with what people use today: latency by size, filters, memory, disk, and quality."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import alternate, datasets, homes
from benchmarks.context import Context, ratio
from benchmarks.peers import environments
from benchmarks.peers.client import Peer, PeerError, Running
from benchmarks.suites.indexing import _rows
from benchmarks.vectors import ensure as ensure_vectors
from localsearch.evaluation.beir import Dataset
from localsearch.evaluation.metrics import mrr, ndcg, recall

MODES = ("lexical", "semantic", "hybrid")
SHARES = {"10%": 100, "1%": 10, "0.1%": 1}
SLOW = ("stack", "txtai", "qdrant")
"""Asked fewer queries: each takes long enough that few say the same."""
LARGEST = {"qdrant": 10_000}
"""Local mode is meant for small collections, says its documentation, and stores points one by one."""
WORDS_ONLY = ("bm25s", "fts5", "recoll")


def run(context: Context) -> dict[str, Any]:
    peers = context.peers()
    said = {}
    for key, peer in {"localsearch": environments.ours(), **peers}.items():
        if peer.ready:
            with context.run(peer, model=False) as process:
                said[key] = process.hello()
    sizes = {str(count): _size(context, peers, count) for count in context.sizes.peers_corpus}
    judged = {
        name: _judged(context, peers, dataset)
        for name in context.sizes.peer_sets
        if (dataset := datasets.find(context, name))
    }
    return {"systems": said, "missing": environments.missing(context.cache), "sizes": sizes, "judged": judged}


# --- latency


def _size(context: Context, peers: dict[str, Peer], count: int) -> dict[str, Any]:
    """Every system with the same passages and the same vectors, its processes alive at once, asked by turns."""
    figures: dict[str, Any] = {}
    folders: dict[str, str] = {"localsearch": homes.ensure(context, count)[0]}
    for key, peer in peers.items():
        if not peer.ready or count > LARGEST.get(key, count):
            reason = "not installed" if not peer.ready else f"not beyond {LARGEST[key]} passages"
            figures[key] = {"cannot": reason}
            continue
        try:
            folders[key], figures[key] = _peer_home(context, peer, count)
        except PeerError as error:
            figures[key] = {"cannot": str(error)}
    figures["localsearch"] = _own_figures(context, count)
    systems = {"localsearch": environments.ours(), **peers}
    for key in [key for key in folders if key != "localsearch"]:
        context.say(f"peers: {count} passages, {key}")
        with ExitStack() as stack:
            processes = {
                name: stack.enter_context(_opened(context, systems[name], folders[name]))
                for name in ("localsearch", key)
            }
            _compare(context, processes, key, figures)
    return figures


def _own_figures(context: Context, count: int) -> dict[str, Any]:
    _, built = homes.ensure(context, count)
    return {name: built[name] for name in ("words_s", "vectors_s", "disk") if name in built}


def _opened(context: Context, peer: Peer, home: str) -> Any:
    """A context manager: the peer's process with its index open."""
    from contextlib import contextmanager

    @contextmanager
    def opened() -> Any:
        with context.run(peer) as process:
            process.open(home=home)
            yield process

    return opened()


def _compare(context: Context, processes: dict[str, Running], key: str, figures: dict[str, Any]) -> None:
    """Both systems on the same queries by turns: each mode the peer has, filters, memory afterwards."""
    hello = processes[key].hello()
    slow = context.sizes.slow_queries
    queries = context.queries(slow if key in SLOW else max(slow, context.sizes.queries // 4))
    mine, theirs = figures["localsearch"], figures[key]
    for mode in hello["modes"]:
        answer = alternate.search(processes, queries, mode)
        theirs[mode] = answer[key] | {
            "ours_p50": answer["localsearch"]["p50"],
            "ratio": ratio(answer["localsearch"]["p50"], answer[key]["p50"]),
        }
        mine.setdefault(mode, answer["localsearch"])
    if "filter" not in hello["cannot"]:
        mode = "semantic" if "semantic" in hello["modes"] else "lexical"
        theirs["filtered"] = {
            share: alternate.search({key: processes[key]}, queries[:slow], mode, keep=keep)[key]
            for share, keep in SHARES.items()
        }
    theirs["memory_mb"] = round(processes[key].memory()["rss"] / 2**20, 1)
    mine["memory_mb"] = round(processes["localsearch"].memory()["rss"] / 2**20, 1)


def _peer_home(context: Context, peer: Peer, count: int) -> tuple[str, dict[str, Any]]:
    """A peer's index of the first passages, kept between runs: it depends on nothing of ours."""
    with context.run(peer, model=False) as process:
        version = process.hello()["version"]
    parent = context.cache / "peer-homes" / peer.key / str(count)
    figures = parent / "figures.json"
    if figures.exists() and (known := json.loads(figures.read_text()))["version"] == version:
        return str((parent / "home").absolute()), known["built"]
    shutil.rmtree(parent, ignore_errors=True)
    parent.mkdir(parents=True)
    context.say(f"peers: building {count} passages in {peer.key}")
    built = _build(context, peer, str(context.passages.absolute()), count, str((parent / "home").absolute()))
    figures.write_text(json.dumps({"version": version, "built": built}, indent=2))
    return str((parent / "home").absolute()), built


def _build(context: Context, peer: Peer, file: str, count: int, home: str) -> dict[str, Any]:
    """Index with vectors handed in, so that only what a system itself does is measured."""
    given = None if peer.key in WORDS_ONLY else str(ensure_vectors(context, count))
    with context.run(peer) as process:
        built = process.build(file=file, count=count, home=home, vectors=given)
        return {
            "build_s": round(built["seconds"], 2),
            "disk": built["disk"],
            "build_peak_mb": round(process.usage()["peak"] / 2**20, 1),
        }


# --- quality


def _judged(context: Context, peers: dict[str, Peer], dataset: Dataset) -> dict[str, Any]:
    """nDCG@10, recall@100 and MRR@10 of each peer, all given the same vectors."""
    figures: dict[str, Any] = {}
    file = _rows(context, dataset)
    count = Path(file).read_bytes().count(b"\n")
    vectors = _judged_vectors(context, file, count)
    for key, peer in peers.items():
        if not peer.ready:
            figures[key] = {"cannot": "not installed"}
            continue
        context.say(f"peers: {dataset.name}, {key}")
        try:
            figures[key] = _scores(context, peer, dataset, file, count, vectors)
        except PeerError as error:
            figures[key] = {"cannot": str(error)}
    return figures


def _judged_vectors(context: Context, file: str, count: int) -> str:
    """Vectors in fp32, made once. Ours makes them: it agrees with sentence-transformers to a cosine of 0.9999."""
    out = Path(file).with_suffix(".fp32.npy")
    if not out.exists():
        context.say(f"peers: embedding {Path(file).name}")
        written = out.with_name(f"partial-{out.name}")
        with context.ours(precision="fp32") as ours:
            ours.encode(file=file, count=count, out=str(written))
        written.rename(out)
    return str(out)


def _scores(
    context: Context, peer: Peer, dataset: Dataset, file: str, count: int, vectors: str
) -> dict[str, Any]:
    given = None if peer.key in WORDS_ONLY else vectors
    with context.folder() as home, context.run(peer) as process:
        process.build(file=file, count=count, home=home, vectors=given)
        process.open(home=home)
        names = list(dataset.queries)
        found = {}
        for mode in process.hello()["modes"]:
            texts = [dataset.queries[name] for name in names]
            answer = process.search(queries=texts, mode=mode, limit=100)
            found[mode] = _means(dict(zip(names, answer["ids"], strict=True)), dataset)
        return found


def _means(runs: dict[str, list[str]], dataset: Dataset) -> dict[str, float]:
    values = {
        "ndcg@10": [ndcg(ids, dataset.judgements[name]) for name, ids in runs.items()],
        "recall@100": [recall(ids, dataset.judgements[name]) for name, ids in runs.items()],
        "mrr@10": [mrr(ids, dataset.judgements[name]) for name, ids in runs.items()],
    }
    return {name: round(sum(sample) / len(sample), 5) for name, sample in values.items()}
