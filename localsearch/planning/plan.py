"""Plan machines for a number of passages and of questions a second: formulas over `constants`, nothing measured here.

With N passages, d components and c cores, and the constants' names for their values:

    bytes of a component: 1.5 in the graph and the database (12 bits), 4 in the engine (fp32)
    database   N (database + stored_vector + 1.5 (d - 384))
    words      N words
    graph      N (graph + 1.5 (d - 384))
    memory of a reader    server + N (resident + 1.5 (d - 384)); without the graph where an engine has the vectors
    memory of a primary   the same + (c - 1) process + N build + max(10,000, N / 50) fill; 1.5 or 4 bytes a component
    disk of a reader      the index + the next database, beside which it is made
    disk of a primary     twice the index (HOME/shipped) + the next graph
    slower     growth ^ log10(N / 100,000)
    questions of a server of c processes    BUSY c questions / slower
    questions of a reader, one process      BUSY reader_questions / slower
    readers of a machine  c / 2, or as many as FILLED of its memory holds
    machines of readers   questions asked / those of its readers, rounded up, + 1 that may be away

What was measured at 100,000 to 400,000 passages is extrapolated beyond.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil, log10, pow
from typing import Literal

from localsearch.planning.constants import MEASURED, MEASURED_AT, MEASURED_DIMENSIONS, Constant

COPIES_MOST = 20_000_000
"""Passages beyond which copies are not advised: a snapshot reads the whole database, 33 GB by then."""
WHOLE_WORDS_MOST = 100_000_000
"""Passages from which one machine should not hold all words and the database."""
WAITING, WAITING_LEAST = 0.02, 10_000
"""Share of the vectors, and their least number, that wait beside the graph for a merge while an index is filled."""
BUSY = 0.6
"""Share of a machine's questions a second that is planned with; beyond, queues grow."""
FILLED = 0.75
"""Share of a machine's memory that processes may fill; the rest is the kernel's, and caches files."""

Arrangement = Literal["one machine", "readers by copies", "an engine for vectors", "words divided too"]


@dataclass(frozen=True, slots=True)
class Machine:
    """What one machine has: memory in bytes, and cores."""

    memory: float = 64e9
    cores: int = 8


@dataclass(frozen=True, slots=True)
class Parts:
    """Bytes on disk of each part of an index; `text` is in `database`."""

    text: float
    database: float
    words: float
    graph: float


@dataclass(frozen=True, slots=True)
class Role:
    """Machines that do the same: how many, processes on each, and bytes of memory and disk that each needs."""

    name: str
    machines: int
    processes: int
    memory: float
    disk: float


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of the first filling on the primary: by words, and until everything has a vector."""

    words: float
    vectors: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked, and what it needs."""

    passages: int
    queries: float
    dimensions: int
    machine: Machine
    arrangement: Arrangement
    index: Parts
    roles: tuple[Role, ...]
    server_questions: float
    reader_questions: float
    hours: Hours
    settings: tuple[str, ...]
    notes: tuple[str, ...]
    constants: tuple[Constant, ...]


