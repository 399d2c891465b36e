"""Indexing, serving and looking at the state."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from localsearch.checked import moment, printable
from localsearch.cli.console import Console
from localsearch.cli.interrupt import INTERRUPTED, Interrupt
from localsearch.cli.remote import Remote
from localsearch.engine import Engine, Status, named_path
from localsearch.errors import LockedError, ModelError, NotFoundError, UsageError
from localsearch.indexing import IndexReport
from localsearch.scan import display
from localsearch.settings import Settings
from localsearch.store import FileRow
from localsearch.types import Report, Scope
from localsearch.vectors import VectorState

if TYPE_CHECKING:
    from localsearch.evaluation.run import EvalReport
    from localsearch.evaluation.trec import Ranked

_SETTINGS = {
    "hidden": "scan.hidden = true",
    "secret": "scan.secrets = true",
    "cache": "scan.caches = true",
    "ignored": "scan.ignore_files = false",
}
"""What takes files that are left out by the rule; docs/SETTINGS.md tells more."""


def index(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch index PATH...`; while a server holds the index it is asked to do it."""
    try:
        return _index_here(args, console, settings)
    except LockedError as error:
        if args.dry_run:
            raise
        return _index_there(Remote(error), args, console, settings)


def _index_there(remote: Remote, args: argparse.Namespace, console: Console, settings: Settings) -> int:
    args.paths = [str(named_path(path)) for path in args.paths]
    console.say(f"The server at {remote.url} holds the index and does it.")
    with Interrupt() as interrupted, console.progress() as report:
        outcome = remote.index(args, report, interrupted)
    if console.json:
        console.result(outcome)
    else:
        with Engine.open(settings=settings, read_only=True) as engine:
            _tell_index(console, outcome, engine.status(), False)
    return INTERRUPTED if outcome.cancelled else 1 if outcome.notes else 0


