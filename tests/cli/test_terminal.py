"""What a document, a name or an archive holds reaches a terminal or a pipe as text, never as a control sequence."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localsearch.checked import printable, printable_json

CLEAR, CLIPBOARD, TITLE, BELL = "\x1b[2J\x1b[H", "\x1b]52;c;Y3VybA==\x1b\\", "\x1b]0;owned\x07", "\x07"
C1, QUERY, TURNED = "\x9b2J\x9d0;c1\x9c", "\x1b[6n\x1bP$q q\x1b\\", "\u202etxt.exe\u2069"
ALL = CLEAR + CLIPBOARD + TITLE + C1 + QUERY + TURNED + "\x08\x0b\x0c"
OWN = re.compile(rb"\x1b\[[0-9;?]*[mlhKAB]|\x1b\]8;[^;]*;(?:file://[^\x1b]*)?\x1b\\")
"""Colours, links to files and the cursor of our own bars."""
FOREIGN = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An index of documents that try to drive a terminal, by every way in that carries text."""
    top = tmp_path_factory.mktemp("terminal")
    docs = top / "docs"
    docs.mkdir()
    (docs / "plain.txt").write_text(f"zebrafish {ALL} about zebrafish\n")
    (docs / "head.md").write_text(f"# zebrafish {ALL} heading\n\nzebrafish body {ALL}\n")
    (docs / "page.html").write_text(
        "<title>zebrafish &#27;]52;c;eA==&#27;\\ &#x9b;2J</title><p>zebrafish &#27;[2J &#x9b;2J"
    )
    (docs / "mail.eml").write_bytes(
        b"From: a@b\r\nSubject: =?utf-8?q?zebrafish_=1b]52=3bc=3beA=3d=3d=1b=5c_=c2=9b2J?=\r\n\r\nzebrafish\x1b[2J\r\n"
    )
    (docs / "rows.json").write_text(
        json.dumps([{"id": "a", "title": f"zebrafish {ALL}", "text": f"zebrafish {ALL}"}])
    )
    (docs / f"odd{TITLE}{CLEAR}\n name zebrafish.txt").write_text("zebrafish plain")
    (docs / f"broken{TITLE}.pdf").write_bytes(b"%PDF-1.4 broken")
    with zipfile.ZipFile(docs / "all.zip", "w") as archive:
        archive.writestr(f"in{TITLE}side zebrafish.txt", "zebrafish zipped")
    made = on_pipe(top / "home", "index", str(docs), "--no-embed")
    assert b"new " in made
    return top / "home", docs


def command(home: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "localsearch", "--home", str(home), *words]


ENVIRONMENT = os.environ | {"TERM": "xterm-256color", "LOCALSEARCH_OFFLINE": "1", "TERM_PROGRAM": ""}


def on_pipe(home: Path, *words: str) -> bytes:
    done = subprocess.run(command(home, *words), capture_output=True, env=ENVIRONMENT, timeout=120)
    assert b"Traceback" not in done.stderr
    return done.stdout + done.stderr


def on_terminal(home: Path, *words: str) -> bytes:
    pid, descriptor = pty.fork()
    if pid == 0:
        os.execve(sys.executable, command(home, *words), ENVIRONMENT)
    shown = b""
    while select.select([descriptor], [], [], 120)[0]:
        try:
            part = os.read(descriptor, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.waitpid(pid, 0)
    os.close(descriptor)
    return shown


@pytest.mark.parametrize("how", [on_pipe, on_terminal])
@pytest.mark.parametrize(
    "words",
    [
        ["search", "zebrafish", "-n", "20", "--mode", "lexical"],
        ["search", "zebrafish", "-n", "20", "--mode", "lexical", "--explain"],
        ["search", "zebrafish", "-n", "20", "--mode", "lexical", "--json"],
        ["search", ALL.replace("\0", ""), "--mode", "lexical"],
        ["search", "zebrafish", "-n", "20", "--mode", "lexical", "--format", "csv"],
        ["search", "zebrafish", "-n", "20", "--mode", "lexical", "--format", "md"],
        ["search", "zebrafish", "-n", "20", "--mode", "lexical", "--format", "jsonl"],
        ["search", "zebrafish", "-n", "20", "--mode", "lexical", "--format", "paths"],
        ["multi-get", "*", "missing"],
        ["multi-get", "*", "--format", "md"],
        ["multi-get", "*", "--format", "csv"],
        ["get", "head.md"],
        ["get", "rows.json!/a"],
        ["status"],
        ["status", "--json"],
    ],
    ids=lambda words: " ".join(words[:1] + words[5:] + words[2:4]),
)
def test_nothing_but_text_and_our_own_colours(home: tuple[Path, Path], words: list[str], how: object) -> None:
    shown = how(home[0], *words)  # type: ignore[operator]
    assert FOREIGN.findall(OWN.sub(b"", shown)) == []
    assert b"zebrafish" in shown or words[0] != "search" or words[1] != "zebrafish"


@pytest.mark.parametrize("how", [on_pipe, on_terminal])
def test_names_in_why_and_while_indexing(home: tuple[Path, Path], tmp_path: Path, how: object) -> None:
    index, docs = home
    for words in (
        ["why", str(docs / f"broken{TITLE}.pdf")],
        ["why", str(docs / f"never{ALL}")],
        ["index", str(docs / f"never{ALL}")],
        ["--home", str(tmp_path / "new"), "index", str(docs), "--no-embed"],
        ["purge", f"x{ALL}"],
    ):
        assert FOREIGN.findall(OWN.sub(b"", how(index, *words))) == []  # type: ignore[operator]


@given(st.text(st.characters()))
def test_any_text_is_made_printable(text: str) -> None:
    shown = printable(text)
    assert FOREIGN.search(shown.encode("utf-8")) is None
    assert printable(shown) == shown


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["utf-8", "ascii", "latin-1"]))
def test_json_means_the_same(text: str, encoding: str) -> None:
    shown = printable_json(json.dumps([text], ensure_ascii=False), encoding)
    assert json.loads(shown.encode(encoding).decode(encoding)) == [text]
    assert FOREIGN.search(shown.encode()) is None