def plan(
    passages: int,
    queries: float,
    *,
    dimensions: int = MEASURED_DIMENSIONS,
    machine: Machine | None = None,
    engine_settings: bool = False,
) -> Plan:
    """Plan for so many passages and distinct questions a second.

    `engine_settings` tells whether this release has settings for an engine of vectors.
    """
    asked = _Asked(passages, queries, dimensions, machine or Machine())
    arrangement = _arrangement(asked)
    return Plan(
        passages,
        queries,
        dimensions,
        asked.machine,
        arrangement,
        parts(passages, dimensions),
        _roles(arrangement, asked),
        server_questions(passages, asked.machine.cores),
        reader_questions(passages),
        Hours(
            passages / MEASURED.reading.value / 3600,
            passages / (MEASURED.embedding.value * asked.machine.cores) / 3600,
        ),
        _settings(arrangement, asked.machine, engine_settings),
        _notes(arrangement, asked, engine_settings),
        tuple(getattr(MEASURED, one.name) for one in fields(MEASURED)),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    passages: int
    queries: float
    dimensions: int
    machine: Machine


def parts(passages: int, dimensions: int) -> Parts:
    """Bytes on disk."""
    more = _packed(dimensions)
    return Parts(
        passages * MEASURED.text.value,
        passages * (MEASURED.database.value + MEASURED.stored_vector.value + more),
        passages * MEASURED.words.value,
        passages * (MEASURED.graph.value + more),
    )


def server_questions(passages: int, cores: int) -> float:
    """Distinct questions a second that a server with a process for each core is planned to answer."""
    return BUSY * cores * MEASURED.questions.value / _slower(passages)


def reader_questions(passages: int) -> float:
    """The same of a reader, which is one process."""
    return BUSY * MEASURED.reader_questions.value / _slower(passages)


def reader_memory(passages: int, dimensions: int, *, graph: bool = True) -> float:
    """Bytes of a reader's process."""
    each = MEASURED.resident.value + _packed(dimensions)
    if not graph:
        each -= MEASURED.graph.value + _packed(dimensions)
    return MEASURED.server.value + passages * each


def primary_memory(passages: int, dimensions: int, cores: int, *, graph: bool = True) -> float:
    """Bytes of a server with a process for each core, which builds its graph while the index is first filled."""
    answering = reader_memory(passages, dimensions, graph=graph) + (cores - 1) * MEASURED.process.value
    if not graph:
        return answering
    building = passages * (MEASURED.build.value + _packed(dimensions))
    waiting = min(passages, max(WAITING_LEAST, WAITING * passages))
    return answering + building + waiting * (MEASURED.fill.value + _full(dimensions))


def engine_memory(passages: int, dimensions: int) -> float:
    """Bytes of all query nodes together, with one replica of each segment."""
    return passages * (MEASURED.engine.value + _full(dimensions))


def _slower(passages: int) -> float:
    """How many times the work of a question is that at the size where it was measured."""
    return pow(MEASURED.growth.value, max(0.0, log10(passages / MEASURED_AT)))


def _packed(dimensions: int) -> float:
    """Bytes that a vector has beyond one of 384 components, at 12 bits each."""
    return 1.5 * (dimensions - MEASURED_DIMENSIONS)


def _full(dimensions: int) -> float:
    """The same at 32 bits each."""
    return 4.0 * (dimensions - MEASURED_DIMENSIONS)


def _arrangement(asked: _Asked) -> Arrangement:
    needed = primary_memory(asked.passages, asked.dimensions, asked.machine.cores)
    if asked.passages >= WHOLE_WORDS_MOST:
        return "words divided too"
    if asked.passages > COPIES_MOST or needed > FILLED * asked.machine.memory:
        return "an engine for vectors"
    enough = asked.queries <= server_questions(asked.passages, asked.machine.cores)
    return "one machine" if enough else "readers by copies"


def _roles(arrangement: Arrangement, asked: _Asked) -> tuple[Role, ...]:
    if arrangement == "words divided too":
        return (_engine(asked),)
    graph = arrangement != "an engine for vectors"
    size, cores = parts(asked.passages, asked.dimensions), asked.machine.cores
    index = size.database + size.words + (size.graph if graph else 0.0)
    next_graph = size.graph if graph else 0.0
    memory = primary_memory(asked.passages, asked.dimensions, cores, graph=graph)
    if arrangement == "one machine":
        return (Role("server", 1, cores, memory, index + next_graph),)
    primary = Role("primary", 1, cores, memory, 2 * index + next_graph)
    readers = _readers(asked, index + size.database, graph)
    return (primary, readers) if graph else (primary, readers, _engine(asked))


def _readers(asked: _Asked, disk: float, graph: bool) -> Role:
    memory = reader_memory(asked.passages, asked.dimensions, graph=graph)
    held = min(asked.machine.cores // 2, int(FILLED * asked.machine.memory / memory))
    held = max(1, held)
    wanted = ceil(asked.queries / reader_questions(asked.passages))
    return Role("readers", ceil(wanted / held) + 1, held, held * memory, held * disk)


def _engine(asked: _Asked) -> Role:
    memory = engine_memory(asked.passages, asked.dimensions)
    nodes = ceil(memory / (FILLED * asked.machine.memory))
    disk = asked.passages * (MEASURED.engine_disk.value + _full(asked.dimensions))
    return Role("engine: Milvus, its query nodes", nodes, 1, memory / nodes, disk / nodes)


def _settings(arrangement: Arrangement, machine: Machine, engine_settings: bool) -> tuple[str, ...]:
    """Lines of settings.toml that differ from the defaults, each with whose it is."""
    if arrangement == "words divided too":
        return ()
    first = "server" if arrangement == "one machine" else "primary"
    found = [f"{first}: server.workers = {machine.cores}"] if machine.cores > 4 else []
    if arrangement != "one machine":
        found.append('readers: server.primary = "https://search.example.org"')
    if engine_settings and arrangement == "an engine for vectors":
        found += ['all: vectors.backend = "milvus"', 'all: vectors.milvus_uri = "http://milvus:19530"']
    return tuple(found)


def _notes(arrangement: Arrangement, asked: _Asked, engine_settings: bool) -> tuple[str, ...]:
    size, found = parts(asked.passages, asked.dimensions), []
    if asked.passages > 400_000:
        found.append("Sizes and speed were measured up to 400,000 passages; beyond, they are extrapolated.")
    if arrangement in ("readers by copies", "an engine for vectors"):
        found += [
            "A reader is one process with a copy of its own: start those of a machine with a --home and a --port each.",
            f"Each snapshot of a changed index reads the whole database, {size.database / 1e9:,.1f} GB: ship as often"
            " as the disks allow.",
        ]
    if arrangement == "an engine for vectors":
        found += _of_the_engine(asked, engine_settings)
    if arrangement == "words divided too":
        found += _of_divided_words(size)
    return tuple(found)


def _of_the_engine(asked: _Asked, engine_settings: bool) -> tuple[str, ...]:
    needed = primary_memory(asked.passages, asked.dimensions, asked.machine.cores) / FILLED
    why = (
        f"Or machines of {needed / 1e9:,.0f} GB: then the vectors can stay in each copy."
        if asked.passages <= COPIES_MOST
        else f"Beyond {COPIES_MOST:,} passages the vectors want an engine of their own; words stay in each copy."
    )
    missing = "This release cannot hand its vectors to an engine."
    return (why,) if engine_settings else (why, missing)


def _of_divided_words(size: Parts) -> tuple[str, ...]:
    return (
        f"The words must be divided too: their index alone is {size.words / 1e9:,.0f} GB and the database"
        f" {size.database / 1e9:,.0f} GB, more than each machine should hold and copy. localsearch does not divide"
        " them.",
        "That takes an engine that has BM25 over shards, OpenSearch or Weaviate, and a truth that many writers share,"
        " in PostgreSQL. Scores of words are then each shard's own, so fusion is no longer exact.",
    )
