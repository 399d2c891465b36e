"""Searching and reading: `search`, `get`, `multi-get`."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from dataclasses import fields

from localsearch.checked import printable
from localsearch.cli import formats
from localsearch.cli.console import Console
from localsearch.engine import Engine, part_of
from localsearch.errors import NotFoundError, UsageError
from localsearch.search import SearchQuery
from localsearch.settings import Settings
from localsearch.types import Answer, Documents

EMPTY = 4
"""The exit code of a search without hits, where `--fail-empty` asks for it."""
MOST_INPUT = 1_000_000
"""Bytes of a question from standard input."""
_OPENERS = {"darwin": "open {path}", "win32": "explorer {path}"}


def search(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch search QUERY`, `-` for one from standard input."""
    with Engine.open(settings=settings, read_only=True) as engine:
        options = {
            field.name: getattr(args, field.name)
            for field in fields(SearchQuery)
            if hasattr(args, field.name)
        }
        answer = engine.answer(
            SearchQuery(**options | {"query": _question(args.query), "like": _named(args.like)})
        )
    if _form(args, console) == "text":
        console.answer(answer)
        if args.explain:
            console.explanation(answer)
    else:
        formats.hits(console, answer, _form(args, console))
    if args.open is not None:
        _open(answer, args.open, settings)
    return EMPTY if args.fail_empty and not answer.results else 0


def _question(words: list[str]) -> str:
    if words != ["-"]:
        return " ".join(words)
    read = sys.stdin.buffer.read(MOST_INPUT + 1)
    if len(read) > MOST_INPUT:
        raise UsageError(f"The question is longer than {MOST_INPUT:,} bytes.", hint="Ask a shorter one.")
    return read.decode("utf-8", "replace").strip()


def _named(like: str | None) -> str | None:
    """A file by its whole path, as its id is; anything else is an id already."""
    file = os.path.abspath(os.path.expanduser(like)) if like else ""
    return file if os.path.isfile(file) else like


def _form(args: argparse.Namespace, console: Console) -> formats.Format:
    """What `--format` says, else what `--json` does."""
    if console.json and args.format not in (None, "json"):
        raise UsageError(f"--json and --format {args.format} exclude each other.", hint="Give one of them.")
    return "json" if console.json else args.format or "text"


def _open(answer: Answer, number: int, settings: Settings) -> None:
    """Open the file of a hit, by the program of the settings or of the desktop. No shell is asked."""
    if number > len(answer.results):
        raise NotFoundError(
            f"There is no hit {number}; there are {len(answer)}.", hint="Ask for more with -n."
        )
    hit = answer.results[number - 1]
    if hit.path is None or not os.path.exists(hit.path):
        raise NotFoundError("No file belongs to that hit.", hint=f"localsearch get {shlex.quote(hit.id)}")
    template = settings.terminal.open or _OPENERS.get(sys.platform, "xdg-open {path}")
    place = {
        "{path}": hit.path,
        "{line}": str(hit.location.get("line", 1)),
        "{page}": str(hit.location.get("page", 1)),
    }
    words = shlex.split(template)
    for name, value in place.items():
        words = [word.replace(name, value) for word in words]
    try:
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no program {words[0]}.", hint="Set terminal.open in settings.toml."
        ) from None
    except subprocess.CalledProcessError as error:
        raise NotFoundError(
            f"{words[0]} could not open {printable(hit.path)} (exit code {error.returncode}).",
            hint="Set terminal.open in settings.toml.",
        ) from None


def get(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch get NAME`"""
    part = part_of(args.lines, args.pages, args.at, args.chars, args.max_chars)
    with Engine.open(settings=settings, read_only=True) as engine:
        found = engine.read(args.name, part, collection=args.collection)
    form = _form(args, console)
    if form == "json":
        console.result(found)
    elif form == "text":
        console.write(formats.plain(found.text))
    else:
        formats.documents(console, Documents((found,)), form)
    if found.left_out:
        console.say(f"Only its name is known: {found.left_out}")
    if found.more:
        console.say(f"Characters {found.start:,} to {found.stop:,} of {found.length:,}; more follows.")
    return 0


def multi_get(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch multi-get NAME...`; 1 when one of the names is not there."""
    with Engine.open(settings=settings, read_only=True) as engine:
        found = engine.read_many(args.names, collection=args.collection, each=args.each, budget=args.budget)
    formats.documents(console, found, _form(args, console))
    for name in found.missing:
        console.error(NotFoundError(f"not there: {name}", hint="Ids and paths are as search gives them."))
    for name in found.left_out:
        console.say(f"no room left for: {name}")
    if found.more:
        console.say("Still more match; narrow the pattern.")
    return 1 if found.missing else 0