def _index_here(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    with Interrupt() as interrupted, Engine.open(settings=settings) as engine, console.progress() as report:
        outcome = _indexed(
            engine,
            console,
            interrupted,
            report,
            embed=not (args.no_embed or args.dry_run),
            paths=args.paths,
            collection=args.collection,
            include=args.include,
            exclude=args.exclude,
            dry_run=args.dry_run,
            retry_failed=args.retry_failed,
        )
        status = engine.status()
    if console.json:
        console.result(outcome)
    else:
        _tell_index(console, outcome, status, args.dry_run)
    if interrupted():
        console.say("Stopped. What was done is kept; the same command goes on from here.")
        return INTERRUPTED
    return 1 if outcome.notes else 0


def _indexed(
    engine: Engine, console: Console, interrupted: Interrupt, report: Report, *, embed: bool, **options: Any
) -> IndexReport:
    """Index, the model in place before; where the texts decide on the model, after their words."""
    later = embed and engine.settings.model.languages == "auto" and engine.derived.semantic is None
    at_once = embed and not later and fetch_model(engine, console)
    outcome = engine.index(embed=at_once, report=report, cancelled=interrupted, **options)
    if later and not interrupted() and fetch_model(engine, console):
        engine.embed_pending(report, interrupted)
    return outcome


def fetch_model(engine: Engine, console: Console) -> bool:
    """Have the first version's model in place; when it is not to be had, say so and go on with words alone.

    Where the texts decide on the model and there are none yet, it waits for them.
    """
    if engine.settings.model.languages == "auto" and not engine.corpus.counts()[1]:
        return True
    name, why = engine.first_model()
    if why:
        console.say(f"{why} So {name} embeds them (model.languages = auto).")
    if engine.models.installed(name):
        return True
    try:
        console.say(f"Fetching the model {name}, once.")
        with console.progress() as report:
            engine.models.pull(name, report=report)
        return True
    except (ModelError, NotFoundError) as error:
        console.say(f"Words only for now: {error.message}. {error.hint}")
        return False


def _tell_index(console: Console, outcome: IndexReport, status: Status, dry_run: bool) -> None:
    files = outcome.files
    would = "would be " if dry_run else ""
    console.say(
        f"{would}new {files.new}, changed {files.changed}, unchanged {files.unchanged}, removed {files.removed}, "
        f"skipped {files.skipped}, failed {files.failed} in {outcome.seconds:.1f} s"
    )
    if outcome.rules:
        listed = sorted(outcome.rules.items(), key=lambda item: -item[1])
        console.say("  left out: " + ", ".join(f"{rule} {count:,}" for rule, count in listed))
    for note in outcome.notes:
        console.tell(f"error: {note}")
    if not dry_run:
        console.say(
            f"{status.documents:,} documents in {status.chunks:,} chunks; "
            f"{status.semantic_coverage:.0%} can be found by meaning"
        )
        _tell_better_model(console, status)
    if files.failed:
        console.say("`localsearch status` lists what could not be read.")


def _tell_better_model(console: Console, status: Status) -> None:
    if status.better_model:
        console.say(
            f"{status.better_model} knows the languages of these texts better than the model in use:"
            " `localsearch models recommend` says what it costs."
        )


def scope_of(collections: Sequence[str], paths: Sequence[str]) -> Scope:
    """What may be seen, from flags; paths as the ledger writes them."""
    absolute = [os.path.abspath(os.path.expanduser(path)) for path in paths]
    return Scope(tuple(collections), tuple(display(os.fsencode(path)) for path in absolute))


def status(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch status`"""
    with Engine.open(settings=settings, read_only=True) as engine:
        if args.list:
            return _list_files(console, engine.ledger.troubled(args.list))
        state = engine.status()
        troubled = engine.ledger.troubled("failed", 20)
        rules, held = list(engine.ledger.by_rule()), engine.held_roots()
    if console.json:
        console.result(state)
        return 0
    coverage = f"{state.semantic_coverage:.1%}" if state.chunks else "nothing yet"
    when = moment(state.changed or None)
    changed = when.astimezone().strftime("%Y-%m-%d %H:%M:%S") if when else "never"
    rows = [["", ""], ["home", state.home], *(["root", root] for root in state.roots)]
    rows += [["documents", f"{state.documents:,}"], ["chunks", f"{state.chunks:,}"]]
    rows += [["found by meaning", coverage], ["version", state.version or "none"]]
    rows += _engine_rows(state.vectors)
    rows += [["processor", state.kernels or "no kernels: `localsearch doctor` says what to do"]]
    rows += [["last change", changed], ["on disk", f"{state.bytes / 1e6:,.1f} MB"]]
    rows += [["tokens embedded", f"{state.cost.tokens:,} in {state.cost.cpu_s:,.0f} s of processor time"]]
    rows += [[f"  elsewhere ({name})", f"${dollars:,.4f}"] for name, dollars in state.cost.hosted.items()]
    rows += [[f"files {name}", f"{count:,}"] for name, count in state.files.items()]
    rows += [[f"  {what} ({rule})", f"{count:,}"] for what, rule, count in rules]
    rows += [["files known by name alone", f"{state.names:,}"]] if state.names else []
    rows += [["files not read whole", f"{state.noted:,}"]] if state.noted else []
    console.out.print(Text(_all_in_one(state)))
    console.table(rows)
    _tell_better_model(console, state)
    for path in held:
        console.say(f"came with a backup and is not read: {path}. Confirm it with: localsearch trust")
    for row in troubled:
        console.say(f"could not be read: {row.path}: {row.reason}")
    if state.files["failed"] > len(troubled):
        console.say("`localsearch status --list failed` lists them all.")
    if state.noted:
        console.say(
            "`localsearch status --list noted` says what could not be read of the files not read whole."
        )
    return 0


def _engine_rows(vectors: VectorState | None) -> list[list[str]]:
    """How the engine of the vectors stands, where there is one."""
    if vectors is None or vectors.backend == "faiss":
        return []
    told = vectors.problem or f"{vectors.count:,} vectors, {vectors.behind:,} changes to come"
    return [[f"vectors in {vectors.backend}", told]]


def _all_in_one(state: Status) -> str:
    """The state in one sentence."""
    if not state.documents:
        return "Nothing is indexed yet: `localsearch index FOLDER` makes a folder searchable."
    failed = state.files["failed"]
    if failed:
        first = f"{failed:,} {'file' if failed == 1 else 'files'} could not be read"
    elif state.semantic_coverage < 1 and state.version:
        first = f"{state.semantic_coverage:.0%} can be found by meaning so far"
    else:
        first = "All is well"
    when = f", last change {ago(time.time() - state.changed)}" if state.changed else ""
    return f"{first}: {state.documents:,} {'document' if state.documents == 1 else 'documents'}{when}."


def ago(seconds: float) -> str:
    """How long ago, in the largest unit that fits.

    >>> ago(30), ago(125), ago(7_200), ago(90_000)
    ('just now', '2 minutes ago', '2 hours ago', '1 day ago')
    """
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if (number := int(seconds // length)) >= 1:
            return f"{number:,} {unit}{'' if number == 1 else 's'} ago"
    return "just now"


def _list_files(console: Console, rows: Sequence[FileRow]) -> int:
    """Every file with why it was not read, or what of it was not."""
    if console.json:
        console.result({"files": [_told(row) for row in rows]})
        return 0
    for row in rows:
        for reason in row.notes or (f"{row.reason} ({row.rule})",):
            console.out.print(f"{row.path}: {reason}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _told(row: FileRow) -> dict[str, Any]:
    """A file of the ledger as `--json` shows it."""
    return {
        "path": row.path,
        "state": row.state,
        "rule": row.rule,
        "reason": row.reason,
        "notes": list(row.notes),
        "tries": row.tries,
        "stale": row.state == "failed" and row.content_hash is not None,
        "collection": row.collection,
        "root": row.root,
    }


def why(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch why FILE`"""
    with Engine.open(settings=settings, read_only=True) as engine:
        rows = engine.why(args.file)
    row = rows[0]
    if console.json:
        console.result(_told(row))
        return 0
    within = "" if os.path.abspath(os.path.expanduser(args.file)) == row.path else "in the folder "
    rule = f" ({row.rule})" if row.rule else ""
    why = f"{rule}: {row.reason}" if row.reason else f", collection {row.collection}, under {row.root}"
    console.out.print(printable(f"{within}{row.path}: {row.state}{why}"), markup=False)
    if row.rule in _SETTINGS:
        console.say(
            f"{_SETTINGS[row.rule]} in settings.toml takes such files; so does naming the file itself."
        )
    for note in row.notes:
        console.out.print(f"  {note}", markup=False)
    if row.state == "failed" and row.content_hash is not None:
        console.say("Its last good content is still searchable, and stale.")
    return 0


def evaluate(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch eval DIR`"""
    from localsearch.evaluation.beir import Dataset
    from localsearch.evaluation.run import evaluate as run_evaluation
    from localsearch.evaluation.run import parse_modes, score_runs
    from localsearch.evaluation.trec import read_run, write_run

    if args.feedback:
        return _evaluate_feedback(args, console, settings)
    if not args.folder:
        raise UsageError("Nothing to judge by.", hint="Name a folder in BEIR layout, or use --feedback.")
    modes = parse_modes(args.modes)
    dataset = Dataset.load(args.folder, args.split)
    if args.score_run:
        return _told_scores(score_runs(dataset, read_run(named_path(args.score_run))), console)
    runs: dict[str, dict[str, Ranked]] = {f"localsearch-{mode}": {} for mode in modes}
    with tempfile.TemporaryDirectory(prefix="localsearch-eval-") as scratch:
        home = settings.home if args.home else Path(scratch)
        with Engine.open(settings=replace(settings, home=home)) as engine, console.progress() as report:
            fetch_model(engine, console)
            outcome = run_evaluation(
                engine,
                dataset,
                modes,
                keep=lambda mode, query, ranked: runs[f"localsearch-{mode}"].update({query: ranked}),
                report=report,
            )
    if args.run:
        write_run(named_path(args.run), runs)
    return _told_scores(outcome, console)


def _told_scores(outcome: EvalReport, console: Console) -> int:
    """Print the measures."""
    from localsearch.evaluation.run import table

    if console.json:
        console.result(outcome.to_json())
        return 0
    console.table(table(outcome))
    for note in outcome.notes:
        console.say(note)
    indexed = f", indexed in {outcome.index_s:.1f} s" if outcome.index_s else ""
    console.say(f"{outcome.documents:,} documents, {outcome.queries:,} queries{indexed}")
    return 0


def _evaluate_feedback(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """Judge the index as it is by what people said of its answers."""
    from localsearch.evaluation.run import EvalReport, parse_modes, score, table

    with Engine.open(settings=settings, read_only=True) as engine, console.progress() as report:
        grades = engine.judgements.grades()
        if not grades:
            raise NotFoundError("Nobody has judged anything yet.", hint="See: localsearch feedback --help")
        queries = {query: query for query, judged in grades.items() if any(judged.values())}
        if not queries:
            raise NotFoundError("Nothing was judged relevant yet.", hint="See: localsearch feedback --help")
        scores = score(engine, queries, grades, parse_modes(args.modes), plain=False, report=report)
        documents = engine.corpus.counts()[0]
    outcome = EvalReport("feedback", "feedback", documents, len(queries), 0.0, scores, ())
    if console.json:
        console.result(outcome.to_json())
    else:
        console.table(table(outcome))
    return 0


def watch(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch watch PATH...`"""

    def told(outcome: IndexReport) -> None:
        files = outcome.files
        if files.new or files.changed or files.removed or files.failed:
            console.say(
                f"new {files.new}, changed {files.changed}, removed {files.removed}, failed {files.failed}"
            )

    with Interrupt() as interrupted, Engine.open(settings=settings) as engine:
        if args.paths:
            with console.progress() as report:
                _indexed(
                    engine,
                    console,
                    interrupted,
                    report,
                    embed=True,
                    paths=args.paths,
                    collection=args.collection,
                )
        else:
            fetch_model(engine, console)
        if not engine.ledger.trusted_roots():
            hint = "Confirm what the backup brought: localsearch trust" if engine.held_roots() else ""
            raise UsageError("Nothing to watch.", hint=hint or "Name a folder: localsearch watch PATH")
        engine.start_background()
        watcher = engine.watch(told=told, note=console.say)
        console.say("Watching; Ctrl-C ends.")
        while not interrupted():
            time.sleep(0.2)
        watcher.close()
    return 0


def feedback(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch feedback`"""
    try:
        with Engine.open(settings=settings) as engine:
            engine.feedback(args.query, args.id, args.relevant, collection=args.collection)
    except LockedError as error:
        Remote(error).feedback(args.query, args.id, args.relevant, args.collection)
    if console.json:
        console.result({"query": args.query, "id": args.id, "relevant": args.relevant})
    console.say("Noted.")
    return 0
