"""`.ci/run` runs each test once: those of the README's command, and those that it leaves out by their marks."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tomllib
from functools import partial
from itertools import combinations, pairwise
from pathlib import Path

from _pytest.mark.expression import Expression

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
TOLD = shlex.split(PROJECT["tool"]["pytest"]["ini_options"]["addopts"])
"""What pytest is told before the words of any command."""
BY_HAND = {"pictures"}
"""Marks of what makes files of the documentation anew: no check."""
CALLED_WITH = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "T", "JOBS")


def commands() -> list[str]:
    """What `.ci/run` has pytest do."""
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    readme = re.search(r"^ *(make test) *(?:#.*)?$", README, re.MULTILINE)
    assert readme is not None
    assert "\n$command\n" in script
    lines = script.replace("\n$command\n", f"\n{readme[1]}\n").splitlines()
    run = [made for line in lines for made in (_made(line) if line.startswith("make ") else [line])]
    return [line for line in run if "-m pytest" in line]


def _made(command: str) -> list[str]:
    """The commands of a target of the Makefile, without what this process was called with."""
    clean = {name: value for name, value in os.environ.items() if name not in CALLED_WITH}
    words = [*shlex.split(command), "--dry-run"]
    return subprocess.run(
        words, capture_output=True, text=True, cwd=ROOT, env=clean, check=True
    ).stdout.splitlines()


def taken(command: str) -> Expression:
    """The marks of the tests that it takes; it must choose by them alone, and read every file that has such tests."""
    words = [*TOLD, *shlex.split(command.partition("-m pytest")[2])]
    assert not re.search(r"::| -k|--ignore|--deselect|--lf|--maxfail| -x", " ".join(words)), command
    marks = [after for word, after in pairwise(words) if word == "-m"][-1]
    if paths := [ROOT / word for word in words if word.startswith("tests")]:
        read = {file for path in paths for file in ([path] if path.is_file() else path.rglob("test_*.py"))}
        assert not marked(re.match(r"\w+", marks)[0]) - read, command  # type: ignore[index]
    return Expression.compile(marks)


def marked(name: str) -> set[Path]:
    """The files with tests of this mark; no file is marked from elsewhere."""
    assert name != "not"
    found = {file for file in (ROOT / "tests").rglob("*.py") if f"mark.{name}" in file.read_text("utf-8")}
    return {file for file in found if file.name.startswith("test_")} - {Path(__file__)}


def test_each_test_is_run_once_by_ci() -> None:
    left_out = set(re.findall(r"not (\w+)", " ".join(TOLD)))
    assert left_out > BY_HAND
    run = [taken(command) for command in commands()]
    sets = [set(some) for count in range(len(left_out)) for some in combinations(left_out - BY_HAND, count)]
    assert len(sets) == 4
    for marks in sets:
        times = [one.evaluate(partial(_among, marks)) for one in run].count(True)
        assert times == 1, f"tests marked {marks or 'not at all'} are run {times} times"


def _among(marks: set[str], name: str, **_: object) -> bool:
    return name in marks


def test_ci_ends_with_the_line_that_pytest_ends_with() -> None:
    assert (ROOT / ".ci" / "run").read_text("utf-8").splitlines()[-1] == commands()[-1]
