"""How fast texts get in: encoding, passages end to end beside other systems, and folders of real files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import encoders, passages
from benchmarks.context import Context, ratio, rounded
from benchmarks.peers import environments
from benchmarks.peers.client import PeerError, Running

MANUALS = ("python3.11-doc", "postgresql-doc-15", "debian-handbook")
SMALL, TINY = ("postfix-doc",), ("bash-doc",)
END_TO_END = ("stack", "txtai", "chroma", "lancedb", "qdrant")


def run(context: Context) -> dict[str, Any]:
    return {
        "encode": encoders.measure(context),
        "paths": encoders.by_path(context),
        "end_to_end": _end_to_end(context),
        "files": _files(context),
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
