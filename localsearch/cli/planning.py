"""`localsearch plan`."""

from __future__ import annotations

import argparse
from dataclasses import fields

from localsearch.cli.console import Console
from localsearch.planning import Machine, Plan
from localsearch.planning import plan as plan_for
from localsearch.settings import Settings, VectorSettings


def plan(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch plan`"""
    found = plan_for(
        args.passages,
        args.queries,
        dimensions=args.dimensions,
        machine=Machine(args.machine_memory, args.cores),
        engine_settings="backend" in {one.name for one in fields(VectorSettings)},
    )
    if console.json:
        console.result(found)
        return 0
    _show(found, console)
    return 0


def _show(found: Plan, console: Console) -> None:
    console.write(f"{headline(found)}\n\n")
    console.table(roles(found))
    console.write("\n")
    console.table(sizes(found))
    console.write(f"\n{speed(found)}\n")
    for line in found.settings:
        console.write(f"settings.toml of {line}\n")
    for note in found.notes:
        console.write(f"- {note}\n")
    if console.verbosity > 0:
        console.write("\n")
        console.table([["constant", "value", "unit", "how", "file"], *_constants(found)])


def headline(found: Plan) -> str:
    """What is planned for, and by what means."""
    return (
        f"{found.passages:,} passages of {found.dimensions} dimensions, {found.queries:,g} distinct questions a second,"
        f" machines of {gigabytes(found.machine.memory)} and {found.machine.cores} cores: {found.arrangement}"
    )


def roles(found: Plan) -> list[list[str]]:
    """Machines by what they do, with a heading."""
    rows = [
        [one.name, f"{one.machines:,}", str(one.processes), gigabytes(one.memory), gigabytes(one.disk)]
        for one in found.roles
    ]
    return [["machines", "count", "processes each", "memory each", "disk each"], *rows]


def sizes(found: Plan) -> list[list[str]]:
    """Parts of one index on disk, with a heading."""
    index = found.index
    named = (
        ("database, with text and vectors", index.database),
        ("words", index.words),
        ("graph of vectors", index.graph),
    )
    return [["one index", "on disk"], *([name, gigabytes(size)] for name, size in named)]


def speed(found: Plan) -> str:
    """Questions a second where a machine has all words, and the time of the first filling."""
    filling = (
        f"First filling on one machine: {duration(found.hours.words)} by words,"
        f" {duration(found.hours.vectors)} for vectors."
    )
    if found.arrangement == "words divided too":
        return filling
    return (
        f"Planned questions a second: {found.server_questions:,.0f} of a server with {found.machine.cores} processes,"
        f" {found.reader_questions:,.0f} of a reader. {filling}"
    )


def _constants(found: Plan) -> list[list[str]]:
    return [[one.name, f"{one.value:,.6g}", one.unit, one.how, one.file] for one in found.constants]


def gigabytes(size: float) -> str:
    """Bytes in words: 1 GB is 1,000,000,000 bytes."""
    if size >= 1e12:
        return f"{size / 1e12:,.2f} TB"
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def duration(hours: float) -> str:
    """Hours, or days from two on, or minutes."""
    if hours >= 48:
        return f"{hours / 24:,.1f} days"
    return f"{hours:,.1f} hours" if hours >= 1 else f"{hours * 60:,.0f} minutes"
