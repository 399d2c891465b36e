"""python -m benchmarks [SUITE...] [--quick] [--data DIR] [--out DIR] [--check] [--prepare]"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import check, machine, runs
from benchmarks.context import FULL, QUICK, Context, default_cache
from benchmarks.vectors import ensure as ensure_vectors

DOCUMENTS = ("README.md", "docs/PERFORMANCE.md")
"""Documents with markers that name tables; see benchmarks/README.md."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "suites", nargs="*", metavar="SUITE", help=f"of {', '.join(runs.SUITES)}; all by default"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, under five minutes")
    parser.add_argument("--data", type=Path, default=machine.ROOT.parent / "shared" / "bench", metavar="DIR")
    parser.add_argument("--out", type=Path, default=machine.ROOT / "benchmarks" / "results", metavar="DIR")
    parser.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR")
    parser.add_argument(
        "--check", action="store_true", help="fail where a ratio is worse than expected.toml allows"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="measure again what this code was measured on before"
    )
    parser.add_argument(
        "--reuse-indexes",
        action="store_true",
        help="take indexes and vectors that former code made; figures name its commit",
    )
    parser.add_argument("--prepare", action="store_true", help="only fetch and make what the suites need")
    parser.add_argument("--report", type=Path, metavar="JSON", help="only write the reports of a result file")
    parser.add_argument("--documents", action="store_true", help="write the tables into README.md and docs/")
    return parser


def _context(arguments: argparse.Namespace) -> Context:
    models = Path(os.environ.get("LOCALSEARCH_MODELS", machine.ROOT / "models"))
    arguments.cache.mkdir(parents=True, exist_ok=True)
    sizes = QUICK if arguments.quick else FULL
    log = arguments.cache / "peers.log"
    reuse = arguments.reuse_indexes
    return Context(arguments.cache, arguments.data, models, sizes, arguments.quick, log, reuse)


def _prepare(context: Context) -> None:
    """The model, passages with their vectors, judged collections, environments of the peers: made once."""
    from benchmarks import datasets
    from benchmarks.peers import environments
    from localsearch.models import ModelStore
    from localsearch.settings import load

    ModelStore(replace(load(context.cache / "none"), models=context.models)).pull("all-MiniLM-L6-v2")
    context.say(f"passages: {context.passages}")
    datasets.download_missing(context)
    if not context.quick:
        environments.create(context.cache)
    ensure_vectors(context, context.sizes.embedded)
    for peer, how in environments.missing(context.cache).items():
        context.say(f"{peer} is not installed and will be left out: {how}")


def _chosen(names: list[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in runs.SUITES]
    if unknown:
        raise SystemExit(f"no suite {unknown[0]}; there are {', '.join(runs.SUITES)}")
    return tuple(suite for suite in runs.SUITES if suite in names) or runs.SUITES


def main() -> int:
    """Run, write, check; the exit code is 1 where --check finds a regression."""
    arguments = _parser().parse_args()
    if arguments.report:
        results = json.loads(arguments.report.read_text("utf-8"))
    else:
        context = _context(arguments)
        _prepare(context)
        if arguments.prepare:
            return 0
        results = runs.run(context, runs.Plan(_chosen(arguments.suites), arguments.fresh))
    return _publish(results, arguments)


def _publish(results: dict[str, Any], arguments: argparse.Namespace) -> int:
    from benchmarks import report

    file = arguments.report or runs.write(results, arguments.out)
    for written in report.write(results, file):
        print(written, file=sys.stderr)
    for name in DOCUMENTS if arguments.documents else ():
        report.into_document(results, machine.ROOT / name)
    findings = check.check(results)
    print(check.table(findings))
    return 1 if arguments.check and any(finding.failed for finding in findings) else 0


if __name__ == "__main__":
    raise SystemExit(main())
