"""What shells and `man` read, under both names of the program: files that `make docs` makes from the parser."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from localsearch.cli.console import Console
from localsearch.settings import Settings

NAMES = ("localsearch", "lsearch")
"""Desktops have another program called localsearch; nothing else is called lsearch."""


def completion(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch completion SHELL`"""
    sys.stdout.write(_file(f"{called_as()}.{args.shell}"))
    return 0


def man(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch man`"""
    sys.stdout.write(_file(f"{called_as()}.1"))
    return 0


def called_as() -> str:
    """The name that this was called by."""
    called = Path(sys.argv[0]).stem
    return called if called in NAMES else NAMES[0]


def _file(name: str) -> str:
    from importlib.resources import files

    return files(__name__).joinpath(name).read_text("utf-8")
