"""What one query takes in process: cold, warm, cached, filtered, by mode and by stage; and the start of a program."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

from benchmarks import homes
from benchmarks.context import LIMIT, Context, percentiles, ratio
from benchmarks.peers.client import PeerError

MODES = ("lexical", "semantic", "hybrid")
SHARES = {"10%": 100, "1%": 10, "0.1%": 1}
STARTS = 5
WARM = 20


def run(context: Context) -> dict[str, Any]:
    """Figures at the main size of the corpus, every passage embedded."""
    count = context.sizes.main
    home, _ = homes.ensure(context, count)
    queries = context.queries(context.sizes.queries)
    others = context.queries(context.sizes.queries, start=len(queries))
    context.say(f"latency: {count} passages")
    figures: dict[str, Any] = {"passages": count, "limit": LIMIT, "cold": _cold(context, home, queries)}
    with context.ours() as ours:
        ours.open(home=home)
        figures["query_encoding"] = percentiles(ours.query_vectors(texts=queries)["ms"])
        ours.search(queries=others[:WARM], mode="lexical", limit=LIMIT)
        # Warm is a process that has answered as many other queries: it remembers the words of the passages it showed.
        figures["young"] = percentiles(ours.search(queries=others, mode="lexical", limit=LIMIT)["ms"])
        for mode in MODES:
            ours.search(queries=queries[:WARM], mode=mode, limit=LIMIT)
            figures[mode] = percentiles(ours.search(queries=queries, mode=mode, limit=LIMIT)["ms"])
        figures["by_length"] = _by_length(ours, queries)
        figures["stages"] = _stages(ours, queries)
        figures["cached"] = _cached(ours, queries)
        figures["filtered"] = _filtered(ours, queries)
        figures["rerank"] = _reranked(ours, queries[: context.sizes.slow_queries])
        ours.close()
    figures["program"] = _program(context, home)
    figures["encoding_share_of_hybrid"] = ratio(figures["hybrid"]["p50"], figures["query_encoding"]["p50"])
    return figures


def _cold(context: Context, home: str, queries: list[str]) -> dict[str, Any]:
    """The first query of a new process, after opening, per mode; milliseconds."""
    cold = {}
    for mode in MODES:
        with context.ours(model=False) as ours:
            opened = ours.open(home=home)
            first, second = ours.search(queries=[queries[0], queries[1]], mode=mode, limit=LIMIT)["ms"]
            cold[mode] = {"open_ms": opened * 1e3, "first_ms": first, "second_ms": second}
            ours.close()
    return {mode: {name: round(value, 2) for name, value in row.items()} for mode, row in cold.items()}


def _by_length(ours: Any, queries: list[str]) -> dict[str, Any]:
    """Three keywords and ten words apart."""
    halves = {"3 keywords": queries[0::2], "10 words": queries[1::2]}
    return {
        name: {
            mode: percentiles(ours.search(queries=half, mode=mode, limit=LIMIT)["ms"])
            for mode in ("lexical", "hybrid")
        }
        for name, half in halves.items()
    }


def _stages(ours: Any, queries: list[str]) -> dict[str, Any]:
    """Median milliseconds of each stage of an uncached query, per mode. Stages run side by side may overlap."""
    found = {}
    for mode in MODES:
        rows = ours.stages(queries=queries, mode=mode, limit=LIMIT)
        names = {name for row in rows for name in row}
        found[mode] = {
            name: round(statistics.median(row.get(name, 0.0) for row in rows), 3) for name in sorted(names)
        }
    return found


def _cached(ours: Any, queries: list[str]) -> dict[str, Any]:
    ours.search(queries=queries, mode="hybrid", limit=LIMIT, cache=True)
    return percentiles(ours.search(queries=queries, mode="hybrid", limit=LIMIT, cache=True)["ms"])


def _filtered(ours: Any, queries: list[str]) -> dict[str, Any]:
    """Under filters that keep a share of the passages; `full` is the share of answers with all hits asked for."""
    found = {}
    for share, keep in SHARES.items():
        ours.search(queries=queries[:WARM], mode="semantic", limit=LIMIT, keep=keep)
        answer = ours.search(queries=queries, mode="semantic", limit=LIMIT, keep=keep)
        full = sum(len(ids) == LIMIT for ids in answer["ids"]) / len(queries)
        hybrid = ours.search(queries=queries, mode="hybrid", limit=LIMIT, keep=keep)
        found[share] = {
            "semantic": percentiles(answer["ms"]),
            "hybrid": percentiles(hybrid["ms"]),
            "full": round(full, 3),
        }
    return found


def _reranked(ours: Any, queries: list[str]) -> dict[str, Any]:
    try:
        return percentiles(ours.search(queries=queries, mode="hybrid", limit=LIMIT, rerank=True)["ms"])
    except PeerError as error:
        return {"cannot": str(error)}


# --- whole programs


def _program(context: Context, home: str) -> dict[str, float]:
    """Seconds from the start of a process to its end: importing the package, one search from the command line."""
    search = ["-m", "localsearch", "--home", home, "--json", "search", "how is a certificate renewed"]
    return {
        "python_s": _seconds(context, ["-c", "pass"]),
        "import_s": _seconds(context, ["-c", "import localsearch"]),
        "search_s": _seconds(context, search, says="results"),
        "search_lexical_s": _seconds(context, [*search, "--mode", "lexical"], says="results"),
    }


def _seconds(context: Context, arguments: list[str], says: str | None = None) -> float:
    # Compiled modules are kept between runs, as Python does unless told otherwise.
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "LOCALSEARCH_MODELS": str(context.models.absolute()),
        "LOCALSEARCH_OFFLINE": "1",
    }
    taken = []
    for _ in range(STARTS):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)
        taken.append(time.perf_counter() - started)
        if done.returncode != 0 or (says and says not in json.loads(done.stdout)):
            raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()[-500:]}")
    return round(statistics.median(taken), 4)
