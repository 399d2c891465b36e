"""Completion and manual pages, made from the parser under both of the program's names."""

from __future__ import annotations

import re

import shtab
from argparse_manpage.manpage import Manpage

from localsearch.cli.parser import SHELLS, build_parser
from localsearch.cli.shell import NAMES
from localsearch.release import __version__

FILES = [f"{name}.{kind}" for name in NAMES for kind in (*SHELLS, "1")]


def made(file: str) -> str:
    """What one of the files should hold."""
    name, _, kind = file.partition(".")
    parser = build_parser(name)
    if kind == "1":
        page = str(Manpage(parser))
        head = f'.TH {name.upper()} "1" "" "localsearch {__version__}" "User Commands"'
        page = re.sub(r"^\.TH .*$", head, page, count=1, flags=re.MULTILINE)
        return re.sub(
            r"^\.SH NAME\n.*$",
            f".SH NAME\n{name} \\\\- {parser.description}",
            page,
            count=1,
            flags=re.MULTILINE,
        )
    return str(shtab.complete(parser, shell=kind)).rstrip() + "\n"
