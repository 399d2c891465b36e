"""Each constant is computed anew from the file of results that it names."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from localsearch.planning.constants import MEASURED, MEASURED_AT, MEASURED_DIMENSIONS

ROOT = Path(__file__).parents[2]
MIB = 2**20
KIB_MB = 1_024_000
"""What the benchmark of copies and of workers calls a megabyte of memory: 1,000 kB of the kernel's."""


def _scale(results: Any, size: int) -> Any:
    return results["suites"]["scale"]["sizes"][str(size)]


def _database(results: Any) -> float:
    return float(_scale(results, 400_000)["parts"]["index.db"]) / 400_000


def _resident(results: Any) -> float:
    memory = results["suites"]["memory"]
    return float(memory["100000"]["steady_own"] - memory["10000"]["steady_own"]) * MIB / 90_000


COMPUTED: dict[str, Callable[[Any], float]] = {
    "text": lambda r: _scale(r, 400_000)["text"] / 400_000,
    "database": _database,
    "stored_vector": lambda r: _scale(r, 100_000)["parts"]["index.db"] / 100_000 - _database(r),
    "words": lambda r: _scale(r, 400_000)["parts"]["lexical"] / 400_000,
    "graph": lambda r: r["suites"]["ann"]["build"]["bytes_per_vector"],
    "resident": _resident,
    "server": lambda r: statistics.mean(r["reader_pss_mb"]) * KIB_MB,
    "process": lambda r: (r["several"]["pss_mb"] - r["one"]["pss_mb"]) * KIB_MB,
    "build": lambda r: r["graph"]["each"]["build_peak"],
    "fill": lambda r: r["fill"]["each"]["peak"],
    "engine": lambda r: r["milvus"]["each"]["resident"],
    "engine_disk": lambda r: r["milvus"]["each"]["disk"],
    "questions": lambda r: r["several"]["distinct"]["requests_per_s"] / 2,
    "reader_questions": lambda r: r["one"]["distinct"]["requests_per_s"],
    "growth": lambda r: r["suites"]["scale"]["growth"]["lexical"] ** (1 / math.log10(40)),
    "reading": lambda r: _scale(r, 400_000)["passages_per_s"],
    "embedding": lambda r: r["suites"]["indexing"]["end_to_end"]["localsearch"]["passages_per_s"] / 2,
}


@pytest.mark.parametrize("name", [one.name for one in fields(MEASURED)])
def test_it_is_what_was_measured(name: str) -> None:
    constant = getattr(MEASURED, name)
    assert constant.name == name
    results = json.loads((ROOT / constant.file).read_text("utf-8"))
    assert constant.value == pytest.approx(COMPUTED[name](results), rel=2e-3)
    assert constant.unit
    assert constant.how


def test_the_sizes_they_count_from_are_those_of_the_results() -> None:
    results = json.loads((ROOT / MEASURED.engine.file).read_text("utf-8"))
    assert results["dimensions"] == MEASURED_DIMENSIONS
    suites = json.loads((ROOT / MEASURED.growth.file).read_text("utf-8"))["suites"]
    assert suites["http"]["passages"] == MEASURED_AT
    assert (suites["scale"]["growth"]["from"], suites["scale"]["growth"]["to"]) == ("10000", "400000")
    assert suites["indexing"]["end_to_end"]["localsearch"]["chunks"] == 1_000
