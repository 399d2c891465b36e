"""Regular expressions that are compiled later are the same as those that are compiled at once."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import localsearch
from localsearch.patterns import Later, regex

PACKAGE = Path(localsearch.__file__).parent
MODULES = [
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
    for file in sorted(PACKAGE.rglob("*.py"))
    if "patterns import regex" in file.read_text("utf-8")
]
COMPILED = """
import re._compiler
done, compiling = [], re._compiler.compile
re._compiler.compile = lambda text, flags=0: done.append(text) or compiling(text, flags)
from localsearch.text.pieces import RUN, WORD
before = len(done)
found = WORD.findall("one two"), WORD.fullmatch("one")[0], WORD.search("  two").span()
again = len(done)
WORD.findall("three")
print(RUN._text in done, before, again - before, len(done) - again, found)
"""


def test_every_expression_of_the_package_is_one() -> None:
    found = list(_expressions())
    assert len(found) > 90
    for thing in found:
        assert re.compile(thing._text, thing._flags).pattern == thing._text


def _expressions() -> Iterator[Later]:
    """Those that stand in modules, also in their tables."""
    waiting: list[Any] = [vars(module) for module in map(import_module, MODULES)]
    while waiting:
        held = waiting.pop()
        for thing in held.values() if isinstance(held, dict) else held:
            if isinstance(thing, Later):
                yield thing
            elif isinstance(thing, tuple | list):
                waiting.append(thing)


def test_it_finds_what_the_compiled_one_finds() -> None:
    for text, flags in ((r"(\w+)-(\d+)", 0), (r"^b.*$", re.MULTILINE | re.IGNORECASE)):
        now, later = re.compile(text, flags), regex(text, flags)
        sample = "one-1 two-22\nBee-3 x"
        assert later.findall(sample) == now.findall(sample) != []
        assert later.sub("<\\g<0>>", sample) == now.sub("<\\g<0>>", sample)
        assert [match.span() for match in later.finditer(sample)] == [
            match.span() for match in now.finditer(sample)
        ]
        assert (later.pattern, later.flags, later.groups) == (now.pattern, now.flags, now.groups)
    assert regex(rb"\d+").fullmatch(b"12") is not None


def test_one_that_is_none_is_told_when_it_is_used() -> None:
    wrong = regex("(")
    with pytest.raises(re.error, match="unterminated"):
        wrong.search("(")


def test_nothing_of_it_is_compiled_before_it_is_used_and_then_once() -> None:
    told = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=True).stdout
    run_compiled, _, first, second, found = told.split(maxsplit=4)
    assert (run_compiled, first, second) == ("False", "1", "0")
    assert found.strip() == "(['one', 'two'], 'one', (2, 5))"
