"""How fast texts get in: encoding, passages end to end beside other systems, and folders of real files."""

from __future__ import annotations

import json
import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import alternate, datasets, gemm, passages
from benchmarks.context import Context, ratio, rounded
from benchmarks.peers import environments
from benchmarks.peers.client import PeerError, Running

MANUALS = ("python3.11-doc", "postgresql-doc-15", "debian-handbook")
SMALL, TINY = ("postfix-doc",), ("bash-doc",)
END_TO_END = ("stack", "txtai", "chroma", "lancedb", "qdrant")


def run(context: Context) -> dict[str, Any]:
    return {
        "encode": _encode(context),
        "end_to_end": _end_to_end(context),
        "files": _files(context),
    }


# --- encoding


def _encode(context: Context) -> dict[str, Any]:
    """The same abstracts by ours in int8 and fp32 and by sentence-transformers on torch, in turn."""
    file, what = _texts(context)
    count = context.sizes.encode_texts
    context.say(f"indexing: encoding {count} texts")
    peers = context.peers()
    with ExitStack() as stack:
        processes = {
            "int8": stack.enter_context(context.ours(precision="int8")),
            "fp32": stack.enter_context(context.ours(precision="fp32")),
        }
        if peers["stack"].ready:
            processes["torch"] = stack.enter_context(context.run(peers["stack"]))
        tokens = processes["int8"].tokens(file=file, count=count)
        rounds = alternate.encode(processes, file, count, context.sizes.encode_rounds)
    figures: dict[str, Any] = {key: _rates(taken, count, tokens) for key, taken in rounds.items()}
    if "torch" not in figures:
        figures["torch"] = {"cannot": environments.missing(context.cache)["stack"]}
    speed = {key: figures[key].get("texts_per_s") for key in ("int8", "fp32", "torch")}
    figures["ratio_int8_to_torch"] = ratio(speed["torch"], speed["int8"])
    figures["ratio_fp32_to_torch"] = ratio(speed["torch"], speed["fp32"])
    figures["ratio_int8_to_fp32"] = ratio(speed["fp32"], speed["int8"])
    peak = _peak(context, tokens / count, figures["int8"]["tokens_per_s"])
    return {
        "texts": what,
        "count": count,
        "tokens_per_text": round(tokens / count, 1),
        **figures,
        "peak": peak,
    }


def _texts(context: Context) -> tuple[str, str]:
    scifact = datasets.find(context, "scifact")
    if scifact:
        return _rows(context, scifact), "SciFact abstracts"
    return str(context.passages.absolute()), "passages of manuals"


def _rows(context: Context, dataset: Any) -> str:
    """The collection in the passages' own layout, with title and text as an embedding model is given them."""
    target = context.cache / f"judged-{dataset.name}.jsonl"
    if not target.exists():
        rows = ({"id": r.id, "title": r.title, "text": r.text} for r in dataset.records() if r.text.strip())
        target.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return str(target.absolute())


def _rates(rounds: list[dict[str, float]], count: int, tokens: int) -> dict[str, float]:
    seconds = statistics.median(row["seconds"] for row in rounds)
    cpu = statistics.median(row["cpu_s"] for row in rounds)
    return rounded(
        {
            "texts_per_s": count / seconds,
            "tokens_per_s": tokens / seconds,
            "cpu_s_per_million_tokens": cpu / tokens * 1e6,
            "cores_used": cpu / seconds,
        },
        2,
    )


def _peak(context: Context, length: float, tokens_per_s: float) -> dict[str, Any]:
    """What share of the int8 products that the processor can do the encoder turns into embeddings."""
    from localsearch.platform.cores import cores

    shape = json.loads((context.models / "all-MiniLM-L6-v2" / "config.json").read_text())
    measured = gemm.multiplications_per_second(cores())
    per_token = gemm.per_token(
        shape["num_hidden_layers"], shape["hidden_size"], shape["intermediate_size"], length
    )
    return {
        "gemm_gmac_per_s": {name: round(value / 1e9, 1) for name, value in measured.items()},
        "encoder_gmac_per_s": round(per_token * tokens_per_s / 1e9, 1),
        "share": round(per_token * tokens_per_s / max(measured.values()), 4),
    }


# --- passages, end to end


def _end_to_end(context: Context) -> dict[str, Any]:
    """From texts to an index that answers by words and by meaning, each system with its own encoding."""
    file, count = str(context.passages.absolute()), context.sizes.end_to_end
    peers = context.peers()
    figures: dict[str, Any] = {"passages": count}
    for key in ("localsearch", *END_TO_END):
        peer = environments.ours() if key == "localsearch" else peers[key]
        if not peer.ready:
            figures[key] = {"cannot": environments.missing(context.cache)[key]}
            continue
        context.say(f"indexing: {count} passages into {key}")
        with context.run(peer) as process, context.folder() as home:
            process.encode(file=file, count=16)
            figures[key] = _built(process, file, count, home)
    ours = figures["localsearch"].get("seconds")
    figures["ratios"] = {key: ratio(ours, figures[key].get("seconds")) for key in END_TO_END}
    return figures


def _built(process: Running, file: str, count: int, home: str) -> dict[str, Any]:
    try:
        built = process.build(file=file, count=count, home=home)
    except PeerError as error:
        return {"cannot": str(error)}
    wanted = ("seconds", "words_s", "vectors_s", "cpu_s", "disk", "peak", "chunks")
    figures = {name: built[name] for name in wanted if name in built}
    peak = process.usage()["peak"]
    return rounded({**figures, "passages_per_s": count / built["seconds"], "peak_mb": peak / 2**20}, 2)


# --- files


def _files(context: Context) -> dict[str, Any]:
    """Folders of real manuals: by words ours and Recoll, by meaning a smaller folder with default chunking."""
    many, few = (SMALL, TINY) if context.quick else (MANUALS, SMALL)
    manuals, small = _folders(context, many), _folders(context, few)
    context.say("indexing: files")
    figures: dict[str, Any] = {"manuals": list(many), "small": list(few)}
    with context.ours(model=False) as ours, context.folder() as home:
        figures["localsearch"] = _rated(ours.index(folders=manuals, home=home))
    with context.ours() as ours, context.folder() as home:
        figures["localsearch_meaning"] = _rated(ours.index(folders=small, home=home, embed=True))
    recoll = context.peers()["recoll"]
    if not recoll.ready:
        return figures | {"recoll": {"cannot": environments.missing(context.cache)["recoll"]}}
    with context.run(recoll) as process, context.folder() as home:
        figures["recoll"] = rounded(process.index(folders=manuals, home=home), 2)
    figures["ratio_to_recoll"] = ratio(figures["localsearch"]["words_s"], figures["recoll"]["words_s"])
    return figures


def _folders(context: Context, names: tuple[str, ...]) -> list[str]:
    unpacked = {folder.name.split("_")[0]: folder for folder in passages.fetch(context.cache)}
    return [str(_documents(unpacked[name]).absolute()) for name in names]


def _documents(folder: Path) -> Path:
    inside = folder / "usr" / "share" / "doc"
    return inside if inside.exists() else folder


def _rated(figures: dict[str, Any]) -> dict[str, Any]:
    rates = {
        "files_per_s": figures["files"] / figures["words_s"],
        "chunks_per_s": figures["chunks"] / figures["words_s"],
        "peak_mb": figures["peak"] / 2**20,
    }
    return rounded({**figures, **rates}, 2)
