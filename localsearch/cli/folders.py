"""The folders of the index: list, forget, scan again, exclude; by the server where one holds the index."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence

from localsearch.checked import printable
from localsearch.cli.commands import ago, index
from localsearch.cli.console import Console
from localsearch.cli.interrupt import Interrupt
from localsearch.cli.remote import Remote
from localsearch.engine import Engine, Folder
from localsearch.errors import LockedError, UsageError
from localsearch.scan import raw_of
from localsearch.settings import Settings


def folders(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch folders ...`"""
    actions: dict[str, Callable[[argparse.Namespace, Console, Settings], int]] = {
        "list": _list,
        "forget": _forget,
        "scan": _scan,
        "exclude": _exclude,
    }
    return actions[args.action](args, console, settings)


def _list(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    with Engine.open(settings=settings, read_only=True) as engine:
        found = engine.folders.listed()
    if console.json:
        console.result({"folders": found})
        return 0
    if not found:
        console.say("Nothing is indexed yet: `localsearch index FOLDER` makes a folder searchable.")
    for folder in found:
        console.out.print(printable(folder.path), markup=False)
        for line in _told(folder):
            console.out.print(f"  {printable(line)}", markup=False)
    return 0


def _told(folder: Folder) -> Sequence[str]:
    """A folder in a few lines."""
    failed = folder.files.get("failed", 0)
    counts = [f"{folder.documents:,} document{'s' * (folder.documents != 1)}"]
    counts += [f"{failed:,} file{'s' * (failed != 1)} could not be read"] if failed else []
    counts += [f"{folder.noted:,} not read whole"] if folder.noted else []
    counts += [f"looked through {ago(time.time() - folder.checked)}"] if folder.checked else []
    lines = [", ".join(counts)]
    lines += [f"collection {folder.collection}"] if folder.collection != "default" else []
    lines += [f"only {' '.join(folder.include)}"] if folder.include else []
    lines += [f"without {' '.join(folder.exclude)}"] if folder.exclude else []
    lines += ["came with a backup and is not read: localsearch trust"] if folder.held else []
    lines += ["cannot be reached now; what is indexed of it stays"] if folder.missing else []
    return lines


def _forget(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    try:
        with Engine.open(settings=settings) as engine:
            outcome = engine.folders.forget(args.path, args.collection)
        path, files = outcome.path, outcome.files
    except LockedError as error:
        body = {"path": _absolute(args.path), "collection": args.collection}
        with Interrupt() as interrupted, console.progress() as report:
            done = Remote(error).work("/folders/forget", body, report, interrupted)
        path, files = str(done["path"]), int(done["files"])
    if console.json:
        console.result({"path": path, "collection": args.collection, "files": files})
    console.say(f"{path} is forgotten: {files:,} files are not found any more. The files themselves stay.")
    return 0


def _scan(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    with Engine.open(settings=settings, read_only=True) as engine:
        known = [
            folder
            for folder in engine.folders.listed()
            if folder.collection == args.collection and not folder.held
        ]
        named = [engine.folders.find(path, args.collection) for path in args.paths]
    paths = named or [folder.path for folder in known]
    if not paths:
        raise UsageError("There is no folder to look through.", hint="Add one: localsearch index FOLDER")
    wanted = argparse.Namespace(
        paths=[os.fsdecode(raw_of(path)) for path in paths],
        collection=args.collection,
        include=[],
        exclude=[],
        dry_run=False,
        no_embed=False,
        retry_failed=args.retry_failed,
    )
    return index(wanted, console, settings)


def _exclude(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    if not (args.patterns or args.clear):
        raise UsageError("Nothing to leave out.", hint="Name a pattern such as '*.log', or use --clear.")
    with Engine.open(settings=settings, read_only=True) as engine:
        path = engine.folders.find(args.path, args.collection)
        listed = engine.folders.listed()
    now = next(one for one in listed if (one.collection, one.path) == (args.collection, path))
    exclude = list(dict.fromkeys([*(() if args.clear else now.exclude), *args.patterns]))
    try:
        with Engine.open(settings=settings) as engine:
            engine.folders.set_patterns(path, args.collection, include=now.include, exclude=exclude)
    except LockedError as error:
        body = {"path": path, "collection": args.collection, "include": now.include, "exclude": exclude}
        with Interrupt() as interrupted, console.progress() as report:
            outcome = Remote(error).work("/folders/patterns", body, report, interrupted)
        if console.json:
            console.result(outcome)
        _say_left_out(console, path, exclude)
        return 0
    _say_left_out(console, path, exclude)
    args.paths, args.retry_failed = [path], False
    return _scan(args, console, settings)


def _say_left_out(console: Console, path: str, exclude: Sequence[str]) -> None:
    without = " ".join(exclude)
    console.say(f"{path}: from now on {f'without {without}' if without else 'nothing is left out'}.")


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))
