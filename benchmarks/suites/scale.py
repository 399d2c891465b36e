"""How an index grows: seconds to build, bytes on disk per passage, latency by words from 1,000 to 400,000 passages."""

from __future__ import annotations

from typing import Any

from benchmarks import homes
from benchmarks.context import LIMIT, Context, percentiles

MODES = ("lexical", "semantic", "hybrid")


def run(context: Context) -> dict[str, Any]:
    """Figures by number of passages; those beyond the embedded ones are searched by words only."""
    by_size = {str(count): _of(context, count) for count in context.sizes.corpus}
    return {"sizes": by_size, "growth": _growth(context, by_size)}


def _of(context: Context, count: int) -> dict[str, Any]:
    home, built = homes.ensure(context, count)
    embedded = count <= context.sizes.embedded
    text = _text_bytes(context, count)
    figures: dict[str, Any] = {
        "embedded": embedded,
        "built_by": built["commit"],
        "words_s": round(built["words_s"], 2),
        "vectors_s": round(built.get("vectors_s", 0.0), 2),
        "passages_per_s": round(count / built["words_s"], 1),
        "disk": built["disk"],
        "parts": built["parts"],
        "text": text,
        "bytes_per_passage_beyond_text": round((built["disk"] - text) / count, 1),
        "build_peak_mb": round(built["peak"] / 2**20, 1),
    }
    context.say(f"scale: {count} passages")
    queries = context.queries(context.sizes.queries)
    others = context.queries(context.sizes.queries, start=len(queries))
    with context.ours(model=embedded) as ours:
        figures["open_s"] = round(ours.open(home=home), 3)
        for mode in MODES if embedded else MODES[:1]:
            ours.search(queries=others, mode=mode, limit=LIMIT)
            figures[mode] = percentiles(ours.search(queries=queries, mode=mode, limit=LIMIT)["ms"])
        figures["memory_mb"] = round(ours.memory()["rss"] / 2**20, 1)
        ours.close()
    return figures


def _text_bytes(context: Context, count: int) -> int:
    from benchmarks import passages

    return sum(len(passage.text.encode()) for passage in passages.read(context.passages, count))


def _growth(context: Context, by_size: dict[str, Any]) -> dict[str, Any]:
    """p50 at the largest size over p50 at 10,000 (or the smallest), per mode."""
    base = "10000" if "10000" in by_size and len(by_size) > 2 else next(iter(by_size))
    last_embedded = [size for size in by_size if by_size[size]["embedded"]][-1]
    largest = list(by_size)[-1]
    growth = {"lexical": by_size[largest]["lexical"]["p50"] / by_size[base]["lexical"]["p50"]}
    for mode in ("semantic", "hybrid"):
        growth[mode] = by_size[last_embedded][mode]["p50"] / by_size[base][mode]["p50"]
    return {"from": base, "to": largest, "to_embedded": last_embedded} | {
        mode: round(value, 3) for mode, value in growth.items()
    }
