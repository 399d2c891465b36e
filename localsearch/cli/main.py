"""From words on the command line to an exit code."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from localsearch.cli import shell
from localsearch.cli.console import Console, take_every_letter
from localsearch.cli.interrupt import INTERRUPTED
from localsearch.cli.parser import build_parser
from localsearch.errors import CancelledError, LocalSearchError, UsageError, no_text
from localsearch.settings import Settings, load

Command = Callable[[argparse.Namespace, Console, Settings], int]

COMMANDS = {
    "index": "commands.index",
    "search": "reading.search",
    "get": "reading.get",
    "multi-get": "reading.multi_get",
    "serve": "serving.serve",
    "mcp": "mcp.mcp",
    "folders": "folders.folders",
    "status": "commands.status",
    "why": "commands.why",
    "eval": "commands.evaluate",
    "watch": "commands.watch",
    "feedback": "commands.feedback",
    "doctor": "upkeep.doctor",
    "models": "models.models",
    "versions": "models.versions",
    "backup": "upkeep.backup",
    "ship": "replication.ship",
    "promote": "replication.promote",
    "restore": "upkeep.restore",
    "trust": "upkeep.trust",
    "check": "upkeep.check",
    "export": "upkeep.export",
    "import": "upkeep.import_file",
    "purge": "upkeep.purge",
    "keys": "upkeep.keys",
    "plan": "planning.plan",
    "bundle": "bundle.bundle",
    "completion": "shell.completion",
    "man": "shell.man",
}
"""The function of each command, in a module that only it imports: a search need not wait for what makes a bundle."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    take_every_letter()
    args = build_parser(shell.called_as()).parse_args(argv)
    os.umask(0o077)  # whatever is written is this user's alone
    console = Console(json=bool(args.json), verbosity=-1 if args.quiet else args.verbose or 0)
    try:
        _take_interrupts()
        settings = load(args.home, offline=args.offline or None)
        console.links = settings.terminal.links
        for note in settings.notes:
            console.say(note)
        code = run(args, console, settings)
        sys.stdout.flush()  # what cannot be written is told here, not when all is over
        return code
    except LocalSearchError as error:
        console.error(error)
        return INTERRUPTED if isinstance(error, CancelledError) else error.exit_code
    except KeyboardInterrupt:
        console.say("Stopped.")
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except UnicodeEncodeError as error:  # bytes of an argument that are no text
        console.error(no_text(error))
        return UsageError.exit_code
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        console.error(
            LocalSearchError(
                f"{what}{error.strerror or error}", hint="Check that it is there, and that you may use it."
            )
        )
        return 1
    except Exception as error:
        return _unexpected(error, console)


def _take_interrupts() -> None:
    """From here on Ctrl-C is told; until here it ended the process (`localsearch.__main__`)."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _open_standard_streams() -> None:
    """Put the null device where a shell closed input, output or messages: the next file opened would take the place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))


def _unexpected(error: Exception, console: Console) -> int:
    """Words for a mistake of ours; its traceback goes to whoever asks for it with -v."""
    if console.verbosity > 0:
        raise error
    console.error(
        LocalSearchError(
            f"an unexpected {type(error).__name__}: {error}",
            hint="That is a mistake of localsearch: please report it with what the same command says with -v.",
        )
    )
    return 1


def command() -> int:
    """Run one command as a process: a signal that comes when all is done changes nothing any more."""
    _open_standard_streams()
    try:
        code = main()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        _drop_unwritten()
    return code


def _drop_unwritten() -> None:
    """Give what nobody takes to the null device: at its end the interpreter would fail at it once more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)


def run(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """Dispatch to the command's function."""
    module, _, function = COMMANDS[args.command].partition(".")
    command: Command = getattr(import_module(f"localsearch.cli.{module}"), function)
    if (
        not gc.isenabled()
    ):  # as a process of its own: what was loaded stays to its end, and is never looked through
        gc.freeze()
        gc.enable()
    return command(args, console, settings)
