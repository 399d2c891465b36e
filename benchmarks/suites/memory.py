"""Memory: resident and of one's own while serving each size, and the peak while building it."""

from __future__ import annotations

from typing import Any

from benchmarks import homes
from benchmarks.context import LIMIT, Context

ROUNDS = 3


def run(context: Context) -> dict[str, Any]:
    """Megabytes by number of passages. `steady` is read after the queries were asked several times."""
    return {str(count): _of(context, count) for count in context.sizes.corpus}


def _of(context: Context, count: int) -> dict[str, Any]:
    home, built = homes.ensure(context, count)
    embedded = count <= context.sizes.embedded
    context.say(f"memory: {count} passages")
    queries = context.queries(context.sizes.queries)
    with context.ours(model=False) as ours:
        ours.open(home=home)
        opened = ours.memory()
        for _ in range(ROUNDS):
            ours.search(queries=queries, mode="hybrid" if embedded else "lexical", limit=LIMIT)
        steady, usage = ours.memory(), ours.usage()
        ours.close()
    megabytes = {
        "opened": opened["rss"],
        "steady": steady["rss"],
        "steady_own": steady["uss"],
        "peak": usage["peak"],
        "build_peak": built["peak"],
    }
    return {name: round(value / 2**20, 1) for name, value in megabytes.items()} | {"embedded": embedded}
