"""Where the encoder's time goes, by kind of operator, as ONNX Runtime's own profiler tells.

    python -m benchmarks.profile_encoder [--precision int8] [--texts 100]

Times are of one thread over whole texts, so shares hold whatever else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks import machine, passages
from benchmarks.context import default_cache
from localsearch.models import kernels
from localsearch.models.manifest import Manifest
from localsearch.models.tokens import Tokenizer

MODEL = "all-MiniLM-L6-v2"


def profile(folder: Path, precision: str, texts: list[str]) -> tuple[Counter[str], int]:
    """Microseconds by kind of operator, and how many tokens were encoded, over all texts, one at a time."""
    card = Manifest.read(folder).card
    tokenizer = Tokenizer.load(folder / "tokenizer.json", card.max_tokens, card.lowercase)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    if library := kernels.library():
        options.register_custom_ops_library(str(library))
    with tempfile.TemporaryDirectory() as place:
        options.profile_file_prefix = f"{place}/run"
        path = Manifest.read(folder).path(folder, precision)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        tokens = 0
        for text in texts:
            ids = np.asarray(tokenizer.ids([text]), np.int32)
            tokens += ids.size
            session.run(["embedding"], {"ids": ids})
        events = json.loads(Path(session.end_profiling()).read_text())
    spent: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    return spent, tokens


def main() -> int:
    """Print a table of shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--precision", choices=("int8", "fp32"), default="int8")
    parser.add_argument("--texts", type=int, default=100)
    arguments = parser.parse_args()
    models = Path(os.environ.get("LOCALSEARCH_MODELS", machine.ROOT / "models"))
    found = passages.read(passages.build(default_cache()), arguments.texts)
    spent, tokens = profile(models / MODEL, arguments.precision, [passage.text for passage in found])
    total = sum(spent.values())
    speed = f"{tokens / total * 1e6:,.0f} tokens/s on one thread"
    print(f"{arguments.precision}: {tokens / len(found):.0f} tokens a text, {speed}")
    for name, microseconds in spent.most_common():
        print(f"{microseconds / total:6.1%}  {name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
