"""What reads pages and cuts texts compiled with checks of bounds and of undefined behaviour, over odd and damaged ones."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import util
from pathlib import Path
from shutil import which

import pytest

ROOT = Path(__file__).parents[2]
CHECKED = ("-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fPIC", "-shared", "-fno-omit-frame-pointer")
PAGES = r"""
import random
import sys
from pathlib import Path
from types import SimpleNamespace
from selectolax.lexbor import LexborHTMLParser
from localsearch.extract import html, htmlbuilt, htmlwritten
from localsearch.extract.builder import Builder

htmlbuilt.kernels = htmlwritten.kernels = SimpleNamespace(library=lambda: Path(sys.argv[1]))
walker = htmlwritten.written_walker(html._SELECTORS)
random.seed(7)
parts = ["<p>", "</p>", "<table>", "<td>", "<tr>", "</table>", "<ul><li>", "<sup>", "</sup>", "<a href=x>", "<br>", "<pre>"]
parts += ["<abbr title='a b'>", "</abbr>", "<img alt='&lt;&quot;'>", "<input type=text value=v>", "<nav class='toc a'>", "</nav>"]
parts += ["<script>a</b>", "</script>", "<!-- c -->", "<main>", "</main>", "<svg>", "</svg>", "<my-el>", "x", " \n", "&nbsp;", "\u00e9"]
parts += ["<div class=nav id=content role=main>", "</div>", "<h1>", "</h1>", "<textarea>", "</textarea>", "<xmp>q", "</xmp>"]
parts += ["<h2>\u00e9", "</h2>", "\xad", "\u3000", "&#xfdd1;", "\u65e5", "\u2192", "<li>x", "- "]
same = built = 0
for number in range(1_200):
    page = LexborHTMLParser("<!doctype html>" + "".join(random.choices(parts, k=number % 40)))
    written = page.body.html
    found = walker.walk(written, whole=number % 3 == 0)
    if found is not None:
        assert found == html._by_python(page, page.body, number % 3 == 0), written
        same += 1
    for limit in (1_000, 20):
        walked = html._walked(page, False, limit)
        if walked.text is not None:
            expected = html._collected(page, htmlwritten.Walked(None, None, True), Builder(limit))
            assert html._of_text(walked.text, *html._head(page, walked.metas), None) == expected, written
            built += 1
    for _ in range(3):
        cut = random.randrange(len(written))
        damaged = written[:cut] + random.choice("<>&\"'=/!- a\xad\ufdd0\ufdd1\ufdd2\ufdd3\u3000") + written[cut + 1 :]
        for code in (written[:cut], damaged):
            walker.walk(code, whole=False)
            walker.build(code, whole=False, enough=20, limit=1_000)
assert same > 400
assert built > 400
print("same")
"""


TEXTS = r"""
import random
import sys
from pathlib import Path
from types import SimpleNamespace
from localsearch.extract import chunk, units
from localsearch.types import Block, Place

units.kernels = SimpleNamespace(library=lambda: Path(sys.argv[1]))
assert units.available()
random.seed(7)
parts = [*".!?\u2026\u3002\uff01\n ", "\n\n", "a", "The ", "people ", "1234", "- ", "12) ", "\u201d", ")", "\u65e5", "\u00e9", "\x1c"]
parts += ["x" * 3000, "e.g. x", "\ud800", "\u0663. ", "\U0001f600", "communications "]
together = 0
for number in range(2_000):
    text = "".join(random.choices(parts, k=number % 40))
    borders = sorted(random.choices(range(len(text) + 1), k=4))
    place = lambda: Place(heading=tuple(random.choices("AB", k=random.randrange(3))))
    blocks = [Block(low, high, random.choice(["code", "list"]), place()) for low, high in zip(borders[::2], borders[1::2])]
    for limit in (8, 200):
        cut = chunk._cutter().cut(text, units.told_of(blocks), limit)
        expected = [list(chunk._units(text, block, limit)) for block in blocks]
        assert chunk._cut(text, blocks, cut, limit) == expected, ascii(text)
        passages = cut and cut.passages(limit, limit // 4)
        if passages is not None:
            assert passages == list(chunk._packed(text, blocks, cut, limit, limit // 4)), ascii(text)
            together += len(passages)
assert together > 2_000
print("same")
"""
BYTES = r"""
import random
import sys
from ctypes import PyDLL, c_char_p, c_size_t
from localsearch.extract.decode import clean

look = PyDLL(sys.argv[1]).localsearch_plain
look.argtypes = [c_char_p, c_size_t]
random.seed(7)
parts = [b"\0", b"\r", b"\x1b", b"\x7f", b"\xc2", b"\xc2\xad", b"\xe2\x80", b"\xe2\x80\x9d", b"\xed\xa0\x80", b"\xef\xb7\x90"]
parts += [b"\xf0\x9f\x98\x80", b"\xf0\x9f\x98", b"\xf4\x90\x80\x80", b"\xff", b"\xef\xbb\xbf"] + [b"plain \n", b"x" * 40] * 8
plain = 0
for number in range(20_000):
    data = b"".join(random.choices(parts, k=number % 9))
    try:
        kept = clean(data.decode()) == data.decode() and b"\x1b" not in data
    except UnicodeDecodeError:
        kept = False
    assert look(data, len(data)) == kept, data
    plain += kept
assert 2_000 < plain < 18_000
print("same")
"""
SOURCES = pytest.mark.parametrize(
    ("name", "script"),
    [("html.c blocktext.c page.c", PAGES), ("units.c passages.c", TEXTS), ("plain.c", BYTES)],
)


def build(names: str, library: Path, command: list[str], flags: list[str]) -> None:
    sources = [str(ROOT / "localsearch/kernels" / one) for one in names.split()]
    subprocess.run([*command, *CHECKED, *flags, "-o", str(library), *sources], check=True)


def run(script: str, library: Path, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script, str(library)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "same\n"


@SOURCES
@pytest.mark.usefixtures("fused")
def test_nothing_undefined_is_done(tmp_path: Path, name: str, script: str) -> None:
    if util.find_spec("ziglang") is None:
        pytest.skip("needs ziglang, the compiler")
    zig = [sys.executable, "-m", "ziglang", "cc"]
    build(name, tmp_path / "checked.so", zig, ["-fsanitize=undefined", "-fsanitize-trap=undefined"])
    run(script, tmp_path / "checked.so")


@SOURCES
@pytest.mark.usefixtures("fused")
def test_nothing_is_read_or_written_outside(tmp_path: Path, name: str, script: str) -> None:
    """By AddressSanitizer, with each object of Python in a block of its own."""
    gcc = which("gcc")
    if gcc is None:
        pytest.skip("needs gcc with AddressSanitizer")
    told = subprocess.run([gcc, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    runtime = told.stdout.strip()
    if not Path(runtime).is_absolute():
        pytest.skip("needs gcc with AddressSanitizer")
    build(name, tmp_path / "checked.so", [gcc], ["-fsanitize=address"])
    options = "detect_leaks=0:verify_asan_link_order=0"
    run(script, tmp_path / "checked.so", LD_PRELOAD=runtime, ASAN_OPTIONS=options, PYTHONMALLOC="malloc")
