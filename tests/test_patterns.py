"""Regular expressions that are compiled later are the same as those that are compiled at once."""

from __future__ import annotations

import gc
import re
import subprocess
import sys

import pytest

from localsearch import checked, secrets  # noqa: F401 - their expressions are among those that are looked at
from localsearch.filters import parse_query  # noqa: F401
from localsearch.patterns import Later, regex
from localsearch.search import readable, snippets  # noqa: F401
from localsearch.text import Analyzer  # noqa: F401

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
    found = [thing for thing in gc.get_objects() if type(thing) is Later]
    assert len(found) > 100
    for thing in found:
        assert isinstance(re.compile(thing._text, thing._flags).pattern, str | bytes)
    assert len({thing._text for thing in found}) > 90


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
