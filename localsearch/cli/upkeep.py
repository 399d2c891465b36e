"""Backup, restore, check, export, import, purge, doctor and keys."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from localsearch.checked import printable
from localsearch.cli.commands import scope_of
from localsearch.cli.console import Console
from localsearch.cli.remote import Remote
from localsearch.engine import Engine, named_path
from localsearch.errors import LockedError
from localsearch.settings import Settings
from localsearch.upkeep import airgap
from localsearch.upkeep.backup import restore as restore_backup
from localsearch.upkeep.doctor import Finding, examine
from localsearch.upkeep.purge import Purged

_MOST_LINES = 50
_MARKS = {"good": "ok  ", "note": "note", "bad": "BAD "}


def backup(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch backup DEST`"""
    with Engine.open(settings=settings, read_only=True) as engine, console.progress() as report:
        outcome = engine.backup(args.target, report)
    if console.json:
        console.result(outcome)
    console.say(
        f"{outcome.documents:,} documents in {outcome.file}, {outcome.bytes / 1e6:,.1f} MB, verified."
    )
    kept = "API keys and jobs are in it" if outcome.service else "There are no API keys or jobs"
    console.say(f"{kept}; models and settings.toml are not.")
    return 0


def restore(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch restore SRC`"""
    with console.progress() as report:
        outcome = restore_backup(named_path(args.source), settings.home, report, trust=args.trust)
    with Engine.open(settings=settings) as engine, console.progress() as report:
        engine.rebuild(report)
    if console.json:
        console.result(outcome)
    console.say(f"{outcome.documents:,} documents are back in {settings.home}.")
    came = outcome.brought
    if came.keys:
        console.say("So are these keys, which open the server; revoke those that you do not know:")
        _tell(console, came.keys)
    waiting = (*(f"folder {path}" for path in came.roots), *(f"job {job}" for job in came.jobs))
    if outcome.held and waiting:
        console.say("These came with it and wait. If they are yours, confirm them with: localsearch trust")
        _tell(console, waiting)
    return 0


def trust(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch trust`"""
    with Engine.open(settings=settings) as engine:
        outcome = engine.trust()
    if console.json:
        console.result(outcome)
    console.say(
        f"{len(outcome.roots):,} folders are read again, {len(outcome.jobs):,} jobs run when `serve` does."
    )
    _tell(console, outcome.roots)
    return 0


def _tell(console: Console, lines: Sequence[str]) -> None:
    for line in lines[:_MOST_LINES]:
        console.say(f"  {line}")
    if len(lines) > _MOST_LINES:
        console.say(f"  and {len(lines) - _MOST_LINES:,} more")


def check(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch check [--repair]`"""
    with Engine.open(settings=settings, read_only=not args.repair) as engine, console.progress() as report:
        outcome = engine.check(repair_=args.repair, report=report)
    if console.json:
        console.result({"ok": outcome.ok, "problems": outcome.problems, "repaired": outcome.repaired})
        return 0 if outcome.ok else 1
    for done in outcome.repaired:
        console.say(f"repaired: {done}")
    for problem in outcome.problems:
        console.tell(f"{problem.part}: {problem.message}")
    if outcome.ok:
        console.say("Everything is in order.")
    elif any(problem.mendable for problem in outcome.problems) and not args.repair:
        console.say("What is derived can be rebuilt: localsearch check --repair")
    return 0 if outcome.ok else 1


def export(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch export FILE`"""
    with Engine.open(settings=settings, read_only=True) as engine, console.progress() as report:
        count = engine.export(args.target, report)
    if console.json:
        console.result({"documents": count, "file": args.target})
    console.say(f"{count:,} documents in {args.target}.")
    return 0


def import_file(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch import FILE`"""
    with Engine.open(settings=settings) as engine, console.progress() as report:
        outcome = engine.import_file(args.source, report)
        if engine.models.installed(settings.model.name):
            engine.embed_pending(report)
    if console.json:
        console.result(outcome)
    console.say(f"{outcome.documents:,} documents stored, {outcome.refused:,} lines refused.")
    for note in outcome.notes:
        console.tell(f"  {note}")
    return 1 if outcome.refused else 0


def purge(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch purge PATH|ID...`"""
    try:
        with Engine.open(settings=settings) as engine, console.progress() as report:
            outcome = engine.purge(args.targets, report)
    except LockedError as error:
        outcome = Purged(tuple(Remote(error).purge(args.targets)), None)
    if console.json:
        console.result(outcome)
    console.say(f"{len(outcome.documents):,} documents are gone from every file of {settings.home}.")
    console.say("Backups and exports made before still hold them.")
    if any(Path(key.split("!/")[0]).is_file() for key in outcome.documents):
        console.say(
            "The files themselves are still there: the next `index` of their folder brings them back."
        )
    return 0


def doctor(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch doctor [--airgap]`"""
    findings = examine(settings)
    if args.airgap:
        console.say(
            "A rehearsal is running: index, search, serve, MCP and backup, watched for a minute at most."
        )
        findings += airgap.examine(settings)
    bad = any(finding.level == "bad" for finding in findings)
    if console.json:
        console.result({"ok": not bad, "findings": findings})
        return 1 if bad else 0
    console.out.print(_summary(findings), markup=False)
    for finding in findings:
        console.out.print(
            printable(f"{_MARKS[finding.level]} {finding.what}: {finding.message}"), markup=False
        )
        if finding.remedy:
            console.out.print(printable(f"       {finding.remedy}"), markup=False)
    return 1 if bad else 0


def _summary(findings: Sequence[Finding]) -> str:
    """What was found in one sentence."""
    bad = sum(finding.level == "bad" for finding in findings)
    notes = sum(finding.level == "note" for finding in findings)
    first = "All is well" if not bad else f"{bad} {'thing is' if bad == 1 else 'things are'} wrong"
    more = f", {notes} worth knowing" if notes else ""
    return f"{first}: {len(findings)} things were looked at{more}."


def keys(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch keys create|list|revoke`"""
    from localsearch.server.database import ServiceDatabase
    from localsearch.server.keys import Keys

    store = Keys(ServiceDatabase(settings.home))
    result: object
    if args.action == "create":
        within = scope_of(args.collections, args.paths)
        key, secret = store.create(args.name, args.scope, within)
        result = {"id": key.id, "name": key.name, "scope": key.scope, "within": within, "key": secret}
        if not console.json:
            console.out.print(secret, markup=False)
        console.say(f"Key {key.id} for {key.name}, scope {key.scope}. It is shown this once.")
    elif args.action == "revoke":
        store.revoke(args.id)
        result = {"id": args.id, "revoked": True}
        console.say(f"Key {args.id} is useless now.")
    else:
        listed = store.list()
        result = {"keys": listed}
        if not console.json:
            console.table([["id", "name", "scope"], *([key.id, key.name, key.scope] for key in listed)])
    if console.json:
        console.result(result)
    return 0
