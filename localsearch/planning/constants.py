"""Measured constants, each with the file of results that it comes from; a test computes them anew from those files.

A passage is one of about 105 words of English manuals, a vector has 384 components, and cores are those of a 2-core
x86-64 machine with AVX-512 VNNI. Bytes are bytes, and a megabyte has 1,000,000.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_SUITES = "benchmarks/results/875bee1554-x86-64-2c-71163f.json"
_WORKERS = "benchmarks/results/workers/1568ee025b-x86-64-2c-71163f.json"
_COPIES = "benchmarks/results/copies/c4b526e34d-x86-64-2c-71163f.json"
_CAPACITY = "benchmarks/results/capacity/81ae8f97f8-x86-64-2c-71163f.json"


@dataclass(frozen=True, slots=True)
class Constant:
    """A measured value: how it follows from the figures of a file."""

    name: str
    value: float
    unit: str
    how: str
    file: str


@dataclass(frozen=True, slots=True)
class Constants:
    """Every constant that a plan is made with."""

    text: Constant = field(
        default=Constant("text", 753.0, "bytes a passage", "text / passages, at 400,000", _SUITES)
    )
    database: Constant = field(
        default=Constant(
            "database", 997.0, "bytes a passage", "index.db / passages without vectors, at 400,000", _SUITES
        )
    )
    stored_vector: Constant = field(
        default=Constant(
            "stored_vector",
            662.0,
            "bytes a vector",
            "index.db / passages with vectors, at 100,000, less `database`",
            _SUITES,
        )
    )
    words: Constant = field(
        default=Constant("words", 482.0, "bytes a passage", "lexical / passages, at 400,000", _SUITES)
    )
    graph: Constant = field(
        default=Constant("graph", 796.0, "bytes a vector", "bytes_per_vector of suite ann", _SUITES)
    )
    resident: Constant = field(
        default=Constant(
            "resident",
            1128.0,
            "bytes a passage",
            "growth of steady_own from 10,000 to 100,000 passages, the mapped graph included",
            _SUITES,
        )
    )
    server: Constant = field(
        default=Constant(
            "server",
            355.9e6,
            "bytes",
            "mean of reader_pss_mb, of 1,024,000 bytes: a server with its model",
            _COPIES,
        )
    )
    process: Constant = field(
        default=Constant(
            "process",
            222.5e6,
            "bytes",
            "pss_mb of two processes less that of one, of 1,024,000 bytes",
            _WORKERS,
        )
    )
    build: Constant = field(
        default=Constant(
            "build", 1936.0, "bytes a vector", "graph.each.build_peak: a graph built anew", _CAPACITY
        )
    )
    fill: Constant = field(
        default=Constant(
            "fill",
            3568.0,
            "bytes a vector",
            "fill.each.peak: vectors that wait for a merge, and merging them",
            _CAPACITY,
        )
    )
    engine: Constant = field(
        default=Constant(
            "engine", 2794.0, "bytes a vector", "milvus.each.resident: Milvus 2.3.5, HNSW of fp32", _CAPACITY
        )
    )
    engine_disk: Constant = field(
        default=Constant("engine_disk", 4675.0, "bytes a vector", "milvus.each.disk", _CAPACITY)
    )
    questions: Constant = field(
        default=Constant(
            "questions",
            78.15,
            "distinct questions a second and core",
            "several.distinct.requests_per_s / 2 cores, clients on the same machine",
            _WORKERS,
        )
    )
    reader_questions: Constant = field(
        default=Constant(
            "reader_questions",
            98.8,
            "distinct questions a second of one process",
            "one.distinct.requests_per_s, on two cores with its clients",
            _WORKERS,
        )
    )
    growth: Constant = field(
        default=Constant(
            "growth",
            1.362,
            "times the work for ten times the passages",
            "growth.lexical, 1.641 from 10,000 to 400,000, to the power of 1 / log10(40)",
            _SUITES,
        )
    )
    reading: Constant = field(
        default=Constant(
            "reading",
            1294.0,
            "passages a second",
            "passages_per_s by words, at 400,000, one machine",
            _SUITES,
        )
    )
    embedding: Constant = field(
        default=Constant(
            "embedding",
            53.8,
            "passages a second and core",
            "passages_per_s of end_to_end / 2 cores: all-MiniLM-L6-v2 in int8",
            _SUITES,
        )
    )


MEASURED = Constants()
MEASURED_DIMENSIONS = 384
MEASURED_AT = 100_000
"""Passages from which `growth` counts."""
