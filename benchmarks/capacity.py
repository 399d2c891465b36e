"""Memory that planning needs and no suite measures: of building a graph of vectors, and of a Milvus that holds them.

    python -m benchmarks.capacity [--counts 20000 60000] [--milvus] [--out FILE]
    unshare -n sh -c 'ip link set lo up; python -m benchmarks.capacity --milvus'

Each size is measured in a process of its own, with unit vectors around random centres: the work of a graph depends on
how they lie, its memory does not. Bytes for one vector are the difference of two sizes by that of their counts, so what
a process needs anyway is in neither. `fill` is what vectors that wait for a merge take, and their merge, beside an empty
graph. `graph` is a rebuild from the database, then a merge of 10,000
more. `--milvus` also starts the server of the package `milvus` (2.3.5), loads an HNSW index of the same M, and reads the
resident memory of its process; the server listens on every address, so give it a network of its own as above.
One JSON object on stdout; `--out FILE` keeps it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from localsearch.settings import VectorSettings
from localsearch.types import Ids, Vectors
from localsearch.vectors import FaissIndex

DIMENSIONS = 384
_SLICE = 2_000
_CENTRES = 500
_PARTS = ("graph", "fill", "milvus")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", type=int, nargs=2, default=(20_000, 60_000))
    parser.add_argument("--milvus", action="store_true")
    parser.add_argument(
        "--only", choices=_PARTS, help="this part alone, of the first count: what a process does"
    )
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.only:
        print(
            json.dumps({"graph": graph, "fill": fill, "milvus": milvus}[arguments.only](arguments.counts[0]))
        )
        return 0
    text = json.dumps(measure(arguments.counts, _PARTS if arguments.milvus else _PARTS[:-1]), indent=1)
    print(text)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", "utf-8")
    return 0


def measure(counts: tuple[int, int], parts: tuple[str, ...]) -> dict[str, Any]:
    """Both sizes of each part, and the bytes for one vector more."""
    found: dict[str, Any] = {"dimensions": DIMENSIONS, "m": VectorSettings().m, "machine": machine.describe()}
    for part in parts:
        sizes = {str(count): _apart(part, count) for count in counts}
        less, more = (sizes[str(count)] for count in counts)
        each = {name: round((more[name] - less[name]) / (counts[1] - counts[0]), 1) for name in less}
        found[part] = {"sizes": sizes, "each": each}
    return found


def _apart(part: str, count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.capacity", "--only", part, "--counts", str(count), "0"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def graph(count: int) -> dict[str, float]:
    """Bytes: the peak while a graph is built, that of a merge of 10,000 more, and the files."""
    with tempfile.TemporaryDirectory(prefix="localsearch-capacity-") as name:
        index = FaissIndex.open(Path(name), DIMENSIONS)
        index.publish(index.build(vectors(count), count, threads=2))
        built = _peak()
        for ids, more in vectors(10_000, first=count):
            index.add(ids, more)
        began = time.perf_counter()
        index.publish(index.merge(threads=2))
        return {
            "build_peak": built,
            "merge_peak": _peak(),
            "merge_s": round(time.perf_counter() - began, 2),
            "disk": sum(path.stat().st_size for path in Path(name).iterdir()),
        }


def fill(count: int) -> dict[str, float]:
    """Bytes: the peak while every vector waits beside an empty graph, and is merged into it."""
    with tempfile.TemporaryDirectory(prefix="localsearch-capacity-") as name:
        index = FaissIndex.open(Path(name), DIMENSIONS)
        for ids, batch in vectors(count):
            index.add(ids, batch)
        index.publish(index.merge(threads=2))
        return {"peak": _peak()}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def vectors(count: int, first: int = 0) -> Iterator[tuple[Ids, Vectors]]:
    """Unit vectors by id, in batches."""
    centres = np.random.default_rng(7).standard_normal((_CENTRES, DIMENSIONS)).astype(np.float32)
    for start in range(first, first + count, _SLICE):
        random = np.random.default_rng(start)
        size = min(_SLICE, first + count - start)
        batch = centres[random.integers(0, _CENTRES, size)]
        batch = batch + random.standard_normal(batch.shape).astype(np.float32)
        batch /= np.linalg.norm(batch, axis=1, keepdims=True)
        yield np.arange(start + 1, start + size + 1, dtype=np.int64), batch


def milvus(count: int) -> dict[str, float]:
    """Bytes resident in the server's process with the collection loaded, and of its files."""
    from milvus import MilvusServer
    from pymilvus import DataType, MilvusClient

    with tempfile.TemporaryDirectory(prefix="localsearch-capacity-") as name:
        server = MilvusServer()
        server.set_base_dir(name)
        server.start()
        try:
            client = MilvusClient(uri=f"http://127.0.0.1:{server.listen_port}")
            schema = client.create_schema(auto_id=False)
            schema.add_field("id", DataType.INT64, is_primary=True)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSIONS)
            client.create_collection("capacity", schema=schema)
            for ids, batch in vectors(count):
                client.insert("capacity", [{"id": int(a), "vector": b.tolist()} for a, b in zip(ids, batch)])
            client.flush("capacity")
            index = client.prepare_index_params()
            settings = VectorSettings()
            index.add_index(
                "vector",
                index_type="HNSW",
                metric_type="IP",
                params={"M": settings.m, "efConstruction": settings.ef_construction},
            )
            client.create_index("capacity", index)
            client.load_collection("capacity")
            _until_indexed(client, count)
            return {"resident": _resident(server.server_proc.pid), "disk": _size(Path(name))}
        finally:
            server.stop()


def _until_indexed(client: Any, count: int) -> None:
    """Wait until every row is in the loaded index, and growing segments have been let go."""
    until = time.monotonic() + 900
    while time.monotonic() < until:
        described = client.describe_index("capacity", "vector")
        if int(described.get("pending_index_rows", 0)) == 0 and int(described["indexed_rows"]) >= count:
            time.sleep(20)  # the query node exchanges segments after that
            return
        time.sleep(1)
    raise SystemExit("Milvus did not build its index in 15 minutes.")


def _resident(pid: int) -> int:
    rows = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return int(next(row for row in rows if row.startswith("VmRSS:")).split()[1]) * 1024


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    raise SystemExit(main())
