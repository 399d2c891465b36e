"""The lexicon compiled with checks of bounds and of undefined behaviour, over odd texts: it finds what Python does."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import util
from pathlib import Path
from shutil import which

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SOURCES = ("across.c", "given.c", "learnt.c", "lexicon.c", "parts.c", "read.c")
CHECKED = ("-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fPIC", "-shared", "-fno-omit-frame-pointer")
RUN = r"""
import random
import sys
from pathlib import Path
from types import SimpleNamespace
from localsearch.lexical.fields import fields_of
from localsearch.lexical.stream import streams
from localsearch.text import Analyzer, lexicon, worth_suggesting
from localsearch.types import IndexedChunk

lexicon.kernels = SimpleNamespace(library=lambda: Path(sys.argv[1]))
assert lexicon.available()
lexicon.LARGEST = 200_000
random.seed(5)
pieces = ["foo", "Bar", "gehen", "H\u00e4user", "1", "23", "1234", "readFile", "_", "x", "\ufb01n", "\ufc5e", "\ufdfa", "\u0130"]
pieces += ["\u00bd", "\ud800", "\uffff", "\ufffd", "\0", "\x85", "C++", "C#", "x" * 3000, "a.b-" * 40, "l'", "it's", "PDFs", "v1.2.3", "1,234", "XMLReader", *"-.'\u2019\u2010\u2011,;:\u00b7+#$ \n\u00a0\u2212"]
pieces += ["-\n", "-\r\n ", "\u20ac", "/", '"', "\u05d0", "\u2018", "\u0663", "\u202f", " 234", ".567", "'890", "\t", "\U0001f600", "\u65e5"]
analyzers = [Analyzer("en"), Analyzer("de")]


def written(number):
    return "".join(random.choices(pieces[:None if number % 7 == 0 else -2], k=number % 60)) + number % 3 * f" new{number}"


for number in range(1_500):
    if number % 50 == 0:
        analyzers = [Analyzer("en"), Analyzer("de")]
    language = random.choice(["en", "de", "", "fr"])
    about = [written(number // 2) if number % 4 == 0 else ""] + [""] * 2
    chunks = [IndexedChunk(1, 1, "", "", written(number + each), "", language, about[each]) for each in range(3)]
    analyzer = analyzers[number % 2]
    for chunk, made in zip(chunks, fields_of(chunks, analyzer)):
        held = streams(chunk, analyzer)
        assert made.text == " ".join(held.terms), ascii(chunk)
        assert made.plain == " ".join(held.plain), ascii(chunk)
        assert set(made.words.split()) == set(worth_suggesting(held.words)), ascii(chunk)
print("same")
"""


def build(library: Path, command: list[str], flags: list[str]) -> None:
    sources = [str(ROOT / "localsearch/kernels" / name) for name in SOURCES]
    subprocess.run([*command, *CHECKED, *flags, "-o", str(library), *sources], check=True)


def run(library: Path, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(library)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "same\n"


@pytest.mark.usefixtures("fused")
def test_nothing_undefined_is_done(tmp_path: Path) -> None:
    if util.find_spec("ziglang") is None:
        pytest.skip("needs ziglang, the compiler")
    zig = [sys.executable, "-m", "ziglang", "cc"]
    build(tmp_path / "checked.so", zig, ["-fsanitize=undefined", "-fsanitize-trap=undefined"])
    run(tmp_path / "checked.so")


@pytest.mark.usefixtures("fused")
def test_nothing_is_read_or_written_outside(tmp_path: Path) -> None:
    """By AddressSanitizer, with each object of Python in a block of its own."""
    gcc = which("gcc")
    if gcc is None:
        pytest.skip("needs gcc with AddressSanitizer")
    told = subprocess.run([gcc, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    runtime = told.stdout.strip()
    if not Path(runtime).is_absolute():
        pytest.skip("needs gcc with AddressSanitizer")
    build(tmp_path / "checked.so", [gcc], ["-fsanitize=address"])
    options = "detect_leaks=0:verify_asan_link_order=0"
    run(tmp_path / "checked.so", LD_PRELOAD=runtime, ASAN_OPTIONS=options, PYTHONMALLOC="malloc")
