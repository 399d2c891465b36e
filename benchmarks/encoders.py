"""How fast texts are encoded, beside sentence-transformers on torch: python -m benchmarks.encoders --data DIR

Run by itself it takes each path of our kernels that this processor can run, and torch held to the same instructions, by
turns, and keeps the figures in results/encoders. The suite `indexing` does so too. Torch needs the environment of the
peer `stack` (python -m benchmarks --prepare).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import alternate, datasets, gemm, machine
from benchmarks.context import FULL, Context, default_cache, ratio, rounded
from benchmarks.peers import environments

RESULTS = machine.ROOT / "benchmarks" / "results" / "encoders"
_AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
PATHS: Mapping[str, Mapping[str, str]] = {"avx512_vnni": {}, "avx_vnni": _AVX2, "avx2": _AVX2, "neon": {}}
"""The paths of our kernels, each with what holds torch and its libraries to as much of the processor."""


def measure(context: Context) -> dict[str, Any]:
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


def by_path(context: Context) -> dict[str, Any]:
    """The same abstracts in int8 by each path of the kernels that this processor can run, and by torch held to the
    same instructions, in turn."""
    file, what = _texts(context)
    count, torch = context.sizes.encode_texts, context.peers()["stack"]
    figures: dict[str, Any] = {"texts": what, "count": count}
    for path, limits in PATHS.items():
        if not _runs(path):
            continue
        context.say(f"encoding {count} texts by {path}")
        with ExitStack() as stack:
            ours = replace(environments.ours(), variables={"LOCALSEARCH_PATH": path})
            processes = {"int8": stack.enter_context(context.run(ours, precision="int8"))}
            if torch.ready:
                processes["torch"] = stack.enter_context(context.run(replace(torch, variables=limits)))
            tokens = processes["int8"].tokens(file=file, count=count)
            rounds = alternate.encode(processes, file, count, context.sizes.encode_rounds)
        rates = {key: _rates(taken, count, tokens) for key, taken in rounds.items()}
        speed = {key: rates.get(key, {}).get("texts_per_s") for key in ("int8", "torch")}
        figures[path] = {**rates, "ratio_to_torch": ratio(speed["torch"], speed["int8"])}
    return figures


def _runs(path: str) -> bool:
    """Whether the kernels take this path here when they are told to."""
    asked = [sys.executable, "-c", "from localsearch.kernels import path_in_use; print(path_in_use())"]
    told = subprocess.run(asked, env={**os.environ, "LOCALSEARCH_PATH": path}, capture_output=True, text=True)
    return told.stdout.strip() == path


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.encoders",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=machine.ROOT.parent / "shared" / "bench", metavar="DIR")
    parser.add_argument("--models", type=Path, default=machine.ROOT / "models", metavar="DIR")
    parser.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR")
    parser.add_argument("--count", type=int, default=256, help="texts of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR")
    arguments = parser.parse_args()
    sizes = replace(FULL, encode_texts=arguments.count, encode_rounds=arguments.rounds)
    about = machine.describe()
    figures = by_path(Context(arguments.cache, arguments.data, arguments.models, sizes))
    report = {
        "commit": machine.commit(),
        "machine": about,
        "load_after": os.getloadavg()[0],
        "paths": figures,
    }
    text = json.dumps(report, indent=1)
    print(text)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{machine.commit()}-{machine.name()}.json").write_text(text + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
